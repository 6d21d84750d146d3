/* Errands: every way in which one can end, and what becomes of the requests that wait. */
#include "tests/unit/supervisor/trouble.h"

#include "supervisor/call.h"
#include "tests/unit/apart.h"

#define SAY(text) "cat >question; echo '" text "'"

static int make(void **state)
{
	*state = harness_new();
	trouble_workers(*state, "");
	return 0;
}

static int tear(void **state)
{
	trouble_free(*state);
	return 0;
}

static void test_endings(void **state)
{
	static const struct {
		const char *script, *kind, *text;
	} table[] = {
		{SAY("{\"ok\":false,\"kind\":\"unavailable\",\"error\":\"no such host\"}"),
			"unavailable", "no such host"},
		{SAY("{\"ok\":false,\"kind\":\"invalid\",\"error\":\"is empty\",\"field\":\"x\"}"),
			"invalid", "x: is empty"},
		{SAY("{\"ok\":false}"), "internal", "errand keys: its answer makes no sense"},
		{SAY("[]"), "internal", "errand keys: its answer makes no sense"},
		{SAY("what?"), "internal", "errand keys: its answer: JSON"},
		{"cat >question", "internal", "errand keys: its answer: JSON"},
		{"exit 3", "internal", "errand keys ended with code 3"},
		{"kill -9 $$", "internal", "errand keys was killed by signal 9"},
		{"head -c 600000 /dev/zero | tr '\\0' ' '", "limit",
			"errand keys: its answer is longer than 524288 bytes"},
	};
	struct harness *h = *state;
	_cleanup_json_ cJSON *answer = NULL;

	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		trouble_script(h, table[i].script);
		trouble_expect(h, "same", "key.list", "{}", table[i].kind, table[i].text);
		assert_int_equal(h->s.errands.lanes[ERRAND_LOOK].running, 0);
	}
	/* None of these was kept. "ok" is between the errand and us. */
	trouble_script(h, SAY("{\"ok\":true,\"keys\":[1]}"));
	answer = harness_call(h, "same", "key.list", "{}");
	assert_int_equal(cJSON_GetArraySize(json_get(json_get(answer, "result"), "keys")), 1);
	assert_null(json_get(json_get(answer, "result"), "ok"));
	assert_null(h->s.calls);
	assert_int_equal(h->s.call_count, 0);
}

/* No more at once than is allowed; the others wait for their turn. */
static void test_at_once(void **state)
{
	struct harness *h = *state;
	struct harness_answer a[ERRAND_LOOKS_AT_ONCE + 3];
	size_t n = sizeof(a) / sizeof(a[0]), i;
	char text[128];
	FILE *f;

	trouble_script(h, "until [ -e go ]; do sleep 0.01; done; echo '{\"ok\":true}'");
	for (i = 0; i < n; i++) {
		snprintf(text, sizeof(text),
			"{\"jsonrpc\":\"2.0\",\"id\":\"k%zu\",\"method\":\"key.list\"}", i);
		harness_ask(h, &a[i], text);
	}
	trouble_until(h, h->s.call_count == (int)n);
	assert_int_equal(h->s.errands.lanes[ERRAND_LOOK].running, ERRAND_LOOKS_AT_ONCE);
	/* In the middle of the list, at its head, at its end: each leaves it whole. */
	snprintf(text, sizeof(text), "%s/go", h->folder);
	f = fopen(text, "we");
	assert_non_null(f);
	fclose(f);
	for (i = 0; i < n; i++) {
		trouble_until(h, a[i].over);
		assert_non_null(json_get(a[i].root, "result"));
		cJSON_Delete(a[i].root);
	}
	assert_int_equal(h->s.call_count, 0);
	assert_null(h->s.calls);
	assert_null(h->s.errands.lanes[ERRAND_LOOK].first);
}

