/* One question at a provider: send, judge, wait, send again. The judging is in
 * llm_answer.c; here are the timers and the wire. */
#include "worker/llm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/model.h"
#include "worker/backoff.h"
#include "worker/llm_answer.h"
#include "worker/llm_prices.h"

#define LLM_MAX_CALLS 16
#define LLM_URL_BYTES 2048

struct llm {
	uv_loop_t *loop;
	struct http *http;
	const struct dotenv *keys;
	struct llm_prices *prices;
	struct llm_call *calls;
	int call_count;
	uint64_t random;
	int64_t asked_to_wait_ms;    /* by the provider of the last question that failed; -1 */
	char plain_model[MODEL_MAX]; /* this one refused response_format; do not ask it again */
};

struct llm_call {
	struct llm *llm;
	struct llm_call *prev, *next;
	uv_timer_t timer;
	bool ended; /* only the timer's close is still to come */
	struct http_call *http_call;
	struct model model;
	char url[LLM_URL_BYTES];
	char *authorization; /* header lines; secrets */
	char *api_key;
	cJSON *body;
	int64_t started_ms, deadline_ms;
	int tries, max_tries;
	llm_cb cb;
	llm_waiting_cb waiting;
	void *arg;
};

static void attempt(struct llm_call *c);

static void call_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void wipe(char *secret)
{
	if (secret)
		explicit_bzero(secret, strlen(secret));
	free(secret);
}

static void call_end(struct llm_call *c)
{
	if (c->ended)
		return;
	c->ended = true;
	http_cancel(c->http_call);
	c->http_call = NULL;
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		c->llm->calls = c->next;
	c->llm->call_count--;
	wipe(c->authorization);
	wipe(c->api_key);
	cJSON_Delete(c->body);
	uv_timer_stop(&c->timer);
	uv_close((uv_handle_t *)&c->timer, call_closed);
}

static void fail(struct llm_call *c, const struct err *e)
{
	llm_cb cb = c->cb;
	void *arg = c->arg;

	call_end(c);
	cb(arg, NULL, e);
}

static void on_wait_over(uv_timer_t *timer)
{
	attempt(timer->data);
}

/* After a try with this status: waits and tries again, or fails for good. */
static void judge(struct llm_call *c, int status, int64_t retry_after_ms, const char *reason)
{
	int64_t delay_ms = llm_retry_delay(
		status, retry_after_ms, c->tries, c->max_tries, backoff_chance(&c->llm->random));
	struct err e = {0};

	llm_fill_error(&c->model, status, reason, &e);
	c->llm->asked_to_wait_ms = retry_after_ms;
	if (delay_ms >= 0) {
		uv_update_time(c->llm->loop);
		uv_timer_start(&c->timer, on_wait_over, (uint64_t)delay_ms, 0);
		if (c->waiting)
			c->waiting(c->arg, e.text, delay_ms);
		return;
	}
	if (e.kind == ERR_UNAVAILABLE && retry_after_ms > LLM_RETRY_AFTER_MAX_MS)
		err_wrap(&e, "it asks to wait %lld minutes", (long long)(retry_after_ms / 60000));
	else if (e.kind == ERR_UNAVAILABLE)
		err_wrap(&e, "tried %d times", c->tries);
	fail(c, &e);
}

static void answered(struct llm_call *c, const struct http_response *r)
{
	_cleanup_free_ char *text = NULL;
	struct llm_answer answer;
	struct err e;
	llm_cb cb = c->cb;
	void *arg = c->arg;

	if (llm_parse(r->body, r->body_len, &text, &answer, &e) < 0) {
		char reason[LLM_REASON_BYTES];
		int code;

		if (e.kind == ERR_PROTOCOL) {
			judge(c, 502, r->retry_after_ms, e.text);
			return;
		}
		llm_error_text(r->body, r->body_len, reason, &code);
		judge(c, code ? code : 502, r->retry_after_ms, code ? reason : e.text);
		return;
	}
	answer.wall_ms = clock_now_ms() - c->started_ms;
	if (answer.dollars < 0)
		answer.dollars = llm_prices_cost(c->llm->prices, c->model.text, c->model.name,
			answer.tokens_in, answer.tokens_out, answer.tokens_cached);
	call_end(c);
	cb(arg, &answer, NULL);
}

static void on_response(void *arg, const struct http_response *r, const struct err *e)
{
	struct llm_call *c = arg;
	char reason[LLM_REASON_BYTES];
	int code;

	c->http_call = NULL;
	if (e && e->kind != ERR_UNAVAILABLE) {
		struct err why = *e;

		c->llm->asked_to_wait_ms = -1;
		err_wrap(&why, "%s", c->model.provider->prefix);
		fail(c, &why);
		return;
	}
	if (e) {
		judge(c, 0, -1, e->text);
		return;
	}
	if (r->status == 200) {
		answered(c, r);
		return;
	}
	if (cJSON_HasObjectItem(c->body, "response_format") &&
		llm_refuses_json(r->status, r->body, r->body_len)) {
		cJSON_DeleteItemFromObjectCaseSensitive(c->body, "response_format");
		snprintf(c->llm->plain_model, sizeof c->llm->plain_model, "%s", c->model.text);
		c->tries--;
		attempt(c);
		return;
	}
	llm_error_text(r->body, r->body_len, reason, &code);
	/* A used-up quota is told as 429 by some; waiting does not help there. */
	judge(c, r->status == 429 && code == 402 ? 402 : r->status, r->retry_after_ms, reason);
}

