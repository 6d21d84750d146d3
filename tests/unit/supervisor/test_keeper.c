/* What becomes of ended agents, when the store or the errand refuses: reclaiming,
 * restoring, packing, removing, mirrors. Nothing changes, the reason is told, and it is
 * tried again later. */
#include "tests/unit/supervisor/trouble.h"

#include "supervisor/reclaim.h"
#include "supervisor/store_backup.h"
#include "tests/unit/apart.h"

#define SAVED "echo '{\"ok\":true,\"saved\":\"refs/100x/agent-1\",\"mirror\":\"/m\"}'"
#define MINUTE (60 * 1000)

static int make(void **state)
{
	struct harness *h = *state = harness_new();

	h->s.queue.limit = 0; /* nobody is to start */
	trouble_workers(h, SAVED);
	return 0;
}

static int tear(void **state)
{
	trouble_free(*state);
	return 0;
}

/* One that ended an hour ago, with a workspace and some output. */
static struct member *ended(struct harness *h, int events)
{
	struct member *m = harness_agent(h, true);
	struct agent_input in = {.event = AGENT_EXITED, .code = 100};
	char text[256];
	int n;

	for (int i = 1; i <= events; i++) {
		n = snprintf(text, sizeof(text),
			"agent/%lld output %d v1\n{\"seq\":%d,\"at\":7,\"stream\":\"aider\","
			"\"text\":\"line %d\\n\"}",
			(long long)m->id, i, i, i);
		ingest_frame(&h->s, text, (size_t)n);
	}
	ingest_commit(&h->s);
	assert_int_equal(m->committed, events);
	supervisor_happened(&h->s, m, &in);
	assert_int_equal(m->agent.state, AGENT_FAILED);
	m->workspace = true;
	m->ended_ms -= 60 * MINUTE;
	return m;
}

static int64_t reclaimed(struct harness *h)
{
	return trouble_number(
		h, "SELECT count(*) FROM agents WHERE id=1 AND reclaimed_at IS NOT NULL");
}

/* --- asked by a person --- */

static void test_refusals(void **state)
{
	struct harness *h = *state;
	struct member *m = ended(h, 0);

	trouble_expect(h, "a", "agent.reclaim", "{\"agent\":9}", "not_found", "no agent 9");
	trouble_expect(h, "a", "agent.restore", "{\"agent\":9}", "not_found", "name a folder");
	trouble_expect(h, "a", "agent.restore", "{\"agent\":1,\"path\":\"here\"}", "invalid",
		"path: should be a full path, is \"here\"");
	trouble_expect(h, "a", "agent.restore", "{\"agent\":1}", "conflict",
		"the workspace of agent 1 is there: ");
	m->workspace = false;
	trouble_expect(
		h, "a", "agent.reclaim", "{\"agent\":1}", "conflict", "agent 1 has no workspace");
	m->workspace = m->moving = true;
	trouble_expect(
		h, "a", "agent.reclaim", "{\"agent\":1}", "conflict", "try again in a moment");
	trouble_expect(
		h, "a", "agent.restore", "{\"agent\":1}", "conflict", "try again in a moment");
	trouble_expect(h, "a", "agent.retry", "{\"agent\":1}", "conflict", "just being reclaimed");
	trouble_expect(h, "a", "agent.delete", "{\"agent\":1}", "conflict", "just being reclaimed");
	m->moving = false;
	m->agent.deleting = true;
	trouble_expect(h, "a", "agent.reclaim", "{\"agent\":1}", "conflict", "is being deleted");
	m->agent.deleting = false;
	m->agent.process = PROCESS_RUNNING;
	trouble_expect(h, "a", "agent.reclaim", "{\"agent\":1}", "conflict", "is still ending");
	m->agent.process = PROCESS_NONE;
	assert_int_equal(h->s.errands.lanes[ERRAND_KEEP].running, 0);
	assert_int_equal(reclaimed(h), 0);
}

