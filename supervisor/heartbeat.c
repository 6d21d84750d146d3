#include "supervisor/heartbeat.h"

#include <string.h>

void heartbeat_init(struct heartbeat *h)
{
	memset(h, 0, sizeof(*h));
	notify_init(&h->notify);
	h->working = h->waiting = -1;
}

/* With the state in it: who listens may have begun after the last change. */
static void on_beat(uv_timer_t *t)
{
	struct heartbeat *h = t->data;
	const char *what = h->ready ? "WATCHDOG=1" : "READY=1";

	h->ready = true;
	notify_send(&h->notify, "%s\nSTATUS=%d working, %d waiting", what,
		h->working < 0 ? 0 : h->working, h->waiting < 0 ? 0 : h->waiting);
}

void heartbeat_ready(struct heartbeat *h, uv_loop_t *loop)
{
	uint64_t every = (uint64_t)h->notify.watchdog_ms / 2;

	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	uv_timer_start(&h->timer, on_beat, 0, h->notify.watchdog_ms && !every ? 1 : every);
}

void heartbeat_status(struct heartbeat *h, int working, int waiting)
{
	if (h->working == working && h->waiting == waiting)
		return;
	h->working = working;
	h->waiting = waiting;
	if (h->ready)
		notify_send(&h->notify, "STATUS=%d working, %d waiting", working, waiting);
}

void heartbeat_stopping(const struct heartbeat *h)
{
	notify_send(&h->notify, "STOPPING=1");
}
