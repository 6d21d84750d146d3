/* What GitHub's answers mean: pure functions behind forge.c
 * (https://docs.github.com/rest/using-the-rest-api/troubleshooting-the-rest-api). */
#ifndef WORKER_FORGE_ANSWER_H
#define WORKER_FORGE_ANSWER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"
#include "worker/forge.h"

#define FORGE_MAX_TRIES 9
#define FORGE_WAIT_MAX_MS (65LL * 60 * 1000) /* asked to wait longer: give up and say so */
#define FORGE_REASON_BYTES 301

/* The message of an error body with what its "errors" add, one line, cut, masked. */
void forge_reason(const char *body, size_t n, char out[FORGE_REASON_BYTES]);

/* A repository's default branch, and its owner and name (256 bytes each), which stay as
 * they are where the answer has none that may be used; a redirect may have led to others.
 * -1: not such an answer (ERR_PROTOCOL). */
int forge_parse_repository(
	const char *body, size_t n, char *branch, char *owner, char *name, struct err *e);
/* One pull request as made; author: its login (256 bytes). */
int forge_parse_pull(
	const char *body, size_t n, struct forge_pull *pull, char *author, struct err *e);
/* A list of pull requests: 1 and the first open one of this branch, 0: none, -1: e. */
int forge_parse_pulls(const char *body, size_t n, const char *branch, struct forge_pull *pull,
	char *author, struct err *e);

struct forge_limits {
	int status;		  /* 0: no answer at all */
	int64_t retry_after_ms;	  /* -1: none */
	int64_t rate_remaining;	  /* -1: none */
	int64_t rate_reset_in_ms; /* -1: none */
	const char *reason;	  /* of the body */
};

/* True if it says no because too much was asked. */
bool forge_rate_limited(const struct forge_limits *l);

/* Delay before the next try, or -1: no use. r: random in [0,1). */
int64_t forge_retry_delay(const struct forge_limits *l, int tries_made, double r);

/* Fills e for a final failure of doing (such as "open the pull request"). scopes: the
 * token's as told, or NULL. */
void forge_fill_error(
	const struct forge_limits *l, const char *doing, const char *scopes, struct err *e);

/* https://HOST/… or the API's address stands for which repository host? out: 256 bytes,
 * "" if it is not a URL. */
void forge_host(const char *api_url, char *out);

/* A name that may stand in a path (owner, repository, login). */
bool forge_name_ok(const char *name);

#endif