static void test_reclaim_and_restore(void **state)
{
	static const char *const refused[] = {"INSERT ON events", "INSERT ON requests",
		"UPDATE ON agents WHEN NEW.reclaimed_at IS NOT NULL"};
	struct harness *h = *state;
	struct member *m = ended(h, 0);
	_cleanup_json_ cJSON *answer = NULL;
	sqlite3 *db = trouble_lock(h);

	trouble_expect(h, "r", "agent.reclaim", "{\"agent\":1}", "sys", "locked");
	trouble_unlock(db);
	/* Where the work will be is recorded first; if that fails, nothing is begun. */
	trouble_refuse(h, "UPDATE ON agents");
	trouble_expect(h, "r", "agent.reclaim", "{\"agent\":1}", "sys", "refused by the test");
	trouble_over(h);
	assert_false(m->moving);
	trouble_script(h, "exit 1");
	trouble_expect(h, "r", "agent.reclaim", "{\"agent\":1}", "internal",
		"agent 1: errand reclaim ended with code 1");
	assert_true(m->workspace && !m->moving);
	assert_true(m->reclaim_not_before_ms > clock_wall_ms());
	trouble_script(h, SAVED);
	for (size_t i = 0; i < 3; i++) {
		trouble_refuse(h, refused[i]);
		trouble_expect(h, "r", "agent.reclaim", "{\"agent\":1}", "sys", "agent 1: ");
		trouble_over(h);
		assert_true(m->workspace && !m->moving);
		assert_int_equal(reclaimed(h), 0);
	}
	answer = harness_call(h, "r", "agent.reclaim", "{\"agent\":1}");
	assert_string_equal(json_str(json_get(answer, "result"), "saved", ""), "refs/100x/agent-1");
	assert_false(m->workspace);
	assert_int_equal(reclaimed(h), 1);
	trouble_refuse(h, "INSERT ON events");
	trouble_expect(h, "b", "agent.restore", "{\"agent\":1}", "sys", "refused");
	trouble_over(h);
	assert_false(m->workspace);
	trouble_expect(h, "b", "agent.restore", "{\"agent\":1}", "", "");
	assert_true(m->workspace);
	assert_int_equal(reclaimed(h), 0);
	assert_int_equal(
		trouble_number(h, "SELECT count(*) FROM events WHERE kind='workspace'"), 2);
}

/* A copy into a folder changes no row; also of an agent that is gone. */
static void test_restore_elsewhere(void **state)
{
	static const char params[] = "{\"agent\":9,\"path\":\"/x\"}";
	struct harness *h = *state;
	sqlite3 *db;

	trouble_refuse(h, "INSERT ON requests");
	trouble_expect(h, "a", "agent.restore", params, "sys", "refused by the test");
	trouble_over(h);
	db = trouble_lock(h);
	trouble_expect(h, "a", "agent.restore", params, "sys", "locked");
	trouble_unlock(db);
	trouble_expect(h, "a", "agent.restore", params, "", "");
	trouble_script(h, "exit 1"); /* asked again: answered from what was kept */
	trouble_expect(h, "a", "agent.restore", params, "", "");
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM events"), 0);
}

/* --- by itself --- */

static uint64_t keeper_due_ms(const struct harness *h)
{
	return uv_timer_get_due_in(&h->s.keeper.timer);
}

static void keep(struct harness *h, const char *general)
{
	char params[256];
	static int n;

	snprintf(params, sizeof(params), "{\"general\":%s}", general);
	n++;
	snprintf(params + 200, 20, "k%d", n);
	trouble_expect(h, params + 200, "config.set", params, "", "");
}

static void test_reclaim_by_itself(void **state)
{
	struct harness *h = *state;
	struct member *m = ended(h, 0), *second = ended(h, 0);

	m->packed = second->packed = true;
	m->ended_ms -= 60 * MINUTE;
	second->ended_ms -= 60 * MINUTE;
	keep(h, "{\"reclaim_after_hours\":1}");
	trouble_refuse(h, "UPDATE ON agents");
	keeper_init(&h->s);
	trouble_until(h, m->reclaim_not_before_ms && second->reclaim_not_before_ms);
	assert_true(m->reclaim_not_before_ms <= clock_wall_ms() + KEEPER_LATER_MS);
	assert_int_equal(h->s.errands.lanes[ERRAND_KEEP].running, 0);
	trouble_over(h);
	/* The errand fails: hours later again; the other one is not kept waiting by it. */
	trouble_script(h, "exit 1");
	m->reclaim_not_before_ms = second->reclaim_not_before_ms = 0;
	keeper_kick(&h->s);
	trouble_until(h, m->reclaim_not_before_ms && second->reclaim_not_before_ms);
	assert_true(m->reclaim_not_before_ms > clock_wall_ms() + KEEPER_LATER_MS);
	assert_true(m->workspace && !h->s.keeper.reclaiming);
	trouble_script(h, SAVED);
	m->reclaim_not_before_ms = second->reclaim_not_before_ms = 0;
	keeper_kick(&h->s);
	trouble_until(h, !m->workspace && !second->workspace && !h->s.keeper.reclaiming);
	assert_int_equal(reclaimed(h), 1);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM requests WHERE id LIKE 'r%'"), 0);
}

