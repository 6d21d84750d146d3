/* Events: rows, and those of ended agents that are packed, together by id. */
#include <stdio.h>
#include <string.h>

#include "shared/jsonscan.h"
#include "shared/segment.h"
#include "webui/store_output.h"

/* Both sources, each one event ahead. */
struct reader {
	struct store *s;
	const struct store_range *range;
	sqlite3_stmt *rows, *refs; /* refs NULL: nothing packed is wanted */
	struct segment_merge packed;
	bool row_known, took_row, took_both;
	int row; /* as of store_next */
};

static int next_ref(void *arg, struct segment_ref *ref, struct err *e)
{
	struct reader *r = arg;
	int got = store_next(r->s, r->refs, e);

	if (got == 1)
		*ref = (struct segment_ref){.key = sqlite3_column_int64(r->refs, 0),
			.agent = sqlite3_column_int64(r->refs, 1),
			.first_id = sqlite3_column_int64(r->refs, 2),
			.last_id = sqlite3_column_int64(r->refs, 3)};
	return got;
}

static struct segment *load(void *arg, const struct segment_ref *ref, struct err *e)
{
	struct reader *r = arg;
	sqlite3_stmt *st =
		store_query(r->s, e, "SELECT body FROM segments WHERE id = ?", "i", ref->key);
	struct segment *found = NULL;

	if (st && store_next(r->s, st, e) == 1) {
		found = segment_open(
			sqlite3_column_blob(st, 0), (size_t)sqlite3_column_bytes(st, 0), e);
		if (!found)
			err_wrap(e, "agent %lld, events %lld to %lld", (long long)ref->agent,
				(long long)ref->first_id, (long long)ref->last_id);
	}
	sqlite3_finalize(st);
	return found;
}

static bool in_words(const struct words *w, const char *word)
{
	for (int i = 0; i < w->count; i++) {
		if (strcmp(w->word[i], word) == 0)
			return true;
	}
	return w->count == 0;
}

static bool wants_packed(const struct words *kinds)
{
	for (int i = 0; i < kinds->count; i++) {
		if (segment_kind(kinds->word[i], strlen(kinds->word[i])))
			return true;
	}
	return kinds->count == 0;
}

static int reader_open(struct reader *r, struct store *s, const struct store_range *range,
	int64_t highest, struct err *e)
{
	struct segment_source source = {.next = next_ref, .load = load, .arg = r};
	char sql[SQL_MAX], kinds[256];

	memset(r, 0, sizeof *r);
	r->s = s;
	r->range = range;
	segment_merge_init(&r->packed, &source, range->after, highest, range->newest);
	snprintf(sql, sizeof sql,
		"SELECT id, stream, subject, kind, body, at FROM events "
		"WHERE id > ? AND id <= ?%s%s ORDER BY id %s LIMIT ?",
		range->agent ? " AND stream = 'agent' AND subject = ?" : "",
		store_in_list("kind", &range->kinds, kinds, sizeof kinds),
		range->newest ? "DESC" : "ASC");
	r->rows = store_query(
		s, e, sql, range->agent ? "iii" : "ii", range->after, highest, range->agent);
	if (!r->rows)
		return -1;
	store_bind_words(r->rows, range->agent ? 4 : 3, &range->kinds);
	sqlite3_bind_int(r->rows, sqlite3_bind_parameter_count(r->rows),
		range->limit < 0 ? -1 : range->limit + 1);
	if (!wants_packed(&range->kinds))
		return 0;
	snprintf(sql, sizeof sql,
		"SELECT id, agent_id, first_id, last_id FROM segments "
		"WHERE last_id > ? AND first_id <= ?%s ORDER BY %s",
		range->agent ? " AND agent_id = ?" : "",
		range->newest  ? "last_id DESC"
		: range->agent ? "last_id"
			       : "first_id");
	r->refs = store_query(
		s, e, sql, range->agent ? "iii" : "ii", range->after, highest, range->agent);
	return r->refs ? 0 : -1;
}

static void reader_close(struct reader *r)
{
	segment_merge_clear(&r->packed);
	sqlite3_finalize(r->rows);
	sqlite3_finalize(r->refs);
}

/* The next packed event of a kind that is wanted: 1, 0 at the end, -1. */
static int peek_packed(
	struct reader *r, int64_t *agent, const struct segment_event **ev, struct err *e)
{
	int got;

	while ((got = segment_merge_peek(&r->packed, agent, ev, e)) == 1 &&
		!in_words(&r->range->kinds, (*ev)->kind))
		segment_merge_take(&r->packed);
	return got;
}

