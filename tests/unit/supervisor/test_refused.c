/* A store that refuses (a full disk, a lock): requests are answered with the reason and
 * change nothing; what cannot be undone goes on in memory and is recorded as soon as it
 * can be. */
#include "tests/unit/supervisor/trouble.h"

#include "tests/unit/apart.h"

#define NEXT                                                                                       \
	"{\"agent\":1,\"epoch\":1,\"after\":%d,\"last_seq\":0,\"have\":%d,\"version\":1,"          \
	"\"oldest\":1}"

static int make(void **state)
{
	*state = harness_new();
	((struct harness *)*state)->s.queue.limit = 0; /* nobody is to start */
	return 0;
}

static int tear(void **state)
{
	trouble_free(*state);
	return 0;
}

/* An agent that has ended. */
static struct member *ended(struct harness *h)
{
	struct member *m = harness_agent(h, true);
	struct agent_input done = {.event = AGENT_EXITED, .code = 100};

	supervisor_happened(&h->s, m, &done);
	assert_int_equal(m->agent.state, AGENT_FAILED);
	assert_int_equal(m->agent.process, PROCESS_NONE);
	return m;
}

static int64_t all_rows(struct harness *h)
{
	return trouble_number(h,
		"SELECT (SELECT count(*) FROM events) + (SELECT count(*) FROM commands) + "
		"(SELECT count(*) FROM requests) + (SELECT count(*) FROM general_config) + "
		"(SELECT sum(updated_at) FROM agents)");
}

/* --- requests --- */

static void test_requests(void **state)
{
	static const char *const table[][3] = {
		/* method, params, a write it needs */
		{"agent.tell", "{\"agent\":1,\"text\":\"x\"}", "INSERT ON commands"},
		{"agent.pause", "{\"agent\":1}", "INSERT ON requests"},
		{"agent.permission", "{\"agent\":1,\"permission\":\"p\",\"option\":\"yes\"}",
			"INSERT ON commands"},
		{"agent.stop", "{\"agent\":1}", "INSERT ON commands"},
		{"agent.archive", "{\"agent\":2,\"archived\":true}", "INSERT ON events"},
		{"agent.archive", "{\"agent\":2,\"archived\":false}", "UPDATE ON agents"},
		{"agent.retry", "{\"agent\":2}", "UPDATE ON agents"},
		{"agent.stop", "{\"agent\":2}", "INSERT ON events"},
		{"config.set", "{\"general\":{\"limit_turns\":7}}", "INSERT ON general_config"},
		{"config.set", "{\"models\":{\"agent\":\"openai/x\"}}", "INSERT ON model_config"},
		{"config.set", "{\"general\":{\"limit_turns\":8}}", "INSERT ON events"},
		{"task.pick", "{\"task\":1,\"agent\":1}", "INSERT ON events"},
		{"task.unpick", "{\"task\":1}", "INSERT ON events"},
		{"task.pick", "{\"task\":1,\"agent\":1}", "UPDATE ON tasks"},
		{"task.unpick", "{\"task\":1}", "UPDATE ON tasks"},
	};
	static const char asked[] = "agent/1 permission 1 v1\n{\"seq\":1,\"at\":7,\"id\":"
				    "\"p\",\"status\":\"asked\",\"title\":\"t\",\"options\":[{"
				    "\"id\":\"yes\",\"name\":\"y\",\"kind\":\"allow_once\"}]}";
	struct harness *h = *state;
	sqlite3 *db;
	int64_t before;
	char id[16];

	harness_agent(h, true);
	ended(h);
	ingest_frame(&h->s, asked, strlen(asked));
	ingest_commit(&h->s);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		const char *method = table[i][0], *params = table[i][1];

		snprintf(id, sizeof(id), "r%zu", i);
		before = all_rows(h);
		db = trouble_lock(h);
		trouble_expect(h, id, method, params, "sys", "another program holds it locked");
		trouble_unlock(db);
		trouble_refuse(h, table[i][2]);
		trouble_expect(h, id, method, params, "sys", "refused by the test");
		trouble_over(h);
		assert_int_equal(all_rows(h), before);
		/* The same question, as soon as it can be done. */
		h->s.queue.limit = 0;
		trouble_expect(h, id, method, params, "", "");
		assert_true(all_rows(h) != before);
	}
	assert_int_equal(json_int(h->s.general, "limit_turns", 0), 8);
	h->s.queue.limit = 0;
}

