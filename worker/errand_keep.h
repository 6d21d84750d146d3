/* Errands about workspaces and mirrors that are kept, or not needed any more. */
#ifndef WORKER_ERRAND_KEEP_H
#define WORKER_ERRAND_KEEP_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "shared/err.h"
#include "shared/paths.h"

/* Keeps the agent's work in the mirror, checks it, and removes its workspace; its session
 * stays. May be done again after it was cut off anywhere. answer: saved, mirror. */
int errand_reclaim(const struct paths *paths, int64_t agent, const char *repository, cJSON *answer,
	struct err *e);

/* question: with `path`, a repository of its own is made there, from the mirror of
 * `repository` or, without that, from the one that has the agent's work; without `path` the
 * agent's workspace is made again. answer: path, branch, saved, mirror. */
int errand_restore(const struct paths *paths, int64_t agent, const cJSON *question, cJSON *answer,
	struct err *e);

/* Removes mirrors that are of none of `repositories`, keep nobody's work and were not used
 * for `idle_ms`. answer: removed (how many). */
int errand_mirrors(const struct paths *paths, const cJSON *question, cJSON *answer, struct err *e);

#endif
