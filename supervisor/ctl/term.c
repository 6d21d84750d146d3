/* Colour, harmless text, aligned columns. */
#include "supervisor/ctl/term.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include <wchar.h>

#include "shared/err.h"

#define TABLE_COLUMNS_MAX 16

enum { FILTER_TEXT, FILTER_ESCAPE, FILTER_CSI, FILTER_STRING, FILTER_STRING_ESCAPE };

static const char *const style_codes[] = {
	[TERM_PLAIN] = "",
	[TERM_BOLD] = "\x1b[1m",
	[TERM_DIM] = "\x1b[2m",
	[TERM_RED] = "\x1b[31m",
	[TERM_GREEN] = "\x1b[32m",
	[TERM_YELLOW] = "\x1b[33m",
	[TERM_BLUE] = "\x1b[34m",
	[TERM_CYAN] = "\x1b[36m",
};

void term_init(struct term *t, int fd)
{
	const char *no_color = getenv("NO_COLOR");
	const char *name = getenv("TERM");
	struct winsize size;

	t->colour = isatty(fd) && !(no_color && *no_color) && !(name && strcmp(name, "dumb") == 0);
	t->width = 0;
	if (isatty(fd))
		t->width = ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

const char *term_on(const struct term *t, enum term_style style)
{
	return t->colour ? style_codes[style] : "";
}

const char *term_off(const struct term *t, enum term_style style)
{
	return t->colour && style != TERM_PLAIN ? "\x1b[0m" : "";
}

enum term_style term_state_style(const char *state)
{
	static const struct {
		const char *state;
		enum term_style style;
	} styles[] = {{"working", TERM_CYAN}, {"starting", TERM_CYAN}, {"finishing", TERM_CYAN},
		{"waiting", TERM_YELLOW}, {"paused", TERM_YELLOW}, {"done", TERM_GREEN},
		{"failed", TERM_RED}, {"stopped", TERM_DIM}, {"queued", TERM_DIM}};

	for (size_t i = 0; i < sizeof(styles) / sizeof(styles[0]); i++)
		if (strcmp(styles[i].state, state) == 0)
			return styles[i].style;
	return TERM_PLAIN;
}

static const char replacement[] = "\xef\xbf\xbd";

/* A whole character that may reach the terminal as it is: not C1, no direction
 * override or isolate, no surrogate, not overlong. */
static bool harmless(const unsigned char *c, size_t n)
{
	uint32_t v = n == 2   ? ((uint32_t)(c[0] & 31) << 6) | (c[1] & 63u)
		     : n == 3 ? ((uint32_t)(c[0] & 15) << 12) | ((uint32_t)(c[1] & 63) << 6) |
					(c[2] & 63u)
			      : ((uint32_t)(c[0] & 7) << 18) | ((uint32_t)(c[1] & 63) << 12) |
					((uint32_t)(c[2] & 63) << 6) | (c[3] & 63u);

	if (v < 0xa0 || (n == 3 && v < 0x800) || (n == 4 && v < 0x10000) || v > 0x10ffff)
		return false;
	if ((v >= 0xd800 && v <= 0xdfff) || (v >= 0x202a && v <= 0x202e) ||
		(v >= 0x2066 && v <= 0x2069) || v == 0x2028 || v == 0x2029)
		return false;
	return true;
}

static void filter_character(struct term_filter *f, struct buf *out, unsigned char c)
{
	if (f->part_want) {
		if ((c & 0xc0) == 0x80) {
			f->part[f->part_len++] = c;
			if (f->part_len < f->part_want)
				return;
			if (harmless(f->part, f->part_len))
				buf_add(out, f->part, f->part_len);
			else
				buf_adds(out, replacement);
			f->part_want = 0;
			return;
		}
		buf_adds(out, replacement);
		f->part_want = 0;
	}
	if (c == 0x1b) {
		f->state = FILTER_ESCAPE;
		f->skipped = 0;
	} else if (c == '\n' || c == '\t' || (c >= 0x20 && c < 0x7f)) {
		buf_add(out, &c, 1);
	} else if (c >= 0xc2 && c <= 0xf4) {
		f->part[0] = c;
		f->part_len = 1;
		f->part_want = c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	} else if (c >= 0x80) {
		buf_adds(out, replacement);
	}
}

/* One byte inside an escape sequence (ECMA-48): CSI ends with @..~, strings (OSC, DCS,
 * PM, APC, SOS) with BEL or ESC \. */
static void filter_sequence(struct term_filter *f, unsigned char c)
{
	if (++f->skipped > TERM_SEQUENCE_MAX) {
		f->state = FILTER_TEXT;
		return;
	}
	switch (f->state) {
	case FILTER_ESCAPE:
		if (c == '[')
			f->state = FILTER_CSI;
		else if (strchr("]PX^_", c) && c)
			f->state = FILTER_STRING;
		else if (c < 0x20 || c > 0x2f)
			f->state = FILTER_TEXT;
		break;
	case FILTER_CSI:
		if (c >= 0x40 && c <= 0x7e)
			f->state = FILTER_TEXT;
		break;
	case FILTER_STRING:
		if (c == 7)
			f->state = FILTER_TEXT;
		else if (c == 0x1b)
			f->state = FILTER_STRING_ESCAPE;
		break;
	case FILTER_STRING_ESCAPE:
		f->state = c == '\\' ? FILTER_TEXT : FILTER_STRING;
		break;
	}
}

void term_filter_add(struct term_filter *f, struct buf *out, const char *text, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (f->returned) {
			f->returned = false;
			if (c != '\n')
				buf_adds(out, "\n");
		}
		if (f->state != FILTER_TEXT)
			filter_sequence(f, c);
		else if (c == '\r')
			f->returned = true;
		else
			filter_character(f, out, c);
	}
}

