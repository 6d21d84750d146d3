/* Ended agents' events: packed, removed, and the room given back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/segment.h"
#include "shared/views.h"
#include "supervisor/store_sql.h"

/* The rows that come next, as far as one segment takes them; their ids are kept. */
static int gather(struct store *s, int64_t agent, int rows, struct segment_writer *w, int64_t *ids,
	struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT id,seq,at,kind,body FROM events WHERE stream='agent' AND subject=?1"
		" AND id>coalesce((SELECT max(last_id) FROM segments WHERE agent_id=?1),0)"
		" AND kind IN(" SEGMENT_KINDS ")"
		" AND id<>coalesce((SELECT event_id FROM diffs WHERE agent_id=?1),0)"
		" ORDER BY id LIMIT ?2",
		"ii", agent, (int64_t)rows);
	int got = -1;

	while (q && (got = store_step(s, q, e)) == 1) {
		struct segment_event ev = {.id = sqlite3_column_int64(q, 0),
			.seq = sqlite3_column_int64(q, 1),
			.at = sqlite3_column_int64(q, 2),
			.kind = (const char *)sqlite3_column_text(q, 3),
			.kind_len = (size_t)sqlite3_column_bytes(q, 3),
			.body = (const char *)sqlite3_column_text(q, 4),
			.body_len = (size_t)sqlite3_column_bytes(q, 4)};

		if (!segment_writer_add(w, &ev))
			break;
		ids[w->n - 1] = ev.id;
	}
	if (q)
		sqlite3_reset(q);
	return got < 0 ? -1 : 0;
}

static int move(
	struct store *s, int64_t agent, struct segment_writer *w, const int64_t *ids, struct err *e)
{
	_cleanup_free_ char *packed = NULL;
	size_t n;

	packed = segment_writer_pack(w, &n);
	if (store_exec(s, e,
		    "INSERT INTO segments(agent_id,first_id,last_id,last_at,n,bytes,body)"
		    " VALUES(?,?,?,?,?,?,?)",
		    "iiiiiiB", agent, w->first_id, w->last_id, w->last_at, (int64_t)w->n,
		    (int64_t)w->raw.len, packed, n) < 0)
		return -1;
	for (int i = 0; i < w->n; i++) {
		if (store_exec(s, e, "DELETE FROM events WHERE id=? AND kind='output'", "i",
			    ids[i]) < 0)
			return -1;
		if (sqlite3_changes(s->db) == 0 &&
			store_exec(s, e,
				"UPDATE events SET body=" VIEWS_ACTIVITY_BODY " WHERE id=?", "i",
				ids[i]) < 0)
			return -1;
	}
	/* How far the agent's events go is told by their rows no more. */
	return store_exec(s, e, "UPDATE agents SET committed_seq=max(committed_seq,?2) WHERE id=?1",
		"ii", agent, w->last_seq);
}

int store_pack(struct store *s, int64_t agent, int rows, bool *done, struct err *e)
{
	_cleanup_free_ int64_t *ids = calloc((size_t)rows, sizeof(*ids));
	struct segment_writer w;
	int moved;

	if (!ids)
		abort();
	segment_writer_init(&w);
	moved = gather(s, agent, rows, &w, ids, e);
	*done = moved == 0 && w.n == 0;
	if (moved == 0)
		moved = w.n ? move(s, agent, &w, ids, e)
			    : store_exec(s, e, "UPDATE agents SET packed=1 WHERE id=?", "i", agent);
	segment_writer_clear(&w);
	return moved;
}

/* What is removed by one step. */
struct dropped {
	int64_t last_id, last_at, events;
};

static int find_oldest(
	struct store *s, int64_t agent, int segments, struct dropped *d, bool *all, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT last_id,last_at,n FROM segments WHERE agent_id=? ORDER BY last_id LIMIT ?",
		"ii", agent, (int64_t)segments + 1);
	int got = -1, n = 0;

	memset(d, 0, sizeof(*d));
	while (q && (got = store_step(s, q, e)) == 1 && n < segments) {
		d->last_id = sqlite3_column_int64(q, 0);
		d->last_at = sqlite3_column_int64(q, 1);
		d->events += sqlite3_column_int64(q, 2);
		n++;
	}
	if (q)
		sqlite3_reset(q);
	*all = got == 0;
	return got < 0 ? -1 : 0;
}

