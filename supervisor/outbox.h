/* Events of an open transaction: published once it has committed, forgotten if it
 * has not. */
#ifndef SUPERVISOR_OUTBOX_H
#define SUPERVISOR_OUTBOX_H

#include <stddef.h>
#include <stdint.h>

#include "shared/buf.h"
#include "shared/event.h"

struct outbox_event {
	char stream[8];
	char word[32]; /* of the kind, which may be newer than we are */
	enum event_kind kind;
	int64_t subject, number;
	size_t at, n; /* the body, in bodies */
};

struct outbox {
	struct outbox_event *events;
	size_t n, cap;
	struct buf bodies;
};

/* Copies the body. */
struct outbox_event *outbox_add(struct outbox *o, const char *stream, int64_t subject,
	enum event_kind kind, const char *word, int64_t number, const char *body, size_t n);
const char *outbox_body(const struct outbox *o, const struct outbox_event *ev);
/* The frame's header line, into out (EVENT_HEADER_MAX bytes); returns its length. */
size_t outbox_header(const struct outbox_event *ev, char *out);
void outbox_reset(struct outbox *o); /* empties it; keeps a modest buffer */
void outbox_clear(struct outbox *o);

#endif
