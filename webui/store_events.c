/* Events: rows, and those of ended agents that are packed, together by id. */
#include <stdio.h>
#include <string.h>

#include "shared/jsonscan.h"
#include "shared/segment_join.h"
#include "webui/store_output.h"

/* Both sources: the rows, and the segments named by refs. */
struct reader {
	struct store *s;
	const struct store_range *range;
	sqlite3_stmt *rows, *refs;
	struct segment_join join;
};

static int next_row(void *arg, struct joined_event *row, struct err *e)
{
	struct reader *r = arg;
	int got = store_next(r->s, r->rows, e);

	if (got == 1)
		*row = (struct joined_event){.id = sqlite3_column_int64(r->rows, 0),
			.stream = (const char *)sqlite3_column_text(r->rows, 1),
			.subject = sqlite3_column_int64(r->rows, 2),
			.kind = (const char *)sqlite3_column_text(r->rows, 3),
			.kind_len = (size_t)sqlite3_column_bytes(r->rows, 3),
			.body = (const char *)sqlite3_column_text(r->rows, 4),
			.body_len = (size_t)sqlite3_column_bytes(r->rows, 4),
			.at = sqlite3_column_int64(r->rows, 5)};
	return got;
}

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

static bool wanted(void *arg, const struct segment_event *ev)
{
	const struct words *kinds = &((struct reader *)arg)->range->kinds;

	for (int i = 0; i < kinds->count; i++) {
		if (strcmp(kinds->word[i], ev->kind) == 0)
			return true;
	}
	return kinds->count == 0;
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
	r->join = (struct segment_join){.next_row = next_row,
		.wanted = wanted,
		.arg = r,
		.packed = wants_packed(&range->kinds)};
	segment_merge_init(&r->join.segments, &source, range->after, highest, range->newest);
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
	if (!r->join.packed)
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
	segment_merge_clear(&r->join.segments);
	sqlite3_finalize(r->rows);
	sqlite3_finalize(r->refs);
}

static int reader_peek(struct reader *r, struct store_event *out, struct err *e)
{
	struct joined_event ev;
	int got = segment_join_peek(&r->join, &ev, e);

	if (got == 1)
		*out = (struct store_event){.id = ev.id,
			.stream = ev.stream,
			.subject = ev.subject,
			.kind = ev.kind,
			.body = ev.body,
			.body_len = ev.body_len,
			.at = ev.at};
	return got;
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
	struct store_event ev = {0};
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
		segment_join_take(&r.join);
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
	struct store_output o = {0};
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
		segment_join_take(&r.join);
	}
	reader_close(&r);
	store_snapshot_end(s);
	return got < 0 ? -1 : 0;
}
