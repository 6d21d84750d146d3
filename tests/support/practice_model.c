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
 *   failure:    "status", "retry_after" (text), "error": {"message", "type", "code"}
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
	int plays[2]; /* edits asked for without the manager's words */
	int latency_ms;
	const char *key;
	FILE *log;
	pthread_mutex_t lock; /* hits, plays, log, stopping */
	pthread_cond_t stop;
	bool stopping;
} server = {.lock = PTHREAD_MUTEX_INITIALIZER, .stop = PTHREAD_COND_INITIALIZER, .latency_ms = 250};

struct question {
	cJSON *json;
	size_t bytes;
	const char *model;
	struct buf system, user, any;
	int messages;
	bool stream, include_usage, has_key;
};

struct answer {
	const cJSON *rule; /* NULL: our own play */
	char *text;
	const char *fault;
	int status, latency_ms, chunk_ms;
	size_t chunk_bytes;
	int64_t tokens_in, tokens_out, tokens_cached;
};

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

/* A message's content: a string, or a list of parts with text. */
static void add_content(struct buf *b, const cJSON *content)
{
	const cJSON *part;

	if (cJSON_IsString(content))
		buf_adds(b, content->valuestring);
	cJSON_ArrayForEach (part, content) {
		if (cJSON_IsObject(part))
			buf_adds(b, json_str(part, "text", ""));
	}
}

static void question_read(struct question *q)
{
	const cJSON *message;

	q->model = json_str(q->json, "model", "");
	q->stream = json_bool(q->json, "stream", false);
	q->include_usage = json_bool(json_get(q->json, "stream_options"), "include_usage", false);
	cJSON_ArrayForEach (message, json_get(q->json, "messages")) {
		const char *role = json_str(message, "role", "");
		const cJSON *content = json_get(message, "content");

		q->messages++;
		add_content(&q->any, content);
		buf_adds(&q->any, "\n");
		if (strcmp(role, "system") == 0) {
			add_content(&q->system, content);
		} else if (strcmp(role, "user") == 0) {
			buf_reset(&q->user);
			add_content(&q->user, content);
		}
	}
}

static void question_clear(struct question *q)
{
	cJSON_Delete(q->json);
	buf_clear(&q->system);
	buf_clear(&q->user);
	buf_clear(&q->any);
}

static bool has(const struct buf *b, const char *text)
{
	return b->data && strstr(b->data, text);
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

/* Our own play. */

static char *decision(
	const char *progress, const char *thought, const char *future, const char *fmt, ...)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	struct buf action;
	va_list ap;
	char line[2048];

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	buf_init(&action, 0);
	buf_adds(&action, line);
	json_add_str(j, "progress", progress);
	json_add_str(j, "thought", thought);
	json_add_str(j, "action", action.data);
	json_add_str(j, "future", future);
	buf_clear(&action);
	return json_print(j);
}

/* Agents with odd and even numbers go different ways. */
static int way_of_agent(const struct question *q)
{
	const char *at = q->system.data ? strstr(q->system.data, "You are agent ") : NULL;

	return at && strtol(at + strlen("You are agent "), NULL, 10) % 2 == 0 ? 1 : 0;
}

static char *play_manager(const struct question *q, const struct play *p)
{
	const char *instruct = p->instruct[way_of_agent(q)];
	char added[128], tested[256];

	snprintf(added, sizeof added, "/add %s", p->file);
	snprintf(tested, sizeof tested, "/test %s", p->test);
	if (!has(&q->user, added))
		return decision("Nothing is done yet.", "The change belongs into one file.",
			"Then the coding agent can be told what to change.", "%s", added);
	if (!has(&q->user, instruct))
		return decision("The file is in view.", "The tests say exactly what is wanted.",
			"Then the tests are run.", "/instruct %s", instruct);
	if (!has(&q->user, tested))
		return decision("The change is made and committed.",
			"Whether it is right, its tests tell.", "If they pass, it is finished.",
			"%s", tested);
	if (has(&q->user, "FAILED") && !has(&q->user, "Once more the tests"))
		return decision("The tests failed and were shown to the coding agent.",
			"Once more the tests must tell.", "If they pass, it is finished.", "%s",
			tested);
	return decision("The change is made, committed and tested.", "Nothing is left to do.",
		"A person can review it.", "/finish");
}

static char *play_edit(const struct question *q, const struct play *p, int way)
{
	struct buf b;

	buf_init(&b, 0);
	buf_addf(&b, "%s\n\n%s\n```python\n", p->done[way], p->file);
	if (has(&q->system, "SEARCH/REPLACE"))
		buf_addf(&b, "<<<<<<< SEARCH\n%s=======\n%s>>>>>>> REPLACE\n", p->before,
			p->text[way]);
	else
		buf_adds(&b, p->text[way]);
	buf_adds(&b, "```\n");
	return buf_take(&b, NULL);
}

static char *play_description(const struct play *p)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	cJSON *labels = cJSON_AddArrayToObject(j, "labels");

	json_add_str(j, "title", p ? p->pr_title : "Change the code");
	json_add_str(j, "body", p ? p->pr_body : "What the task asked for.");
	if (p)
		cJSON_AddItemToArray(labels, cJSON_CreateString(p->label));
	cJSON_AddArrayToObject(j, "reviewers");
	return json_print(j);
}