/* What is only read answers that it could not. */
static void test_reading(void **state)
{
	static const char *const table[][3] = {
		{"repository.list", "{}", "tasks"},
		{"costs.list", "{}", "costs"},
		{"activity.list", "{}", "events"},
		{"task.list", "{}", "tasks"},
		{"agent.list", "{}", "agents"},
		{"agent.show", "{\"agent\":1}", "turns"},
		{"agent.show", "{\"agent\":1}", "tasks"},
		{"config.get", "{}", "model_config"},
		{"events.after", "{\"after\":0}", "events"},
		{"worker.hello", "{\"agent\":1,\"epoch\":1,\"pid\":1,\"version\":1,\"last_seq\":0}",
			"tasks"},
		{"agent.tell", "{\"agent\":\"all\",\"text\":\"x\"}", "agents"},
		{"agent.pause", "{\"agent\":1}", "requests"},
		{"task.pick", "{\"task\":1,\"agent\":1}", "tasks"},
		{"agent.permission", "{\"agent\":1,\"permission\":\"p\",\"option\":\"y\"}",
			"events"},
	};
	struct harness *h = *state;
	char sql[128];

	harness_agent(h, true);
	trouble_sql(h, "PRAGMA foreign_keys=OFF");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(sql, sizeof(sql),
			"PRAGMA legacy_alter_table=ON; ALTER TABLE %s RENAME TO away", table[i][2]);
		trouble_sql(h, sql);
		trouble_expect(h, "r", table[i][0], table[i][1], "sys", "no such table");
		snprintf(sql, sizeof(sql),
			"PRAGMA legacy_alter_table=ON; ALTER TABLE away RENAME TO %s", table[i][2]);
		trouble_sql(h, sql);
	}
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]) - 1; i++)
		trouble_expect(h, table[i][0], table[i][0], table[i][1], "", "");
}

static void test_going_down(void **state)
{
	struct harness *h = *state;

	harness_agent(h, true);
	h->s.going_down = true;
	trouble_expect(h, "a", "agent.pause", "{\"agent\":1}", "unavailable",
		"the supervisor is going down");
	trouble_expect(h, "b", "status", "{}", "", "");
	h->s.going_down = false;
	trouble_expect(h, "12345678901234567890123456789012345678901234567890123456789012345",
		"agent.pause", "{\"agent\":1}", "invalid", "a string of 1 to 64");
	h->s.call_count = CONTROL_CALLS_MAX;
	trouble_expect(h, "c", "key.list", "{}", "limit", "256 requests are under way");
	h->s.call_count = 0;
}

/* --- what happens to agents --- */

/* The loop runs this long. */
static void pass(struct harness *h, uint64_t ms)
{
	uint64_t until = uv_now(&h->loop) + ms;

	trouble_until(h, uv_now(&h->loop) >= until);
}

/* Its worker ends while nothing can be written: the agent goes on, its row follows. */
static void test_ended_unsaved(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	struct agent_input in = {.event = AGENT_EXITED, .code = 100};
	_cleanup_json_ cJSON *row = NULL;
	sqlite3 *db = trouble_lock(h);
	struct err e;

	trouble_workers(h, "echo >started");
	supervisor_happened(&h->s, m, &in);
	assert_int_equal(m->agent.state, AGENT_FAILED);
	assert_true(m->unsaved);
	assert_int_equal(h->s.queue.busy, 0);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM agents WHERE state='working'"), 1);
	/* An event that comes too late changes nothing. */
	supervisor_happened(&h->s, m, &in);
	assert_int_equal(m->agent.state, AGENT_FAILED);
	/* Tried again each second. */
	pass(h, SUPERVISOR_RETRY_MS + 100);
	assert_true(m->unsaved);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM agents WHERE state='working'"), 1);
	trouble_unlock(db);
	trouble_until(h, !m->unsaved);
	row = store_agent(h->s.store, m->id, &e);
	assert_string_equal(json_str(row, "state", ""), "failed");
	assert_string_equal(json_str(row, "reason", ""), "the worker ended for good (code 100)");
	assert_true(json_int(row, "ended_at", 0) > 0);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM events WHERE kind='state'"), 1);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM events WHERE kind='state' AND "
					   "body LIKE '%for good%'"),
		1);
	/* It has failed: no worker is started for it, then or later. */
	assert_int_equal(m->agent.process, PROCESS_NONE);
	assert_int_equal(m->agent.deadline_ms, 0);
	assert_int_equal(m->epoch, 1);
	assert_null(m->child);
}

