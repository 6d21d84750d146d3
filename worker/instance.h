/* How the coding agent's process is started: its command line and its environment,
 * both built from nothing (docs/protocol.md, section 5). */
#ifndef WORKER_INSTANCE_H
#define WORKER_INSTANCE_H

#include <cjson/cJSON.h>
#include <uv.h>

#include "shared/dotenv.h"
#include "shared/err.h"
#include "shared/paths.h"
#include "worker/assignment.h"

#define INSTANCE_MAX_WORDS 256
#define INSTANCE_MAX_ENV 32
#define INSTANCE_CHECK_MS 45000 /* for the adapter's look at the extra arguments */

struct instance_plan {
	char *argv[INSTANCE_MAX_WORDS + 1];
	char *env[INSTANCE_MAX_ENV + 1];
	int words, variables;
};

/* arguments: aider's extra ones, split (array of strings), or NULL. session_dir: its
 * home, tmp and aider folders are made. ERR_NOT_FOUND: no such program; ERR_INVALID:
 * a bad model string. */
int instance_plan_make(struct instance_plan *p, const struct assignment *a,
	const struct paths *paths, const struct dotenv *keys, const cJSON *arguments,
	const char *session_dir, struct err *e);
void instance_plan_clear(struct instance_plan *p);

/* Only the environment (without keys): for the user's test command. */
int instance_plain_env(struct instance_plan *p, const char *session_dir, struct err *e);

/* Has the adapter split and check the user's extra arguments. cb is called once:
 * arguments is an array (borrowed), or e tells what is wrong (ERR_INVALID: with the
 * arguments; else the adapter could not be run). */
typedef void (*instance_check_cb)(void *arg, const cJSON *arguments, const struct err *e);
int instance_check(uv_loop_t *loop, const struct paths *paths, const char *text,
	instance_check_cb cb, void *arg, struct err *e);

#endif
