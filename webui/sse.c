#include "webui/sse.h"

#include <string.h>

void sse_object(struct buf *out, int64_t id, const char *stream, int64_t subject, const char *kind,
	const char *body, size_t n)
{
	buf_addf(out, "{\"id\":%lld,\"stream\":\"%s\",\"subject\":%lld,\"kind\":\"%s\",\"body\":",
		(long long)id, stream, (long long)subject, kind);
	size_t from = out->len;
	buf_add(out, body, n);
	for (size_t i = from; i < out->len; i++) {
		if (out->data[i] == '\n' || out->data[i] == '\r')
			out->data[i] = ' ';
	}
	buf_add(out, "}", 1);
}

void sse_event(struct buf *out, int64_t id, const char *stream, int64_t subject, const char *kind,
	const char *body, size_t n)
{
	buf_addf(out, "id: %lld\nevent: %s\ndata: ", (long long)id, kind);
	sse_object(out, id, stream, subject, kind, body, n);
	buf_adds(out, "\n\n");
}

void sse_position(struct buf *out, int64_t id)
{
	buf_addf(out, "id: %lld\n\n", (long long)id);
}
