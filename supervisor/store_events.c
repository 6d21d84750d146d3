/* Events for answers: rows, and those that are packed, together by id. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "shared/segment_join.h"
#include "supervisor/store_sql.h"

int64_t store_last_event(struct store *s)
{
	sqlite3_stmt *q = store_query(s, NULL,
		"SELECT max(coalesce((SELECT max(id) FROM events),0),"
		"coalesce((SELECT max(last_id) FROM segments),0))",
		"");
	int64_t id = q && store_step(s, q, NULL) == 1 ? sqlite3_column_int64(q, 0) : 0;

	if (q)
		sqlite3_reset(q);
	return id;
}

int store_events_skip(struct store *s, struct err *e)
{
	if (store_begin(s, true, e) < 0)
		return -1;
	if (store_exec(s, e, STORE_SKIP_EVENTS, "") < 0) {
		store_rollback(s);
		return -1;
	}
	return store_commit(s, e);
}

/* Both sources: the rows, and the segments named by refs. */
struct reader {
	struct store *s;
	sqlite3_stmt *rows, *refs;
	struct segment_join join;
};

static int next_row(void *arg, struct joined_event *row, struct err *e)
{
	struct reader *r = arg;
	int got = store_step(r->s, r->rows, e);

	if (got == 1)
		*row = (struct joined_event){.id = sqlite3_column_int64(r->rows, 0),
			.stream = (const char *)sqlite3_column_text(r->rows, 1),
			.subject = sqlite3_column_int64(r->rows, 2),
			.kind = (const char *)sqlite3_column_text(r->rows, 3),
			.kind_len = (size_t)sqlite3_column_bytes(r->rows, 3),
			.body = (const char *)sqlite3_column_text(r->rows, 4),
			.body_len = (size_t)sqlite3_column_bytes(r->rows, 4)};
	return got;
}

static int next_ref(void *arg, struct segment_ref *ref, struct err *e)
{
	struct reader *r = arg;
	int got = store_step(r->s, r->refs, e);

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
	sqlite3_stmt *q =
		store_query(r->s, e, "SELECT body FROM segments WHERE id=?", "i", ref->key);
	struct segment *found = NULL;

	if (q && store_step(r->s, q, e) == 1) {
		found = segment_open(
			sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0), e);
		if (!found)
			err_wrap(e, "agent %lld, events %lld to %lld", (long long)ref->agent,
				(long long)ref->first_id, (long long)ref->last_id);
		sqlite3_reset(q);
	}
	return found;
}

static bool wants_packed(uint32_t kinds)
{
	for (int k = 0; k < EVENT_KIND_COUNT && kinds; k++) {
		const char *word = event_kind_word((enum event_kind)k);

		if ((kinds & (1u << k)) && segment_kind(word, strlen(word)))
			return true;
	}
	return kinds == 0;
}

static int reader_open(struct reader *r, struct store *s, int64_t after, int64_t agent,
	uint32_t kinds, struct err *e)
{
	struct segment_source source = {.next = next_ref, .load = load, .arg = r};

	memset(r, 0, sizeof(*r));
	r->s = s;
	r->join = (struct segment_join){
		.next_row = next_row, .arg = r, .packed = wants_packed(kinds)};
	segment_merge_init(&r->join.segments, &source, after, INT64_MAX, false);
	r->rows = agent ? store_query(s, e,
				  "SELECT id,stream,subject,kind,body FROM events WHERE "
				  "stream='agent'"
				  " AND subject=? AND id>? ORDER BY id LIMIT ?",
				  "iii", agent, after, (int64_t)STORE_SCAN_MAX)
			: store_query(s, e,
				  "SELECT id,stream,subject,kind,body FROM events WHERE "
				  "id>? ORDER BY id"
				  " LIMIT ?",
				  "ii", after, (int64_t)STORE_SCAN_MAX);
	if (r->rows && r->join.packed) {
		r->refs = agent ? store_query(s, e,
					  "SELECT id,agent_id,first_id,last_id FROM segments"
					  " WHERE agent_id=? AND last_id>? ORDER BY last_id",
					  "ii", agent, after)
				: store_query(s, e,
					  "SELECT id,agent_id,first_id,last_id FROM segments"
					  " WHERE last_id>? ORDER BY first_id",
					  "i", after);
		if (!r->refs)
			return -1;
	}
	return r->rows ? 0 : -1;
}

static void reader_close(struct reader *r)
{
	segment_merge_clear(&r->join.segments);
	if (r->rows)
		sqlite3_reset(r->rows);
	if (r->refs)
		sqlite3_reset(r->refs);
}

cJSON *store_events_after(struct store *s, int64_t after, int64_t agent, uint32_t kinds, int limit,
	int64_t *last, struct err *e)
{
	cJSON *all = cJSON_CreateArray(), *one;
	int got, seen = 0, n = 0;
	enum event_kind kind;
	struct reader r;
	struct joined_event f;
	size_t bytes = 0;

	*last = after;
	got = reader_open(&r, s, after, agent, kinds, e) < 0 ? -1 : 1;
	while (got == 1 && n < limit && seen < STORE_SCAN_MAX &&
		(got = segment_join_peek(&r.join, &f, e)) == 1) {
		kind = event_kind_parse(f.kind, f.kind_len);
		if (!kinds || (kind != EVENT_UNKNOWN && (kinds & (1u << kind)))) {
			if (n > 0 && bytes + f.body_len + 128 > STORE_ANSWER_MAX)
				break;
			n++;
			bytes += f.body_len + 128;
			one = cJSON_CreateObject();
			json_add_int(one, "id", f.id);
			json_add_str(one, "stream", f.stream);
			json_add_int(one, "subject", f.subject);
			json_add_str(one, "kind", f.kind);
			cJSON_AddRawToObject(one, "body", f.body);
			cJSON_AddItemToArray(all, one);
		}
		*last = f.id;
		seen++;
		segment_join_take(&r.join);
	}
	reader_close(&r);
	/* Nothing was left out: the position moves to the newest event of all. */
	if (got == 0 && seen < STORE_SCAN_MAX) {
		int64_t newest = store_last_event(s);

		if (newest > *last)
			*last = newest;
	}
	if (got >= 0)
		return all;
	cJSON_Delete(all);
	return NULL;
}
