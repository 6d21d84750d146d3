/* The practice model: an OpenAI-compatible server without a mind. It plays scripted
 * answers, faults included, and by itself the two tasks of the sample project, for
 * the manager as well as for aider.
 *
 *   practice_model [--port N] [--script FILE] [--log FILE] [--key KEY] [--latency MS]
 *
 * Prints {"port":N} when it listens, on 127.0.0.1 alone. --key: other keys are refused
 * with 401. --latency: before each answer of its own play (default 250).
 *
 * A script is {"rules": [RULE, …], "strict": bool}. The first rule that matches answers;
 * if none does, its own play does (strict: status 400).
 *   conditions: "model", "system", "user" (the last user message), "any": substrings;
 *               "user_regex": POSIX extended; "nth": only the nth time (from 1) that the
 *               other conditions hold; "times": only the first so many times
 *   answer:     "answer": text, or "answers": texts in turn; "reasoning", "finish_reason",
 *               "tokens_in", "tokens_out", "tokens_cached", "cost"
 *   time:       "latency_ms", "chunk_bytes", "chunk_ms" (of a stream)
 *   failure:    "status", "retry_after" (text), "retry_after_date" (seconds from now),
 *               "error": {"message", "type", "code"}
 *   "fault":    error_in_200 · error_mid_stream · truncated · empty · reset · hang · slow ·
 *               huge ("mb") · fenced · wrong_schema · invalid_utf8 · nul · no_usage
 */
#include <civetweb.h>
#include <errno.h>
#include <pthread.h>
#include <regex.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "tests/support/practice_answer.h"
#include "tests/support/practice_play.h"

#define BODY_MAX (64 * 1024 * 1024)
#define RULES_MAX 256
#define HANG_MAX_MS (15 * 60 * 1000)
#define LOG_TEXT_MAX 16384
#define THREADS "128"

static struct {
	cJSON *script;
	const cJSON *rule[RULES_MAX];
	int hits[RULES_MAX]; /* times that the rule's other conditions held */
	int rules;
	bool strict;
	int latency_ms;
	const char *key;
	FILE *log;
	pthread_mutex_t lock; /* hits, log, stopping */
	pthread_cond_t stop;
	bool stopping;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .stop = PTHREAD_COND_INITIALIZER, .latency_ms = 250};

/* Sleeps, but not past the server's end; false when it ends. */
static bool rest(int64_t ms)
{
	struct timespec until;
	bool stopping;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_sec += ms / 1000;
	until.tv_nsec += (ms % 1000) * 1000000;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&server.lock);
	while (!server.stopping &&
		pthread_cond_timedwait(&server.stop, &server.lock, &until) != ETIMEDOUT)
		;
	stopping = server.stopping;
	pthread_mutex_unlock(&server.lock);
	return !stopping;
}

static bool rule_holds(const cJSON *rule, const struct question *q)
{
	const char *model = json_str(rule, "model", NULL), *system = json_str(rule, "system", NULL);
	const char *user = json_str(rule, "user", NULL), *any = json_str(rule, "any", NULL);
	const char *pattern = json_str(rule, "user_regex", NULL);
	bool holds = true;

	if ((model && !strstr(q->model, model)) || (system && !has(&q->system, system)) ||
		(user && !has(&q->user, user)) || (any && !has(&q->any, any)))
		return false;
	if (pattern) {
		regex_t r;

		if (regcomp(&r, pattern, REG_EXTENDED | REG_NOSUB) != 0)
			return false;
		holds = regexec(&r, q->user.data ? q->user.data : "", 0, NULL, 0) == 0;
		regfree(&r);
	}
	return holds;
}

