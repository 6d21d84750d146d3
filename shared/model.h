/* LiteLLM model strings: which provider, its OpenAI-compatible base URL, and the
 * variables that hold its key and base (names as LiteLLM has them,
 * https://docs.litellm.ai/docs/providers). Pure. */
#ifndef SHARED_MODEL_H
#define SHARED_MODEL_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/err.h"

#define MODEL_DEFAULT "openrouter/google/gemini-flash-1.5"
#define MODEL_MAX 256

#define MODEL_ALSO 3 /* most other names of a variable */

struct model_provider {
	const char *prefix;		   /* "openrouter" */
	const char *key_variable;	   /* "OPENROUTER_API_KEY"; NULL: needs none */
	const char *base_variable;	   /* "OPENROUTER_API_BASE" */
	const char *base_url;		   /* default, no trailing slash; NULL: variable needed */
	bool key_optional;		   /* used if set (ollama, lm_studio, hosted_vllm) */
	const char *key_also[MODEL_ALSO];  /* other names LiteLLM takes, asked for in order */
	const char *base_also[MODEL_ALSO]; /* after the first; unused ones are NULL */
	const char *suffix;		   /* added to a base that lacks it ("/v1"), or NULL */
};

struct model {
	char text[MODEL_MAX];		       /* whole string */
	char name[MODEL_MAX];		       /* what the provider calls it */
	const struct model_provider *provider; /* static */
};

/* Splits "provider/name". A bare "gpt-4o" or "claude-…" is openai / anthropic as
 * LiteLLM has it. ERR_INVALID: empty, too long, control characters, no or unknown
 * prefix (the text lists the known ones). */
int model_parse(const char *text, struct model *m, struct err *e);

const struct model_provider *model_providers(size_t *n);

/* Borrowed value of the provider's key or base URL, under whichever of its names it
 * is set (get: name → value or NULL); NULL if it is not set. */
const char *model_key(
	const struct model_provider *p, const char *(*get)(void *arg, const char *name), void *arg);
const char *model_base(
	const struct model_provider *p, const char *(*get)(void *arg, const char *name), void *arg);

/* True if the n bytes are the name of some provider's variable: what a process that
 * asks a model needs of the environment. */
bool model_variable(const char *name, size_t n);

/* Where to send a chat completion, from the environment as given by get (name →
 * value or NULL). url: PATHS-sized buffer of at least 1024 bytes, ends in
 * "/chat/completions". *key: borrowed, NULL if none is needed. Who starts another
 * program for this model gives it *key as key_variable, whichever name held it.
 * ERR_DENIED: the key is missing (names the variable and ~/.env). ERR_INVALID: bad
 * or missing base URL. */
int model_endpoint(const struct model *m, const char *(*get)(void *arg, const char *name),
	void *arg, char *url, size_t url_size, const char **key, struct err *e);

#endif
