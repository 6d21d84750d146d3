/* What the supervisor publishes, fanned out to the event streams: one thread
 * subscribes, formats each event once and puts it into a ring; streams wait at one
 * lock. pub/sub may lose frames and the ring forgets, so a stream that lacks
 * something is told to read it from the store, which has everything before it is
 * published. */
#ifndef WEBUI_HUB_H
#define WEBUI_HUB_H

#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"
#include "webui/store.h"

#define HUB_RING 4096			  /* events kept for slow streams ... */
#define HUB_RING_BYTES (32 * 1024 * 1024) /* ... and their bytes; the oldest go */
#define HUB_IDLE_MS 1000 /* after this silence the store is asked whether something was lost */

struct hub;

/* One event as text/event-stream has it, shared by all streams. */
struct hub_item {
	int references; /* atomic */
	int64_t id;
	int64_t agent; /* 0: another stream */
	char kind[32];
	size_t len;
	char text[];
};

/* Where a stream is: everything up to id of this generation of the store is sent. */
struct hub_position {
	int64_t id, generation;
};

/* Starts the thread. store is borrowed. ERR_SYS, ERR_INVALID: the URL. */
struct hub *hub_new(const char *events_url, struct store *store, struct err *e);
/* Wakes and ends every hub_read(). Before hub_free(), when all readers have gone. */
void hub_close(struct hub *h);
void hub_free(struct hub *h);

/* The present. */
struct hub_position hub_now(struct hub *h);

enum {
	HUB_BEHIND = -1, /* read on from the store */
	HUB_CLOSED = -2,
	HUB_REPLACED = -3, /* another store: begin again at hub_now() */
};

/* Items after *at, at most max, each to be given back with hub_release(); 0 after
 * timeout_ms without any; or one of the above. */
int hub_read(struct hub *h, const struct hub_position *at, struct hub_item **items, int max,
	int timeout_ms);
void hub_release(struct hub_item *item);

#endif
