/* One event in the text/event-stream format
 * (https://html.spec.whatwg.org/multipage/server-sent-events.html). Pure. */
#ifndef WEBUI_SSE_H
#define WEBUI_SSE_H

#include <stddef.h>
#include <stdint.h>

#include "shared/buf.h"

/* Appends "id: …\nevent: …\ndata: {…}\n\n". body is copied as it is, but for line
 * breaks, which JSON has only between its tokens: they become spaces. */
void sse_event(struct buf *out, int64_t id, const char *stream, int64_t subject, const char *kind,
	const char *body, size_t n);

/* The same event as one JSON object, as data and GET /agents/{id}/events have it. */
void sse_object(struct buf *out, int64_t id, const char *stream, int64_t subject, const char *kind,
	const char *body, size_t n);

/* A position without an event, by which a browser resumes. */
void sse_position(struct buf *out, int64_t id);

#endif