/* The same question from many: one errand answers them; the list of askers is bounded. */
static void test_joined(void **state)
{
	struct harness *h = *state;
	struct harness_answer a[CALL_ASKERS_MAX + 2];
	size_t n = sizeof(a) / sizeof(a[0]), i, answered = 0;
	_cleanup_free_ char *ran = NULL;
	char text[128];
	FILE *f;

	trouble_script(
		h, "echo x >>ran; until [ -e go ]; do sleep 0.01; done; echo '{\"ok\":true}'");
	for (i = 0; i < n; i++)
		harness_ask(
			h, &a[i], "{\"jsonrpc\":\"2.0\",\"id\":\"one\",\"method\":\"key.list\"}");
	trouble_until(h, h->s.calls && h->s.calls->n == CALL_ASKERS_MAX);
	/* Another question under this id is refused while it is under way. */
	trouble_expect(h, "one", "health", "{}", "conflict", "this id was used for another");
	assert_int_equal(h->s.calls->n, CALL_ASKERS_MAX);
	snprintf(text, sizeof(text), "%s/go", h->folder);
	f = fopen(text, "we");
	assert_non_null(f);
	fclose(f);
	trouble_until(h, !h->s.calls);
	for (answered = 0; answered < CALL_ASKERS_MAX; trouble_turn(h)) {
		for (answered = 0, i = 0; i < n; i++)
			answered += a[i].over && json_get(a[i].root, "result");
	}
	ran = trouble_read(h, "ran");
	assert_string_equal(ran, "x\n");
	for (i = 0; i < n; i++)
		cJSON_Delete(a[i].root);
}

static void test_model(void **state)
{
	struct harness *h = *state;
	_cleanup_json_ cJSON *good = NULL, *bad = NULL;

	trouble_script(h, SAY("{\"ok\":true,\"works\":false,\"reason\":\"no key\"}"));
	bad = harness_call(h, "a", "model.test", "{\"model\":\"openai/x\"}");
	assert_false(json_bool(json_get(bad, "result"), "ok", true));
	assert_string_equal(json_str(json_get(bad, "result"), "reason", ""), "no key");
	assert_string_equal(json_str(json_get(bad, "result"), "model", ""), "openai/x");
	trouble_script(h, SAY("{\"ok\":true,\"works\":true}"));
	good = harness_call(h, "b", "model.test", "{\"model\":\"openai/x\"}");
	assert_true(json_bool(json_get(good, "result"), "ok", false));
	trouble_script(h, "exit 1");
	trouble_expect(h, "c", "model.test", "{\"model\":\"openai/x\"}", "internal", "code 1");
}

/* Not being able to look is a finding. */
static void test_health(void **state)
{
	struct harness *h = *state;
	_cleanup_json_ cJSON *answer = NULL;
	const cJSON *finding;
	char params[64];

	snprintf(params, sizeof(params), "{\"pid\":%d,\"port\":5000}", (int)getpid());
	trouble_expect(h, "w", "webui.hello", params, "", "");
	trouble_script(h, "cat >question; exit 1");
	answer = harness_call(h, "a", "health", "{}");
	finding = json_get(json_get(answer, "result"), "findings")->child;
	assert_string_equal(json_str(finding, "level", ""), "error");
	assert_string_equal(json_str(finding, "what", ""), "errand health ended with code 1");
	_cleanup_free_ char *question = trouble_read(h, "question");
	assert_string_equal(question, "{\"port\":5000}");
	assert_int_equal(cJSON_GetArraySize(json_get(json_get(answer, "result"), "processes")), 2);
}

/* --- a model's advice: paid for, so asked once --- */

#define SPLIT "{\"repository\":\"/r\",\"goal\":\"g\"}"
#define ADVICE                                                                                     \
	"{\"ok\":true,\"tasks\":[{\"title\":\"t\"}],\"model\":\"m\",\"tokens_in\":7,"              \
	"\"tokens_out\":3,\"dollars\":0.5}"

static void test_split(void **state)
{
	struct harness *h = *state;
	_cleanup_json_ cJSON *first = NULL, *again = NULL;

	trouble_script(h, "exit 1");
	trouble_expect(h, "s", "goal.split", SPLIT, "internal", "errand split");
	trouble_script(h, SAY(ADVICE));
	first = harness_call(h, "s", "goal.split", SPLIT);
	assert_int_equal(cJSON_GetArraySize(json_get(json_get(first, "result"), "tasks")), 1);
	assert_int_equal(trouble_number(h, "SELECT sum(tokens_in) FROM costs"), 7);
	trouble_script(h, "exit 1");
	again = harness_call(h, "s", "goal.split", SPLIT);
	assert_true(cJSON_Compare(first, again, true));
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM costs"), 1);
	_cleanup_free_ char *question = trouble_read(h, "question");
	assert_non_null(strstr(question, "\"model\":"));
	assert_non_null(strstr(question, "\"local_repositories\":true"));
}

