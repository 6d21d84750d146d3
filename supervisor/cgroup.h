/* A control group (cgroup v2) for each worker and all below it, made inside our own where
 * that is delegated to us (systemd's Delegate=yes); elsewhere every call does nothing.
 * What has left its session, its environment and its parents is still in it.
 *
 * Where we run in a group of our own inside the delegated one, CGROUP_LEAF (systemd's
 * DelegateSubgroup=, from version 254 on), the agents' groups lie beside it, and the number of
 * processes in each is bounded. Not where we run in the delegated group itself: the kernel
 * hands no controller on from a group that holds processes, and once one is handed on, none
 * can be started there, which a restart under agents at work would have to do. */
#ifndef SUPERVISOR_CGROUP_H
#define SUPERVISOR_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/paths.h"

#define CGROUP_LEAF "supervisor"
#define CGROUP_LIST_MAX 1024
#define CGROUP_PATH_MAX (2 * PATHS_MAX)

struct cgroup {
	char folder[CGROUP_PATH_MAX]; /* ours; "": not delegated */
	bool bounds;		      /* the number of processes can be bounded */
	uint64_t instance;	      /* of the state directory: two supervisors share no groups */
};

void cgroup_find(struct cgroup *c, const char *state_dir);

/* Moves a process that has just been started into the agent's group, which holds at most this
 * many from then on; 0: any number. */
void cgroup_add(const struct cgroup *c, int64_t agent, int pid, int64_t processes);
/* Processes in the agent's group, at most max. */
size_t cgroup_list(const struct cgroup *c, int64_t agent, int *pids, size_t max);
bool cgroup_holds(const struct cgroup *c, int64_t agent, int pid);
/* Also in groups inside it. */
bool cgroup_populated(const struct cgroup *c, int64_t agent);
/* KILL to all in it at once, also to those that fork. */
void cgroup_kill(const struct cgroup *c, int64_t agent);
/* For the start: calls found for each agent whose group still holds a process, and removes
 * the empty ones. */
void cgroup_look(
	const struct cgroup *c, void (*found)(void *arg, int64_t agent, int pid), void *arg);
/* Of an empty group. */
void cgroup_remove(const struct cgroup *c, int64_t agent);

#endif
