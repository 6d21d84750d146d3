/* tasks.db: made, opened again, refused when foreign or newer; projection; answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "supervisor/store.h"
#include "supervisor/store_backup.h"

/* Takes away what later versions added to the first one's tables. */
#define FIRST_RELEASE                                                                              \
	"DROP TABLE outputs;DROP TABLE output_blocks;DROP INDEX events_activity;DROP TABLE "       \
	"costs;ALTER TABLE agents DROP COLUMN archived;"                                           \
	"ALTER TABLE agents DROP COLUMN state_at;ALTER TABLE tasks DROP COLUMN winner;"            \
	"ALTER TABLE turns DROP COLUMN idle_ms;"                                                   \
	"DROP TABLE segments;ALTER TABLE agents DROP COLUMN packed;"                               \
	"ALTER TABLE agents DROP COLUMN removed_events;ALTER TABLE agents DROP COLUMN removed_id;" \
	"ALTER TABLE agents DROP COLUMN reclaimed_at;ALTER TABLE agents DROP COLUMN saved;"        \
	"CREATE UNIQUE INDEX events_seq ON events(subject,seq) WHERE stream='agent' AND seq>0;"    \
	"PRAGMA user_version=1"

struct place {
	char folder[64], path[80];
};

static int make(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	snprintf(p->folder, sizeof(p->folder), "/tmp/100x-store-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof(p->path), "%s/tasks.db", p->folder);
	*state = p;
	return 0;
}

static void remove_store(const char *path)
{
	static const char *const leaves[] = {"", "-wal", "-shm"};
	char leaf[PATHS_MAX + 8];

	for (size_t i = 0; i < 3; i++) {
		snprintf(leaf, sizeof(leaf), "%s%s", path, leaves[i]);
		unlink(leaf);
	}
}

static int tear(void **state)
{
	struct place *p = *state;

	remove_store(p->path);
	assert_int_equal(rmdir(p->folder), 0);
	free(p);
	return 0;
}

static struct store *open_store(void **state)
{
	const struct place *p = *state;
	struct err e;
	struct store *s = store_open(p->path, &e);

	if (!s)
		fail_msg("%s", e.text);
	return s;
}

static int64_t add_agent(struct store *s, const char *repository)
{
	struct store_task t = {.repository = repository,
		.base = "main",
		.title = "T\"itle",
		.description = "words",
		.aider_arguments = "",
		.test_command = "make check",
		.permission = "allow",
		.agent_model = "",
		.aider_model = "openai/x",
		.agents = 1,
		.limit_turns = 7,
		.manager = true,
		.pull_request = true};
	int64_t task, agent;
	struct err e;

	assert_int_equal(store_task_add(s, &t, 1000, &task, &e), 0);
	assert_int_equal(store_agent_add(s, task, "queued", 1000, &agent, &e), 0);
	return agent;
}

static void execute(const char *path, const char *sql)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
}

static char *content(const char *path, size_t *n)
{
	_cleanup_fclose_ FILE *f = fopen(path, "r");
	char *text = malloc(1 << 20);

	assert_non_null(f);
	*n = fread(text, 1, 1 << 20, f);
	return text;
}

static void test_create_and_reopen(void **state)
{
	const struct place *p = *state;
	struct store *s = open_store(state);
	struct stat st;
	struct err e;
	int64_t agent;

	assert_int_equal(stat(p->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(store_begin(s, true, &e), 0);
	agent = add_agent(s, "/r");
	assert_int_equal(store_commit(s, &e), 0);
	store_close(s);
	s = open_store(state);
	_cleanup_json_ cJSON *j = store_agent(s, agent, &e);
	assert_non_null(j);
	assert_string_equal(json_str(j, "title", ""), "T\"itle");
	assert_string_equal(json_str(j, "branch", ""), "agent-1");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(j, "pid")));
	assert_null(store_agent(s, 99, &e));
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	store_close(s);
}

