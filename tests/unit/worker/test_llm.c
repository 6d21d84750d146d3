/* Questions to a scripted provider, and the tables behind them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_server.h"
#include "shared/cleanup.h"
#include "worker/llm.h"
#include "worker/llm_answer.h"
#include "worker/llm_prices.h"

#define GOOD                                                                                       \
	"{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"hi\"}}],\"usage\":{"     \
	"\"prompt_tokens\":100,\"completion_tokens\":10,\"prompt_tokens_details\":{"               \
	"\"cached_tokens\":40}}}"
#define SECRET "sk-0123456789abcdef"

struct world {
	uv_loop_t loop;
	struct server server;
	struct http *http;
	struct llm *llm;
	struct dotenv *keys;
	int callbacks, waits;
	char text[256];
	struct llm_answer answer;
	struct err e;
	char why[ERR_TEXT_BYTES];
	int64_t delay_ms;
	bool cancel_while_waiting;
	struct llm_call *call;
};

static void use_keys(struct world *w, const char *provider, const char *path)
{
	char text[512];

	snprintf(text, sizeof text, "%s_API_KEY=" SECRET "\n%s_API_BASE=http://127.0.0.1:%d%s\n",
		provider, provider, w->server.port, path);
	dotenv_free(w->keys);
	w->keys = dotenv_parse(text, strlen(text), &w->e);
	assert_non_null(w->keys);
	llm_free(w->llm);
	w->llm = llm_new(&w->loop, w->http, w->keys, "/nonexistent/prices.tsv", &w->e);
	assert_non_null(w->llm);
}

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	uv_loop_init(&w->loop);
	server_start(&w->server, &w->loop);
	w->http = http_new(&w->loop, &w->e);
	use_keys(w, "OPENAI", "/v1");
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	llm_free(w->llm);
	http_free(w->http);
	server_stop(&w->server);
	dotenv_free(w->keys);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
	return 0;
}

static void on_answer(void *arg, const struct llm_answer *a, const struct err *e)
{
	struct world *w = arg;

	w->callbacks++;
	w->call = NULL;
	assert_true((a == NULL) != (e == NULL));
	if (e) {
		w->e = *e;
		return;
	}
	w->e.kind = ERR_NONE;
	w->answer = *a;
	snprintf(w->text, sizeof w->text, "%s", a->text);
}

static void on_waiting(void *arg, const char *reason, int64_t delay_ms)
{
	struct world *w = arg;

	w->waits++;
	w->delay_ms = delay_ms;
	snprintf(w->why, sizeof w->why, "%s", reason);
	if (w->cancel_while_waiting) {
		llm_cancel(w->call);
		w->call = NULL;
	}
}

static struct llm_call *ask(struct world *w, struct llm_question q)
{
	static const struct llm_message messages[] = {{"system", "be brief"}, {"user", "hello"}};

	q.model = q.model ? q.model : "openai/test-model";
	q.messages = messages;
	q.message_count = 2;
	w->call = llm_ask(w->llm, &q, on_answer, on_waiting, w, &w->e);
	return w->call;
}

static void wait_for(struct world *w, int callbacks)
{
	int64_t deadline_ms = clock_now_ms() + 20000;

	while (w->callbacks < callbacks && clock_now_ms() < deadline_ms)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_int_equal(w->callbacks, callbacks);
}

static void asks_and_answers(void **state)
{
	struct world *w = *state;

	server_will(&w->server, (struct server_reply){.status = 200, .body = GOOD});
	assert_non_null(ask(w, (struct llm_question){.json = true}));
	wait_for(w, 1);
	assert_int_equal(w->e.kind, ERR_NONE);
	assert_string_equal(w->text, "hi");
	assert_int_equal(w->answer.tokens_in, 100);
	assert_int_equal(w->answer.tokens_out, 10);
	assert_int_equal(w->answer.tokens_cached, 40);
	assert_true(w->answer.dollars < 0);
	assert_non_null(strstr(w->server.request[0], "POST /v1/chat/completions "));
	assert_non_null(strstr(w->server.request[0], "Authorization: Bearer " SECRET "\r\n"));
	assert_non_null(strstr(w->server.request[0], "\"model\":\"test-model\""));
	assert_non_null(
		strstr(w->server.request[0], "\"response_format\":{\"type\":\"json_object\"}"));
	assert_null(strstr(w->server.request[0], "x-api-key"));
	assert_null(strstr(w->server.request[0], "\"usage\""));
}

static void drops_response_format_where_refused(void **state)
{
	struct world *w = *state;

	server_will(&w->server,
		(struct server_reply){.status = 400,
			.body = "{\"error\":{\"message\":\"response_format is not supported\"}}"});
	server_will(&w->server, (struct server_reply){.status = 200, .body = GOOD});
	assert_non_null(ask(w, (struct llm_question){.json = true, .max_tries = 1}));
	wait_for(w, 1);
	assert_string_equal(w->text, "hi");
	assert_int_equal(w->waits, 0);
	assert_null(strstr(w->server.request[1], "response_format"));
	assert_non_null(ask(w, (struct llm_question){.json = true}));
	wait_for(w, 2);
	assert_null(strstr(w->server.request[2], "response_format"));
}

static void waits_as_long_as_it_is_told(void **state)
{
	struct world *w = *state;

	server_will(&w->server, (struct server_reply){.status = 429,
					.headers = "Retry-After: 1\r\n",
					.body = "{\"error\":{\"message\":\"slow down\"}}"});
	server_will(&w->server, (struct server_reply){.status = 200, .body = GOOD});
	assert_non_null(ask(w, (struct llm_question){0}));
	wait_for(w, 1);
	assert_string_equal(w->text, "hi");
	assert_int_equal(w->waits, 1);
	assert_non_null(strstr(w->why, "limits the rate (429): slow down"));
	assert_in_range(w->server.at_ms[1] - w->server.at_ms[0], 1000, 1400);
	assert_in_range(w->answer.wall_ms, 1000, 2000);
}

/* What may pass is tried again, what may not is told at once. */
static void classifies_every_failure(void **state)
{
	static const char NUL_BODY[] = "{\"choices\":[{\"message\":{\"content\":\"a\0b\"}}]}";
	static const struct {
		struct server_reply reply;
		enum err_kind kind; /* ERR_NONE: tried again, then well */
		const char *says;
	} rows[] = {
		{{.status = 401, .body = "{\"error\":{\"message\":\"bad key " SECRET "\"}}"},
			ERR_DENIED, "set OPENAI_API_KEY in ~/.env"},
		{{.status = 402, .body = "{}"}, ERR_DENIED, "credit"},
		{{.status = 403, .body = "no"}, ERR_DENIED, "OPENAI_API_KEY"},
		{{.status = 404, .body = "{\"error\":{\"message\":\"no such model\"}}"},
			ERR_NOT_FOUND, "Settings → Models"},
		{{.status = 400, .body = "{\"error\":{\"message\":\"x is not a valid model ID\"}}"},
			ERR_NOT_FOUND, "test-model"},
		{{.status = 400, .body = "{\"error\":{\"message\":\"bad\"}}"}, ERR_INVALID, "bad"},
		{{.status = 413, .body = ""}, ERR_LIMIT, "too long"},
		{{.status = 301, .headers = "Location: /x\r\n"}, ERR_INVALID, "OPENAI_"},
		{{.status = 429,
			 .body = "{\"error\":{\"code\":\"insufficient_quota\",\"message\":\"m\"}}"},
			ERR_DENIED, "credit"},
		{{.status = 429, .headers = "Retry-After: 3600\r\n", .body = ""}, ERR_UNAVAILABLE,
			"60 minutes"},
		{{.status = 200, .body = "{\"error\":{\"code\":401,\"message\":\"m\"}}"},
			ERR_DENIED, "OPENAI_API_KEY"},
		{{.status = 200, .body = "{\"error\":{\"code\":400,\"message\":\"m\"}}"},
			ERR_INVALID, "m"},
		{{.status = 200, .mode = SERVER_FLOOD}, ERR_LIMIT, "longer"},
		{{.status = 408, .body = ""}, ERR_NONE, "408"},
		{{.status = 429, .body = ""}, ERR_NONE, "429"},
		{{.status = 500, .body = "<html>"}, ERR_NONE, "500"},
		{{.status = 502, .body = ""}, ERR_NONE, "502"},
		{{.status = 503, .body = ""}, ERR_NONE, "503"},
		{{.status = 529, .body = ""}, ERR_NONE, "529"},
		{{.status = 200, .body = ""}, ERR_NONE, "empty answer"},
		{{.status = 200, .body = "{\"choices\":[{\"mess"}, ERR_NONE, "not JSON"},
		{{.status = 200, .body = "{}"}, ERR_NONE, "without choices"},
		{{.status = 200, .body = "data: {\"choices\":[]}\n\n"}, ERR_NONE, "not JSON"},
		{{.status = 200, .body = "{\"error\":{\"code\":502,\"message\":\"upstream\"}}"},
			ERR_NONE, "upstream"},
		{{.status = 200, .body = "{\"choices\":[{\"error\":{\"message\":\"cut off\"}}]}"},
			ERR_NONE, "cut off"},
		{{.status = 200, .body = NUL_BODY, .body_len = sizeof NUL_BODY - 1}, ERR_NONE,
			NULL},
		{{.mode = SERVER_CLOSE}, ERR_NONE, "cannot be reached"},
		{{.mode = SERVER_SILENT}, ERR_NONE, "no answer within"},
		{{.status = 200, .mode = SERVER_DRIP}, ERR_NONE, "no answer within"},
	};
	struct world *w = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct server *s = &w->server;

		/* A connection of its own for each row: libcurl repeats on dead ones. */
		http_free(w->http);
		uv_run(&w->loop, UV_RUN_NOWAIT);
		w->http = http_new(&w->loop, &w->e);
		use_keys(w, "OPENAI", "/v1");
		s->replies = 0;
		for (int n = 0; n < s->requests; n++)
			free(s->request[n]);
		s->requests = 0;
		memset(&w->e, 0, sizeof w->e);
		w->why[0] = w->text[0] = '\0';
		server_will(s, rows[i].reply);
		if (rows[i].kind == ERR_NONE) /* quick */
			s->reply[0].headers = "Retry-After: 0\r\n";
		server_will(s, (struct server_reply){.status = 200, .body = GOOD});
		assert_non_null(ask(w, (struct llm_question){.deadline_ms = 300}));
		wait_for(w, (int)i + 1);
		if (w->e.kind != rows[i].kind)
			fail_msg("row %zu: %s %s", i, err_kind_name(w->e.kind), w->e.text);
		if (rows[i].kind == ERR_NONE && rows[i].says)
			assert_string_equal(w->text, "hi");
		if (rows[i].says && !strstr(rows[i].kind ? w->e.text : w->why, rows[i].says))
			fail_msg("row %zu: %s / %s", i, w->e.text, w->why);
		assert_null(strstr(w->e.text, SECRET));
	}
}

