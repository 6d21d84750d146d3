/* What a provider's answer means: pure functions behind llm.c. */
#ifndef WORKER_LLM_ANSWER_H
#define WORKER_LLM_ANSWER_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/err.h"
#include "shared/model.h"

#define LLM_REASON_BYTES 301 /* of a provider's own words, cut and cleaned */

/* The error text in a body, whatever its shape ({"error":{"message"}}, {"error":"…"},
 * [{"error":…}], {"message"}, plain text), on one line, secrets masked. *code: HTTP-like
 * number that the body names, 0 if none. */
void llm_error_text(const char *body, size_t n, char out[LLM_REASON_BYTES], int *code);

/* True if the provider said no to response_format (then it is asked without). */
bool llm_refuses_json(int status, const char *body, size_t n);

/* True for a status (HTTP's or the body's own) that may pass by itself. */
bool llm_may_pass(int status);

/* Fills e for a final failure: status as HTTP or the body gave it, reason in the
 * provider's words. Names the variable or the page to change. */
void llm_fill_error(const struct model *m, int status, const char *reason, struct err *e);

#endif
