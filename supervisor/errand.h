/* A short-lived worker that answers one question and is gone. Those of one lane wait for
 * each other when too many run, never for those of another: a model that does not answer
 * delays no new task, an unreachable repository no deletion. */
#ifndef SUPERVISOR_ERRAND_H
#define SUPERVISOR_ERRAND_H

#include <cjson/cJSON.h>

#include "shared/err.h"

#define ERRAND_LOOKS_AT_ONCE 8

/* X(NAME, at once) */
#define ERRAND_LANES(X)                                                                            \
	X(ADVICE, 4)		      /* a model thinks: split, judge */                           \
	X(MODEL, 4)		      /* a model is tried */                                       \
	X(LOOK, ERRAND_LOOKS_AT_ONCE) /* repositories, keys, health */                             \
	X(KEEP, 4)		      /* workspaces and mirrors, on our own disk */

enum errand_lane {
#define X(name, at_once) ERRAND_##name,
	ERRAND_LANES(X)
#undef X
		ERRAND_LANE_COUNT,
};

#define ERRAND_DEADLINE_MS 60000
#define ERRAND_ADVICE_MS 240000 /* the same when a model is asked for advice */
#define ERRAND_ANSWER_MAX (512 * 1024)

struct errand;
struct supervisor;

struct errands {
	struct errand_line {
		struct errand *first, *last; /* waiting */
		int running;
	} lanes[ERRAND_LANE_COUNT];
};

/* e == NULL: answer is its object, "ok" true, borrowed for the call. */
typedef void (*errand_cb)(void *arg, const cJSON *answer, const struct err *e);

/* question is borrowed. cb is called exactly once, never from inside this call. */
void errand_run(
	struct supervisor *s, const char *kind, const cJSON *question, errand_cb cb, void *arg);

#endif
