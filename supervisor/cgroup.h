/* A control group (cgroup v2) for each worker and all below it, made inside our own where
 * that is delegated to us (systemd's Delegate=yes); elsewhere every call does nothing.
 * What has left its session, its environment and its parents is still in it. */
#ifndef SUPERVISOR_CGROUP_H
#define SUPERVISOR_CGROUP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/paths.h"

#define CGROUP_LIST_MAX 1024
#define CGROUP_PATH_MAX (2 * PATHS_MAX)

struct cgroup {
	char folder[CGROUP_PATH_MAX]; /* ours; "": not delegated */
	uint64_t instance;	      /* of the state directory: two supervisors share no groups */
};

void cgroup_find(struct cgroup *c, const char *state_dir);

/* Moves a process that has just been started into the agent's group. */
void cgroup_add(const struct cgroup *c, int64_t agent, int pid);
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
