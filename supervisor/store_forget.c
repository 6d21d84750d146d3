/* What a deleted agent leaves: its row goes at once, and what could be much, its log, in
 * pieces. Whose events are left without a row of an agent is on its way out: that is the
 * only mark, so who is killed in between finds it again. */
#include "supervisor/store_sql.h"

#define FIRST_ROWS 512 /* with the agent's own row; most logs are gone by that */

static int run(struct store *s, int64_t agent, const char *const *rows, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		if (store_exec(s, e, rows[i], "i", agent) < 0)
			return -1;
	}
	return 0;
}

int store_agent_delete(struct store *s, int64_t agent, struct err *e)
{
	static const char *const rows[] = {
		"DELETE FROM turns WHERE agent_id=?",
		"DELETE FROM usage WHERE agent_id=?",
		"DELETE FROM commands WHERE agent_id=?",
		"DELETE FROM diffs WHERE agent_id=?",
		"DELETE FROM outputs WHERE agent_id=?",
		"UPDATE tasks SET winner=NULL WHERE winner=?",
		"DELETE FROM agents WHERE id=?",
	};
	sqlite3_stmt *q = store_query(s, e, "SELECT task_id FROM agents WHERE id=?", "i", agent);
	int got = q ? store_step(s, q, e) : -1;
	int64_t task = 0;
	bool done;

	if (got == 1) {
		task = sqlite3_column_int64(q, 0);
		sqlite3_reset(q);
	}
	if (got < 0 || run(s, agent, rows, sizeof rows / sizeof *rows, e) < 0 ||
		store_exec(s, e,
			"DELETE FROM tasks WHERE id=?1 AND NOT EXISTS(SELECT 1 FROM agents WHERE "
			"task_id=?1)",
			"i", task) < 0)
		return -1;
	return store_forget(s, agent, FIRST_ROWS, &done, e);
}

/* Deletes at most *rows, and takes them off. */
static int piece(struct store *s, const char *sql, int64_t agent, int64_t *rows, struct err *e)
{
	if (*rows == 0)
		return 0;
	if (store_exec(s, e, sql, "ii", agent, *rows) < 0)
		return -1;
	*rows -= sqlite3_changes(s->db);
	return 0;
}

int store_forget(struct store *s, int64_t agent, int rows, bool *done, struct err *e)
{
	/* The events last: while there is one, the agent is found. */
	static const char *const pieces[] = {
		"DELETE FROM output_blocks WHERE agent_id=?1 AND (line,first_id) IN"
		"(SELECT line,first_id FROM output_blocks WHERE agent_id=?1 LIMIT ?2)",
		/* A segment is as many pages as a hundred events. */
		"DELETE FROM segments WHERE id IN"
		"(SELECT id FROM segments WHERE agent_id=?1 LIMIT ?2/32+1)",
		"DELETE FROM events WHERE id IN(SELECT id FROM events WHERE stream='agent'"
		" AND subject=?1 AND kind<>'deleted' ORDER BY id LIMIT ?2)",
	};
	static const char *const any[] = {
		"SELECT 1 FROM output_blocks WHERE agent_id=? LIMIT 1",
		"SELECT 1 FROM segments WHERE agent_id=? LIMIT 1",
		"SELECT 1 FROM events WHERE stream='agent' AND subject=? AND kind<>'deleted' LIMIT "
		"1",
	};
	int64_t left = rows;

	*done = false;
	for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
		sqlite3_stmt *q;
		int got;

		if (piece(s, pieces[i], agent, &left, e) < 0)
			return -1;
		q = store_query(s, e, any[i], "i", agent);
		got = q ? store_step(s, q, e) : -1;
		if (got != 0) {
			if (got == 1)
				sqlite3_reset(q);
			return got < 0 ? -1 : 0;
		}
	}
	*done = true;
	return 0;
}

int store_forgotten(struct store *s, int64_t *agent, struct err *e)
{
	/* From one agent's first event to the next one's, not over all events. */
	sqlite3_stmt *q = store_query(s, e,
		"WITH RECURSIVE a(n) AS(SELECT min(subject) FROM events WHERE stream='agent'"
		" UNION ALL SELECT (SELECT min(subject) FROM events WHERE stream='agent'"
		" AND subject>a.n) FROM a WHERE a.n IS NOT NULL)"
		" SELECT n FROM a WHERE n IS NOT NULL AND NOT EXISTS(SELECT 1 FROM agents WHERE "
		"id=n)"
		" AND EXISTS(SELECT 1 FROM events WHERE stream='agent' AND subject=n"
		" AND kind<>'deleted') LIMIT 1",
		"");
	int got = q ? store_step(s, q, e) : -1;

	*agent = got == 1 ? sqlite3_column_int64(q, 0) : 0;
	if (got == 1)
		sqlite3_reset(q);
	return got < 0 ? -1 : 0;
}
