/* Decides what is done about one program that `100x up` keeps running: a pure function of
 * its state, what happened, and the time. The wishes of keeper.c's edge come from here. */
#ifndef CTL_KEEP_H
#define CTL_KEEP_H

#include <stdbool.h>
#include <stdint.h>

#define KEEP_START_MS (5 * 60 * 1000) /* a store may be large, or on a slow disk */
#define KEEP_WELL_MS 60000	      /* a run of this length ends a row of failures */
#define KEEP_LATE_MS 1000	      /* who is held up so long itself accuses nobody */
#define KEEP_CODE_UNKNOWN 1000	      /* its end was seen from outside */

enum keep_state {
	KEEP_DOWN,     /* not wanted, or not yet */
	KEEP_WAITING,  /* for its next start */
	KEEP_STARTING, /* runs, has not said that it is ready */
	KEEP_UP,
};

enum keep_event {
	KEEP_START,
	KEEP_ADOPTED, /* it runs already; code 1: and will give signs of life */
	KEEP_READY,
	KEEP_BEAT,     /* a sign of life */
	KEEP_STOPPING, /* it says that it ends, as it was asked to */
	KEEP_ENDED,    /* with code, or -signal */
	KEEP_TIME,
};

enum keep_todo {
	KEEP_NOTHING,
	KEEP_SPAWN,
	KEEP_KILL, /* it hangs */
	KEEP_LEFT, /* it has ended as it was asked to: not started again */
	KEEP_LOST, /* it cannot run at all: not started again */
};

struct keep {
	enum keep_state state;
	int failures;
	bool stopping, excused;
	int64_t watch_ms; /* a sign of life is awaited within this */
	int64_t started_ms;
	int64_t deadline_ms; /* 0: none */
};

/* What is to be done now. KEEP_TIME is asked for when deadline_ms has come. */
enum keep_todo keep_step(struct keep *k, enum keep_event event, int code, int64_t now_ms);

#endif
