#include "supervisor/lines.h"

#include <string.h>

#define LOOKED_AT 4096 /* of a text, for the line that is shown */

/* Length of an escape sequence at text, which begins with ESC. */
static size_t sequence(const char *text, size_t n)
{
	size_t i = 2;

	if (n < 2)
		return n;
	if (text[1] == '[') {
		while (i < n && ((unsigned char)text[i] < 0x40 || (unsigned char)text[i] > 0x7e))
			i++;
		return i < n ? i + 1 : n;
	}
	if (!strchr("]P_^X", text[1]))
		return 2;
	while (i < n && text[i] != '\a' && !(text[i] == '\\' && text[i - 1] == 033))
		i++;
	return i < n ? i + 1 : n;
}

/* Bytes of a character that must not be shown: C1 controls, directions. */
static size_t harmful(const unsigned char *p, size_t n)
{
	if (n >= 2 && p[0] == 0xc2 && p[1] < 0xa0)
		return 2;
	if (n >= 3 && p[0] == 0xe2 &&
		((p[1] == 0x80 && p[2] >= 0xaa && p[2] <= 0xae) ||
			(p[1] == 0x81 && p[2] >= 0xa6 && p[2] <= 0xa9)))
		return 3;
	return 0;
}

/* Length without a character at the end that is cut in two. */
static size_t whole(const char *text, size_t n)
{
	size_t back = 0, want;

	while (back < 3 && back < n && ((unsigned char)text[n - 1 - back] & 0xc0) == 0x80)
		back++;
	if (back == n || (unsigned char)text[n - 1 - back] < 0xc0)
		return n;
	want = (unsigned char)text[n - 1 - back] >= 0xf0   ? 3
	       : (unsigned char)text[n - 1 - back] >= 0xe0 ? 2
							   : 1;
	return back < want ? n - 1 - back : n;
}

/* Makes a line harmless, trims it and cuts it. False: it is blank. */
static bool clean(const char *text, size_t n, char *out)
{
	size_t len = 0, skip, i = 0;

	n = whole(text, n);
	while (i < n && len < LINES_LAST_BYTES) {
		unsigned char c = (unsigned char)text[i];

		skip = c == 033 ? sequence(text + i, n - i)
				: harmful((const unsigned char *)text + i, n - i);
		if (skip) {
			i += skip;
			continue;
		}
		if (c == '\t')
			c = ' ';
		if (c >= 0x20 && c != 0x7f && (len > 0 || c != ' '))
			out[len++] = (char)c;
		i++;
	}
	len = whole(out, len);
	while (len > 0 && out[len - 1] == ' ')
		len--;
	out[len] = '\0';
	return len > 0;
}

static void take_line(struct lines *l)
{
	char line[LINES_LAST_BYTES + 1];

	if (clean(l->raw, l->raw_len, line))
		memcpy(l->last, line, sizeof(line));
	l->raw_len = 0;
}

/* A lone carriage return begins the line anew, as on a terminal. */
static void look(struct lines *l, const char *text, size_t n)
{
	if (n > LOOKED_AT) {
		l->raw_len = 0;
		text += n - LOOKED_AT;
		n = LOOKED_AT;
		while (n > 0 && ((unsigned char)*text & 0xc0) == 0x80) {
			text++;
			n--;
		}
	}
	for (size_t i = 0; i < n; i++) {
		if (text[i] == '\n') {
			take_line(l);
		} else if (text[i] != '\r') {
			if (l->returned)
				l->raw_len = 0;
			if (l->raw_len < sizeof(l->raw))
				l->raw[l->raw_len++] = text[i];
		}
		l->returned = text[i] == '\r';
	}
}

void lines_last(const struct lines *l, char *out)
{
	if (!clean(l->raw, l->raw_len, out))
		memcpy(out, l->last, sizeof(l->last));
}

static int64_t count(const char *text, size_t n)
{
	const char *end = text + n, *p = text;
	int64_t lines = 0;

	while ((p = memchr(p, '\n', (size_t)(end - p)))) {
		lines++;
		p++;
	}
	return lines;
}

/* Whether the block is to end before what comes next. */
static bool full(const struct lines *l)
{
	int64_t lines = l->newlines - l->block.line;

	if (lines >= LINES_BLOCK_MAX || l->block_bytes >= LINES_BYTES_MAX)
		return true;
	return !l->open && (lines >= LINES_BLOCK || l->block_bytes >= LINES_BLOCK_BYTES);
}

bool lines_add(
	struct lines *l, int64_t event_id, const char *text, size_t n, struct lines_block *ended)
{
	bool ends;

	if (n == 0)
		return false;
	ends = l->block.first_id != 0 && full(l);
	if (ends) {
		/* What spans two blocks is in no filter: neither has one. */
		l->block.filtered = l->block.filtered && !l->open;
		*ended = l->block;
	}
	if (ends || l->block.first_id == 0) {
		memset(&l->block, 0, sizeof(l->block));
		l->block.line = l->newlines;
		l->block.first_id = event_id;
		l->block.filtered = !l->open;
		l->block_bytes = 0;
		memset(l->before, 0, sizeof(l->before));
	}
	l->block.last_id = event_id;
	l->block_bytes += n;
	grams_add(l->block.grams, l->before, text, n);
	l->newlines += count(text, n);
	l->open = text[n - 1] != '\n';
	look(l, text, n);
	l->changed = true;
	return ends;
}
