/* Every agent there is, in memory: what the life cycle and the wire need of it. */
#ifndef SUPERVISOR_FLEET_H
#define SUPERVISOR_FLEET_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "supervisor/agent.h"

struct lines;
struct poll_next;
struct run;
struct supervisor;
struct watch;

struct member {
	struct supervisor *supervisor;
	int64_t id, task;
	struct agent agent;
	int64_t epoch;
	int64_t committed; /* seq */
	int64_t command_done, command_last;

	/* The process: ours (child), or adopted (watch); the next one, at its gate (heir). */
	int pid;
	int64_t pid_started;
	struct run *child, *heir;
	struct watch *watch;
	int heir_pid;
	int exit_code; /* of the dead worker, while what it left is swept */
	int exit_pid;
	int64_t heard_ms; /* its last sign of life, monotonic */

	uv_timer_t *timer;	/* agent.deadline_ms; NULL while none is due */
	struct poll_next *poll; /* its open worker.next */
	int64_t resent_ms;	/* when a resend was last asked for */
	bool resend;		/* a gap is to be told */
	bool discard;		/* deleted without saving its work */
	bool told_full;		/* its worker takes the disk for full */
	bool told_retire;	/* its worker knows that it is to end */

	/* Inside a transaction: what will be, if it commits. */
	struct member *touched_next;
	struct agent next;
	int64_t next_epoch, next_command, next_seq;
	unsigned todo;
	bool touched;
	bool unsaved;	      /* its row lags behind, because the disk refused */
	char *unsaved_reason; /* the reason of a state that its row lacks; NULL: none */

	struct lines *lines; /* of its output; NULL: not looked at yet */

	/* What retention.c is told. */
	int64_t ended_ms, reclaim_not_before_ms;
	bool packed, segments, workspace;
	bool moving; /* its workspace is being reclaimed or restored */

	bool found_stopping; /* at the start: a command "stop" waits for its worker */

	int64_t batched; /* last seq of the batch that is being drained */
};

struct fleet {
	struct member **members; /* by rising id */
	size_t n, cap;
	int count[AGENT_STATE_COUNT];
};

struct member *fleet_find(const struct fleet *f, int64_t id); /* NULL if there is none */
/* id: higher than all before. The fleet owns it. */
struct member *fleet_add(struct fleet *f, int64_t id);
/* Frees it; its process, timer and poll are gone before. */
void fleet_remove(struct fleet *f, struct member *m);
void fleet_clear(struct fleet *f);

#endif
