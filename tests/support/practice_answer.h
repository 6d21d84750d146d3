/* What the practice model answers, and its JSON in OpenAI's shapes. */
#ifndef SUPPORT_PRACTICE_ANSWER_H
#define SUPPORT_PRACTICE_ANSWER_H

#include <time.h>

#include "shared/cleanup.h"
#include "tests/support/practice_question.h"

struct answer {
	const cJSON *rule; /* NULL: our own play */
	char *text;
	const char *fault;
	int status, latency_ms, chunk_ms;
	size_t chunk_bytes;
	int64_t tokens_in, tokens_out, tokens_cached;
};

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

static cJSON *delta_of(const char *name, const char *text, size_t n)
{
	cJSON *delta = cJSON_CreateObject();

	json_add_text(delta, name, text, n);
	return delta;
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

#endif