static void attempt(struct llm_call *c)
{
	const char *headers[] = {
		"Content-Type: application/json", "Accept: application/json", NULL, NULL, NULL};
	_cleanup_free_ char *body = json_print(c->body);
	struct http_request r = {
		.method = "POST",
		.url = c->url,
		.headers = headers,
		.body = body,
		.body_len = strlen(body),
		.timeout_ms = c->deadline_ms,
		.max_response_bytes = LLM_BODY_MAX_BYTES,
	};
	struct err e;
	size_t n = 2;

	if (c->authorization)
		headers[n++] = c->authorization;
	if (c->api_key)
		headers[n] = c->api_key;
	c->tries++;
	c->http_call = http_send(c->llm->http, &r, on_response, c, &e);
	if (!c->http_call)
		fail(c, &e);
}

/* Behind the first call: a failure to send is told by callback, from the loop. */
static void on_start(uv_timer_t *timer)
{
	attempt(timer->data);
}

static cJSON *question_body(const struct llm_call *c, const struct llm_question *q)
{
	cJSON *body = cJSON_CreateObject();
	cJSON *messages = cJSON_AddArrayToObject(body, "messages");

	json_add_str(body, "model", c->model.name);
	for (size_t i = 0; i < q->message_count; i++) {
		cJSON *m = cJSON_CreateObject();

		json_add_str(m, "role", q->messages[i].role);
		json_add_text(m, "content", q->messages[i].text, strlen(q->messages[i].text));
		cJSON_AddItemToArray(messages, m);
	}
	if (q->json && strcmp(c->llm->plain_model, c->model.text) != 0)
		json_add_str(
			cJSON_AddObjectToObject(body, "response_format"), "type", "json_object");
	if (strcmp(c->model.provider->prefix, "openrouter") == 0)
		cJSON_AddBoolToObject(cJSON_AddObjectToObject(body, "usage"), "include", true);
	return body;
}

static const char *key_from(void *arg, const char *name)
{
	return dotenv_get(arg, name);
}

static char *header(const char *before, const char *secret)
{
	char *line;

	if (asprintf(&line, "%s%s", before, secret) < 0)
		err_out_of_memory();
	return line;
}

static size_t question_bytes(const struct llm_question *q)
{
	size_t sum = 0;

	for (size_t i = 0; i < q->message_count; i++)
		sum += strlen(q->messages[i].text);
	return sum;
}

struct llm_call *llm_ask(struct llm *l, const struct llm_question *q, llm_cb cb,
	llm_waiting_cb waiting, void *arg, struct err *e)
{
	struct model model;
	char url[LLM_URL_BYTES];
	const char *key = NULL;
	struct llm_call *c;

	if (l->call_count >= LLM_MAX_CALLS) {
		err_set(e, ERR_LIMIT, "%d questions to models are under way already",
			LLM_MAX_CALLS);
		return NULL;
	}
	if (question_bytes(q) > LLM_QUESTION_MAX_BYTES) {
		err_set(e, ERR_LIMIT, "the question is longer than %d bytes",
			LLM_QUESTION_MAX_BYTES);
		return NULL;
	}
	if (model_parse(q->model, &model, e) < 0 ||
		model_endpoint(&model, key_from, (void *)l->keys, url, sizeof url, &key, e) < 0)
		return NULL;
	c = calloc(1, sizeof *c);
	if (!c)
		err_out_of_memory();
	c->llm = l;
	c->model = model;
	memcpy(c->url, url, sizeof url);
	if (key && *key)
		c->authorization = header("Authorization: Bearer ", key);
	if (key && *key && strcmp(model.provider->prefix, "anthropic") == 0)
		c->api_key = header("x-api-key: ", key);
	c->body = question_body(c, q);
	c->started_ms = clock_now_ms();
	c->deadline_ms = q->deadline_ms > 0 ? q->deadline_ms : LLM_DEADLINE_MS;
	c->max_tries = q->max_tries > 0 ? q->max_tries : LLM_MAX_TRIES;
	c->cb = cb;
	c->waiting = waiting;
	c->arg = arg;
	c->next = l->calls;
	if (c->next)
		c->next->prev = c;
	l->calls = c;
	l->call_count++;
	uv_timer_init(l->loop, &c->timer);
	c->timer.data = c;
	uv_timer_start(&c->timer, on_start, 0, 0);
	return c;
}

int64_t llm_asked_to_wait_ms(const struct llm *l)
{
	return l->asked_to_wait_ms;
}

void llm_cancel(struct llm_call *c)
{
	if (c)
		call_end(c);
}

struct llm *llm_new(uv_loop_t *loop, struct http *h, const struct dotenv *keys,
	const char *prices_path, struct err *e)
{
	struct llm *l = calloc(1, sizeof *l);

	if (!l)
		err_out_of_memory();
	l->loop = loop;
	l->http = h;
	l->keys = keys;
	l->asked_to_wait_ms = -1;
	l->random = (uint64_t)clock_now_ns() ^ ((uint64_t)(uintptr_t)l << 20);
	l->prices = llm_prices_load(prices_path, e);
	if (!l->prices) {
		free(l);
		return NULL;
	}
	return l;
}

void llm_free(struct llm *l)
{
	if (!l)
		return;
	while (l->calls)
		call_end(l->calls);
	llm_prices_free(l->prices);
	free(l);
}
