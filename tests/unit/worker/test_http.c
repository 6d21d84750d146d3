/* Requests against a scripted server in the same loop. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "http_server.h"
#include "worker/http.h"

struct world {
	uv_loop_t loop;
	struct server server;
	struct http *http;
	char url[64];
	/* what came back */
	int callbacks, status;
	char body[256];
	size_t body_len;
	int64_t retry_after_ms, rate_remaining, rate_reset_in_ms;
	char scopes[64];
	struct err e;
	struct http_call *other;
	bool free_in_callback;
};

static int set_up(void **state)
{
	struct world *w = calloc(1, sizeof *w);

	uv_loop_init(&w->loop);
	server_start(&w->server, &w->loop);
	w->http = http_new(&w->loop, &w->e);
	assert_non_null(w->http);
	snprintf(w->url, sizeof w->url, "http://127.0.0.1:%d/path", w->server.port);
	*state = w;
	return 0;
}

static int tear_down(void **state)
{
	struct world *w = *state;

	http_free(w->http);
	server_stop(&w->server);
	assert_int_equal(uv_loop_close(&w->loop), 0);
	free(w);
	return 0;
}

static void on_answer(void *arg, const struct http_response *r, const struct err *e)
{
	struct world *w = arg;

	w->callbacks++;
	assert_true((r == NULL) != (e == NULL));
	if (e) {
		w->e = *e;
		w->status = 0;
	} else {
		w->status = r->status;
		w->body_len = r->body_len;
		snprintf(w->body, sizeof w->body, "%s", r->body);
		w->retry_after_ms = r->retry_after_ms;
		w->rate_remaining = r->rate_remaining;
		w->rate_reset_in_ms = r->rate_reset_in_ms;
		snprintf(w->scopes, sizeof w->scopes, "%s", r->scopes ? r->scopes : "none");
	}
	if (w->other) {
		http_cancel(w->other);
		w->other = NULL;
	}
	if (w->free_in_callback) {
		http_free(w->http);
		w->http = NULL;
	}
}

static struct http_call *ask(struct world *w, struct http_request r)
{
	r.method = r.method ? r.method : "GET";
	r.url = r.url ? r.url : w->url;
	r.timeout_ms = r.timeout_ms ? r.timeout_ms : 5000;
	r.max_response_bytes = r.max_response_bytes ? r.max_response_bytes : 4096;
	return http_send(w->http, &r, on_answer, w, &w->e);
}

static void wait_for(struct world *w, int callbacks)
{
	int64_t deadline_ms = clock_now_ms() + 10000;

	while (w->callbacks < callbacks && clock_now_ms() < deadline_ms)
		uv_run(&w->loop, UV_RUN_ONCE);
	assert_int_equal(w->callbacks, callbacks);
}

static void posts_and_reads_what_matters(void **state)
{
	struct world *w = *state;
	const char *headers[] = {"Authorization: Bearer secret", "X-Other: 1", NULL};

	server_will(&w->server, (struct server_reply){.status = 201,
					.headers = "Retry-After: 7\r\nX-RateLimit-Remaining: 12\r\n"
						   "X-RateLimit-Reset: 1763870000\r\n"
						   "Date: Sun, 23 Nov 2025 03:53:00 GMT\r\n"
						   "X-OAuth-Scopes: repo, user\r\n",
					.body = "{\"a\":1}"});
	assert_non_null(ask(
		w, (struct http_request){
			   .method = "POST", .headers = headers, .body = "hello", .body_len = 5}));
	assert_int_equal(w->callbacks, 0);
	wait_for(w, 1);
	assert_int_equal(w->status, 201);
	assert_string_equal(w->body, "{\"a\":1}");
	assert_int_equal(w->retry_after_ms, 7000);
	assert_int_equal(w->rate_remaining, 12);
	/* By the server's clock, which may be years away from ours. */
	assert_int_equal(w->rate_reset_in_ms, 20000);
	assert_string_equal(w->scopes, "repo, user");
	assert_non_null(strstr(w->server.request[0], "POST /path HTTP/1.1\r\n"));
	assert_non_null(strstr(w->server.request[0], "Authorization: Bearer secret\r\n"));
	assert_non_null(strstr(w->server.request[0], "User-Agent: 100x-orchestrator/"));
	assert_non_null(strstr(w->server.request[0], "\r\n\r\nhello"));
	assert_null(strstr(w->server.request[0], "Expect:"));
}