/* The first rule that matches; *hit: how often it held before. */
static const cJSON *rule_find(const struct question *q, int *hit)
{
	const cJSON *found = NULL;

	pthread_mutex_lock(&server.lock);
	for (int i = 0; i < server.rules && !found; i++) {
		const cJSON *rule = server.rule[i];
		int64_t nth = json_int(rule, "nth", 0), times = json_int(rule, "times", 0);

		if (!rule_holds(rule, q))
			continue;
		*hit = server.hits[i]++;
		if ((!nth || *hit + 1 == nth) && (!times || *hit < times))
			found = rule;
	}
	pthread_mutex_unlock(&server.lock);
	return found;
}

/* Answering. */

static bool send_all(struct mg_connection *c, const void *data, size_t n)
{
	return n == 0 || mg_write(c, data, n) > 0;
}

static void send_body(struct mg_connection *c, int status, const char *extra, const char *body)
{
	size_t n = strlen(body);

	mg_printf(c,
		"HTTP/1.1 %d %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n"
		"Connection: close\r\n%s\r\n",
		status, mg_get_response_code_text(c, status), n, extra ? extra : "");
	send_all(c, body, n);
}

static void send_error(struct mg_connection *c, const struct answer *a)
{
	const cJSON *error = json_get(a->rule, "error");
	const char *wait = json_str(a->rule, "retry_after", NULL);
	char header[128] = "";
	_cleanup_free_ char *body = error_body(json_str(error, "message", "practice failure"),
		json_str(error, "type", "practice"), json_str(error, "code", "practice"));

	if (wait)
		snprintf(header, sizeof header, "Retry-After: %s\r\n", wait);
	if (json_get(a->rule, "retry_after_date")) {
		time_t at = time(NULL) + (time_t)json_int(a->rule, "retry_after_date", 0);
		struct tm tm;

		strftime(header, sizeof header, "Retry-After: %a, %d %b %Y %H:%M:%S GMT\r\n",
			gmtime_r(&at, &tm));
	}
	send_body(c, a->status, header, body);
}

static bool send_event(struct mg_connection *c, const char *data)
{
	return send_all(c, "data: ", 6) && send_all(c, data, strlen(data)) &&
	       send_all(c, "\n\n", 2);
}

/* One chunk of a stream. delta: taken over, NULL for none. */
static bool send_delta(struct mg_connection *c, const struct question *q, cJSON *delta,
	const char *finish, cJSON *usage)
{
	_cleanup_json_ cJSON *j = envelope(q, "chat.completion.chunk");
	cJSON *choices = cJSON_AddArrayToObject(j, "choices");
	_cleanup_free_ char *data = NULL;

	if (delta) {
		cJSON *choice = cJSON_CreateObject();

		cJSON_AddItemToArray(choices, choice);
		json_add_int(choice, "index", 0);
		cJSON_AddItemToObject(choice, "delta", delta);
		json_add_str(choice, "finish_reason", finish);
	}
	if (usage)
		cJSON_AddItemToObject(j, "usage", usage);
	data = json_print(j);
	return send_event(c, data);
}

static void send_stream(struct mg_connection *c, const struct question *q, const struct answer *a)
{
	const char *reasoning = json_str(a->rule, "reasoning", NULL);
	size_t n = strlen(a->text), half = n / 2;

	mg_printf(c, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
		     "Cache-Control: no-store\r\nConnection: close\r\n\r\n");
	if (!send_delta(c, q, delta_of("role", "assistant", 9), NULL, NULL))
		return;
	if (reasoning &&
		!send_delta(c, q, delta_of("reasoning_content", reasoning, strlen(reasoning)), NULL,
			NULL))
		return;
	for (size_t at = 0, len; at < n; at += len) {
		len = utf8_cut(a->text + at, n - at, a->chunk_bytes);
		if (at >= half &&
			(is(a, "truncated") || is(a, "hang") || is(a, "error_mid_stream")))
			break;
		if (!send_delta(c, q, delta_of("content", a->text + at, len), NULL, NULL))
			return;
		if (a->chunk_ms && !rest(a->chunk_ms))
			return;
	}
	if (is(a, "hang"))
		rest(HANG_MAX_MS);
	if (is(a, "error_mid_stream")) {
		_cleanup_free_ char *body =
			error_body("the upstream model failed", "server_error", "502");

		send_event(c, body);
	}
	if (is(a, "truncated") || is(a, "hang") || is(a, "error_mid_stream"))
		return;
	if (!send_delta(
		    c, q, cJSON_CreateObject(), json_str(a->rule, "finish_reason", "stop"), NULL))
		return;
	if (q->include_usage && !is(a, "no_usage"))
		send_delta(c, q, NULL, NULL, usage_json(a));
	send_event(c, "[DONE]");
}

