/* GitHub's REST interface (https://docs.github.com/rest, version 2022-11-28), over
 * http.h. GITHUB_API_URL for Enterprise and tests; default https://api.github.com. */
#ifndef WORKER_FORGE_H
#define WORKER_FORGE_H

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "shared/err.h"
#include "shared/giturl.h"
#include "worker/http.h"

#define FORGE_MAX_NAMES 16
#define FORGE_TITLE_MAX 256 /* characters; GitHub's own limits */
#define FORGE_PULL_BODY_MAX 65536
#define FORGE_BODY_MAX_BYTES (4 * 1024 * 1024) /* of an answer */

struct forge;

struct forge_options { /* all copied */
	const char *token;
	const char *api_url;   /* NULL or "": the default */
	const char *pace_path; /* the account that all who use this token share (pace.h); NULL */
	const char *seconds;   /* deadline of one request, in words of a setting; NULL: 30 */
};

/* One per process. ERR_INVALID: api_url; ERR_DENIED: no token. */
struct forge *forge_new(
	uv_loop_t *loop, struct http *h, const struct forge_options *o, struct err *e);
/* Cancels without callbacks; runs out in the loop's next turn. NULL is accepted. */
void forge_free(struct forge *f);

/* True if the repository is on this forge (host github.com, or the host that
 * api_url stands for). */
bool forge_serves(const struct forge *f, const struct giturl *url);

struct forge_pull {
	char url[1024];
	long number;
	char title[512];
	char base[256];
	bool existed; /* found open for this branch, not made anew */
};

struct forge_spec {
	const struct giturl *url;
	const char *branch;
	const char *title; /* <= 256 characters, cut */
	const char *body;  /* <= 65,536 characters, cut */
	const char *labels[FORGE_MAX_NAMES];
	size_t label_count;
	const char *reviewers[FORGE_MAX_NAMES];
	size_t reviewer_count;
};

/* steps: "pull_request", "labels", "reviewers"; status: done, skipped, failed. */
typedef void (*forge_step_cb)(void *arg, const char *step, const char *status, const char *reason);
/* A request is sent again, or at all, in delay_ms; reason in words. */
typedef void (*forge_waiting_cb)(void *arg, const char *reason, int64_t delay_ms);
/* pull is NULL exactly when e is set: no pull request exists. Failing labels or
 * reviewers are told as steps and do not fail the whole. */
typedef void (*forge_done_cb)(void *arg, const struct forge_pull *pull, const struct err *e);

/* Looks for an open pull request of this branch first (so that trying twice opens one),
 * asks the default branch, opens, adds labels, asks those reviewers who are
 * collaborators. Retries what may pass, honouring Retry-After and rate limits; before it
 * repeats an opening it looks again. A repository that was renamed is followed. One at a time
 * (ERR_CONFLICT). spec is copied. Labels and reviewers that are asked for end in exactly one step
 * each. */
int forge_open_pull(struct forge *f, const struct forge_spec *spec, forge_step_cb step,
	forge_waiting_cb waiting, forge_done_cb done, void *arg, struct err *e);
bool forge_busy(const struct forge *f); /* one is being opened */

#endif
