/* How a worker is started: here, as a process of ours that outlives us. */
#ifndef SUPERVISOR_LAUNCHER_H
#define SUPERVISOR_LAUNCHER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "shared/child.h"
#include "shared/err.h"
#include "shared/paths.h"

#define LAUNCHER_LOG_MAX (1024 * 1024) /* of a worker's log at a start; then it is renamed .1 */
#define LAUNCHER_REASON_BYTES 512

struct launcher;

/* Finds the worker's program and picks what it may see of our environment.
 * ERR_NOT_FOUND: there is no such program. */
struct launcher *launcher_new(uv_loop_t *loop, const struct paths *p, struct err *e);
void launcher_free(struct launcher *l);

/* Starts the agent's worker, which loads itself and then waits at a gate: it touches
 * nothing before launcher_go, and ends when we do. */
struct child *launcher_start(struct launcher *l, int64_t agent, int64_t epoch,
	const struct child_events *on, void *arg, struct err *e);
/* Opens the gate. */
void launcher_go(struct child *worker);

/* Starts `100x-worker --errand kind`, which dies with us. */
struct child *launcher_errand(struct launcher *l, const char *kind, const struct child_events *on,
	void *arg, struct err *e);

/* The last line a worker wrote to its log, without time and name, into out
 * (LAUNCHER_REASON_BYTES). False if there is none. */
bool launcher_last_line(const struct paths *p, int64_t agent, char *out);

#endif
