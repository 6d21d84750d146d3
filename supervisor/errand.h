/* A short-lived worker that answers one question and is gone. At most
 * ERRANDS_AT_ONCE run; the others wait in line. */
#ifndef SUPERVISOR_ERRAND_H
#define SUPERVISOR_ERRAND_H

#include <cjson/cJSON.h>

#include "shared/err.h"

#define ERRANDS_AT_ONCE 4
#define ERRAND_DEADLINE_MS 60000
#define ERRAND_ADVICE_MS 240000 /* the same when a model is asked for advice */
#define ERRAND_ANSWER_MAX (512 * 1024)

struct errand;
struct supervisor;

struct errands {
	struct errand *first, *last; /* waiting */
	int running;
};

/* e == NULL: answer is its object, "ok" true, borrowed for the call. */
typedef void (*errand_cb)(void *arg, const cJSON *answer, const struct err *e);

/* question is borrowed. cb is called exactly once, never from inside this call. */
void errand_run(
	struct supervisor *s, const char *kind, const cJSON *question, errand_cb cb, void *arg);

#endif