/* What was paid for is told, whether or not it can be kept. */
static void test_advice_not_kept(void **state)
{
	static const char *const refused[] = {"INSERT ON costs", "INSERT ON requests"};
	struct harness *h = *state;
	_cleanup_json_ cJSON *answer = NULL;
	sqlite3 *db;

	trouble_script(h, SAY(ADVICE));
	for (size_t i = 0; i < 2; i++) {
		trouble_refuse(h, refused[i]);
		answer = harness_call(h, "s", "goal.split", SPLIT);
		assert_non_null(json_get(json_get(answer, "result"), "tasks"));
		cJSON_Delete(take_ptr(answer));
		trouble_over(h);
		/* All or nothing. */
		assert_int_equal(trouble_number(h, "SELECT count(*) FROM costs"), 0);
		assert_int_equal(trouble_number(h, "SELECT count(*) FROM requests"), 0);
	}
	db = trouble_lock(h);
	answer = harness_call(h, "s", "goal.split", SPLIT);
	assert_non_null(json_get(json_get(answer, "result"), "tasks"));
	trouble_unlock(db);
}

static void add_diff(struct harness *h, int64_t agent, size_t n)
{
	char *text = malloc(n + 64), *body = malloc(n + 256);
	int length;

	assert_true(text && body);
	memset(text, 'd', n);
	text[n] = '\0';
	length = snprintf(body, n + 256,
		"agent/%lld diff 1 v1\n{\"seq\":1,\"at\":5,\"diff\":\"%s\",\"files\":[],"
		"\"cut\":false,\"base\":\"b\",\"head\":\"h\"}",
		(long long)agent, text);
	ingest_frame(&h->s, body, (size_t)length);
	ingest_commit(&h->s);
	assert_int_equal(fleet_find(&h->s.fleet, agent)->committed, 1);
	free(text);
	free(body);
}

static void test_judge(void **state)
{
	struct harness *h = *state;
	_cleanup_json_ cJSON *first = NULL, *again = NULL, *question = NULL;
	_cleanup_free_ char *text = NULL;
	const cJSON *agents;
	sqlite3 *db;

	trouble_expect(h, "a", "task.judge", "{\"task\":1}", "not_found", "task 1");
	harness_agent(h, true);
	add_diff(h, 1, 100);
	trouble_sql(h, "INSERT INTO agents(task_id, branch, state, created_at, updated_at) "
		       "VALUES(1, 'agent-2', 'done', 1, 1)");
	fleet_add(&h->s.fleet, 2)->supervisor = &h->s;
	trouble_script(h, "exit 1");
	trouble_expect(h, "a", "task.judge", "{\"task\":1}", "internal", "errand judge");
	trouble_script(h,
		SAY("{\"ok\":true,\"best\":1,\"model\":\"m\",\"tokens_in\":5,\"tokens_out\":1}"));
	first = harness_call(h, "a", "task.judge", "{\"task\":1}");
	assert_int_equal(json_int(json_get(first, "result"), "best", 0), 1);
	again = harness_call(h, "a", "task.judge", "{\"task\":1}");
	assert_true(cJSON_Compare(first, again, true));
	assert_int_equal(trouble_number(h, "SELECT sum(tokens_in) FROM costs"), 5);
	assert_int_equal(
		trouble_number(h, "SELECT count(*) FROM events WHERE kind='judgement'"), 1);
	text = trouble_read(h, "question");
	question = cJSON_Parse(text);
	agents = json_get(question, "agents");
	assert_int_equal(cJSON_GetArraySize(agents), 2);
	assert_non_null(json_get(agents->child, "diff"));
	assert_null(json_get(agents->child->next, "diff"));
	/* Told all the same, if it cannot be kept; then nothing of it is. */
	for (int i = 0; i < 2; i++) {
		cJSON_Delete(take_ptr(again));
		db = i ? trouble_lock(h) : NULL;
		if (!i)
			trouble_refuse(h, "INSERT ON events");
		again = harness_call(h, "b", "task.judge", "{\"task\":1}");
		assert_int_equal(json_int(json_get(again, "result"), "best", 0), 1);
		if (i)
			trouble_unlock(db);
		else
			trouble_over(h);
		assert_int_equal(trouble_number(h, "SELECT sum(tokens_in) FROM costs"), 5);
	}
	trouble_sql(h, "DELETE FROM agents");
	trouble_expect(h, "c", "task.judge", "{\"task\":1}", "conflict", "no agents to judge");
}