/* A body that says its length and then does not keep it, comes a byte a second, … */
static void send_faulty(struct mg_connection *c, const struct answer *a, const char *body)
{
	size_t n = strlen(body);

	if (is(a, "truncated")) {
		mg_printf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			     "Connection: close\r\n\r\n");
		send_all(c, body, n / 2);
	} else if (is(a, "slow")) {
		mg_printf(c,
			"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			"Content-Length: %zu\r\nConnection: close\r\n\r\n",
			n);
		for (size_t i = 0; i < n && send_all(c, body + i, 1) && rest(1000); i++)
			;
	} else if (is(a, "huge")) {
		size_t mb = (size_t)json_int(a->rule, "mb", 100);
		char spaces[4096];

		memset(spaces, ' ', sizeof spaces);
		mg_printf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			     "Connection: close\r\n\r\n");
		for (size_t i = 0; i < mb * 256 && send_all(c, spaces, sizeof spaces); i++)
			;
		send_all(c, body, n);
	} else if (is(a, "invalid_utf8") || is(a, "nul")) {
		static const char parts[] = "{\"choices\":[{\"index\":0,\"message\":{\"role\":"
					    "\"assistant\",\"content\":\"a";
		static const char end[] = "b\"},\"finish_reason\":\"stop\"}]}";
		bool nul = is(a, "nul");

		mg_printf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			     "Connection: close\r\n\r\n");
		send_all(c, parts, sizeof parts - 1);
		send_all(c, nul ? "\0" : "\xff\xc3\x28", nul ? 1 : 3);
		send_all(c, end, sizeof end - 1);
	}
}

static void answer_send(struct mg_connection *c, const struct question *q, const struct answer *a)
{
	_cleanup_free_ char *body = NULL;

	if (a->latency_ms && !rest(a->latency_ms))
		return;
	if (a->status != 200) {
		send_error(c, a);
		return;
	}
	if (is(a, "reset"))
		return;
	if (is(a, "hang") && !q->stream) {
		rest(HANG_MAX_MS);
		return;
	}
	if (is(a, "empty")) {
		send_body(c, 200, NULL, "");
		return;
	}
	if (is(a, "wrong_schema")) {
		send_body(c, 200, NULL, "{\"object\":\"list\",\"data\":[]}");
		return;
	}
	if (is(a, "error_in_200")) {
		body = error_body("the provider returned an error", "provider", "502");
		send_body(c, 200, NULL, body);
		return;
	}
	if (is(a, "slow") || is(a, "huge") || is(a, "invalid_utf8") || is(a, "nul") ||
		(is(a, "truncated") && !q->stream)) {
		body = completion_body(q, a);
		send_faulty(c, a, body);
		return;
	}
	if (q->stream) {
		send_stream(c, q, a);
		return;
	}
	body = completion_body(q, a);
	send_body(c, 200, NULL, body);
}

static void answer_from_rule(struct answer *a, const cJSON *rule, int hit)
{
	const cJSON *answers = json_get(rule, "answers");
	const cJSON *one = cJSON_GetArraySize(answers)
				   ? cJSON_GetArrayItem(answers, hit % cJSON_GetArraySize(answers))
				   : NULL;
	const char *text = one ? one->valuestring : json_str(rule, "answer", "Ok.");

	a->rule = rule;
	a->fault = json_str(rule, "fault", NULL);
	a->status = (int)json_int(rule, "status", 200);
	a->latency_ms = (int)json_int(rule, "latency_ms", 0);
	a->chunk_ms = (int)json_int(rule, "chunk_ms", 0);
	a->chunk_bytes = (size_t)json_int(rule, "chunk_bytes", 24);
	if (a->chunk_bytes < 4) /* room for one character */
		a->chunk_bytes = 4;
	if (is(a, "fenced")) {
		struct buf b;

		buf_init(&b, 0);
		buf_addf(&b, "```json\n%s\n```", text);
		a->text = buf_take(&b, NULL);
	} else {
		a->text = strdup(text);
	}
}

