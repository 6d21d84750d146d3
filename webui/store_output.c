/* An agent's output by line, by way of the blocks that the supervisor keeps. */
#include <string.h>

#include "shared/jsonscan.h"
#include "webui/store_output.h"

int store_lines(struct store *s, int64_t agent, struct store_lines *l, struct err *e)
{
	sqlite3_stmt *st;
	int row;

	memset(l, 0, sizeof(*l));
	if (store_check_agent(s, agent, e) < 0)
		return -1;
	st = store_begin(s, e,
		"SELECT newlines, open, block_line, block_first FROM outputs WHERE agent_id = ?",
		"i", agent);
	if (!st)
		return -1;
	row = store_next(s, st, e);
	if (row > 0) {
		l->newlines = sqlite3_column_int64(st, 0);
		l->open = sqlite3_column_int(st, 1) != 0;
		l->block_line = sqlite3_column_int64(st, 2);
		l->block_first = sqlite3_column_int64(st, 3);
	}
	store_end(s, st);
	return row < 0 ? -1 : 0;
}

struct paging {
	struct store_page *page;
	int64_t line, end; /* wanted: from line to before end */
	int64_t at;	   /* the line in which the next event's text begins */
	size_t bytes, max_bytes;
	int64_t count;
	bool done;
	store_event_cb cb;
	void *arg;
};

static bool on_output(void *arg, const struct store_output *o)
{
	struct paging *p = arg;
	int64_t begins = p->at;
	bool open;

	if (o->raw_len == 0)
		return true;
	p->at += (int64_t)jsonscan_lines(o->raw, o->raw_len, &open);
	if (p->at < p->line || (p->at == p->line && !open))
		return true;
	if (begins >= p->end || (p->count && p->bytes + o->event.body_len > p->max_bytes)) {
		p->page->more = true;
		p->done = true;
		return false;
	}
	if (p->count++ == 0)
		p->page->first_line = begins;
	p->bytes += o->event.body_len;
	p->cb(p->arg, &o->event);
	return true;
}

/* Where to begin reading for a line: the last block that begins before it. */
static int begin_of(struct store *s, int64_t agent, const struct store_lines *l, int64_t line,
	int64_t *at, int64_t *from, struct err *e)
{
	sqlite3_stmt *st;
	int row;

	if (l->block_first && (l->block_line < line || l->block_line == 0)) {
		*at = l->block_line;
		*from = l->block_first;
		return 0;
	}
	*at = *from = 0;
	st = store_begin(s, e,
		"SELECT line, first_id FROM output_blocks WHERE agent_id = ? AND line < ? "
		"ORDER BY line DESC, first_id DESC LIMIT 1",
		"ii", agent, line);
	if (!st)
		return -1;
	row = store_next(s, st, e);
	if (row > 0) {
		*at = sqlite3_column_int64(st, 0);
		*from = sqlite3_column_int64(st, 1);
	}
	store_end(s, st);
	return row < 0 ? -1 : 0;
}

int store_page(struct store *s, int64_t agent, int64_t line, int limit, size_t max_bytes,
	store_event_cb cb, void *arg, struct store_page *page, struct err *e)
{
	struct paging p = {.page = page, .max_bytes = max_bytes, .cb = cb, .arg = arg};
	struct store_lines l;
	int64_t from;

	memset(page, 0, sizeof(*page));
	if (store_lines(s, agent, &l, e) < 0)
		return -1;
	page->lines = l.newlines + l.open;
	if (line < 0)
		line = page->lines + line > 0 ? page->lines + line : 0;
	page->first_line = line < page->lines ? line : page->lines;
	if (line >= page->lines)
		return 0;
	p.line = line;
	p.end = line + limit;
	if (begin_of(s, agent, &l, line, &p.at, &from, e) < 0)
		return -1;
	return store_outputs(s, agent, from, 0, -1, on_output, &p, e);
}