static void keeps_connections_unless_asked_once(void **state)
{
	struct world *w = *state;

	server_will(&w->server, (struct server_reply){.status = 200, .body = "x"});
	for (int i = 1; i <= 3; i++) {
		assert_non_null(ask(w, (struct http_request){0}));
		wait_for(w, i);
	}
	assert_int_equal(w->server.connections, 1);
	assert_int_equal(w->rate_remaining, -1);
	assert_int_equal(w->retry_after_ms, -1);
	assert_string_equal(w->scopes, "none");
	assert_non_null(ask(w, (struct http_request){.once = true}));
	wait_for(w, 4);
	assert_int_equal(w->server.connections, 2);
}

static void once_is_not_repeated_on_a_dead_connection(void **state)
{
	struct world *w = *state;

	server_will(&w->server, (struct server_reply){.status = 200, .body = "x"});
	server_will(&w->server, (struct server_reply){.mode = SERVER_CLOSE});
	assert_non_null(ask(w, (struct http_request){0}));
	wait_for(w, 1);
	assert_non_null(
		ask(w, (struct http_request){
			       .method = "POST", .body = "{}", .body_len = 2, .once = true}));
	wait_for(w, 2);
	assert_int_equal(w->e.kind, ERR_UNAVAILABLE);
	assert_int_equal(w->server.requests, 2);
}

static void bounds_the_answer(void **state)
{
	struct world *w = *state;

	server_will(&w->server, (struct server_reply){.status = 200, .mode = SERVER_FLOOD});
	assert_non_null(ask(w, (struct http_request){.max_response_bytes = 100000}));
	wait_for(w, 1);
	assert_int_equal(w->e.kind, ERR_LIMIT);
	assert_non_null(strstr(w->e.text, "100000"));
}

static void keeps_its_deadline(void **state)
{
	static const enum server_mode modes[] = {SERVER_SILENT, SERVER_DRIP};
	struct world *w = *state;

	for (int i = 0; i < 2; i++) {
		int64_t from_ms = clock_now_ms();

		server_will(&w->server, (struct server_reply){.status = 200, .mode = modes[i]});
		assert_non_null(ask(w, (struct http_request){.timeout_ms = 300}));
		wait_for(w, i + 1);
		assert_int_equal(w->e.kind, ERR_UNAVAILABLE);
		assert_in_range(clock_now_ms() - from_ms, 290, 1300);
	}
}

static void tells_what_is_unreachable(void **state)
{
	struct world *w = *state;
	struct server gone;
	char url[64];

	server_start(&gone, &w->loop);
	snprintf(url, sizeof url, "http://127.0.0.1:%d/secret?key=1", gone.port);
	uv_close((uv_handle_t *)&gone.listener, NULL);
	uv_run(&w->loop, UV_RUN_NOWAIT);
	assert_non_null(ask(w, (struct http_request){.url = url}));
	wait_for(w, 1);
	assert_int_equal(w->e.kind, ERR_UNAVAILABLE);
	assert_non_null(strstr(w->e.text, "127.0.0.1"));
	assert_null(strstr(w->e.text, "key=1"));
	/* Not TLS at all. */
	snprintf(url, sizeof url, "https://127.0.0.1:%d/", w->server.port);
	server_will(&w->server, (struct server_reply){.mode = SERVER_CLOSE});
	assert_non_null(ask(w, (struct http_request){.url = url, .timeout_ms = 400}));
	wait_for(w, 2);
	assert_int_equal(w->e.kind, ERR_UNAVAILABLE);
}

static void refuses_bad_requests_at_once(void **state)
{
	struct world *w = *state;
	const char *headers[] = {"Authorization: Bearer a\r\nX-Evil: 1", NULL};

	assert_null(ask(w, (struct http_request){.url = "file:///etc/passwd"}));
	assert_int_equal(w->e.kind, ERR_INVALID);
	assert_null(ask(w, (struct http_request){.url = "nonsense"}));
	assert_int_equal(w->e.kind, ERR_INVALID);
	assert_null(ask(w, (struct http_request){.headers = headers}));
	assert_int_equal(w->e.kind, ERR_INVALID);
	assert_null(strstr(w->e.text, "Bearer"));
	assert_int_equal(w->callbacks, 0);
}