static void gives_up_after_its_tries(void **state)
{
	struct world *w = *state;

	server_will(
		&w->server, (struct server_reply){.status = 503, .headers = "Retry-After: 0\r\n"});
	assert_non_null(ask(w, (struct llm_question){.max_tries = 3}));
	wait_for(w, 1);
	assert_int_equal(w->e.kind, ERR_UNAVAILABLE);
	assert_non_null(strstr(w->e.text, "tried 3 times"));
	assert_int_equal(w->server.requests, 3);
	assert_int_equal(w->waits, 2);
}

static void refuses_at_once_what_cannot_work(void **state)
{
	struct world *w = *state;

	assert_null(ask(w, (struct llm_question){.model = "nobody/model"}));
	assert_int_equal(w->e.kind, ERR_INVALID);
	unsetenv("GROQ_API_KEY");
	assert_null(ask(w, (struct llm_question){.model = "groq/model"}));
	assert_int_equal(w->e.kind, ERR_DENIED);
	assert_non_null(strstr(w->e.text, "GROQ_API_KEY"));
	assert_int_equal(w->callbacks, 0);
}

static void speaks_as_each_provider_wants(void **state)
{
	struct world *w = *state;

	server_will(
		&w->server, (struct server_reply){.status = 200,
				    .body = "{\"choices\":[{\"message\":{\"content\":[{\"type\":"
					    "\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":"
					    "\"b\"}]}}],\"usage\":{\"prompt_tokens\":5,\"cost\":"
					    "0.25}}"});
	use_keys(w, "OPENROUTER", "/api/v1");
	assert_non_null(ask(w, (struct llm_question){.model = "openrouter/google/x"}));
	wait_for(w, 1);
	assert_string_equal(w->text, "ab");
	assert_true(w->answer.dollars > 0.249 && w->answer.dollars < 0.251);
	assert_non_null(strstr(w->server.request[0], "\"usage\":{\"include\":true}"));
	assert_non_null(strstr(w->server.request[0], "\"model\":\"google/x\""));
	use_keys(w, "ANTHROPIC", "");
	assert_non_null(ask(w, (struct llm_question){.model = "anthropic/claude-x"}));
	wait_for(w, 2);
	assert_non_null(strstr(w->server.request[1], "x-api-key: " SECRET "\r\n"));
}

