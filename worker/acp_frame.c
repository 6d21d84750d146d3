#include "worker/acp_frame.h"

#include <string.h>

#define FRAME_KEEP_BYTES (64 * 1024) /* a buffer above this is given back after its line */

void acp_frame_init(struct acp_frame *f, size_t max_bytes)
{
	memset(f, 0, sizeof *f);
	f->max = max_bytes;
	buf_init(&f->line, max_bytes);
}

void acp_frame_clear(struct acp_frame *f)
{
	buf_clear(&f->line);
	f->stray = false;
}

static size_t skip_blanks(const char *data, size_t n)
{
	size_t i = 0;

	while (i < n && (data[i] == ' ' || data[i] == '\t' || data[i] == '\r'))
		i++;
	return i;
}

static void line_done(struct acp_frame *f, const char *line, size_t n, acp_line_cb cb, void *arg)
{
	bool stray = f->stray;

	f->stray = false;
	while (n && line[n - 1] == '\r')
		n--;
	if (n)
		cb(arg, line, n, stray);
}

/* One piece of a line; whole: its newline was seen. */
static int piece(struct acp_frame *f, const char *data, size_t n, bool whole, acp_line_cb cb,
	void *arg, struct err *e)
{
	if (!f->line.len && !f->stray) {
		size_t blanks = skip_blanks(data, n);

		data += blanks;
		n -= blanks;
		f->stray = n && data[0] != '{';
	}
	if (f->stray) {
		size_t room = f->line.len < ACP_STRAY_MAX ? ACP_STRAY_MAX - f->line.len : 0;

		n = n < room ? n : room;
	} else if (n > f->max - f->line.len) {
		acp_frame_clear(f);
		return err_set(e, ERR_LIMIT, "a line longer than %zu bytes", f->max);
	}
	if (whole && !f->line.len) {
		line_done(f, data, n, cb, arg);
		return 0;
	}
	buf_add(&f->line, data, n);
	if (!whole)
		return 0;
	line_done(f, f->line.data, f->line.len, cb, arg);
	if (f->line.cap > FRAME_KEEP_BYTES)
		buf_clear(&f->line);
	else
		buf_reset(&f->line);
	return 0;
}

int acp_frame_feed(
	struct acp_frame *f, const char *data, size_t n, acp_line_cb cb, void *arg, struct err *e)
{
	while (n) {
		const char *end = memchr(data, '\n', n);
		size_t len = end ? (size_t)(end - data) : n;

		if (piece(f, data, len, end != NULL, cb, arg, e) < 0)
			return -1;
		n -= end ? len + 1 : len;
		data += end ? len + 1 : len;
	}
	return 0;
}