/* Length of the character at p (clean UTF-8) and its columns. */
static size_t character(const char *p, int *columns)
{
	unsigned char c = (unsigned char)*p;
	size_t n = c < 0x80 ? 1 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : 4;
	wchar_t w = (wchar_t)(c < 0x80 ? c : c < 0xe0 ? c & 31 : c < 0xf0 ? c & 15 : c & 7);
	int got;

	for (size_t i = 1; i < n; i++) {
		if (!p[i]) {
			*columns = 1;
			return i;
		}
		w = (wchar_t)((w << 6) | (p[i] & 63));
	}
	got = wcwidth(w);
	*columns = got < 0 ? 1 : got;
	return n;
}

int term_columns(const char *text)
{
	int sum = 0, columns;

	while (*text) {
		text += character(text, &columns);
		sum += columns;
	}
	return sum;
}

/* Appends at most max columns of clean text, ending in "…" when it was cut. */
static void add_cut(struct buf *out, const char *text, int max)
{
	int sum = 0, columns;
	const char *p = text;

	if (max <= 0 || term_columns(text) <= max) {
		buf_adds(out, text);
		return;
	}
	while (*p) {
		size_t n = character(p, &columns);

		if (sum + columns > max - 1)
			break;
		sum += columns;
		p += n;
	}
	buf_add(out, text, (size_t)(p - text));
	buf_adds(out, "…");
}

void term_line(struct buf *out, const char *text, int max_columns)
{
	struct term_filter f = {0};
	struct buf clean, line;
	bool space = false;

	buf_init(&clean, 0);
	buf_init(&line, 0);
	term_filter_add(&f, &clean, text, strlen(text));
	for (size_t i = 0; i < clean.len; i++) {
		char c = clean.data[i];

		if (c == '\n' || c == '\t' || c == ' ') {
			space = line.len > 0;
			continue;
		}
		if (space)
			buf_adds(&line, " ");
		space = false;
		buf_add(&line, &c, 1);
	}
	if (line.len)
		add_cut(out, line.data, max_columns);
	buf_clear(&line);
	buf_clear(&clean);
}

struct cell {
	char *text;
	enum term_style style;
};

struct term_table {
	const struct term_column *columns;
	size_t column_count;
	struct cell *cells;
	size_t count, cap;
};

struct term_table *term_table_new(const struct term_column *columns, size_t n)
{
	struct term_table *t = calloc(1, sizeof(*t));

	if (!t || n > TABLE_COLUMNS_MAX)
		err_out_of_memory();
	t->columns = columns;
	t->column_count = n;
	return t;
}

