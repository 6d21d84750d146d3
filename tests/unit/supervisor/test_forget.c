/* A deleted agent's log goes in pieces, also when who removes it dies in between. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "supervisor/store.h"

#define EVENTS 5000 /* of each of two agents */
#define PIECE 700

struct place {
	char folder[64], path[80];
	struct store *store;
	int64_t agents[2];
};

static void open_again(struct place *p)
{
	struct err e;

	store_close(p->store);
	p->store = store_open(p->path, &e);
	if (!p->store)
		fail_msg("%s", e.text);
}

static int set_up(void **state)
{
	static const struct store_task t = {.repository = "/r",
		.base = "main",
		.title = "t",
		.description = "",
		.aider_arguments = "",
		.test_command = "",
		.permission = "allow",
		.agent_model = "",
		.aider_model = ""};
	struct place *p = calloc(1, sizeof *p);
	struct err e;

	assert_non_null(p);
	snprintf(p->folder, sizeof p->folder, "/tmp/100x-forget-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof p->path, "%s/tasks.db", p->folder);
	open_again(p);
	assert_int_equal(store_begin(p->store, false, &e), 0);
	for (int i = 0; i < 2; i++) {
		struct lines lines = {0};
		int64_t task, id;

		assert_int_equal(store_task_add(p->store, &t, 1, &task, &e), 0);
		assert_int_equal(store_agent_add(p->store, task, "done", 1, &p->agents[i], &e), 0);
		for (int n = 1; n <= EVENTS; n++) {
			static const char body[] = "{\"stream\":\"log\",\"text\":\"line\\n\"}";

			assert_int_equal(store_event_add(p->store, "agent", p->agents[i], n,
						 n % 50 ? "output" : "progress", n, body,
						 sizeof body - 1, &id, &e),
				0);
			if (n % 50)
				assert_int_equal(store_lines_take(p->store, p->agents[i], &lines,
							 id, body, sizeof body - 1, &e),
					0);
		}
	}
	assert_int_equal(store_commit(p->store, &e), 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	static const char *const leaves[] = {"", "-wal", "-shm"};
	struct place *p = *state;
	char path[96];

	store_close(p->store);
	for (size_t i = 0; i < 3; i++) {
		snprintf(path, sizeof path, "%s%s", p->path, leaves[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(p->folder), 0);
	free(p);
	return 0;
}

static int64_t count(const struct place *p, const char *sql, int64_t agent)
{
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;
	int64_t v;

	assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	sqlite3_bind_int64(q, 1, agent);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	v = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return v;
}

static int64_t rows(const struct place *p, int64_t agent)
{
	return count(p,
		"SELECT (SELECT count(*) FROM events WHERE stream='agent' AND subject=?1)"
		"+(SELECT count(*) FROM segments WHERE agent_id=?1)"
		"+(SELECT count(*) FROM output_blocks WHERE agent_id=?1)",
		agent);
}

/* Packs the first half, so that there is something of everything. */
static void pack_some(struct place *p, int64_t agent)
{
	struct err e;
	bool done;

	assert_int_equal(store_begin(p->store, false, &e), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(store_pack(p->store, agent, EVENTS / 10, &done, &e), 0);
	assert_int_equal(store_commit(p->store, &e), 0);
	assert_true(count(p, "SELECT count(*) FROM segments WHERE agent_id=?", agent) > 1);
	assert_true(count(p, "SELECT count(*) FROM output_blocks WHERE agent_id=?", agent) > 1);
}

static void delete_it(struct place *p, int64_t agent)
{
	struct err e;
	int64_t id;

	assert_int_equal(store_begin(p->store, true, &e), 0);
	assert_int_equal(store_agent_delete(p->store, agent, &e), 0);
	assert_int_equal(
		store_event_add(p->store, "agent", agent, 0, "deleted", 9, "{}", 2, &id, &e), 0);
	assert_int_equal(store_commit(p->store, &e), 0);
}

static void a_long_log_goes_in_pieces(void **state)
{
	struct place *p = *state;
	int64_t agent = p->agents[0], found, before, now;
	bool done = false;
	int pieces = 0;
	struct err e;

	pack_some(p, agent);
	before = rows(p, agent);
	delete_it(p, agent);
	assert_int_equal(count(p, "SELECT count(*) FROM agents WHERE id=?", agent), 0);
	now = rows(p, agent);
	assert_in_range(now, before / 2, before - 1); /* bounded: most of it is there yet */
	for (; !done; pieces++) {
		/* Nobody remembers: it is found each time. */
		open_again(p);
		assert_int_equal(store_forgotten(p->store, &found, &e), 0);
		assert_int_equal(found, agent);
		before = rows(p, agent);
		assert_int_equal(store_begin(p->store, false, &e), 0);
		assert_int_equal(store_forget(p->store, agent, PIECE, &done, &e), 0);
		if (pieces == 1) { /* killed before the commit */
			store_rollback(p->store);
			assert_int_equal(rows(p, agent), before);
			continue;
		}
		assert_int_equal(store_commit(p->store, &e), 0);
		now = rows(p, agent);
		assert_in_range(before - now, 1, PIECE);
	}
	assert_true(pieces > 3);
	/* What was said last stays; nothing of the other one went. */
	assert_int_equal(rows(p, agent), 1);
	assert_int_equal(
		count(p, "SELECT count(*) FROM events WHERE subject=? AND kind='deleted'", agent),
		1);
	assert_int_equal(
		count(p, "SELECT count(*) FROM events WHERE subject=?", p->agents[1]), EVENTS);
	assert_int_equal(store_forgotten(p->store, &found, &e), 0);
	assert_int_equal(found, 0);
}

static void a_short_log_goes_at_once(void **state)
{
	struct place *p = *state;
	int64_t task, agent, id, found;
	struct err e;

	assert_int_equal(store_begin(p->store, true, &e), 0);
	assert_int_equal(store_task_add(p->store,
				 &(struct store_task){.repository = "/s",
					 .base = "main",
					 .title = "t",
					 .description = "",
					 .aider_arguments = "",
					 .test_command = "",
					 .permission = "allow",
					 .agent_model = "",
					 .aider_model = ""},
				 1, &task, &e),
		0);
	assert_int_equal(store_agent_add(p->store, task, "done", 1, &agent, &e), 0);
	for (int n = 1; n <= 100; n++)
		assert_int_equal(
			store_event_add(p->store, "agent", agent, n, "output", n, "{}", 2, &id, &e),
			0);
	assert_int_equal(store_commit(p->store, &e), 0);
	delete_it(p, agent);
	assert_int_equal(rows(p, agent), 1);
	assert_int_equal(store_forgotten(p->store, &found, &e), 0);
	assert_int_equal(found, 0);
}

#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(a_long_log_goes_in_pieces),
		WITH_PLACE(a_short_log_goes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