/* A later state that could be written is not written over by the earlier one. */
static void test_unsaved_then_saved(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	struct agent_input in = {.event = AGENT_EXITED, .code = 111};
	_cleanup_json_ cJSON *row = NULL;
	sqlite3 *db = trouble_lock(h);
	struct err e;

	supervisor_happened(&h->s, m, &in);
	assert_int_equal(m->agent.state, AGENT_STARTING);
	assert_string_equal(m->unsaved_reason, "the worker could not go on; trying again in 1 s");
	trouble_unlock(db);
	trouble_expect(h, "s", "agent.stop", "{\"agent\":1}", "", "");
	assert_true(m->unsaved);
	trouble_until(h, !m->unsaved);
	row = store_agent(h->s.store, m->id, &e);
	assert_string_equal(json_str(row, "state", ""), "stopped");
	assert_string_equal(json_str(row, "reason", ""), "stopped by a person");
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM events WHERE kind='state'"), 1);
}

/* No worker is started before its epoch is recorded. */
static void test_not_started_unsaved(void **state)
{
	struct harness *h = *state;
	struct member *queued = harness_agent(h, false), *waits = harness_agent(h, true);
	struct agent_input slot = {.event = AGENT_SLOT}, due = {.event = AGENT_TIME};
	sqlite3 *db;

	trouble_workers(h, "echo $2 $4 >>started; exec sleep 600");
	waits->agent.process = PROCESS_NONE;
	waits->agent.deadline_ms = 1;
	db = trouble_lock(h);
	supervisor_happened(&h->s, queued, &slot);
	assert_int_equal(queued->agent.state, AGENT_QUEUED);
	assert_int_equal(h->s.queue.n, 1);
	assert_int_equal(queued->epoch, 0);
	supervisor_happened(&h->s, waits, &due);
	assert_int_equal(waits->agent.process, PROCESS_NONE);
	assert_int_equal(waits->epoch, 1);
	assert_false(waits->unsaved);
	assert_null(waits->child);
	trouble_unlock(db);
	/* Both by themselves, as soon as it can be written. */
	h->s.queue.limit = 2;
	trouble_until(h, queued->child && waits->child);
	assert_int_equal(queued->epoch, 1);
	assert_int_equal(waits->epoch, 2);
	assert_int_equal(
		trouble_number(h, "SELECT count(*) FROM agents WHERE pid > 1 AND epoch > 0"), 2);
	h->s.queue.limit = 0;
	supervisor_down(&h->s, false);
	trouble_until(h, !queued->child && !waits->child && queued->agent.process == PROCESS_NONE &&
				 waits->agent.process == PROCESS_NONE);
}

/* Its number could not be recorded: the worker that waited for that ends before it began. */
static void test_pid_not_recorded(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, false);
	struct agent_input slot = {.event = AGENT_SLOT};

	trouble_workers(h, "read go && exec sleep 600");
	trouble_refuse(h, "UPDATE OF pid ON agents WHEN NEW.pid > 0");
	supervisor_happened(&h->s, m, &slot);
	trouble_over(h);
	assert_null(m->child);
	assert_null(m->heir);
	assert_int_equal(m->agent.state, AGENT_QUEUED);
	assert_int_equal(m->epoch, 0);
	h->s.queue.limit = 1;
	trouble_until(h, m->child);
	assert_int_equal(m->epoch, 1);
	assert_int_equal(trouble_number(h, "SELECT pid FROM agents WHERE epoch = 1"), m->pid);
	h->s.queue.limit = 0;
	supervisor_down(&h->s, false);
	trouble_until(h, m->agent.process == PROCESS_NONE);
	assert_int_equal(kill(m->exit_pid, 0), -1);
}

