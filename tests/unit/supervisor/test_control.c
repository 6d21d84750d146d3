/* Control over a real socket: shapes, errors, doing things once, commands, epochs. */
#include "tests/unit/supervisor/harness.h"

#include "supervisor/config.h"
#include "tests/unit/apart.h"

static int make(void **state)
{
	*state = harness_new();
	return 0;
}

static int tear(void **state)
{
	harness_free(*state);
	return 0;
}

static void expect(
	struct harness *h, const char *id, const char *method, const char *params, const char *kind)
{
	_cleanup_json_ cJSON *answer = harness_call(h, id, method, params);
	const char *got = harness_error(answer);

	if (strcmp(got, kind) != 0)
		fail_msg("%s %s: \"%s\" instead of \"%s\": %s", method, params, got, kind,
			json_str(json_get(answer, "error"), "message", ""));
}

static void test_refusals(void **state)
{
	static const char *const table[][3] = {
		{"status", "{\"x\":1}", "invalid"},
		{"no.such", "{}", "not_found"},
		{"agent.show", "{}", "invalid"},
		{"agent.show", "{\"agent\":\"7\"}", "invalid"},
		{"agent.show", "{\"agent\":7}", "not_found"},
		{"agent.stop", "{\"agent\":7}", "not_found"},
		{"agent.delete", "{\"agent\":7}", "not_found"},
		{"agent.tell", "{\"agent\":7,\"text\":\"\"}", "invalid"},
		{"agent.tell", "{\"agent\":\"some\",\"text\":\"x\"}", "invalid"},
		{"agent.tell", "{\"agent\":\"all\",\"text\":\"x\",\"from\":\"agent/x\"}",
			"invalid"},
		{"agent.list", "{\"state\":\"asleep\"}", "invalid"},
		{"events.after", "{\"after\":-1}", "invalid"},
		{"events.after", "{\"after\":0,\"kinds\":[\"rain\"]}", "invalid"},
		{"config.set", "{\"general\":{\"max_working\":0}}", "invalid"},
		{"config.set", "{\"general\":{\"agent_command\":[\"sh\"]}}", "invalid"},
		{"config.set", "{\"models\":{\"agent\":\"nobody/x\"}}", "invalid"},
		{"task.create", "{\"tasks\":[{\"title\":\"x\"}]}", "invalid"},
		{"task.create", "{\"repository\":\"/r\",\"tasks\":[]}", "invalid"},
		{"task.create", "{\"repository\":\"/r\",\"tasks\":[{\"title\":\" \"}]}", "invalid"},
		{"task.create", "{\"repository\":\"ext::sh\",\"tasks\":[{\"title\":\"x\"}]}",
			"invalid"},
		{"task.create",
			"{\"repository\":\"/"
			"r\",\"tasks\":[{\"title\":\"x\"}],\"agents_per_task\":0}",
			"invalid"},
		{"task.create",
			"{\"repository\":\"/"
			"r\",\"tasks\":[{\"title\":\"x\"}],\"limits\":{\"turns\":0}}",
			"invalid"},
		{"task.create",
			"{\"repository\":\"/"
			"r\",\"tasks\":[{\"title\":\"x\"}],\"permission\":\"no\"}",
			"invalid"},
		{"task.create", "{\"repository\":\"/r\",\"tasks\":[{\"title\":\"x\"}],\"oops\":1}",
			"invalid"},
		{"worker.hello", "{\"agent\":7,\"epoch\":1,\"pid\":1,\"version\":1,\"last_seq\":0}",
			"not_found"},
	};
	struct harness *h = *state;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		expect(h, "r", table[i][0], table[i][1], table[i][2]);
	assert_int_equal(store_last_event(h->s.store), 0);
}

