/* When a worker that ended by itself is started again. Pure: time is given. */
#ifndef SUPERVISOR_RESTART_H
#define SUPERVISOR_RESTART_H

#include <stdint.h>

#define RESTART_CRASHES 5	/* this many crashes ... */
#define RESTART_WINDOW_MS 60000 /* ... within this time: give up */
#define RESTART_TEMPORARY_MAX 8 /* temporary failures in a row: give up */
#define RESTART_GIVE_UP ((int64_t)-1)

struct restart {
	int64_t crashed_ms[RESTART_CRASHES]; /* oldest first */
	int crashes;			     /* filled entries of crashed_ms */
	int in_a_row;  /* crashes without a run of RESTART_WINDOW_MS between */
	int temporary; /* temporary failures likewise */
};

/* A worker started at started_ms crashed at now_ms: the delay in ms before the next
 * start (0, 100, 500, 2000, 10000), or RESTART_GIVE_UP; then r begins afresh. */
int64_t restart_crashed(struct restart *r, int64_t started_ms, int64_t now_ms);

/* The same for one that ended with "temporary" (exit code 111): 1, 5, 15, then 60 s. */
int64_t restart_temporary(struct restart *r, int64_t started_ms, int64_t now_ms);

#endif