/* What does not take TERM is killed; what could not be started is tried again. */
static void test_killed_at_last(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, false);
	struct agent_input slot = {.event = AGENT_SLOT};
	char path[PATHS_MAX];
	FILE *f;

	trouble_workers(h, "trap '' TERM; echo >deaf; while :; do sleep 0.01; done");
	/* A file lies where its folder is to be. */
	assert_int_equal(paths_mkdirs(paths_agent(&h->s.paths, 0, "", path), 0700, NULL), 0);
	f = fopen(paths_agent(&h->s.paths, m->id, "", path), "we");
	assert_non_null(f);
	fclose(f);
	supervisor_happened(&h->s, m, &slot);
	assert_null(m->child);
	assert_int_equal(m->agent.state, AGENT_STARTING);
	assert_int_equal(m->agent.process, PROCESS_NONE);
	assert_true(m->agent.deadline_ms > 0);
	unlink(path);
	m->agent.deadline_ms = 1;
	supervisor_arm(m);
	snprintf(path, sizeof(path), "%s/deaf", h->folder);
	trouble_until(h, access(path, F_OK) == 0);
	trouble_expect(h, "s", "agent.stop", "{\"agent\":1}", "", "");
	for (int i = 0; i < 2; i++) { /* told, TERM, KILL: without waiting for the deadlines */
		m->agent.deadline_ms = 1;
		supervisor_arm(m);
		trouble_until(h, m->agent.deadline_ms != 1);
	}
	trouble_until(h, m->agent.process == PROCESS_NONE);
	assert_int_equal(m->exit_code, -SIGKILL);
	assert_int_equal(m->agent.state, AGENT_STOPPED);
}

/* --- deleting --- */

static void test_delete(void **state)
{
	static const char *const refused[] = {"INSERT ON events WHEN NEW.kind='deleted'",
		"DELETE ON agents", "INSERT ON requests"};
	struct harness *h = *state;
	struct member *m = ended(h);
	_cleanup_json_ cJSON *answer = NULL;
	sqlite3 *db;

	trouble_workers(h, "exit 1");
	db = trouble_lock(h);
	trouble_expect(h, "d", "agent.delete", "{\"agent\":1}", "sys", "locked");
	trouble_unlock(db);
	trouble_expect(h, "d", "agent.delete", "{\"agent\":1}", "internal",
		"agent 1 is stopped, but could not be removed: errand remove ended with code 1");
	trouble_script(h, "echo '{\"ok\":true,\"saved\":\"refs/100x/agent-1\",\"mirror\":\"/m\"}'");
	for (size_t i = 0; i < 3; i++) {
		trouble_refuse(h, refused[i]);
		trouble_expect(h, "d", "agent.delete", "{\"agent\":1}", "sys",
			"agent 1 is stopped, but could not be removed");
		trouble_over(h);
		assert_ptr_equal(fleet_find(&h->s.fleet, 1), m);
		assert_false(m->agent.deleting);
	}
	trouble_refuse(h, "UPDATE ON agents");
	trouble_over(h);
	answer = harness_call(h, "d", "agent.delete", "{\"agent\":1}");
	assert_string_equal(json_str(json_get(answer, "result"), "saved", ""), "refs/100x/agent-1");
	assert_null(fleet_find(&h->s.fleet, 1));
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM agents"), 0);
	trouble_expect(h, "e", "agent.delete", "{\"agent\":1}", "not_found", "no agent 1");
}

static void test_while_deleting(void **state)
{
	struct harness *h = *state;
	struct member *m = ended(h);

	m->agent.deleting = true;
	trouble_expect(h, "a", "agent.tell", "{\"agent\":1,\"text\":\"x\"}", "conflict",
		"is being deleted");
	trouble_expect(h, "b", "agent.delete", "{\"agent\":1}", "conflict", "being deleted");
	trouble_expect(h, "c", "agent.retry", "{\"agent\":1}", "conflict", "being deleted");
	assert_false(m->touched);
}

/* --- the wire --- */

static void frame(struct harness *h, const char *kind, int seq, const char *rest)
{
	char text[512];
	int n = snprintf(text, sizeof(text), "agent/1 %s %d v1\n{\"seq\":%d,\"at\":7,%s}", kind,
		seq, seq, rest);

	ingest_frame(&h->s, text, (size_t)n);
}

static int64_t lines(struct harness *h)
{
	return trouble_number(h, "SELECT ifnull(sum(newlines), 0) FROM outputs");
}