static void follows_get_and_no_post(void **state)
{
	struct world *w = *state;

	server_will(&w->server,
		(struct server_reply){.status = 301, .headers = "Location: /moved\r\n"});
	server_will(&w->server, (struct server_reply){.status = 200, .body = "here"});
	server_will(&w->server,
		(struct server_reply){.status = 307, .headers = "Location: /moved\r\n"});
	server_will(&w->server, (struct server_reply){.status = 302,
					.headers = "Location: file:///etc/passwd\r\n"});
	assert_non_null(ask(w, (struct http_request){0}));
	wait_for(w, 1);
	assert_string_equal(w->body, "here");
	assert_non_null(ask(w, (struct http_request){.method = "POST", .body = "", .body_len = 0}));
	wait_for(w, 2);
	assert_int_equal(w->status, 307);
	assert_int_equal(w->server.requests, 3);
	assert_non_null(ask(w, (struct http_request){0}));
	wait_for(w, 3);
	assert_int_equal(w->status, 0);
}

static void cancels(void **state)
{
	struct world *w = *state;
	struct http_call *c;

	server_will(&w->server, (struct server_reply){.mode = SERVER_SILENT});
	server_will(&w->server, (struct server_reply){.status = 200, .body = "x"});
	c = ask(w, (struct http_request){0});
	http_cancel(c);
	c = ask(w, (struct http_request){0});
	while (w->server.requests < 1)
		uv_run(&w->loop, UV_RUN_ONCE);
	/* The second's answer calls off the first and frees everything. */
	w->other = c;
	w->free_in_callback = true;
	assert_non_null(ask(w, (struct http_request){0}));
	wait_for(w, 1);
	assert_string_equal(w->body, "x");
}

static void many_at_once_then_refuses(void **state)
{
	struct world *w = *state;
	int sent = 0;

	server_will(&w->server, (struct server_reply){.status = 200, .body = "x"});
	while (ask(w, (struct http_request){0}))
		sent++;
	assert_int_equal(sent, 64);
	assert_int_equal(w->e.kind, ERR_LIMIT);
	wait_for(w, 64);
	assert_int_equal(w->status, 200);
}

static void reads_retry_after(void **state)
{
	static const struct {
		const char *value;
		int64_t ms;
	} rows[] = {
		{"0", 0},
		{"7", 7000},
		{"1.5", 1500},
		{" 7", -1},
		{"-3", -1},
		{"x", -1},
		{"", -1},
		{"7 minutes", -1},
		{"1e30", 24LL * 3600 * 1000},
		{"99999999999999999999", 24LL * 3600 * 1000},
		{"nan", -1},
		{"Sun, 23 Nov 2025 03:53:30 GMT", 10000},
		{"Sun, 23 Nov 2025 03:53:10 GMT", 0},
		{"Sun, 23 Nov 2036 03:53:10 GMT", 24LL * 3600 * 1000},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (http_retry_after(rows[i].value, 1763870000000LL) != rows[i].ms)
			fail_msg("%s gives %lld", rows[i].value,
				(long long)http_retry_after(rows[i].value, 1763870000000LL));
}

#define IN_WORLD(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_WORLD(posts_and_reads_what_matters),
		IN_WORLD(keeps_connections_unless_asked_once),
		IN_WORLD(once_is_not_repeated_on_a_dead_connection),
		IN_WORLD(bounds_the_answer),
		IN_WORLD(keeps_its_deadline),
		IN_WORLD(tells_what_is_unreachable),
		IN_WORLD(refuses_bad_requests_at_once),
		IN_WORLD(follows_get_and_no_post),
		IN_WORLD(cancels),
		IN_WORLD(many_at_once_then_refuses),
		cmocka_unit_test(reads_retry_after),
	};

	return cmocka_run_group_tests_name("http", tests, NULL, NULL);
}
