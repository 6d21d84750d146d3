/* The workers' processes: started, adopted, signalled, ended. A worker is started before it
 * is recorded and waits at a gate, so that what takes time (exec, libraries) goes on while
 * its pid and epoch are committed and what an earlier one left is swept; only then the gate
 * opens. One that is not wanted after all ends there, and has touched nothing. */
#ifndef SUPERVISOR_WORKERS_H
#define SUPERVISOR_WORKERS_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/fleet.h"

/* Starts m's worker of this epoch, if it does not wait already: m->heir. False if it cannot
 * be started (told in the log). */
bool workers_prepare(struct member *m, int64_t epoch);
/* Its pid and epoch are committed: opens the gate. */
void workers_go(struct member *m);
/* Ends the one that waits, if any. */
void workers_drop(struct member *m);
/* Start time of the one that waits (process_started). */
int64_t workers_heir_started(const struct member *m);

/* True if the worker that the row names still runs; it is watched from now on. */
bool workers_adopt(struct member *m, int pid, int64_t started);
/* To its whole group. */
void workers_signal(struct member *m, int signal);

/* What the worker of m left behind is ended, then it counts as ended itself. */
void workers_sweep(struct member *m);

#endif
