/* Chat completions at any OpenAI-compatible provider: one question, retried as far
 * as it may pass, answered once. Never blocks the loop; one slow model delays
 * nobody else. */
#ifndef WORKER_LLM_H
#define WORKER_LLM_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "shared/dotenv.h"
#include "shared/err.h"
#include "worker/http.h"

#define LLM_DEADLINE_MS 120000
#define LLM_MAX_TRIES 8
#define LLM_BODY_MAX_BYTES (4 * 1024 * 1024)	  /* of an answer; longer: ERR_LIMIT */
#define LLM_QUESTION_MAX_BYTES (4 * 1024 * 1024)  /* of a question; longer: ERR_LIMIT */
#define LLM_RETRY_AFTER_MAX_MS (15LL * 60 * 1000) /* asked to wait longer: tries are used up */

struct llm;
struct llm_call;

struct llm_message {
	const char *role; /* system, user, assistant */
	const char *text;
};

struct llm_question {
	const char *model; /* LiteLLM model string */
	const struct llm_message *messages;
	size_t message_count;
	bool json;	     /* response_format json_object; dropped by itself where refused */
	int64_t deadline_ms; /* of one try; 0: LLM_DEADLINE_MS */
	int max_tries;	     /* of what may pass (429, 5xx, timeouts); 0: LLM_MAX_TRIES */
};

struct llm_answer {
	const char *text; /* borrowed */
	int64_t tokens_in, tokens_out, tokens_cached;
	double dollars;	 /* < 0: price unknown */
	int64_t wall_ms; /* of the whole question, waits included */
};

/* On failure e->kind: ERR_DENIED: 401, 402, 403, missing key: a person must act (text
 * names the variable or the page); ERR_NOT_FOUND: unknown model; ERR_INVALID: bad
 * model string or request; ERR_UNAVAILABLE: tries used up; ERR_LIMIT. */
typedef void (*llm_cb)(void *arg, const struct llm_answer *answer, const struct err *e);
/* A try failed and another follows in delay_ms; reason in words. */
typedef void (*llm_waiting_cb)(void *arg, const char *reason, int64_t delay_ms);

/* keys, h: borrowed for the llm's life. prices_path: TSV, may not exist. */
struct llm *llm_new(uv_loop_t *loop, struct http *h, const struct dotenv *keys,
	const char *prices_path, struct err *e);
void llm_free(struct llm *l); /* cancels; NULL is accepted */
/* The question is copied. NULL at once (no callback): ERR_INVALID model string,
 * ERR_DENIED key missing, ERR_LIMIT. */
struct llm_call *llm_ask(struct llm *l, const struct llm_question *q, llm_cb cb,
	llm_waiting_cb waiting, void *arg, struct err *e);
/* In a callback with ERR_UNAVAILABLE: how long the provider asks to wait; -1: not said. */
int64_t llm_asked_to_wait_ms(const struct llm *l);
void llm_cancel(struct llm_call *c); /* no callback; NULL is accepted */

/* Pure: what to do after a try. status 0: transport failure. Jitter from a random
 * number r in [0,1). Returns the delay in ms, or -1: do not try again. Retry-After
 * (-1: none) is never undercut and exceeded by 10 % at most; else 0.5 s doubling to
 * 32 s, half of it random. */
int64_t llm_retry_delay(
	int status, int64_t retry_after_ms, int tries_made, int max_tries, double r);

/* Pure: reads the body of a 200; fills answer (text is owned by *text, the caller
 * frees; "" if the model said nothing) or e: ERR_PROTOCOL: not an answer at all;
 * ERR_UNAVAILABLE, ERR_DENIED, ERR_NOT_FOUND, ERR_INVALID: an "error" in its place
 * (OpenRouter does this, https://openrouter.ai/docs/api-reference/errors). */
int llm_parse(const char *body, size_t n, char **text, struct llm_answer *answer, struct err *e);

#endif