void term_table_free(struct term_table *t)
{
	if (!t)
		return;
	for (size_t i = 0; i < t->count; i++)
		free(t->cells[i].text);
	free(t->cells);
	free(t);
}

void term_table_cell(struct term_table *t, enum term_style style, const char *text)
{
	struct buf clean;

	if (t->count == t->cap) {
		t->cap = t->cap ? t->cap * 2 : 64;
		t->cells = reallocarray(t->cells, t->cap, sizeof(*t->cells));
		if (!t->cells)
			err_out_of_memory();
	}
	buf_init(&clean, 0);
	term_line(&clean, text ? text : "", 0);
	t->cells[t->count].text = buf_take(&clean, NULL);
	t->cells[t->count].style = style;
	t->count++;
}

static void print_cell(const struct term *term, FILE *out, enum term_style style, const char *text,
	int width, bool right, bool last)
{
	int pad = width - term_columns(text);

	if (right)
		fprintf(out, "%*s", pad > 0 ? pad : 0, "");
	fprintf(out, "%s%s%s", term_on(term, style), text, term_off(term, style));
	if (!last)
		fprintf(out, "%*s", (right ? 0 : pad > 0 ? pad : 0) + 2, "");
}

void term_table_print(const struct term_table *t, const struct term *term, FILE *out)
{
	int widths[TABLE_COLUMNS_MAX] = {0};
	int used = 0;
	size_t n = t->column_count;

	assert(n > 0);
	for (size_t i = 0; i < n; i++)
		widths[i] = term_columns(t->columns[i].head);
	for (size_t i = 0; i < t->count; i++) {
		int columns = term_columns(t->cells[i].text);

		if (columns > widths[i % n])
			widths[i % n] = columns;
	}
	for (size_t i = 0; i + 1 < n; i++)
		used += widths[i] + 2;
	for (size_t i = 0; i < n; i++)
		print_cell(term, out, TERM_BOLD, t->columns[i].head, widths[i], t->columns[i].right,
			i + 1 == n);
	fputc('\n', out);
	for (size_t i = 0; i < t->count; i++) {
		bool last = i % n == n - 1;
		struct buf cut;

		buf_init(&cut, 0);
		add_cut(&cut, t->cells[i].text,
			!last || !term->width	  ? 0
			: term->width - used > 12 ? term->width - used
						  : 12);
		print_cell(term, out, t->cells[i].style, cut.len ? cut.data : "", widths[i % n],
			t->columns[i % n].right, last);
		if (last)
			fputc('\n', out);
		buf_clear(&cut);
	}
}

const char *term_count(int64_t n, char *out)
{
	double v = (double)n;

	if (n < 1000)
		snprintf(out, 32, "%lld", (long long)n);
	else if (n < 999500)
		snprintf(out, 32, "%.*fk", v < 99950 ? 1 : 0, v / 1e3);
	else
		snprintf(out, 32, "%.2fM", v / 1e6);
	return out;
}

const char *term_dollars(double v, char *out)
{
	snprintf(out, 32, v > 0 && v < 1 ? "$%.4f" : "$%.2f", v);
	return out;
}

const char *term_duration(int64_t ms, char *out)
{
	int64_t s = ms / 1000;

	if (ms < 10000)
		snprintf(out, 32, "%.1fs", (double)ms / 1e3);
	else if (s < 60)
		snprintf(out, 32, "%llds", (long long)s);
	else if (s < 3600)
		snprintf(out, 32, "%lldm%02llds", (long long)(s / 60), (long long)(s % 60));
	else
		snprintf(out, 32, "%lldh%02lldm", (long long)(s / 3600), (long long)(s / 60 % 60));
	return out;
}

const char *term_bytes(int64_t n, char *out)
{
	static const char *const units[] = {"B", "KiB", "MiB", "GiB", "TiB"};
	double v = (double)n;
	size_t unit = 0;

	while (v >= 1024 && unit < 4) {
		v /= 1024;
		unit++;
	}
	snprintf(out, 32, unit && v < 100 ? "%.1f %s" : "%.0f %s", v, units[unit]);
	return out;
}