static void cancels_at_any_moment(void **state)
{
	struct world *w = *state;

	server_will(&w->server, (struct server_reply){.status = 503});
	llm_cancel(ask(w, (struct llm_question){0}));
	w->cancel_while_waiting = true;
	assert_non_null(ask(w, (struct llm_question){0}));
	while (w->waits < 1)
		uv_run(&w->loop, UV_RUN_ONCE);
	w->cancel_while_waiting = false;
	assert_non_null(ask(w, (struct llm_question){0}));
	llm_free(w->llm);
	w->llm = NULL;
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_int_equal(w->callbacks, 0);
}

static void retry_delay_table(void **state)
{
	static const struct {
		int status;
		int64_t retry_after_ms;
		int made, max;
		double r;
		int64_t low, high;
	} rows[] = {
		{429, 2000, 1, 8, 0, 2000, 2000},
		{429, 2000, 1, 8, 0.999, 2000, 2200},
		{503, 0, 1, 8, 0.5, 0, 0},
		{429, LLM_RETRY_AFTER_MAX_MS, 1, 8, 0, LLM_RETRY_AFTER_MAX_MS,
			LLM_RETRY_AFTER_MAX_MS},
		{429, LLM_RETRY_AFTER_MAX_MS + 1, 1, 8, 0, -1, -1},
		{500, -1, 1, 8, 0, 250, 250},
		{500, -1, 1, 8, 0.999, 250, 500},
		{500, -1, 4, 8, 0, 2000, 2000},
		{500, -1, 7, 8, 0, 16000, 16000},
		{500, -1, 100, 1000, 0.999, 16000, 32000},
		{500, -1, 8, 8, 0, -1, -1},
		{0, -1, 1, 8, 0, 250, 250},
		{408, -1, 1, 8, 0, 250, 250},
		{529, -1, 1, 8, 0, 250, 250},
		{400, -1, 1, 8, 0, -1, -1},
		{401, 5, 1, 8, 0, -1, -1},
		{402, -1, 1, 8, 0, -1, -1},
		{403, -1, 1, 8, 0, -1, -1},
		{404, -1, 1, 8, 0, -1, -1},
		{301, -1, 1, 8, 0, -1, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = llm_retry_delay(rows[i].status, rows[i].retry_after_ms, rows[i].made,
			rows[i].max, rows[i].r);

		if (ms < rows[i].low || ms > rows[i].high)
			fail_msg("row %zu: %lld", i, (long long)ms);
	}
}

static void error_texts(void **state)
{
	static const struct {
		const char *body, *text;
		int code;
	} rows[] = {
		{"{\"error\":{\"message\":\"a\\nb\\u0007  c\",\"code\":429}}", "a b c", 429},
		{"{\"error\":\"plain\"}", "plain", 0},
		{"[{\"error\":{\"message\":\"in a list\",\"code\":503}}]", "in a list", 503},
		{"{\"message\":\"top\"}", "top", 0},
		{"{\"detail\":\"fastapi\"}", "fastapi", 0},
		{"<html> not\tJSON </html>", "<html> not JSON </html>", 0},
		{"{\"error\":{\"type\":\"overloaded_error\"}}", "overloaded_error", 503},
		{"{\"error\":{\"code\":\"model_not_found\",\"message\":\"m\"}}", "m", 404},
		{"{\"error\":{\"code\":\"502\",\"message\":\"m\"}}", "m", 502},
		{"{\"error\":{\"type\":\"1.0\"}}", "1.0", 0},
		{"{\"error\":{\"code\":1e99,\"message\":\"m\"}}", "m", 0},
		{"{\"error\":[1]}", "an error without words", 0},
		{"{}", "", 0},
		{"", "", 0},
	};
	char text[LLM_REASON_BYTES];
	char longer[2000];
	int code;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		llm_error_text(rows[i].body, strlen(rows[i].body), text, &code);
		assert_string_equal(text, rows[i].text);
		assert_int_equal(code, rows[i].code);
	}
	memset(longer, 'x', sizeof longer);
	llm_error_text(longer, sizeof longer, text, &code);
	assert_int_equal(strlen(text), 300);
}

