/* Events on their way in: order, gaps, doubles, nonsense, states, acknowledgement. */
#include "tests/unit/supervisor/harness.h"

#include "shared/cleanup.h"
#include "shared/clock.h"
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

static void frame(struct harness *h, int64_t agent, const char *kind, int64_t seq, const char *body)
{
	char text[1024];
	int n = snprintf(text, sizeof(text), "agent/%lld %s %lld v1\n{\"seq\":%lld,\"at\":77,%s",
		(long long)agent, kind, (long long)seq, (long long)seq, body + 1);

	ingest_frame(&h->s, text, (size_t)n);
}

static void raw(struct harness *h, const char *text)
{
	ingest_frame(&h->s, text, strlen(text));
}

/* What is stored of the agent, bodies parsed. */
static cJSON *events(struct harness *h, int64_t agent)
{
	int64_t last;
	struct err e;
	_cleanup_json_ cJSON *all = store_events_after(h->s.store, 0, agent, 0, 1000, &last, &e);
	_cleanup_free_ char *text = json_print(all);

	return cJSON_Parse(text);
}

static int count(struct harness *h, int64_t agent)
{
	_cleanup_json_ cJSON *all = events(h, agent);

	return cJSON_GetArraySize(all);
}

static void test_order(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);

	frame(h, m->id, "output", 1, "{\"text\":\"a\"}");
	frame(h, m->id, "output", 1, "{\"text\":\"a\"}");
	frame(h, m->id, "output", 2, "{\"text\":\"b\"}");
	assert_int_equal(m->committed, 0); /* not before the commit */
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 2);
	assert_false(m->resend);
	frame(h, m->id, "output", 4, "{\"text\":\"d\"}");
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 2);
	assert_true(m->resend);
	frame(h, m->id, "output", 2, "{\"text\":\"b\"}");
	frame(h, m->id, "output", 3, "{\"text\":\"c\"}");
	assert_false(m->resend);
	frame(h, m->id, "output", 4, "{\"text\":\"d\"}");
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 4);
	assert_int_equal(count(h, m->id), 4);

	_cleanup_json_ cJSON *all = events(h, m->id);
	const cJSON *body = json_get(cJSON_GetArrayItem(all, 3), "body");
	assert_int_equal(json_int(body, "seq", 0), 4);
	assert_string_equal(json_str(body, "text", ""), "d");
}

static void test_two_agents(void **state)
{
	struct harness *h = *state;
	struct member *a = harness_agent(h, true), *b = harness_agent(h, true);
	int i;

	for (i = 1; i <= 100; i++) {
		frame(h, a->id, "output", i, "{\"text\":\"x\"}");
		if (i != 50)
			frame(h, b->id, "output", i, "{\"text\":\"x\"}");
	}
	ingest_commit(&h->s);
	assert_int_equal(a->committed, 100);
	assert_int_equal(b->committed, 49);
	assert_true(b->resend);
	assert_false(a->resend);
}

static void test_nonsense(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);

	raw(h, "");
	raw(h, "hello");
	raw(h, "agent/1 output x v1\n{}");
	raw(h, "task/1 output 1 v1\n{\"a\":1}");
	raw(h, "agent/1 created 1 v1\n{\"a\":1}");
	raw(h, "agent/1 output 1 v2\n{\"a\":1}");
	raw(h, "agent/999 output 1 v1\n{\"a\":1}");
	ingest_commit(&h->s);
	assert_int_equal(h->s.ingest.complaints, 6);
	assert_int_equal(store_last_event(h->s.store), 0);
	/* Not JSON inside: its number is used up, and nobody is given the rest. */
	raw(h, "agent/1 output 1 v1\n{\"seq\":1,\"at\":5,broken}");
	/* JSON, but not what the kind should say: kept as it is, changes no table. */
	frame(h, m->id, "usage", 2, "{\"tokens_in\":\"many\"}");
	frame(h, m->id, "turn", 3, "{\"turn\":1}");
	frame(h, m->id, "novelty", 4, "{\"of\":\"tomorrow\"}");
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 4);
	_cleanup_json_ cJSON *all = events(h, m->id);
	assert_true(json_bool(json_get(all->child, "body"), "broken", false));
	assert_string_equal(json_str(cJSON_GetArrayItem(all, 3), "kind", ""), "novelty");
}

static void test_states(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	struct err e;

	frame(h, m->id, "state", 1, "{\"state\":\"waiting\",\"reason\":\"a question\"}");
	ingest_commit(&h->s);
	assert_int_equal(m->agent.state, AGENT_WAITING);
	assert_int_equal(h->s.queue.busy, 0);
	assert_int_equal(h->s.fleet.count[AGENT_WAITING], 1);
	frame(h, m->id, "state", 2, "{\"state\":\"asleep\"}");
	frame(h, m->id, "state", 3, "{\"state\":\"queued\"}");
	frame(h, m->id, "state", 4, "{\"state\":\"working\"}");
	frame(h, m->id, "state", 5, "{\"state\":\"done\",\"reason\":\"all green\"}");
	frame(h, m->id, "state", 6, "{\"state\":\"working\"}"); /* after its end: only stored */
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 6);
	assert_int_equal(m->agent.state, AGENT_DONE);
	_cleanup_json_ cJSON *row = store_agent(h->s.store, m->id, &e);
	assert_string_equal(json_str(row, "state", ""), "done");
	assert_string_equal(json_str(row, "reason", ""), "all green");
	assert_int_equal(json_int(row, "ended_at", 0), 77);
	assert_int_equal(count(h, m->id), 6);
}