/* One event where they were: it moves on as more of the agent's events go. */
static int put_marker(struct store *s, int64_t agent, const struct dropped *d, const char *why,
	int64_t at_ms, struct err *e)
{
	sqlite3_stmt *q =
		store_query(s, e, "SELECT removed_events FROM agents WHERE id=?", "i", agent);
	int got = q ? store_step(s, q, e) : -1;
	_cleanup_json_ cJSON *body = cJSON_CreateObject();
	_cleanup_free_ char *text = NULL;
	time_t last = (time_t)(d->last_at / 1000);
	char reason[256], when[40];
	int64_t events = d->events;
	struct tm tm;

	if (got != 1)
		return got < 0 ? -1
			       : err_set(e, ERR_NOT_FOUND, "there is no agent %lld",
					 (long long)agent);
	events += sqlite3_column_int64(q, 0);
	sqlite3_reset(q);
	gmtime_r(&last, &tm);
	strftime(when, sizeof(when), "%Y-%m-%d %H:%M UTC", &tm);
	snprintf(reason, sizeof(reason),
		"the log is not whole: %lld events of output up to %s were removed, %s",
		(long long)events, when, why);
	json_add_int(body, "seq", 0);
	json_add_int(body, "at", at_ms);
	json_add_str(body, "by", "supervisor");
	json_add_str(body, "what", "log removed");
	json_add_str(body, "reason", reason);
	json_add_str(body, "hint", "the settings keep_days and keep_gigabytes tell what is kept");
	json_add_int(body, "removed_events", events);
	text = json_print(body);
	if (store_exec(s, e,
		    "DELETE FROM events WHERE id=(SELECT removed_id FROM agents WHERE id=?)", "i",
		    agent) < 0 ||
		store_exec(s, e,
			"INSERT OR REPLACE INTO events(id,stream,subject,seq,kind,at,body)"
			" VALUES(?,'agent',?,0,'trouble',?,?)",
			"iiis", d->last_id, agent, at_ms, text) < 0)
		return -1;
	return store_exec(s, e, "UPDATE agents SET removed_events=?2,removed_id=?3 WHERE id=?1",
		"iii", agent, events, d->last_id);
}

int store_drop(struct store *s, int64_t agent, int segments, const char *why, int64_t at_ms,
	bool *done, struct err *e)
{
	struct dropped d;

	if (find_oldest(s, agent, segments, &d, done, e) < 0)
		return -1;
	if (d.events == 0)
		return 0;
	/* Lines are numbered within what is there: all of an agent's output goes. */
	if (store_exec(s, e, "DELETE FROM segments WHERE agent_id=? AND last_id<=?", "ii", agent,
		    d.last_id) < 0 ||
		store_exec(s, e, "DELETE FROM output_blocks WHERE agent_id=?", "i", agent) < 0 ||
		store_exec(s, e,
			"UPDATE outputs SET newlines=0,open=0,block_line=0,block_first=0,last_id=0"
			" WHERE agent_id=?",
			"i", agent) < 0)
		return -1;
	return put_marker(s, agent, &d, why, at_ms, e);
}

static int pragma(struct store *s, const char *sql, int64_t *v, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e, sql, "");
	int got = q ? store_step(s, q, e) : -1;

	if (got != 1)
		return -1;
	*v = sqlite3_column_int64(q, 0);
	sqlite3_reset(q);
	return 0;
}

int store_bytes(struct store *s, int64_t *used, int64_t *spare, struct err *e)
{
	int64_t size, pages, spare_pages;

	if (pragma(s, "PRAGMA page_size", &size, e) < 0 ||
		pragma(s, "PRAGMA page_count", &pages, e) < 0 ||
		pragma(s, "PRAGMA freelist_count", &spare_pages, e) < 0)
		return -1;
	*used = (pages - spare_pages) * size;
	*spare = spare_pages * size;
	return 0;
}

int store_shrink(struct store *s, int pages, bool *given, struct err *e)
{
	char sql[64];
	int64_t mode;

	*given = false;
	if (pragma(s, "PRAGMA auto_vacuum", &mode, e) < 0)
		return -1;
	if (mode != 2)
		return 0;
	snprintf(sql, sizeof(sql), "PRAGMA incremental_vacuum(%d)", pages);
	if (sqlite3_exec(s->db, sql, NULL, NULL, NULL) != SQLITE_OK)
		return store_fail(s, e, "give room back");
	*given = true;
	return 0;
}