/* Nothing of a batch is taken, and all of it when it comes again: once. */
static void test_events(void **state)
{
	static const char *const refused[] = {"INSERT ON events", "INSERT ON events WHEN NEW.seq=3",
		"INSERT ON outputs", "UPDATE ON agents", "INSERT ON usage"};
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	sqlite3 *db;

	for (size_t i = 0; i <= sizeof(refused) / sizeof(refused[0]) + 1; i++) {
		db = NULL;
		if (i == 0)
			db = trouble_lock(h);
		else if (i == 1)
			trouble_sql(h, "ALTER TABLE outputs RENAME TO away");
		else
			trouble_refuse(h, refused[i - 2]);
		frame(h, "output", 1, "\"stream\":\"aider\",\"text\":\"one\\ntwo\\n\"");
		frame(h, "usage", 2,
			"\"turn\":1,\"role\":\"agent\",\"model\":\"m\",\"tokens_in\":1,"
			"\"tokens_out\":1,\"tokens_cached\":0,\"dollars\":1");
		frame(h, "state", 3, "\"state\":\"waiting\",\"reason\":\"a question\"");
		ingest_commit(&h->s);
		assert_int_equal(m->committed, 0);
		assert_int_equal(m->agent.state, AGENT_WORKING);
		if (i == 0)
			trouble_unlock(db);
		else if (i == 1)
			trouble_sql(h, "ALTER TABLE away RENAME TO outputs");
		else
			trouble_over(h);
		assert_int_equal(trouble_number(h, "SELECT count(*) FROM events"), 0);
		assert_int_equal(lines(h), 0);
	}
	frame(h, "output", 1, "\"stream\":\"aider\",\"text\":\"one\\ntwo\\n\"");
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 1);
	assert_int_equal(lines(h), 2);
	/* Its lines cannot be read: not taken, and counted on from where they are. */
	free(take_ptr(m->lines));
	trouble_sql(h, "ALTER TABLE outputs RENAME TO away");
	frame(h, "output", 2, "\"stream\":\"aider\",\"text\":\"three\\n\"");
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 1);
	trouble_sql(h, "ALTER TABLE away RENAME TO outputs");
	frame(h, "output", 2, "\"stream\":\"aider\",\"text\":\"three\\n\"");
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 2);
	assert_int_equal(lines(h), 3);
}

static void test_worker_next(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	char params[256];
	sqlite3 *db;

	trouble_expect(h, "t", "agent.tell", "{\"agent\":1,\"text\":\"x\"}", "", "");
	/* It has taken over a command. */
	snprintf(params, sizeof(params), NEXT, 1, 0);
	db = trouble_lock(h);
	trouble_expect(h, "a", "worker.next", params, "sys", "locked");
	trouble_unlock(db);
	trouble_refuse(h, "DELETE ON commands");
	trouble_expect(h, "a", "worker.next", params, "sys", "refused");
	trouble_over(h);
	assert_int_equal(m->command_done, 0);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM commands"), 1);
	/* It was told that more is committed than we have: the store is an older copy. */
	snprintf(params, sizeof(params), NEXT, 0, 5);
	db = trouble_lock(h);
	trouble_expect(h, "b", "worker.next", params, "sys", "locked");
	trouble_unlock(db);
	trouble_refuse(h, "UPDATE ON agents");
	trouble_expect(h, "b", "worker.next", params, "sys", "refused");
	trouble_over(h);
	assert_int_equal(m->committed, 0);
	trouble_expect(h, "b", "worker.next", params, "", "");
	assert_int_equal(m->committed, 5);
	assert_int_equal(trouble_number(h, "SELECT sum(json_extract(body,'$.lost_events')) FROM "
					   "events WHERE kind = 'trouble'"),
		5);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_requests, make, tear),
		cmocka_unit_test_setup_teardown(test_reading, make, tear),
		cmocka_unit_test_setup_teardown(test_going_down, make, tear),
		cmocka_unit_test_setup_teardown(test_ended_unsaved, make, tear),
		cmocka_unit_test_setup_teardown(test_unsaved_then_saved, make, tear),
		cmocka_unit_test_setup_teardown(test_not_started_unsaved, make, tear),
		cmocka_unit_test_setup_teardown(test_pid_not_recorded, make, tear),
		cmocka_unit_test_setup_teardown(test_killed_at_last, make, tear),
		cmocka_unit_test_setup_teardown(test_delete, make, tear),
		cmocka_unit_test_setup_teardown(test_while_deleting, make, tear),
		cmocka_unit_test_setup_teardown(test_events, make, tear),
		cmocka_unit_test_setup_teardown(test_worker_next, make, tear),
	};

	return apart_run(argc, argv, "refused", tests, sizeof tests / sizeof tests[0]);
}
