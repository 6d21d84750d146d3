/* For the harness: a store that refuses, and workers that do what the test says. */
#ifndef TESTS_UNIT_SUPERVISOR_TROUBLE_H
#define TESTS_UNIT_SUPERVISOR_TROUBLE_H

#include <ftw.h>
#include <sqlite3.h>

#include "tests/unit/supervisor/harness.h"

#include "shared/clock.h"

/* --- the store --- */

static inline sqlite3 *trouble_open(struct harness *h)
{
	sqlite3 *db = NULL;
	char path[128];

	snprintf(path, sizeof(path), "%s/tasks.db", h->folder);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	sqlite3_busy_timeout(db, 5000);
	return db;
}

static inline void trouble_run(sqlite3 *db, const char *sql)
{
	char *said = NULL;

	if (sqlite3_exec(db, sql, NULL, NULL, &said) != SQLITE_OK)
		fail_msg("%s: %s", sql, said);
}

static inline void trouble_sql(struct harness *h, const char *sql)
{
	sqlite3 *db = trouble_open(h);

	trouble_run(db, sql);
	sqlite3_close(db);
}

static inline int64_t trouble_number(struct harness *h, const char *sql)
{
	sqlite3 *db = trouble_open(h);
	sqlite3_stmt *q = NULL;
	int64_t n;

	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	n = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return n;
}

/* Every write of this kind ("INSERT ON events") fails, until trouble_over. */
static inline void trouble_refuse(struct harness *h, const char *write)
{
	char sql[256];

	snprintf(sql, sizeof(sql),
		"CREATE TRIGGER trouble BEFORE %s BEGIN SELECT RAISE(ABORT, 'refused by the "
		"test'); END",
		write);
	trouble_sql(h, sql);
}

static inline void trouble_over(struct harness *h)
{
	trouble_sql(h, "DROP TRIGGER trouble");
}

/* Nothing at all can be written, until trouble_unlock. */
static inline sqlite3 *trouble_lock(struct harness *h)
{
	sqlite3 *db = trouble_open(h);

	trouble_run(db, "BEGIN IMMEDIATE");
	return db;
}

static inline void trouble_unlock(sqlite3 *db)
{
	trouble_run(db, "ROLLBACK");
	sqlite3_close(db);
}

/* --- workers --- */

static inline void trouble_script(struct harness *h, const char *script)
{
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/worker.sh", h->folder);
	f = fopen(path, "we");
	assert_non_null(f);
	fprintf(f, "cd %s\n%s\n", h->folder, script);
	assert_int_equal(fclose(f), 0);
}

/* script: for sh, in the state directory, with a worker's arguments. */
static inline void trouble_workers(struct harness *h, const char *script)
{
	struct err e;

	trouble_script(h, script);
	h->s.launcher = launcher_new(&h->loop, &h->s.paths, &e);
	if (!h->s.launcher)
		fail_msg("%s", e.text);
}

static inline int trouble_remove_one(
	const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	(void)type;
	return at->level > 0 ? remove(path) : 0;
}

/* Instead of harness_free, for those that had workers: with all that these left. */
static inline void trouble_free(struct harness *h)
{
	launcher_free(h->s.launcher);
	nftw(h->folder, trouble_remove_one, 16, FTW_DEPTH | FTW_PHYS);
	harness_free(h);
}

static inline char *trouble_read(struct harness *h, const char *leaf)
{
	char path[128], *text = calloc(1, 8192);
	FILE *f;

	assert_non_null(text);
	snprintf(path, sizeof(path), "%s/%s", h->folder, leaf);
	f = fopen(path, "re");
	assert_non_null(f);
	text[fread(text, 1, 8191, f)] = '\0';
	fclose(f);
	return text;
}

static inline void trouble_ticked(uv_timer_t *t)
{
	(void)t;
}

/* One turn of the loop, which may run a timer and then find nothing else to wait for. */
static inline void trouble_turn(struct harness *h)
{
	uv_timer_start(&h->tick, trouble_ticked, 10, 0);
	uv_run(&h->loop, UV_RUN_ONCE);
	uv_timer_stop(&h->tick);
}

/* Runs the loop until the condition holds. */
#define trouble_until(h, condition)                                                                \
	do {                                                                                       \
		int64_t late_ms = clock_now_ms() + 30000;                                          \
		while (!(condition)) {                                                             \
			trouble_turn(h);                                                           \
			if (clock_now_ms() > late_ms)                                              \
				fail_msg("not within 30 s: %s", #condition);                       \
		}                                                                                  \
	} while (0)

/* The answer's error is of this kind ("": none), and says this. */
static inline void trouble_expect(struct harness *h, const char *id, const char *method,
	const char *params, const char *kind, const char *text)
{
	_cleanup_json_ cJSON *answer = harness_call(h, id, method, params);
	const char *got = harness_error(answer);
	const char *said = json_str(json_get(answer, "error"), "message", "");

	if (strcmp(got, kind) != 0 || !strstr(said, text))
		fail_msg("%s %s: \"%s\" (%s) instead of \"%s\" (%s)", method, params, got, said,
			kind, text);
}

#endif
