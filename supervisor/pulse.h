/* Workers that live but are deaf. A worker always has a worker.next open, or asks the next
 * within a moment of the answer: that is its heartbeat. One that has not asked for
 * PULSE_SILENT_MS is replaced (agent.h, AGENT_DEAF). A look at all members every few
 * seconds costs less than a timer for each answer.
 *
 * The clock stands still while the machine is suspended; and a look that comes late (we
 * were stopped ourselves, or starved) judges nobody: everyone begins a fresh period. */
#ifndef SUPERVISOR_PULSE_H
#define SUPERVISOR_PULSE_H

#include <stdint.h>
#include <uv.h>

#define PULSE_SILENT_MS 60000 /* HUNDREDX_SILENT_MS makes it shorter, for tests */
#define PULSE_LOOKS 12	      /* within that time */

struct supervisor;

struct pulse {
	uv_timer_t timer;
	int64_t silent_ms; /* 0: not started */
	int64_t looked_ms;
};

void pulse_start(struct supervisor *s);
/* How long a worker.next may stay open. */
int64_t pulse_poll_ms(const struct pulse *h);

#endif
