/* What outlived a worker: every process that carries the agent's mark in its environment
 * (HUNDREDX_AGENT=<state directory>/<agent>, put there by the launcher and handed on by the
 * worker to all it starts) or is in the agent's control group. It is asked to end (TERM),
 * killed after SWEEP_GRACE_MS, and looked for again until nothing is left. Looking reads
 * /proc once for all agents that wait for it, off the loop's thread. */
#ifndef SUPERVISOR_SWEEP_H
#define SUPERVISOR_SWEEP_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "shared/paths.h"
#include "supervisor/cgroup.h"

#define SWEEP_MARK "HUNDREDX_AGENT"
#define SWEEP_GRACE_MS 5000  /* from TERM to KILL */
#define SWEEP_AGAIN_MS 500   /* after KILL, for what the kernel does not let go */
#define SWEEP_FOUND_MAX 1024 /* processes of one look; the rest is found in the next */

struct sweeper;

struct sweeper *sweeper_new(uv_loop_t *loop, const struct paths *p);
/* Leaves what is under way to the end of the process. */
void sweeper_free(struct sweeper *s);
/* Where new workers go. */
const struct cgroup *sweeper_cgroup(const struct sweeper *s);

/* True if its control group, where there is one, holds nothing; it is removed then. */
bool sweep_empty(struct sweeper *s, int64_t agent);

/* Calls done once nothing of the agent lives; its worker is dead already. Never from
 * within this call. spare: a process that is left alone, 0 or NULL: none; read until then. */
void sweep_agent(
	struct sweeper *s, int64_t agent, const int *spare, void (*done)(void *arg), void *arg);

/* For the start: calls found for every process that carries a mark of this state
 * directory. Blocks. */
void sweep_look(const char *state_dir, void (*found)(void *arg, int64_t agent, int pid), void *arg);

/* Reads the agent from the environment block of a process: of entries ended by NUL, n
 * bytes, one begins with SWEEP_MARK "=<state_dir>/". 0: none. */
int64_t sweep_agent_of(const char *environment, size_t n, const char *state_dir);

#endif