static void prices(void **state)
{
	static const char table[] = "model\tinput\toutput\tcached\n"
				    "gpt-x\t0.000002\t0.00001\t0.000001\r\n"
				    "# a remark\n\n"
				    "b/nocache\t1\t2\t\n"
				    "bad\tone\t2\t3\n"
				    "half\t1\n"
				    "nega\t-1\t2\t3\n"
				    "nan\tnan\t2\t3\n";
	struct err e;
	struct llm_prices *p = llm_prices_parse(table, sizeof table - 1, &e);

	(void)state;
	assert_non_null(p);
	assert_true(llm_prices_cost(p, "openai/gpt-x", "gpt-x", 1000, 100, 500) > 0.002499);
	assert_true(llm_prices_cost(p, "openai/gpt-x", "gpt-x", 1000, 100, 500) < 0.002501);
	assert_true(llm_prices_cost(p, "b/nocache", NULL, 3, 1, 2) == 5);
	assert_true(llm_prices_cost(p, "b/nocache", NULL, 3, 1, 99) == 5);
	assert_true(llm_prices_cost(p, "bad", "half", 1, 1, 1) < 0);
	assert_true(llm_prices_cost(p, "nega", "nan", 1, 1, 1) < 0);
	llm_prices_free(p);
	p = llm_prices_load("/nonexistent/prices.tsv", &e);
	assert_non_null(p);
	assert_true(llm_prices_cost(p, "gpt-x", NULL, 1, 1, 1) < 0);
	llm_prices_free(p);
	assert_null(llm_prices_load("/", &e));
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(asks_and_answers),
		IN_WORLD(drops_response_format_where_refused),
		IN_WORLD(waits_as_long_as_it_is_told),
		IN_WORLD(classifies_every_failure),
		IN_WORLD(gives_up_after_its_tries),
		IN_WORLD(refuses_at_once_what_cannot_work),
		IN_WORLD(speaks_as_each_provider_wants),
		IN_WORLD(cancels_at_any_moment),
		cmocka_unit_test(retry_delay_table),
		cmocka_unit_test(error_texts),
		cmocka_unit_test(prices),
	};

	/* The environment would win over the tests' own keys. */
	unsetenv("OPENAI_API_KEY");
	unsetenv("OPENAI_API_BASE");
	unsetenv("OPENROUTER_API_KEY");
	unsetenv("OPENROUTER_API_BASE");
	unsetenv("ANTHROPIC_API_KEY");
	unsetenv("ANTHROPIC_API_BASE");
	return cmocka_run_group_tests_name("llm", tests, NULL, NULL);
}