static void refused(void **state, const char *sql, const char *words)
{
	const struct place *p = *state;
	struct err e;
	size_t before_len, after_len;
	_cleanup_free_ char *before = NULL, *after = NULL;

	execute(p->path, sql);
	before = content(p->path, &before_len);
	assert_null(store_open(p->path, &e));
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_non_null(strstr(e.text, words));
	assert_non_null(strstr(e.text, p->path));
	after = content(p->path, &after_len);
	assert_int_equal(before_len, after_len);
	assert_memory_equal(before, after, before_len);
}

static void test_refuses_newer(void **state)
{
	refused(state,
		"CREATE TABLE tasks(x);PRAGMA application_id=825241720;PRAGMA user_version=99",
		"newer program");
}

static void test_refuses_foreign(void **state)
{
	refused(state, "CREATE TABLE songs(x);INSERT INTO songs VALUES(1)", "another program");
}

static void test_refuses_foreign_application(void **state)
{
	refused(state, "PRAGMA application_id=4711;CREATE TABLE t(x)", "another program");
}

static void test_refuses_damaged(void **state)
{
	const struct place *p = *state;
	_cleanup_fclose_ FILE *f = fopen(p->path, "w");
	struct err e;
	int i;

	for (i = 0; i < 400; i++)
		fputs("this is no database at all ", f);
	fflush(f);
	assert_null(store_open(p->path, &e));
	assert_non_null(strstr(e.text, "damaged"));
}

static int project(struct store *s, int64_t agent, enum event_kind kind, const char *body)
{
	struct err e;
	int64_t id;

	assert_int_equal(store_event_add(s, "agent", agent, 0, event_kind_word(kind), 5, body,
				 strlen(body), &id, &e),
		0);
	return store_project(s, agent, kind, body, strlen(body), id, 5, &e);
}