static const struct play *play_about(const struct buf *b, int *index)
{
	bool added = has(b, "I added these files to the chat");

	for (int i = 0; i < (int)(sizeof plays / sizeof *plays); i++) {
		if ((added && has(b, plays[i].file)) || has(b, plays[i].title) ||
			has(b, plays[i].instruct[0]) || has(b, plays[i].instruct[1]) ||
			has(b, plays[i].test)) {
			*index = i;
			return &plays[i];
		}
	}
	return NULL;
}

static char *play_commit(const struct question *q)
{
	for (size_t i = 0; i < sizeof plays / sizeof *plays; i++) {
		if (has(&q->user, plays[i].file))
			return strdup(plays[i].commit[has(&q->user, "ROUNDING = ") ||
						      has(&q->user, "PUNCTUATION = ")]);
	}
	return strdup("chore: change what was asked for");
}

static char *play(const struct question *q)
{
	int index = 0, way;
	const struct play *p;

	if (has(&q->system, "You manage a coding agent") ||
		has(&q->system, "You are the manager of a coding agent")) {
		p = play_about(&q->system, &index);
		if (p)
			return play_manager(q, p);
		return decision("There is nothing to do.",
			"The practice model knows only the tasks of its sample project.",
			"A real model can be chosen in the settings.", "/finish");
	}
	if (has(&q->any, "for a pull request. Answer with one JSON object"))
		return play_description(play_about(&q->any, &index));
	if (has(&q->system, "Git commit messages"))
		return play_commit(q);
	if (has(&q->system, "summarize this partial conversation"))
		return strdup("I asked you to change the code, and you did.");
	p = play_about(&q->user, &index);
	if (!p)
		return strdup("The practice model knows only the tasks of its sample project.");
	if (has(&q->any, p->instruct[0]) || has(&q->any, p->instruct[1])) {
		way = has(&q->any, p->instruct[1]);
	} else {
		pthread_mutex_lock(&server.lock);
		way = server.plays[index]++ % 2;
		pthread_mutex_unlock(&server.lock);
	}
	return play_edit(q, p, way);
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

static char *error_body(const char *message, const char *type, const char *code)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	cJSON *error = cJSON_AddObjectToObject(j, "error");

	json_add_str(error, "message", message);
	json_add_str(error, "type", type);
	cJSON_AddNullToObject(error, "param");
	json_add_str(error, "code", code);
	return json_print(j);
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
	send_body(c, a->status, header, body);
}

static cJSON *usage_json(const struct answer *a)
{
	cJSON *u = cJSON_CreateObject();
	double cost = json_num(a->rule, "cost", -1);

	json_add_int(u, "prompt_tokens", a->tokens_in);
	json_add_int(u, "completion_tokens", a->tokens_out);
	json_add_int(u, "total_tokens", a->tokens_in + a->tokens_out);
	json_add_int(cJSON_AddObjectToObject(u, "prompt_tokens_details"), "cached_tokens",
		a->tokens_cached);
	if (cost >= 0)
		cJSON_AddNumberToObject(u, "cost", cost);
	return u;
}

static cJSON *envelope(const struct question *q, const char *object)
{
	cJSON *j = cJSON_CreateObject();

	json_add_str(j, "id", "chatcmpl-practice");
	json_add_str(j, "object", object);
	json_add_int(j, "created", (int64_t)time(NULL));
	json_add_str(j, "model", q->model);
	return j;
}

static bool is(const struct answer *a, const char *fault)
{
	return a->fault && strcmp(a->fault, fault) == 0;
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

static cJSON *delta_of(const char *name, const char *text, size_t n)
{
	cJSON *delta = cJSON_CreateObject();

	json_add_text(delta, name, text, n);
	return delta;
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

static char *completion_body(const struct question *q, const struct answer *a)
{
	_cleanup_json_ cJSON *j = envelope(q, "chat.completion");
	cJSON *choice = cJSON_CreateObject(), *message;

	cJSON_AddItemToArray(cJSON_AddArrayToObject(j, "choices"), choice);
	json_add_int(choice, "index", 0);
	message = cJSON_AddObjectToObject(choice, "message");
	json_add_str(message, "role", "assistant");
	json_add_str(message, "content", a->text);
	if (json_str(a->rule, "reasoning", NULL))
		json_add_str(message, "reasoning_content", json_str(a->rule, "reasoning", ""));
	json_add_str(choice, "finish_reason", json_str(a->rule, "finish_reason", "stop"));
	if (!is(a, "no_usage"))
		cJSON_AddItemToObject(j, "usage", usage_json(a));
	return json_print(j);
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
		bool nul = is(a, "nul");

		mg_printf(c, "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
			     "Connection: close\r\n\r\n");
		send_all(c, parts, sizeof parts - 1);
		send_all(c, nul ? "\0" : "\xff\xc3\x28", nul ? 1 : 3);
		send_all(c, "b\"},\"finish_reason\":\"stop\"}]}", 31);
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
