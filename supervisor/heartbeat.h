/* Tells the service manager how we are: ready, alive, what is going on, ending. The
 * sign of life comes from the loop itself, so a loop that hangs falls silent. */
#ifndef SUPERVISOR_HEARTBEAT_H
#define SUPERVISOR_HEARTBEAT_H

#include <stdbool.h>
#include <uv.h>

#include "shared/notify.h"

struct heartbeat {
	struct notify notify;
	uv_timer_t timer;
	bool ready;
	int working, waiting; /* as told */
};

/* Before anything else that could start a process. */
void heartbeat_init(struct heartbeat *h);
/* Says so once the loop runs, and from then on that it does, at half the manager's time. */
void heartbeat_ready(struct heartbeat *h, uv_loop_t *loop);
/* Says it if it has changed. */
void heartbeat_status(struct heartbeat *h, int working, int waiting);
void heartbeat_stopping(const struct heartbeat *h);

#endif
