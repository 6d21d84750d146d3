#include "worker/output.h"

#include <string.h>

#include "shared/event.h"
#include "shared/json.h"

const char *output_stream_word(enum output_stream s)
{
	switch (s) {
	case OUTPUT_AGENT:
		return "agent";
	case OUTPUT_THOUGHT:
		return "thought";
	case OUTPUT_TOOL:
		return "tool";
	case OUTPUT_LOG:
		return "log";
	case OUTPUT_STDERR:
		return "stderr";
	}
	return "log";
}

void output_init(struct output *o, output_cb cb, void *arg)
{
	memset(o, 0, sizeof *o);
	o->cb = cb;
	o->arg = arg;
	o->last_ms = -OUTPUT_QUIET_MS;
	buf_init(&o->text, EVENT_TEXT_MAX);
}

void output_clear(struct output *o)
{
	buf_clear(&o->text);
}

/* Bytes at the end that begin a character whose rest has not come yet (0 to 3). */
static size_t unfinished(const char *text, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = (unsigned char)text[n - back];

		if ((c & 0xc0) == 0x80)
			continue;
		if ((c >= 0xc0 && back < 2) || (c >= 0xe0 && back < 3) || (c >= 0xf0 && back < 4))
			return back;
		return 0;
	}
	return 0;
}

static void emit(struct output *o, bool whole, bool cut, int64_t now_ms)
{
	size_t keep = whole ? 0 : unfinished(o->text.data, o->text.len);
	size_t n = o->text.len - keep;

	if (!n)
		return;
	o->cb(o->arg, o->stream, o->text.data, n, cut);
	buf_consume(&o->text, n);
	o->last_ms = now_ms;
}

void output_flush(struct output *o, int64_t now_ms)
{
	if (o->text.len)
		emit(o, true, false, now_ms);
}

/* Of raw bytes: how many may still be shown of the present line; counts them. */
static size_t admit_line(struct output *o, const char *text, size_t n, bool *cut)
{
	const char *end = memchr(text, '\n', n);
	size_t len = end ? (size_t)(end - text) + 1 : n;
	size_t room = o->line_bytes < EVENT_TEXT_MAX ? EVENT_TEXT_MAX - o->line_bytes : 0;
	size_t take = len < room ? len : room;

	/* What has no end within its bound is longer, even if this read stops there. */
	*cut = room > 0 && len >= room && !(end && len == room);
	o->line_bytes = end ? 0 : o->line_bytes + len;
	return take;
}

static void add_piece(struct output *o, const char *text, size_t n, bool cut, int64_t now_ms)
{
	bool quiet = !o->text.len && now_ms - o->last_ms >= OUTPUT_QUIET_MS;

	if (n > EVENT_TEXT_MAX - o->text.len)
		emit(o, true, false, now_ms);
	buf_add(&o->text, text, n);
	if (cut || quiet || o->text.len >= OUTPUT_GATHER_BYTES)
		emit(o, cut, cut, now_ms);
}

/* Bytes that may be no text: in slices, since each may become a character of three. */
static void add_raw(struct output *o, const char *text, size_t n, bool cut, int64_t now_ms)
{
	for (; n > OUTPUT_RAW_BYTES; n -= OUTPUT_RAW_BYTES, text += OUTPUT_RAW_BYTES)
		add_piece(o, text, OUTPUT_RAW_BYTES, false, now_ms);
	add_piece(o, text, n, cut, now_ms);
}

void output_add(
	struct output *o, enum output_stream stream, const char *text, size_t n, int64_t now_ms)
{
	if (o->text.len && o->stream != stream)
		output_flush(o, now_ms);
	o->stream = stream;
	if (stream != OUTPUT_STDERR) {
		bool cut = n > EVENT_TEXT_MAX;

		if (n)
			add_piece(
				o, text, cut ? utf8_cut(text, n, EVENT_TEXT_MAX) : n, cut, now_ms);
		return;
	}
	while (n) {
		const char *end = memchr(text, '\n', n);
		size_t len = end ? (size_t)(end - text) + 1 : n;
		bool cut;
		size_t take = admit_line(o, text, len, &cut);

		if (take)
			add_raw(o, text, take, cut, now_ms);
		text += len;
		n -= len;
	}
}

int64_t output_deadline(const struct output *o)
{
	return o->text.len ? o->last_ms + OUTPUT_GATHER_MS : -1;
}