static char *next(struct member *m, int64_t after, int64_t have)
{
	static char text[256];

	snprintf(text, sizeof(text),
		"{\"jsonrpc\":\"2.0\",\"id\":\"n\",\"method\":\"worker.next\",\"params\":{"
		"\"agent\":%lld,"
		"\"epoch\":%lld,\"after\":%lld,\"last_seq\":0,\"have\":%lld}}",
		(long long)m->id, (long long)m->epoch, (long long)after, (long long)have);
	return text;
}

static void wait_for(struct harness *h, const struct harness_answer *a)
{
	while (!a->over)
		uv_run(&h->loop, UV_RUN_ONCE);
	assert_non_null(a->root);
}

static void wait_open(struct harness *h, const struct member *m)
{
	while (!m->poll)
		uv_run(&h->loop, UV_RUN_ONCE);
}

static void test_acknowledgement(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	struct harness_answer a;
	int64_t began;
	int i;

	/* A few events: after INGEST_ACK_MS. */
	harness_ask(h, &a, next(m, 0, 0));
	wait_open(h, m);
	frame(h, m->id, "output", 1, "{\"text\":\"a\"}");
	began = clock_now_ms();
	ingest_commit(&h->s);
	assert_false(a.over);
	wait_for(h, &a);
	assert_true(clock_now_ms() - began >= INGEST_ACK_MS - 10);
	assert_int_equal(json_int(json_get(a.root, "result"), "committed", 0), 1);
	cJSON_Delete(a.root);

	/* Many: at once. */
	harness_ask(h, &a, next(m, 0, 1));
	wait_open(h, m);
	for (i = 2; i < 2 + INGEST_ACK_EVENTS; i++)
		frame(h, m->id, "output", i, "{\"text\":\"a\"}");
	ingest_commit(&h->s);
	assert_null(m->poll);
	wait_for(h, &a);
	assert_int_equal(
		json_int(json_get(a.root, "result"), "committed", 0), 1 + INGEST_ACK_EVENTS);
	cJSON_Delete(a.root);

	/* A gap: at once, and once. */
	harness_ask(h, &a, next(m, 0, m->committed));
	wait_open(h, m);
	frame(h, m->id, "output", m->committed + 2, "{\"text\":\"a\"}");
	wait_for(h, &a);
	assert_true(json_bool(json_get(a.root, "result"), "resend", false));
	cJSON_Delete(a.root);
	assert_false(m->resend);
	frame(h, m->id, "output", m->committed + 3, "{\"text\":\"a\"}");
	assert_false(m->resend);
}

/* What is counted of an agent's output is not held for one that has ended, and goes on
 * being counted all the same. */
static void test_lines_of_the_ended(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	char last[LINES_LAST_BYTES + 1];
	struct lines l = {0};
	struct err e;

	frame(h, m->id, "output", 1, "{\"text\":\"a\\nb\"}");
	ingest_commit(&h->s);
	assert_non_null(m->lines);
	frame(h, m->id, "state", 2, "{\"state\":\"done\"}");
	ingest_commit(&h->s);
	assert_null(m->lines);
	frame(h, m->id, "output", 3, "{\"text\":\"c\\nd\\n\"}");
	ingest_commit(&h->s);
	assert_null(m->lines);
	assert_int_equal(store_lines_load(h->s.store, m->id, &l, &e), 0);
	assert_int_equal(l.newlines, 3);
	lines_last(&l, last);
	assert_string_equal(last, "d");
}

static void test_disk_refuses(void **state)
{
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);
	struct err e;

	/* Another writer's transaction stands for a disk that says no. */
	assert_int_equal(store_begin(h->s.store, false, &e), 0);
	struct store *other = h->s.store;
	char path[128];

	snprintf(path, sizeof(path), "%s/tasks.db", h->folder);
	h->s.store = store_open(path, &e);
	assert_non_null(h->s.store);
	checkpoint_init(&h->s.checkpoint, path, h->s.store);
	frame(h, m->id, "state", 1, "{\"state\":\"done\"}");
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 0);
	assert_int_equal(m->batched, 0);
	assert_int_equal(m->agent.state, AGENT_WORKING);
	store_close(other);
	frame(h, m->id, "state", 1, "{\"state\":\"done\"}");
	ingest_commit(&h->s);
	assert_int_equal(m->committed, 1);
	assert_int_equal(m->agent.state, AGENT_DONE);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_order, make, tear),
		cmocka_unit_test_setup_teardown(test_two_agents, make, tear),
		cmocka_unit_test_setup_teardown(test_nonsense, make, tear),
		cmocka_unit_test_setup_teardown(test_states, make, tear),
		cmocka_unit_test_setup_teardown(test_acknowledgement, make, tear),
		cmocka_unit_test_setup_teardown(test_lines_of_the_ended, make, tear),
		cmocka_unit_test_setup_teardown(test_disk_refuses, make, tear),
	};

	return apart_run(argc, argv, "ingest", tests, sizeof tests / sizeof tests[0]);
}
