/* Does what retention.c decides, and removes the logs of deleted agents, in steps of a few
 * milliseconds between everything else. */
#ifndef SUPERVISOR_KEEPER_H
#define SUPERVISOR_KEEPER_H

#include <stdbool.h>
#include <uv.h>

#include "supervisor/retention.h"

#define KEEPER_PAUSE_MS 20   /* between two steps */
#define KEEPER_STEP_US 4000  /* what a step of packing should take */
#define KEEPER_ROWS_MAX 1024 /* packed in one step */
#define KEEPER_ROWS_MIN 16
#define KEEPER_SEGMENTS 16 /* removed in one step */
#define KEEPER_SHRINK_PAGES 256
#define KEEPER_SPARE_BYTES (16LL * 1024 * 1024) /* free in the file: kept for what comes */
#define KEEPER_LATER_MS (60 * 1000)		/* after a failure, or on a full disk */
#define KEEPER_LONGEST_MS (3600 * 1000)
#define KEEPER_RECLAIM_AGAIN_MS (6LL * 3600 * 1000) /* a workspace that could not go */

struct supervisor;

struct keeper {
	uv_timer_t timer;
	struct retention_policy policy;
	struct retention_step step; /* under way */
	int rows;
	bool started;
	bool forgets;	    /* logs of deleted agents may be left */
	int64_t forgetting; /* of this one, if not 0 */
	bool reclaiming;    /* an errand is on its way */
	bool cannot_shrink;
};

void keeper_init(struct supervisor *s);
/* Something has changed: looks again, soon. Harmless before keeper_init. */
void keeper_kick(struct supervisor *s);
/* An agent was deleted: what is left of its log is removed. */
void keeper_forget(struct supervisor *s);
/* Reads the policy from the general configuration. */
void keeper_configure(struct supervisor *s);

#endif
