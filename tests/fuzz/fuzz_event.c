/* Event frames: what is taken can be written again, with the same header. */
#include <stdlib.h>
#include <string.h>

#include "shared/event.h"
#include "shared/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct event ev;
	struct err e = {0};
	char header[EVENT_HEADER_MAX];
	size_t len;

	if (event_decode((const char *)data, n, &ev, &e) < 0) {
		if (e.kind != ERR_PROTOCOL || !e.text[0] || !utf8_valid(e.text, strlen(e.text)))
			abort();
		return 0;
	}
	if (ev.body + ev.body_len != (const char *)data + n || ev.number < 1 || ev.version < 1)
		abort();
	if (ev.kind == EVENT_UNKNOWN || ev.version != EVENT_VERSION)
		return 0;
	len = event_header(ev.stream, ev.subject, ev.kind, ev.number, header);
	if (len != n - ev.body_len || memcmp(header, data, len) != 0)
		abort();
	return 0;
}