/* --- tasks are made after their repository was looked at --- */

#define TASK "{\"repository\":\"/r\",\"tasks\":[{\"title\":\"a\"},{\"title\":\"b\"}]}"

static void test_create(void **state)
{
	static const char *const refused[] = {"INSERT ON tasks", "INSERT ON agents",
		"INSERT ON requests", "INSERT ON events WHEN NEW.stream='task'",
		"INSERT ON events WHEN NEW.stream='agent'"};
	struct harness *h = *state;
	_cleanup_json_ cJSON *answer = NULL;
	sqlite3 *db;

	h->s.queue.limit = 0; /* none is to start */
	trouble_script(
		h, SAY("{\"ok\":false,\"kind\":\"not_found\",\"error\":\"no such branch\"}"));
	trouble_expect(h, "t", "task.create", TASK, "not_found", "no such branch");
	trouble_script(h, SAY("{\"ok\":true,\"base\":\"main\"}"));
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		trouble_refuse(h, refused[i]);
		trouble_expect(h, "t", "task.create", TASK, "sys", "refused by the test");
		trouble_over(h);
		assert_int_equal(trouble_number(h, "SELECT count(*) FROM tasks"), 0);
		assert_int_equal(h->s.fleet.n, 0);
	}
	db = trouble_lock(h);
	trouble_expect(h, "t", "task.create", TASK, "sys", "another program holds it locked");
	trouble_unlock(db);
	answer = harness_call(h, "t", "task.create", TASK);
	assert_int_equal(cJSON_GetArraySize(json_get(json_get(answer, "result"), "tasks")), 2);
	assert_int_equal(h->s.fleet.n, 2);
	assert_int_equal(h->s.queue.n, 2);
	trouble_expect(h, "t", "task.create", TASK, "", "");
	assert_int_equal(h->s.fleet.n, 2);
	/* The base that was found is the one that is kept. */
	assert_int_equal(trouble_number(h, "SELECT count(*) FROM tasks WHERE base='main'"), 2);
}

static void test_create_refusals(void **state)
{
	static const char *const table[][2] = {
		{"\"models\":{\"manager\":\"openai/x\"}", "models: "},
		{"\"models\":{\"agent\":\"nobody/x\"}", "models.agent: "},
		{"\"limits\":{\"turns\":0}", "limits: "},
		{"\"agents_per_task\":1000", "more than 10000 agents at once"},
	};
	struct harness *h = *state;
	char params[2048], tasks[1024] = "";

	for (int i = 0; i < 11; i++)
		strcat(tasks, i ? ",{\"title\":\"x\"}" : "{\"title\":\"x\"}");
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		snprintf(params, sizeof(params), "{\"repository\":\"/r\",\"tasks\":[%s],%s}", tasks,
			table[i][0]);
		trouble_expect(h, "t", "task.create", params, "invalid", table[i][1]);
	}
	assert_int_equal(h->s.errands.lanes[ERRAND_LOOK].running, 0);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_endings, make, tear),
		cmocka_unit_test_setup_teardown(test_at_once, make, tear),
		cmocka_unit_test_setup_teardown(test_joined, make, tear),
		cmocka_unit_test_setup_teardown(test_model, make, tear),
		cmocka_unit_test_setup_teardown(test_health, make, tear),
		cmocka_unit_test_setup_teardown(test_split, make, tear),
		cmocka_unit_test_setup_teardown(test_advice_not_kept, make, tear),
		cmocka_unit_test_setup_teardown(test_judge, make, tear),
		cmocka_unit_test_setup_teardown(test_create, make, tear),
		cmocka_unit_test_setup_teardown(test_create_refusals, make, tear),
	};

	return apart_run(argc, argv, "errand", tests, sizeof tests / sizeof tests[0]);
}
