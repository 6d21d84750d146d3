/* The errand "github": whose token GITHUB_TOKEN is and what it may do. */
#ifndef WORKER_ERRAND_GITHUB_H
#define WORKER_ERRAND_GITHUB_H

#include <cjson/cJSON.h>

#include "shared/dotenv.h"
#include "shared/err.h"

/* Asks GET /user; adds login and scopes ("" for a token without classic scopes) to
 * answer. Blocks for at most ERRAND_GITHUB_MS. ERR_DENIED: no token, or refused;
 * ERR_UNAVAILABLE. */
#define ERRAND_GITHUB_MS 8000
int errand_github(const struct dotenv *keys, cJSON *answer, struct err *e);

#endif