static void test_projection(void **state)
{
	struct store_defaults d = {.agent_model = "openai/y",
		.aider_model = "openai/z",
		.limit_turns = 50,
		.limit_minutes = 120,
		.limit_dollars = 5};
	struct store *s = open_store(state);
	struct err e;
	int64_t agent;
	const cJSON *turn;

	assert_int_equal(store_begin(s, false, &e), 0);
	agent = add_agent(s, "/r");
	assert_int_equal(project(s, agent, EVENT_TURN,
				 "{\"turn\":1,\"phase\":\"started\",\"source\":\"task\","
				 "\"prompt\":\"do it\"}"),
		0);
	assert_int_equal(project(s, agent, EVENT_USAGE,
				 "{\"turn\":1,\"role\":\"aider\",\"model\":\"m\",\"tokens_in\":10,"
				 "\"tokens_out\":3,\"tokens_cached\":1,\"dollars\":0.5}"),
		0);
	assert_int_equal(project(s, agent, EVENT_USAGE,
				 "{\"turn\":1,\"role\":\"agent\",\"model\":\"m\",\"tokens_in\":1,"
				 "\"tokens_out\":1,\"dollars\":null}"),
		0);
	assert_int_equal(project(s, agent, EVENT_TURN,
				 "{\"turn\":1,\"phase\":\"ended\",\"stop_reason\":\"end_turn\"}"),
		0);
	assert_int_equal(
		project(s, agent, EVENT_DECISION,
			"{\"turn\":1,\"progress\":\"p\",\"thought\":\"t\",\"action\":\"/finish\","
			"\"future\":\"f\",\"accepted\":true}"),
		0);
	assert_int_equal(project(s, agent, EVENT_DECISION,
				 "{\"turn\":1,\"progress\":\"bad\",\"accepted\":false}"),
		0);
	assert_int_equal(project(s, agent, EVENT_DIFF,
				 "{\"files\":[{\"path\":\"a\"},{\"path\":\"b\"}],\"added\":4,"
				 "\"removed\":-2}"),
		0);
	assert_int_equal(project(s, agent, EVENT_TEST, "{\"passed\":true}"), 0);
	assert_int_equal(project(s, agent, EVENT_PULL_REQUEST, "{\"url\":\"https://h/p/1\"}"), 0);
	/* Nonsense changes nothing. */
	assert_int_equal(project(s, agent, EVENT_TURN, "{\"turn\":2,\"phase\":\"lost\"}"), -1);
	assert_int_equal(project(s, agent, EVENT_DIFF, "{\"files\":["), -1);
	assert_int_equal(project(s, agent, EVENT_USAGE,
				 "{\"turn\":1,\"tokens_in\":-5,\"tokens_out\":1e300}"),
		0);
	assert_int_equal(store_commit(s, &e), 0);

	_cleanup_json_ cJSON *j = store_agent(s, agent, &e);
	assert_int_equal(json_int(j, "tokens_in", 0), 11);
	assert_int_equal(json_int(j, "tokens_out", 0), 4);
	assert_true(json_num(j, "dollars", 0) == 0.5);
	assert_string_equal(json_str(j, "progress", ""), "p");
	assert_int_equal(json_int(j, "files", 0), 2);
	assert_int_equal(json_int(j, "added", 0), 4);
	assert_int_equal(json_int(j, "removed", 9), 0);
	assert_string_equal(json_str(j, "tests", ""), "passed");
	assert_string_equal(json_str(j, "pull_request", ""), "https://h/p/1");
	assert_true(store_agent_has_pull_request(s, agent));
	_cleanup_json_ cJSON *turns = store_turns(s, agent, &e);
	assert_int_equal(cJSON_GetArraySize(turns), 1);
	turn = turns->child;
	assert_string_equal(json_str(turn, "stop_reason", ""), "end_turn");
	assert_string_equal(json_str(turn, "action", ""), "/finish");
	assert_int_equal(json_int(turn, "tokens_in", 0), 11);
	/* What the task leaves open comes from the configuration. */
	_cleanup_json_ cJSON *task = store_task(s, 1, &d, &e);
	assert_string_equal(json_str(json_get(task, "models"), "agent", ""), "openai/y");
	assert_string_equal(json_str(json_get(task, "models"), "aider", ""), "openai/x");
	assert_int_equal(json_int(json_get(task, "limits"), "turns", 0), 7);
	assert_int_equal(json_int(json_get(task, "limits"), "minutes", 0), 120);
	store_close(s);
}

