/* What finish.c (order, test, commit, description) and finish_hand.c (push, pull
 * request) share. */
#ifndef WORKER_FINISH_STEP_H
#define WORKER_FINISH_STEP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "shared/buf.h"
#include "shared/err.h"
#include "worker/session.h"

struct worker;

/* Exactly one thing is under way at a time; its callback comes even after a cancel,
 * and then frees. */
struct finish {
	struct worker *w;
	bool cancelled;
	bool under_way;
	bool behind; /* one that was called off is still opening the pull request */
	struct child *test;
	struct buf tail; /* of the tests' output */
	int64_t test_started_ms;
	bool test_late;
	struct llm_call *describing;
	uv_timer_t timer;
	int push_tries, push_names;
	char *patch;
};

struct session_finish *finish_stored(struct finish *f);
/* The event `finish`. */
void finish_tell(struct finish *f, const char *step, const char *status, const char *reason);
void finish_tell_step(struct finish *f, const char *status, const char *reason);
/* At the start of every callback. True: called off, f is gone. */
bool finish_called_off(struct finish *f);
void finish_next_step(struct finish *f);
/* Ends it where it is: a person may have it tried again from there. */
void finish_fail(struct finish *f, const char *what, const struct err *e);
/* The same for a push that nobody promised: the work is done, the branch stays here. */
void finish_skip_push(struct finish *f, const struct err *e);
/* NULL: a pull request is to be opened; else why not. */
const char *finish_no_pull_because(const struct worker *w);
void finish_describe_plainly(struct finish *f);

void finish_run_push(struct finish *f);
void finish_run_pull(struct finish *f);

#endif