static void test_pack_and_drop(void **state)
{
	struct harness *h = *state;
	struct member *m = ended(h, 200);
	sqlite3 *db;

	m->workspace = false;
	keep(h, "{\"compress_after_minutes\":1}");
	trouble_refuse(h, "INSERT ON segments");
	keeper_init(&h->s);
	trouble_until(h, keeper_due_ms(h) > MINUTE / 2); /* a failure: later */
	assert_int_equal(h->s.keeper.step.what, RETENTION_NOTHING);
	assert_false(m->packed || m->segments);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM events WHERE kind='output'"), 200);
	trouble_over(h);
	db = trouble_lock(h);
	keeper_kick(&h->s);
	trouble_until(h, keeper_due_ms(h) > MINUTE / 2);
	trouble_unlock(db);
	/* Nothing is moved about on a full disk. */
	h->s.disk.full = true;
	keeper_kick(&h->s);
	trouble_until(h, keeper_due_ms(h) > MINUTE / 2);
	assert_false(m->packed);
	h->s.disk.full = false;
	keeper_kick(&h->s);
	trouble_until(h, m->packed);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM events WHERE kind='output'"), 0);
	/* Too old now: goes, and is told. */
	m->ended_ms -= 48LL * 60 * MINUTE;
	trouble_refuse(h, "DELETE ON segments");
	keep(h, "{\"keep_days\":1}");
	trouble_until(h, keeper_due_ms(h) > MINUTE / 2 && keeper_due_ms(h) <= MINUTE);
	assert_true(m->segments);
	trouble_over(h);
	db = trouble_lock(h);
	keeper_kick(&h->s);
	trouble_until(h, keeper_due_ms(h) > MINUTE / 2 && keeper_due_ms(h) <= MINUTE);
	trouble_unlock(db);
	assert_true(m->segments);
	keeper_kick(&h->s);
	trouble_until(h, !m->segments);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM segments"), 0);
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM events WHERE kind='trouble' AND "
					   "body LIKE '%older than 1 days (keep_days)%'"),
		1);
	/* Going down: nothing is begun any more. */
	h->s.going_down = true;
	keeper_kick(&h->s);
	trouble_until(h, !uv_is_active((uv_handle_t *)&h->s.keeper.timer));
	h->s.going_down = false;
}

/* Room in the file that is not soon needed is given back in small steps. */
static void test_shrink(void **state)
{
	struct harness *h = *state;
	int64_t used, spare;
	struct err e;
	sqlite3 *db;

	trouble_sql(h,
		"CREATE TABLE ballast(x); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT "
		"i+1 FROM n WHERE i<24) INSERT INTO ballast SELECT zeroblob(1000000) FROM n; "
		"DROP TABLE ballast");
	assert_int_equal(store_bytes(h->s.store, &used, &spare, &e), 0);
	assert_true(spare > KEEPER_SPARE_BYTES);
	db = trouble_lock(h);
	keeper_init(&h->s);
	trouble_until(h, keeper_due_ms(h) > MINUTE);
	trouble_unlock(db);
	assert_int_equal(store_bytes(h->s.store, &used, &spare, &e), 0);
	assert_true(spare > KEEPER_SPARE_BYTES);
	keeper_kick(&h->s);
	trouble_until(h, keeper_due_ms(h) > MINUTE);
	assert_int_equal(store_bytes(h->s.store, &used, &spare, &e), 0);
	assert_true(spare <= KEEPER_SPARE_BYTES);
	assert_true(spare > KEEPER_SPARE_BYTES / 2);
}

static void test_mirrors(void **state)
{
	struct harness *h = *state;
	_cleanup_free_ char *question = NULL;

	ended(h, 0);
	trouble_script(h, "cat >question; echo '{\"ok\":true,\"removed\":2}'");
	keep(h, "{\"reclaim_after_hours\":0}");
	reclaim_mirrors(&h->s); /* nothing is ever removed */
	assert_int_equal(h->s.errands.lanes[ERRAND_KEEP].running, 0);
	keep(h, "{\"reclaim_after_hours\":2}");
	reclaim_mirrors(&h->s);
	trouble_until(h, h->s.errands.lanes[ERRAND_KEEP].running == 0);
	question = trouble_read(h, "question");
	assert_string_equal(question, "{\"idle_ms\":7200000,\"repositories\":[\"/r\"]}");
	/* Which ones are in use is not known: none is removed. */
	trouble_sql(h, "PRAGMA legacy_alter_table=ON; ALTER TABLE tasks RENAME TO away");
	reclaim_mirrors(&h->s);
	assert_int_equal(h->s.errands.lanes[ERRAND_KEEP].running, 0);
	trouble_sql(h, "PRAGMA legacy_alter_table=ON; ALTER TABLE away RENAME TO tasks");
	trouble_script(h, "exit 1");
	reclaim_mirrors(&h->s);
	assert_int_equal(h->s.errands.lanes[ERRAND_KEEP].running, 1);
	trouble_until(h, h->s.errands.lanes[ERRAND_KEEP].running == 0);
}