/* The next of both in the range's order: 1, 0 at the end, -1. */
static int reader_peek(struct reader *r, struct store_event *out, struct err *e)
{
	const struct segment_event *ev = NULL;
	int64_t agent = 0;
	int packed;

	if (!r->row_known) {
		r->row = store_next(r->s, r->rows, e);
		r->row_known = true;
	}
	packed = r->refs ? peek_packed(r, &agent, &ev, e) : 0;
	if (r->row < 0 || packed < 0)
		return -1;
	/* What is both packed and, shortened, a row, is taken once. */
	r->took_both = r->row == 1 && packed == 1 && ev->id == sqlite3_column_int64(r->rows, 0);
	r->took_row =
		r->row == 1 && !r->took_both &&
		(packed == 0 || (ev->id > sqlite3_column_int64(r->rows, 0)) != r->range->newest);
	if (r->took_row)
		*out = (struct store_event){.id = sqlite3_column_int64(r->rows, 0),
			.stream = (const char *)sqlite3_column_text(r->rows, 1),
			.subject = sqlite3_column_int64(r->rows, 2),
			.kind = (const char *)sqlite3_column_text(r->rows, 3),
			.body = (const char *)sqlite3_column_text(r->rows, 4),
			.body_len = (size_t)sqlite3_column_bytes(r->rows, 4),
			.at = sqlite3_column_int64(r->rows, 5)};
	else if (packed == 1)
		*out = (struct store_event){.id = ev->id,
			.stream = "agent",
			.subject = agent,
			.kind = ev->kind,
			.body = ev->body,
			.body_len = ev->body_len,
			.at = ev->at};
	return r->took_row || packed == 1;
}

static void reader_take(struct reader *r)
{
	if (r->took_row || r->took_both)
		r->row_known = false;
	if (!r->took_row)
		segment_merge_take(&r->packed);
}

/* Highest id ever given out, within the snapshot. */
static int highest_id(struct store *s, int64_t *highest, struct err *e)
{
	sqlite3_stmt *st =
		store_query(s, e, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", "");
	int got = st ? store_next(s, st, e) : -1;

	*highest = got == 1 ? sqlite3_column_int64(st, 0) : 0;
	sqlite3_finalize(st);
	return got < 0 ? -1 : 0;
}

int store_events(struct store *s, const struct store_range *range, store_event_cb cb, void *arg,
	struct store_looked *looked, struct err *e)
{
	struct store_event ev;
	struct reader r = {0};
	int64_t highest;
	size_t bytes = 0;
	int got, count = 0;

	if (store_snapshot(s, e) < 0)
		return -1;
	got = highest_id(s, &highest, e);
	if (range->before && range->before <= highest)
		highest = range->before - 1;
	if (got == 0)
		got = reader_open(&r, s, range, highest, e);
	*looked = (struct store_looked){
		.first = range->after + 1, .last = highest > range->after ? highest : range->after};
	while (got >= 0 && (got = reader_peek(&r, &ev, e)) > 0) {
		if (count == range->limit || (count && bytes + ev.body_len > range->max_bytes)) {
			looked->more = true;
			if (range->newest)
				looked->first = ev.id + 1;
			else
				looked->last = ev.id - 1;
			break;
		}
		cb(arg, &ev);
		count++;
		bytes += ev.body_len;
		reader_take(&r);
	}
	reader_close(&r);
	store_snapshot_end(s);
	return got < 0 ? -1 : 0;
}

int store_outputs(struct store *s, int64_t agent, int64_t from, int64_t to, int limit,
	store_output_cb cb, void *arg, struct err *e)
{
	const struct store_range range = {.after = from - 1,
		.agent = agent,
		.kinds = {.count = 1, .word = {"output"}},
		.limit = limit};
	struct store_output o;
	struct reader r = {0};
	int got, count = 0;

	if (store_snapshot(s, e) < 0)
		return -1;
	got = reader_open(&r, s, &range, to ? to : INT64_MAX, e);
	while (got >= 0 && (limit < 0 || count++ < limit) &&
		(got = reader_peek(&r, &o.event, e)) > 0) {
		if (!jsonscan_string(o.event.body, o.event.body_len, "text", &o.raw, &o.raw_len)) {
			o.raw = "";
			o.raw_len = 0;
		}
		if (!cb(arg, &o))
			break;
		reader_take(&r);
	}
	reader_close(&r);
	store_snapshot_end(s);
	return got < 0 ? -1 : 0;
}
