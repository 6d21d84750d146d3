#include "supervisor/outbox.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"

/* What a moment of great haste took is given back. */
#define KEEP_BYTES (64 * 1024)
#define KEEP_EVENTS 256

struct outbox_event *outbox_add(struct outbox *o, const char *stream, int64_t subject,
	enum event_kind kind, const char *word, int64_t number, const char *body, size_t n)
{
	struct outbox_event *ev;

	if (o->n == o->cap) {
		o->cap = o->cap ? o->cap * 2 : 64;
		o->events = realloc(o->events, o->cap * sizeof(*o->events));
		if (!o->events)
			err_out_of_memory();
	}
	ev = &o->events[o->n++];
	*ev = (struct outbox_event){
		.kind = kind, .subject = subject, .number = number, .at = o->bodies.len, .n = n};
	snprintf(ev->stream, sizeof(ev->stream), "%s", stream);
	snprintf(ev->word, sizeof(ev->word), "%s", word);
	buf_add(&o->bodies, body, n);
	return ev;
}

const char *outbox_body(const struct outbox *o, const struct outbox_event *ev)
{
	return o->bodies.data + ev->at;
}

size_t outbox_header(const struct outbox_event *ev, char *out)
{
	if (ev->kind != EVENT_UNKNOWN)
		return event_header(ev->stream, ev->subject, ev->kind, ev->number, out);
	return (size_t)snprintf(out, EVENT_HEADER_MAX, "%s/%lld %s %lld v%d\n", ev->stream,
		(long long)ev->subject, ev->word, (long long)ev->number, event_version());
}

void outbox_reset(struct outbox *o)
{
	o->n = 0;
	if (o->cap > KEEP_EVENTS) {
		free(take_ptr(o->events));
		o->cap = 0;
	}
	if (o->bodies.cap > KEEP_BYTES)
		buf_clear(&o->bodies);
	else
		buf_reset(&o->bodies);
}

void outbox_clear(struct outbox *o)
{
	free(o->events);
	buf_clear(&o->bodies);
	memset(o, 0, sizeof(*o));
}