static void test_not_requests(void **state)
{
	static const struct {
		const char *text;
		int code;
	} table[] = {
		{"nonsense", -32700},
		{"{\"jsonrpc\":\"2.0\",\"id\":\"a\"}", -32600},
		{"{\"jsonrpc\":\"1.0\",\"id\":\"a\",\"method\":\"status\"}", -32600},
		{"{\"jsonrpc\":\"2.0\",\"method\":\"status\"}", -32600},
		{"[]", -32600},
	};
	struct harness *h = *state;
	struct harness_answer a;
	size_t i;

	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		harness_ask(h, &a, table[i].text);
		while (!a.over)
			uv_run(&h->loop, UV_RUN_ONCE);
		assert_int_equal(json_int(json_get(a.root, "error"), "code", 0), table[i].code);
		cJSON_Delete(a.root);
	}
}

static void test_once(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	struct err e;

	expect(h, "once", "agent.tell", "{\"agent\":1,\"text\":\"hi\"}", "");
	expect(h, "once", "agent.tell", "{\"agent\":1,\"text\":\"hi\"}", "");
	assert_int_equal(m->command_last, 1);
	expect(h, "once", "agent.tell", "{\"agent\":1,\"text\":\"ho\"}", "conflict");
	expect(h, "twice", "agent.tell", "{\"agent\":1,\"text\":\"hi\"}", "");
	assert_int_equal(m->command_last, 2);
	_cleanup_json_ cJSON *all = store_commands_after(h->s.store, 1, 0, &e);
	assert_int_equal(cJSON_GetArraySize(all), 2);
	/* A refused one is not kept: it may be asked again. */
	expect(h, "later", "agent.tell", "{\"agent\":2,\"text\":\"hi\"}", "not_found");
	harness_agent(h, true);
	expect(h, "later", "agent.tell", "{\"agent\":2,\"text\":\"hi\"}", "");
}

static void test_commands(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	_cleanup_json_ cJSON *first = NULL, *again = NULL;
	const cJSON *commands;

	expect(h, "a", "agent.pause", "{\"agent\":1}", "");
	expect(h, "b", "agent.tell", "{\"agent\":\"all\",\"text\":\"x\",\"from\":\"agent/9\"}", "");
	expect(h, "c", "agent.tell", "{\"agent\":1,\"text\":\"x\",\"from\":\"agent/9\"}", "");
	first = harness_call(h, "n1", "worker.next",
		"{\"agent\":1,\"epoch\":1,\"after\":0,\"last_seq\":0,\"have\":0}");
	commands = json_get(json_get(first, "result"), "commands");
	assert_int_equal(cJSON_GetArraySize(commands), 2);
	assert_string_equal(json_str(commands->child, "kind", ""), "pause");
	assert_string_equal(
		json_str(json_get(commands->child->next, "body"), "from", ""), "agent/9");
	expect(h, "d", "agent.resume", "{\"agent\":1}", "");
	again = harness_call(h, "n2", "worker.next",
		"{\"agent\":1,\"epoch\":1,\"after\":2,\"last_seq\":0,\"have\":0}");
	commands = json_get(json_get(again, "result"), "commands");
	assert_int_equal(cJSON_GetArraySize(commands), 1);
	assert_int_equal(m->command_done, 2);
	expect(h, "n3", "worker.next",
		"{\"agent\":1,\"epoch\":1,\"after\":9,\"last_seq\":0,\"have\":0}", "invalid");
}

static void test_bounded_commands(void **state)
{
	struct harness *h = *state;
	char id[16];
	int i;

	harness_agent(h, true);
	for (i = 0; i < TX_COMMANDS_MAX; i++) {
		snprintf(id, sizeof(id), "t%d", i);
		expect(h, id, "agent.tell", "{\"agent\":1,\"text\":\"x\"}", "");
	}
	expect(h, "more", "agent.tell", "{\"agent\":1,\"text\":\"x\"}", "limit");
}

static void test_a_waiting_worker_hears_at_once(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	struct harness_answer a;

	harness_ask(h, &a,
		"{\"jsonrpc\":\"2.0\",\"id\":\"n\",\"method\":\"worker.next\",\"params\":{"
		"\"agent\":1,"
		"\"epoch\":1,\"after\":0,\"last_seq\":0,\"have\":0}}");
	while (!m->poll)
		uv_run(&h->loop, UV_RUN_ONCE);
	expect(h, "s", "agent.stop", "{\"agent\":1}", "");
	assert_null(m->poll);
	while (!a.over)
		uv_run(&h->loop, UV_RUN_ONCE);
	assert_string_equal(
		json_str(json_get(json_get(a.root, "result"), "commands")->child, "kind", ""),
		"stop");
	cJSON_Delete(a.root);
	assert_int_equal(m->agent.process, PROCESS_STOPPING);
}