static void test_events_after(void **state)
{
	struct store *s = open_store(state);
	struct err e;
	int64_t id, last;
	int i;

	assert_int_equal(store_begin(s, false, &e), 0);
	for (i = 1; i <= 10; i++)
		assert_int_equal(store_event_add(s, "agent", 1 + i % 2, i,
					 i % 3 ? "output" : "state", i, "{}", 2, &id, &e),
			0);
	assert_int_equal(store_commit(s, &e), 0);
	assert_int_equal(store_last_event(s), 10);
	_cleanup_json_ cJSON *all = store_events_after(s, 4, 0, 0, 3, &last, &e);
	assert_int_equal(cJSON_GetArraySize(all), 3);
	assert_int_equal(last, 7);
	_cleanup_json_ cJSON *one = store_events_after(s, 0, 2, 0, 100, &last, &e);
	assert_int_equal(cJSON_GetArraySize(one), 5);
	assert_int_equal(last, 10);
	_cleanup_json_ cJSON *kinds =
		store_events_after(s, 0, 0, 1u << EVENT_STATE, 100, &last, &e);
	assert_int_equal(cJSON_GetArraySize(kinds), 3);
	assert_int_equal(last, 10);
	assert_true(store_json_valid(s, "{\"a\":[1]}", 9));
	assert_false(store_json_valid(s, "{a:1}", 5));
	/* Ids that may have been seen and lost are not given again. */
	assert_int_equal(store_events_skip(s, &e), 0);
	assert_int_equal(store_last_event(s), 10);
	assert_int_equal(store_begin(s, false, &e), 0);
	assert_int_equal(store_event_add(s, "agent", 1, 1, "state", 1, "{}", 2, &id, &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	assert_int_equal(id, 1000011);
	store_close(s);
}

static void see_seq(void *arg, const struct store_agent_row *row)
{
	*(int64_t *)arg = row->committed_seq;
}

/* A store of the first release keeps what it has, and its costs are counted up. */
static void test_upgrade(void **state)
{
	const struct place *p = *state;
	struct store *s = open_store(state);
	char path[PATHS_MAX], copy[PATHS_MAX];
	struct err e;
	int64_t agent, id, i, seq = 0;

	assert_int_equal(store_begin(s, false, &e), 0);
	agent = add_agent(s, "/r");
	assert_int_equal(project(s, agent, EVENT_USAGE,
				 "{\"turn\":1,\"role\":\"aider\",\"model\":\"m\",\"tokens_in\":10,"
				 "\"tokens_out\":3,\"tokens_cached\":1,\"dollars\":0.5}"),
		0);
	assert_int_equal(
		project(s, agent, EVENT_OUTPUT, "{\"stream\":\"log\",\"text\":\"one\\ntwo\\nth\"}"),
		0);
	for (i = 1; i <= 2; i++)
		assert_int_equal(
			store_event_add(s, "agent", agent, i, "progress", 5, "{}", 2, &id, &e), 0);
	assert_int_equal(store_event_add(s, "agent", agent, 0, "state", 5, "{}", 2, &id, &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	store_close(s);
	execute(p->path, FIRST_RELEASE);
	s = open_store(state);
	execute(p->path, "CREATE INDEX events_seq ON events(id)"); /* fails if it is there */
	execute(p->path, "DROP INDEX events_seq");
	assert_int_equal(store_agents_load(s, see_seq, &seq, &e), 0);
	assert_int_equal(seq, 2);
	_cleanup_json_ cJSON *costs = store_costs(s, 0, 0, &e);
	assert_int_equal(cJSON_GetArraySize(costs), 1);
	assert_int_equal(json_int(costs->child, "tokens_in", 0), 10);
	assert_true(json_num(costs->child, "dollars", 0) == 0.5);
	_cleanup_json_ cJSON *j = store_agent(s, agent, &e);
	assert_false(json_bool(j, "archived", true));
	assert_int_equal(json_int(j, "lines", 0), 3);
	assert_string_equal(json_str(j, "last_line", ""), "th");
	assert_int_equal(json_int(j, "state_at", 0), json_int(j, "updated_at", 1));
	/* Costs outlive their agent. */
	assert_int_equal(store_begin(s, false, &e), 0);
	assert_int_equal(store_agent_delete(s, agent, &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	_cleanup_json_ cJSON *after = store_costs(s, 0, 0, &e);
	assert_int_equal(cJSON_GetArraySize(after), 1);
	store_close(s);
	assert_int_equal(store_backup_newest(p->path, copy, &e), 0);
	remove_store(copy);
	assert_int_equal(rmdir(store_backup_folder(p->path, path)), 0);
}

static void test_commands(void **state)
{
	struct store *s = open_store(state);
	struct err e;

	assert_int_equal(store_begin(s, true, &e), 0);
	assert_int_equal(store_command_add(s, 1, 1, "tell", "{\"text\":\"a\"}", 1, &e), 0);
	assert_int_equal(store_command_add(s, 1, 2, "stop", "{}", 1, &e), 0);
	assert_int_equal(store_command_add(s, 2, 1, "pause", "{}", 1, &e), 0);
	assert_int_equal(store_commands_defuse(s, 1, &e), 0);
	assert_int_equal(store_commands_done(s, 1, 1, &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	_cleanup_json_ cJSON *one = store_commands_after(s, 1, 0, &e);
	assert_int_equal(cJSON_GetArraySize(one), 1);
	assert_int_equal(json_int(one->child, "n", 0), 2);
	assert_string_equal(json_str(one->child, "kind", ""), "resume");
	_cleanup_json_ cJSON *two = store_commands_after(s, 2, 0, &e);
	assert_string_equal(json_str(two->child, "kind", ""), "pause");
	store_close(s);
}

static void test_requests_and_config(void **state)
{
	struct store *s = open_store(state);
	_cleanup_free_ char *answer = NULL;
	int64_t newest;
	struct err e;

	assert_int_equal(store_requests_newest(s, &newest, &e), 0);
	assert_int_equal(newest, 0);
	assert_int_equal(store_begin(s, true, &e), 0);
	assert_int_equal(store_request_save(s, "abc", "q {}", 100, &e), 0);
	assert_int_equal(store_config_general(s, "max_working", "3", &e), 0);
	assert_int_equal(store_config_model(s, "aider", "openai/\"x", &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	assert_int_equal(store_request_find(s, "abc", &answer, &e), 0);
	assert_string_equal(answer, "q {}");
	_cleanup_json_ cJSON *config = store_config(s, &e);
	assert_int_equal(json_int(json_get(config, "general"), "max_working", 0), 3);
	assert_string_equal(json_str(json_get(config, "models"), "aider", ""), "openai/\"x");
	assert_int_equal(store_begin(s, false, &e), 0);
	/* Later is later, also when the clock was set back. */
	assert_int_equal(store_request_save(s, "def", "q {}", 50, &e), 0);
	assert_int_equal(store_requests_newest(s, &newest, &e), 0);
	assert_int_equal(newest, 101);
	assert_int_equal(store_requests_purge(s, 101, &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	free(take_ptr(answer));
	assert_int_equal(store_request_find(s, "abc", &answer, &e), 0);
	assert_null(answer);
	store_close(s);
}

static void test_delete_and_alive(void **state)
{
	struct store *s = open_store(state);
	_cleanup_free_ int64_t *ids = NULL;
	int64_t a, b, c, id;
	struct err e;
	size_t n;
	bool more;

	assert_int_equal(store_begin(s, true, &e), 0);
	a = add_agent(s, "/one");
	b = add_agent(s, "/one");
	c = add_agent(s, "/two");
	store_event_add(s, "agent", a, 1, "output", 1, "{}", 2, &id, &e);
	assert_int_equal(store_commit(s, &e), 0);
	assert_int_equal(store_agents_alive(s, 0, &ids, &n, &e), 0);
	assert_int_equal(n, 3);
	free(take_ptr(ids));
	assert_int_equal(store_agents_alive(s, a, &ids, &n, &e), 0);
	assert_int_equal(n, 1);
	assert_int_equal(ids[0], b);
	assert_int_equal(store_begin(s, true, &e), 0);
	assert_int_equal(store_agent_delete(s, a, &e), 0);
	assert_int_equal(store_agent_state(s, c, "done", "", true, 9, &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	_cleanup_json_ cJSON *left = store_agent_list(s, NULL, 0, false, 0, &more, &e);
	assert_int_equal(cJSON_GetArraySize(left), 2);
	assert_false(more);
	_cleanup_json_ cJSON *done = store_agent_list(s, "done", 0, false, 0, &more, &e);
	assert_int_equal(cJSON_GetArraySize(done), 1);
	assert_int_equal(json_int(done->child, "ended_at", 0), 9);
	assert_null(store_task(s, 1, &(struct store_defaults){0}, &e));
	store_close(s);
}

static void test_lists_are_bounded(void **state)
{
	struct store_defaults d = {.agent_model = "m", .aider_model = "m"};
	struct store *s = open_store(state);
	_cleanup_free_ char *text = NULL;
	int64_t after = 0, seen = 0;
	bool more = true;
	struct err e;
	int i, pages;

	assert_int_equal(store_begin(s, false, &e), 0);
	for (i = 0; i < 3000; i++)
		add_agent(s, "/a/rather/long/path/to/a/repository/on/this/machine");
	assert_int_equal(store_commit(s, &e), 0);
	for (pages = 0; more; pages++) {
		_cleanup_json_ cJSON *page = store_agent_list(s, NULL, 0, false, after, &more, &e);

		text = json_print(page);
		assert_true(strlen(text) < 1024 * 1024);
		free(take_ptr(text));
		seen += cJSON_GetArraySize(page);
		after = json_int(cJSON_GetArrayItem(page, cJSON_GetArraySize(page) - 1), "id", 0);
	}
	assert_int_equal(seen, 3000);
	assert_true(pages > 1);
	_cleanup_json_ cJSON *tasks = store_task_list(s, 0, &d, &more, &e);
	assert_true(more);
	store_close(s);
}

static void test_checkpoint(void **state)
{
	const struct place *p = *state;
	struct store *s = open_store(state);
	struct store_log log;
	struct err e;
	int64_t id;
	int i;

	for (i = 1; store_log_pages(s) < 200; i++) {
		assert_int_equal(store_begin(s, false, &e), 0);
		assert_int_equal(
			store_event_add(s, "agent", 1, i, "output", 1, "{}", 2, &id, &e), 0);
		assert_int_equal(store_commit(s, &e), 0);
	}
	assert_int_equal(store_checkpoint_file(p->path, &log, &e), 0);
	assert_in_range(log.pages, 200, 300);
	assert_int_equal(log.moved, log.pages);
	assert_int_equal(store_begin(s, false, &e), 0);
	assert_int_equal(store_event_add(s, "agent", 1, i, "output", 1, "{}", 2, &id, &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	assert_in_range(store_log_pages(s), 1, 20); /* it began afresh */
	assert_int_equal(store_last_event(s), i);
	store_close(s);
}

/* The row's committed_seq may lag behind: the events count. */
static void check_row(void *arg, const struct store_agent_row *row)
{
	*(int64_t *)arg = row->committed_seq;
}

static void test_committed_seq(void **state)
{
	struct store *s = open_store(state);
	int64_t agent, id, seq = 0;
	struct err e;

	assert_int_equal(store_begin(s, true, &e), 0);
	agent = add_agent(s, "/r");
	store_event_add(s, "agent", agent, 0, "state", 1, "{}", 2, &id, &e);
	store_event_add(s, "agent", agent, 1, "output", 1, "{}", 2, &id, &e);
	store_event_add(s, "agent", agent, 2, "output", 1, "{}", 2, &id, &e);
	store_event_add(s, "task", agent, 0, "created", 1, "{}", 2, &id, &e);
	assert_int_equal(store_commit(s, &e), 0);
	assert_int_equal(store_agents_load(s, check_row, &seq, &e), 0);
	assert_int_equal(seq, 2);
	store_close(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_create_and_reopen, make, tear),
		cmocka_unit_test_setup_teardown(test_refuses_newer, make, tear),
		cmocka_unit_test_setup_teardown(test_upgrade, make, tear),
		cmocka_unit_test_setup_teardown(test_refuses_foreign, make, tear),
		cmocka_unit_test_setup_teardown(test_refuses_foreign_application, make, tear),
		cmocka_unit_test_setup_teardown(test_refuses_damaged, make, tear),
		cmocka_unit_test_setup_teardown(test_projection, make, tear),
		cmocka_unit_test_setup_teardown(test_events_after, make, tear),
		cmocka_unit_test_setup_teardown(test_commands, make, tear),
		cmocka_unit_test_setup_teardown(test_requests_and_config, make, tear),
		cmocka_unit_test_setup_teardown(test_delete_and_alive, make, tear),
		cmocka_unit_test_setup_teardown(test_lists_are_bounded, make, tear),
		cmocka_unit_test_setup_teardown(test_checkpoint, make, tear),
		cmocka_unit_test_setup_teardown(test_committed_seq, make, tear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
