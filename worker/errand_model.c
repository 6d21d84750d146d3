/* One question to a model, and the errand "model": does it answer at all? */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "shared/model.h"
#include "worker/errand_parts.h"

#define TEXT_SHOWN 500

struct asked {
	bool done, failed;
	char *text;
	struct llm_answer answer;
	struct err *e;
};

static void on_answer(void *arg, const struct llm_answer *answer, const struct err *e)
{
	struct asked *a = arg;

	a->done = true;
	a->failed = e != NULL;
	if (e) {
		*a->e = *e;
		return;
	}
	a->answer = *answer;
	a->text = strdup(answer->text);
	if (!a->text)
		abort();
	a->answer.text = NULL;
}

static void on_waiting(void *arg, const char *reason, int64_t delay_ms)
{
	(void)arg;
	(void)reason;
	(void)delay_ms;
}

int errand_ask(const struct paths *paths, const struct dotenv *keys, const struct llm_question *q,
	char **text, struct llm_answer *answer, struct err *e)
{
	char prices[PATHS_MAX + 16];
	struct asked a = {.e = e};
	struct http *http;
	struct llm *llm;
	uv_loop_t loop;

	snprintf(prices, sizeof prices, "%s/prices.tsv", paths->data_dir);
	uv_loop_init(&loop);
	http = http_new(&loop, e);
	llm = http ? llm_new(&loop, http, keys, prices, e) : NULL;
	if (!llm || !llm_ask(llm, q, on_answer, on_waiting, &a, e))
		a.failed = a.done = true;
	while (!a.done)
		uv_run(&loop, UV_RUN_ONCE);
	llm_free(llm);
	http_free(http);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	if (a.failed)
		return -1;
	*text = a.text;
	*answer = a.answer;
	return 0;
}

/* What to do about it, by the kind of error. */
static const char *hint(enum err_kind kind)
{
	if (kind == ERR_DENIED)
		return "put a valid key of this provider into ~/.env";
	if (kind == ERR_NOT_FOUND)
		return "the provider does not know this model: check its name";
	if (kind == ERR_INVALID)
		return "write it as provider/model, as LiteLLM does";
	if (kind == ERR_UNAVAILABLE)
		return "the provider cannot be reached or is overloaded: try again later";
	return "";
}

int errand_model(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	static const struct json_field fields[] = {{.name = "model",
		.type = JSON_STRING,
		.required = true,
		.min = 1,
		.max = MODEL_MAX}};
	static const struct llm_message messages[] = {{"user", "Answer with the one word: ready"}};
	struct llm_question q = {.messages = messages,
		.message_count = 1,
		.deadline_ms = ERRAND_TEST_MS,
		.max_tries = 1};
	struct llm_answer got;
	struct dotenv *keys;
	struct model m;
	struct err failure;
	char *text = NULL;
	int done;

	if (json_check(question, fields, 1, e) < 0)
		return -1;
	*field = "model";
	q.model = json_str(question, "model", "");
	if (model_parse(q.model, &m, e) < 0)
		return -1;
	*field = NULL;
	json_add_str(answer, "provider", m.provider->prefix);
	keys = errand_keys(paths, e);
	if (!keys)
		return -1;
	done = errand_ask(paths, keys, &q, &text, &got, &failure);
	dotenv_free(keys);
	cJSON_AddBoolToObject(answer, "works", done == 0);
	if (done == 0) {
		json_add_int(answer, "latency_ms", got.wall_ms);
		json_add_text(answer, "text", text, utf8_cut(text, strlen(text), TEXT_SHOWN));
		free(text);
	} else {
		json_add_str(answer, "error", failure.text);
		json_add_str(answer, "hint", hint(failure.kind));
	}
	return 0;
}