static bool answer_make(struct answer *a, const struct question *q)
{
	int hit = 0;
	const cJSON *rule = rule_find(q, &hit);

	if (rule) {
		answer_from_rule(a, rule, hit);
	} else if (server.strict) {
		return false;
	} else {
		*a = (struct answer){.status = 200,
			.latency_ms = server.latency_ms,
			.chunk_ms = server.latency_ms / 25,
			.chunk_bytes = 32,
			.text = play(q)};
	}
	a->tokens_in = json_int(rule, "tokens_in", (int64_t)(q->any.len / 4) + 1);
	a->tokens_out = json_int(rule, "tokens_out", (int64_t)(strlen(a->text) / 4) + 1);
	a->tokens_cached = json_int(rule, "tokens_cached", 0);
	return true;
}

static void log_question(const struct question *q, const struct answer *a)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	_cleanup_free_ char *line = NULL;
	struct timespec now;

	if (!server.log)
		return;
	clock_gettime(CLOCK_REALTIME, &now);
	json_add_int(j, "at", (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000);
	json_add_int(j, "bytes", (int64_t)q->bytes);
	json_add_str(j, "model", q->model);
	cJSON_AddBoolToObject(j, "key", q->has_key);
	cJSON_AddBoolToObject(j, "stream", q->stream);
	json_add_int(j, "messages", q->messages);
	json_add_int(j, "status", a->status);
	json_add_str(j, "fault", a->fault);
	json_add_int(j, "tokens_in", a->tokens_in);
	json_add_int(j, "tokens_out", a->tokens_out);
	json_add_text(j, "system", q->system.data ? q->system.data : "",
		q->system.len < LOG_TEXT_MAX ? q->system.len : LOG_TEXT_MAX);
	json_add_text(j, "user", q->user.data ? q->user.data : "",
		q->user.len < LOG_TEXT_MAX ? q->user.len : LOG_TEXT_MAX);
	line = json_print(j);
	pthread_mutex_lock(&server.lock);
	fprintf(server.log, "%s\n", line);
	fflush(server.log);
	pthread_mutex_unlock(&server.lock);
}

static cJSON *body_read(struct mg_connection *c, size_t *bytes)
{
	struct buf b;
	char part[16384];
	int n;
	cJSON *j;

	buf_init(&b, BODY_MAX);
	while ((n = mg_read(c, part, sizeof part)) > 0) {
		if (!buf_add(&b, part, (size_t)n))
			break;
	}
	*bytes = b.len;
	j = b.data && !b.overflow ? cJSON_ParseWithLength(b.data, b.len) : NULL;
	buf_clear(&b);
	return j;
}

static bool key_is_right(struct mg_connection *c, bool *given)
{
	const char *header = mg_get_header(c, "Authorization");

	*given = header != NULL;
	return !server.key || (header && strncmp(header, "Bearer ", 7) == 0 &&
				      strcmp(header + 7, server.key) == 0);
}