static void test_epochs(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	_cleanup_json_ cJSON *hello = NULL;

	m->epoch = 3;
	expect(h, "a", "worker.next",
		"{\"agent\":1,\"epoch\":2,\"after\":0,\"last_seq\":0,\"have\":0}", "denied");
	expect(h, "b", "worker.hello",
		"{\"agent\":1,\"epoch\":4,\"pid\":1,\"version\":1,\"last_seq\":0}", "denied");
	/* Newer than we, but it understands us; what it says beyond our knowledge is skipped. */
	hello = harness_call(h, "d", "worker.hello",
		"{\"agent\":1,\"epoch\":3,\"pid\":1,\"version\":2,\"oldest\":1,\"last_seq\":0,"
		"\"novelty\":[]}");
	assert_int_equal(json_int(json_get(hello, "result"), "version", 0), EVENT_VERSION);
	assert_string_equal(
		json_str(json_get(json_get(hello, "result"), "task"), "repository", ""), "/r");
	assert_int_equal(
		json_int(json_get(json_get(hello, "result"), "config"), "turn_minutes", 0), 30);
}

/* A worker with which we have no version in common is never failed for it. */
static void test_versions(void **state)
{
	struct harness *h = *state;
	struct member *fresh = harness_agent(h, true), *old = harness_agent(h, true);
	static const char next[] = "{\"agent\":2,\"epoch\":1,\"after\":0,\"last_seq\":5,\"have\":0,"
				   "\"version\":9,\"oldest\":8}";
	struct agent_input in = {.event = AGENT_EXITED, .code = 111};
	_cleanup_json_ cJSON *answer = NULL;

	expect(h, "a", "worker.hello",
		"{\"agent\":1,\"epoch\":1,\"pid\":1,\"version\":9,\"oldest\":8,\"last_seq\":0}",
		"unavailable");
	assert_true(fresh->agent.retiring && fresh->agent.foreign);
	in.code = 100; /* even so */
	supervisor_happened(&h->s, fresh, &in);
	assert_int_equal(fresh->agent.state, AGENT_STARTING);
	assert_true(fresh->agent.deadline_ms > 0);

	/* In the middle of its life: told to end with its turn, at once, and again for each
	 * question that shows that it has not heard. */
	for (int i = 0; i < 2; i++) {
		answer = harness_call(h, "b", "worker.next", next);
		assert_true(json_bool(json_get(answer, "result"), "retire", false));
		assert_int_equal(old->agent.state, AGENT_WORKING);
		cJSON_Delete(take_ptr(answer));
	}
	assert_true(old->agent.retiring && !old->agent.foreign);
	in.code = 0;
	supervisor_happened(&h->s, old, &in);
	assert_int_equal(old->agent.state, AGENT_STARTING);
}

static void test_ended_agents(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, false);
	struct err e;

	queue_push(&h->s.queue, m->id);
	h->s.queue.limit = 0; /* there is no worker to start */
	expect(h, "a", "agent.interrupt", "{\"agent\":1}", "conflict");
	expect(h, "b", "agent.stop", "{\"agent\":1}", "");
	assert_int_equal(m->agent.state, AGENT_STOPPED);
	assert_int_equal(h->s.queue.n, 0);
	expect(h, "c", "agent.tell", "{\"agent\":1,\"text\":\"x\"}", "conflict");
	expect(h, "d", "agent.stop", "{\"agent\":1}", "conflict");
	expect(h, "e", "agent.retry", "{\"agent\":1}", "");
	assert_int_equal(h->s.queue.n, 1);
	expect(h, "f", "agent.retry", "{\"agent\":1}", "conflict");
	_cleanup_json_ cJSON *row = store_agent(h->s.store, 1, &e);
	assert_string_equal(json_str(row, "state", ""), "queued");
	assert_true(cJSON_IsNull(cJSON_GetObjectItem(row, "ended_at")));
}