/* --- every hour --- */

static int64_t answers(struct harness *h)
{
	return trouble_number(h, "SELECT count(*) FROM requests");
}

static int64_t copies(struct harness *h)
{
	char command[256];
	_cleanup_free_ char *text = NULL;

	snprintf(command, sizeof(command), "ls %s/backups 2>/dev/null | wc -l >%s/count", h->folder,
		h->folder);
	assert_int_equal(system(command), 0);
	text = trouble_read(h, "count");
	return strtoll(text, NULL, 10);
}

static void hour(struct harness *h)
{
	hourly_do(&h->s);
	trouble_until(h, !h->s.backup.running && h->s.errands.lanes[ERRAND_KEEP].running == 0);
}

static void test_hourly(void **state)
{
	struct harness *h = *state;
	struct err e;
	sqlite3 *db;
	char path[128];

	snprintf(path, sizeof(path), "%s/tasks.db", h->folder);
	backup_init(&h->s.backup, path);
	ended(h, 0);
	trouble_expect(h, "a", "agent.pause", "{\"agent\":1}", "conflict", "retry it first");
	keep(h, "{\"reclaim_after_hours\":1}");
	hour(h);
	keep(h, "{\"reclaim_after_hours\":2}");
	for (int i = 0; i < HOURLY_KEEP_ANSWERS; i++)
		hour(h);
	assert_int_equal(answers(h), 2); /* not a day yet since a later one was seen */
	assert_int_equal(copies(h), STORE_BACKUPS_KEPT);
	db = trouble_lock(h);
	hour(h);
	trouble_unlock(db);
	trouble_refuse(h, "DELETE ON requests");
	hour(h);
	trouble_over(h);
	assert_int_equal(answers(h), 2);
	hour(h);
	assert_int_equal(answers(h), 1);
	trouble_sql(h, "DELETE FROM requests");
	/* At a start: a day by their own dates, counted from the newest. */
	trouble_sql(h, "INSERT INTO requests VALUES('old','x',1),('new','y',86400002)");
	assert_int_equal(store_begin(h->s.store, false, &e), 0);
	assert_int_equal(hourly_purge(&h->s, &e), 0);
	assert_int_equal(store_commit(h->s.store, &e), 0);
	assert_int_equal(answers(h), 1);
	/* No copy is made on a full disk. */
	keep(h, "{\"limit_turns\":3}");
	trouble_until(h, !uv_is_active((uv_handle_t *)&h->s.kick_timer)); /* looks at the disk */
	h->s.disk.full = true;
	hourly_do(&h->s);
	assert_false(h->s.backup.running);
	trouble_until(h, h->s.errands.lanes[ERRAND_KEEP].running == 0);
	h->s.disk.full = false;
}

/* A copy asked for while one is being made; a copy that cannot be made. */
static void test_backup(void **state)
{
	struct harness *h = *state;
	_cleanup_json_ cJSON *answer = NULL;
	struct harness_answer a;
	char path[128];
	struct err e;

	snprintf(path, sizeof(path), "%s/tasks.db", h->folder);
	backup_init(&h->s.backup, path);
	assert_int_equal(backup_make(&h->s.backup, &h->loop, NULL, NULL, &e), 0);
	trouble_expect(h, "a", "backup.make", "{}", "conflict", "is being made already");
	trouble_until(h, !h->s.backup.running);
	answer = harness_call(h, "a", "backup.make", "{}");
	assert_int_equal(access(json_str(json_get(answer, "result"), "path", ""), R_OK), 0);
	snprintf(h->s.backup.path, sizeof(h->s.backup.path), "%s/gone/tasks.db", h->folder);
	trouble_expect(h, "b", "backup.make", "{}", "sys", "/gone/");
	harness_ask(h, &a, "{\"jsonrpc\":\"2.0\",\"id\":\"c\",\"method\":\"status\"}");
	trouble_until(h, a.over);
	cJSON_Delete(a.root);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusals, make, tear),
		cmocka_unit_test_setup_teardown(test_reclaim_and_restore, make, tear),
		cmocka_unit_test_setup_teardown(test_restore_elsewhere, make, tear),
		cmocka_unit_test_setup_teardown(test_reclaim_by_itself, make, tear),
		cmocka_unit_test_setup_teardown(test_pack_and_drop, make, tear),
		cmocka_unit_test_setup_teardown(test_shrink, make, tear),
		cmocka_unit_test_setup_teardown(test_mirrors, make, tear),
		cmocka_unit_test_setup_teardown(test_hourly, make, tear),
		cmocka_unit_test_setup_teardown(test_backup, make, tear),
	};

	return apart_run(argc, argv, "keeper", tests, sizeof tests / sizeof tests[0]);
}