static int on_completion(struct mg_connection *c, void *arg)
{
	struct question q = {0};
	struct answer a = {0};
	_cleanup_free_ char *body = NULL;
	bool right;

	(void)arg;
	right = key_is_right(c, &q.has_key);
	q.json = body_read(c, &q.bytes);
	if (!right) {
		body = error_body(
			"Incorrect API key provided.", "invalid_request_error", "invalid_api_key");
		send_body(c, 401, NULL, body);
	} else if (!q.json) {
		body = error_body("The body is not JSON.", "invalid_request_error", "bad_json");
		send_body(c, 400, NULL, body);
	} else {
		question_read(&q);
		if (answer_make(&a, &q)) {
			log_question(&q, &a);
			answer_send(c, &q, &a);
		} else {
			body = error_body("No rule of the script matches.", "invalid_request_error",
				"no_rule");
			send_body(c, 400, NULL, body);
		}
		free(a.text);
	}
	question_clear(&q);
	return 1;
}

static int on_models(struct mg_connection *c, void *arg)
{
	(void)arg;
	send_body(c, 200, NULL,
		"{\"object\":\"list\",\"data\":[{\"id\":\"practice\",\"object\":\"model\","
		"\"created\":0,\"owned_by\":\"100x\"}]}");
	return 1;
}

static void script_read(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen(path, "r");
	const cJSON *rule;
	struct buf b;
	struct err e;
	char part[4096];
	size_t n;

	if (!f) {
		fprintf(stderr, "practice_model: %s: %s\n", path, strerror(errno));
		exit(2);
	}
	buf_init(&b, BODY_MAX);
	while ((n = fread(part, 1, sizeof part, f)) > 0)
		buf_add(&b, part, n);
	server.script = json_parse(b.data ? b.data : "", b.len, BODY_MAX, &e);
	buf_clear(&b);
	if (!server.script) {
		fprintf(stderr, "practice_model: %s: %s\n", path, e.text);
		exit(2);
	}
	server.strict = json_bool(server.script, "strict", false);
	cJSON_ArrayForEach (rule, json_get(server.script, "rules")) {
		if (server.rules < RULES_MAX)
			server.rule[server.rules++] = rule;
	}
}

static int serve(const char *port)
{
	char where[64];
	const char *options[] = {"listening_ports", where, "num_threads", THREADS,
		"request_timeout_ms", "60000", "tcp_nodelay", "1", NULL};
	struct mg_callbacks callbacks = {0};
	struct mg_server_port ports[1];
	struct mg_context *ctx;
	sigset_t set;
	int got;

	snprintf(where, sizeof where, "127.0.0.1:%s", port);
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	pthread_sigmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	mg_init_library(0);
	ctx = mg_start(&callbacks, NULL, options);
	if (!ctx || mg_get_server_ports(ctx, 1, ports) != 1) {
		fprintf(stderr, "practice_model: port %s of 127.0.0.1 is not free\n", port);
		return 1;
	}
	mg_set_request_handler(ctx, "/v1/chat/completions", on_completion, NULL);
	mg_set_request_handler(ctx, "/v1/models", on_models, NULL);
	printf("{\"port\":%d}\n", ports[0].port);
	fflush(stdout);
	sigwait(&set, &got);
	pthread_mutex_lock(&server.lock);
	server.stopping = true;
	pthread_cond_broadcast(&server.stop);
	pthread_mutex_unlock(&server.lock);
	mg_stop(ctx);
	mg_exit_library();
	cJSON_Delete(server.script);
	if (server.log)
		fclose(server.log);
	return 0;
}

int main(int argc, char **argv)
{
	const char *port = "0";

	for (int i = 1; i + 1 < argc; i += 2) {
		const char *name = argv[i], *value = argv[i + 1];

		if (strcmp(name, "--port") == 0)
			port = value;
		else if (strcmp(name, "--script") == 0)
			script_read(value);
		else if (strcmp(name, "--log") == 0)
			server.log = fopen(value, "ae");
		else if (strcmp(name, "--key") == 0)
			server.key = value;
		else if (strcmp(name, "--latency") == 0)
			server.latency_ms = (int)strtol(value, NULL, 10);
		else
			argc = 0;
	}
	if (argc % 2 == 0) {
		fprintf(stderr, "usage: practice_model [--port N] [--script FILE] [--log FILE] "
				"[--key KEY] [--latency MS]\n");
		return 2;
	}
	return serve(port);
}
