/* How a worker ends: everything below it first, then its last events, in bounded time. */
#include <unistd.h>

#include "shared/child.h"
#include "shared/crash.h"
#include "shared/log.h"
#include "worker/worker.h"

/* The agent is done, failed or stopped, and nothing below us lives any more: only now
 * it is said. What led here is saved with it, not before, so that a worker which is
 * killed in between leaves it undecided, and the command that asked for it comes again.
 * Nobody hears of it before that: for an agent that has ended no worker is started any
 * more, which would have to clean up after this one. */
static void tell_end(struct worker *w)
{
	w->ending = false;
	link_hold(w->link);
	worker_tell_state(w);
	w->session.ended_seq = link_last(w->link);
	worker_save(w, true);
	link_release(w->link);
	link_taken(w->link, w->session.command);
	crash_point(CRASH_AGENT_ENDED);
}

void ending_tell_again(struct worker *w)
{
	if (!w->ending && w->session.ended_seq > 0)
		tell_end(w);
}

static void on_hard_end(uv_timer_t *t)
{
	struct worker *w = t->data;
	bool none_left;

	child_end_all(0);
	none_left = child_none_left();
	if (w->ending && !none_left) {
		/* Neither dead nor ended: nothing is said before all below us is dead. */
		log_warn("agent=%lld waits for processes that do not die", (long long)w->agent);
		uv_timer_start(&w->end_timer, on_hard_end, WORKER_SUSPEND_MS, 0);
		return;
	}
	log_warn("agent=%lld does not end in time and is ended", (long long)w->agent);
	if (w->ending)
		tell_end(w);
	_exit(w->exit_code);
}

static void on_drain_end(uv_timer_t *t)
{
	struct worker *w = t->data;

	log_warn("agent=%lld the supervisor did not take the last events; they stay in the spool",
		(long long)w->agent);
	w->draining = false;
	worker_maybe_exit(w);
}

static void on_end_again(uv_timer_t *t)
{
	worker_maybe_exit(t->data);
}

void worker_maybe_exit(struct worker *w)
{
	if (!w->quitting || w->acp || w->finish || (w->tree && !tree_idle(w->tree)))
		return;
	if (!child_none_left()) { /* the kernel takes its time, or one has its grace */
		uv_timer_start(&w->policy_timer, on_end_again, WORKER_END_AGAIN_MS, 0);
		return;
	}
	if (w->ending)
		tell_end(w);
	if (w->draining && !link_drained(w->link)) {
		if (!w->drain_timed)
			uv_timer_start(&w->end_timer, on_drain_end, WORKER_DRAIN_MS, 0);
		w->drain_timed = true;
		return;
	}
	uv_stop(w->loop);
}

void worker_quit(struct worker *w, int code)
{
	int grace_ms = code == WORKER_EXIT_PERMANENT ? 0 : WORKER_GRACE_MS;

	if (w->quitting)
		return;
	turn_flush(w);
	ask_cancel(w);
	finish_cancel(w);
	w->quitting = true;
	w->exit_code = code;
	w->draining = code == 0 && !w->suspended;
	uv_timer_stop(&w->policy_timer);
	uv_timer_stop(&w->turn_timer);
	uv_timer_stop(&w->restart_timer);
	uv_timer_stop(&w->watch_timer);
	uv_timer_stop(&w->disk_timer);
	if (w->tree)
		tree_cancel(w->tree);
	uv_timer_start(&w->end_timer, on_hard_end, WORKER_SUSPEND_MS, 0);
	if (w->acp)
		acp_end(w->acp, grace_ms, NULL);
	child_end_all(grace_ms);
	worker_maybe_exit(w);
}

void ending_on_signal(uv_signal_t *s, int number)
{
	struct worker *w = s->data;

	log_info("agent=%lld signal %d: suspended", (long long)w->agent, number);
	w->suspended = true;
	if (w->started && !w->ending) {
		turn_flush(w);
		worker_save(w, true);
	}
	if (w->quitting) { /* does not wait for the supervisor to take the last events */
		w->draining = false;
		worker_maybe_exit(w);
		return;
	}
	worker_quit(w, 0);
}
