/* One browser's event stream: what the ring has at once, what it lacks from the
 * store, nothing missed and nothing doubled. */
#ifndef WEBUI_FEED_H
#define WEBUI_FEED_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/err.h"
#include "webui/http.h"
#include "webui/hub.h"
#include "webui/store.h"

#define FEED_STREAMS_MAX 200 /* each holds a thread of HTTP_THREADS */
#define FEED_PING_MS 15000
#define FEED_RETRY_MS 1000 /* a browser's pause before it connects again */

struct feed; /* counts the streams */

struct feed *feed_new(struct hub *h, struct store *s);
/* Waits until all streams have ended: hub_close() first. */
void feed_free(struct feed *f);

struct feed_request {
	int64_t after;		    /* last id that was seen; -1: begin at the present */
	int64_t agent;		    /* 0: every stream */
	struct words kinds;	    /* none: all */
	bool (*allowed)(void *arg); /* asked now and then; false ends the stream */
	void *arg;
};

/* Serves until the peer goes, or fails at once with ERR_LIMIT: too many streams. */
int feed_serve(
	struct feed *f, struct http_exchange *x, const struct feed_request *r, struct err *e);

#endif
