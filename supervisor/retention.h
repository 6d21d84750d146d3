/* What becomes of agents that have ended: their output is packed, removed, their workspaces
 * reclaimed. Pure: keeper.c does what is decided here. Times are wall-clock ms. */
#ifndef SUPERVISOR_RETENTION_H
#define SUPERVISOR_RETENTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct retention_policy {
	int64_t pack_after_ms;
	int64_t keep_ms;	  /* output of agents that ended before goes; 0: for ever */
	int64_t keep_bytes;	  /* of the store; 0: no ceiling */
	int64_t reclaim_after_ms; /* 0: never */
};

struct retention_agent {
	int64_t id;
	int64_t ended_ms;      /* 0: it has not ended */
	int64_t not_before_ms; /* its workspace could not be reclaimed: not before then */
	bool busy;	       /* something else is done with it: left alone */
	bool packed;	       /* nothing is left to pack */
	bool segments;	       /* something is packed */
	bool workspace;	       /* it has one */
};

enum retention_what {
	RETENTION_NOTHING,
	RETENTION_PACK,	     /* one step of it */
	RETENTION_DROP_SIZE, /* its packed output: the store is too large */
	RETENTION_DROP_AGE,  /* the same: it is too old */
	RETENTION_RECLAIM,
};

struct retention_step {
	enum retention_what what;
	int64_t agent;
	int64_t next_ms; /* NOTHING: when there will be something to do; 0: not foreseen */
};

/* The next step. Output of an agent that has not ended is never touched; of the others what
 * ended first goes first. */
struct retention_step retention_decide(const struct retention_policy *p,
	const struct retention_agent *agents, size_t n, int64_t used_bytes, int64_t now_ms);

#endif