static void test_config(void **state)
{
	struct harness *h = *state;
	_cleanup_json_ cJSON *small = config_defaults(1, 0), *large = config_defaults(8, 1LL << 40);
	_cleanup_json_ cJSON *get = NULL, *events = NULL;
	const cJSON *changed;

	assert_int_equal(json_int(small, "max_working", 0), 1);
	assert_int_equal(json_int(large, "max_working", 0), 18);
	expect(h, "a", "config.set",
		"{\"general\":{\"max_working\":3,\"permission\":\"ask\"},\"models\":{\"aider\":"
		"\"openai/x\"}}",
		"");
	assert_int_equal(h->s.queue.limit, 3);
	expect(h, "b", "config.set", "{\"general\":{\"permission\":null}}", "");
	get = harness_call(h, "c", "config.get", "{}");
	assert_string_equal(
		json_str(json_get(json_get(get, "result"), "general"), "permission", ""), "allow");
	assert_string_equal(
		json_str(json_get(json_get(get, "result"), "models"), "aider", ""), "openai/x");
	events = harness_call(h, "d", "events.after", "{\"after\":0,\"kinds\":[\"config\"]}");
	changed = json_get(
		json_get(json_get(json_get(events, "result"), "events")->child, "body"), "changed");
	assert_int_equal(cJSON_GetArraySize(changed), 3);
	assert_string_equal(changed->child->valuestring, "models.aider");
}

static void test_events_wait(void **state)
{
	struct harness *h = *state;
	struct harness_answer a;
	_cleanup_json_ cJSON *none = NULL;

	none = harness_call(h, "a", "events.after", "{\"after\":0,\"wait_ms\":20}");
	assert_int_equal(json_int(json_get(none, "result"), "last", -1), 0);
	harness_ask(h, &a,
		"{\"jsonrpc\":\"2.0\",\"id\":\"w\",\"method\":\"events.after\",\"params\":{"
		"\"after\":0,"
		"\"wait_ms\":20000,\"kinds\":[\"config\"]}}");
	while (h->s.polls.n == 0)
		uv_run(&h->loop, UV_RUN_ONCE);
	expect(h, "c", "config.set", "{\"general\":{\"max_working\":2}}", "");
	while (!a.over)
		uv_run(&h->loop, UV_RUN_ONCE);
	assert_int_equal(cJSON_GetArraySize(json_get(json_get(a.root, "result"), "events")), 1);
	cJSON_Delete(a.root);
	assert_int_equal(h->s.polls.n, 0);
}

static void test_webui(void **state)
{
	struct harness *h = *state;
	_cleanup_json_ cJSON *status = NULL;
	char params[64];

	expect(h, "a", "webui.hello", "{\"pid\":1073741823,\"port\":5000}", "invalid");
	snprintf(params, sizeof(params), "{\"pid\":%d,\"port\":5000}", (int)getpid());
	expect(h, "b", "webui.hello", params, "");
	status = harness_call(h, "c", "status", "{}");
	assert_int_equal(json_int(json_get(json_get(status, "result"), "webui"), "port", 0), 5000);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_refusals, make, tear),
		cmocka_unit_test_setup_teardown(test_not_requests, make, tear),
		cmocka_unit_test_setup_teardown(test_once, make, tear),
		cmocka_unit_test_setup_teardown(test_commands, make, tear),
		cmocka_unit_test_setup_teardown(test_bounded_commands, make, tear),
		cmocka_unit_test_setup_teardown(test_a_waiting_worker_hears_at_once, make, tear),
		cmocka_unit_test_setup_teardown(test_epochs, make, tear),
		cmocka_unit_test_setup_teardown(test_versions, make, tear),
		cmocka_unit_test_setup_teardown(test_ended_agents, make, tear),
		cmocka_unit_test_setup_teardown(test_config, make, tear),
		cmocka_unit_test_setup_teardown(test_events_wait, make, tear),
		cmocka_unit_test_setup_teardown(test_webui, make, tear),
	};

	return apart_run(argc, argv, "control", tests, sizeof tests / sizeof tests[0]);
}
