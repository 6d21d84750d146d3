/* What happens to agents, and when: recorded, told and acted upon. */
#include "supervisor/supervisor.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/log.h"
#include "supervisor/call.h"
#include "supervisor/tx.h"
#include "supervisor/workers.h"

/* --- the disk --- */

static void on_disk(uv_timer_t *t);

void supervisor_watch_disk(struct supervisor *s, int64_t first_ms)
{
	uv_timer_start(&s->disk_timer, on_disk, (uint64_t)first_ms, DISK_EVERY_MS);
}

/* What has changed is told to the workers, who pause or go on. */
static void look_at_disk(struct supervisor *s)
{
	if (!disk_look(&s->disk))
		return;
	polls_disk(s);
	supervisor_watch_disk(s, DISK_EVERY_MS);
	if (!s->disk.full)
		supervisor_kick(s, 0);
}

static void on_disk(uv_timer_t *t)
{
	struct supervisor *s = t->data;

	look_at_disk(s);
	if (!s->disk.full && s->queue.busy == 0)
		uv_timer_stop(t); /* nobody writes much; who starts next looks first */
}

/* --- what is to be done --- */

static void spawn(struct supervisor *s, struct member *m)
{
	struct agent_input in = {.event = AGENT_EXITED, .code = 111};

	if (m->heir)
		workers_go(m);
	else
		supervisor_happened(s, m, &in);
}

void supervisor_act(struct supervisor *s, struct member *m, unsigned todo)
{
	if (m->agent.process == PROCESS_NONE)
		workers_drop(m); /* the one before has ended, and none follows it now */
	if (todo & AGENT_DO_DEQUEUE)
		queue_remove(&s->queue, m->id);
	if (todo & AGENT_DO_ENQUEUE) {
		queue_push(&s->queue, m->id);
		supervisor_kick(s, 0);
	}
	if (todo & AGENT_DO_TERM) {
		workers_signal(m, SIGTERM);
		workers_signal(m, SIGCONT); /* a stopped process takes TERM only when it goes on */
	}
	if (todo & AGENT_DO_KILL)
		workers_signal(m, SIGKILL);
	if (todo & AGENT_DO_REMOVE)
		call_agent_remove(s, m);
	if (todo & AGENT_DO_SPAWN)
		spawn(s, m);
}

/* --- time and events of agents --- */

/* Its row lags behind: written now. */
static void save(struct supervisor *s, struct member *m)
{
	struct err e;

	if (tx_begin(s, true, &e) < 0)
		return;
	tx_touch(s, m);
	if (store_agent_pid(s->store, m->id, m->pid, m->pid_started, &e) < 0 ||
		(m->unsaved_reason && tx_state(s, m, m->unsaved_reason, &e) < 0)) {
		tx_rollback(s);
		return;
	}
	m->unsaved = false;
	if (tx_commit(s, &e) < 0)
		m->unsaved = true;
	else
		free(take_ptr(m->unsaved_reason));
}

static void timer_freed(uv_handle_t *h)
{
	free(h);
}

static void on_time(uv_timer_t *t)
{
	struct member *m = t->data;
	struct agent_input in = {.event = AGENT_TIME};

	if (m->unsaved)
		save(m->supervisor, m);
	/* On a full disk no worker is started: it could only end again. */
	if (m->supervisor->disk.full && m->agent.process == PROCESS_NONE && m->agent.deadline_ms) {
		m->agent.deadline_ms = clock_now_ms() + SUPERVISOR_RETRY_MS;
		supervisor_arm(m);
		return;
	}
	supervisor_happened(m->supervisor, m, &in);
}

void supervisor_arm(struct member *m)
{
	int64_t wait = m->agent.deadline_ms - clock_now_ms();

	if (m->unsaved && (m->agent.deadline_ms == 0 || wait > SUPERVISOR_RETRY_MS))
		wait = SUPERVISOR_RETRY_MS;
	else if (m->agent.deadline_ms == 0) {
		if (m->timer)
			uv_close((uv_handle_t *)m->timer, timer_freed);
		m->timer = NULL;
		return;
	}
	if (!m->timer) {
		m->timer = calloc(1, sizeof(*m->timer));
		if (!m->timer)
			err_out_of_memory();
		uv_timer_init(m->supervisor->loop, m->timer);
		m->timer->data = m;
	}
	uv_update_time(m->supervisor->loop);
	uv_timer_start(m->timer, on_time, wait > 0 ? (uint64_t)wait : 0, 0);
}

/* The disk refused: memory goes on alone. A worker is not started, though, before its
 * epoch is recorded. */
static void happen_unsaved(struct supervisor *s, struct member *m, const struct agent_input *in)
{
	char reason[LAUNCHER_REASON_BYTES];
	int64_t now = clock_now_ms();
	struct agent_todo t;

	if (in->event == AGENT_SLOT) {
		queue_push(&s->queue, m->id);
		supervisor_kick(s, SUPERVISOR_RETRY_MS);
		return;
	}
	if (in->event == AGENT_TIME && m->agent.process == PROCESS_NONE) {
		if (m->agent.deadline_ms) /* else nothing of it is due but its row */
			m->agent.deadline_ms = now + SUPERVISOR_RETRY_MS;
		supervisor_arm(m);
		return;
	}
	tx_touch(s, m);
	t = agent_step(&m->next, in, now);
	if (t.what & AGENT_DO_ILLEGAL) {
		tx_rollback(s);
		return;
	}
	m->todo = t.what & ~(unsigned)AGENT_DO_TELL_STOP;
	m->unsaved = true;
	tx_settle(s);
	if (t.what & AGENT_DO_STATE) {
		tx_reason(s, m, &t, reason);
		free(m->unsaved_reason);
		m->unsaved_reason = strdup(reason);
	}
}

void supervisor_refused(struct supervisor *s, const char *what, const struct err *e)
{
	int64_t now = clock_now_ms();

	supervisor_watch_disk(s, 0);
	if (s->refused_ms && now - s->refused_ms < SUPERVISOR_COMPLAIN_MS)
		return;
	s->refused_ms = now;
	log_error("%s: %s", what, e->text);
}

typedef int (*change_cb)(
	struct supervisor *s, struct member *m, const struct agent_input *in, struct err *e);

static void happened(
	struct supervisor *s, struct member *m, const struct agent_input *in, change_cb change)
{
	struct err e;

	if (tx_begin(s, true, &e) == 0) {
		if (change(s, m, in, &e) == 0 && tx_commit(s, &e) == 0)
			return;
		tx_rollback(s);
		if (e.kind == ERR_CONFLICT) {
			log_debug("agent=%lld %s", (long long)m->id, e.text);
			return;
		}
	}
	supervisor_refused(s, "states of agents not recorded, trying again", &e);
	happen_unsaved(s, m, in);
}

void supervisor_happened(struct supervisor *s, struct member *m, const struct agent_input *in)
{
	happened(s, m, in, tx_change);
}

/* Its worker has ended; the next one starts in the same transaction, if it is due. */
static int exited(
	struct supervisor *s, struct member *m, const struct agent_input *in, struct err *e)
{
	struct agent_input time = {.event = AGENT_TIME};

	if (tx_change(s, m, in, e) < 0)
		return -1;
	return !s->disk.full && agent_starts_now(&m->next, clock_now_ms())
		       ? tx_change(s, m, &time, e)
		       : 0;
}

void supervisor_exited(struct supervisor *s, struct member *m)
{
	struct agent_input in = {.event = AGENT_EXITED, .code = m->exit_code};

	if (m->exit_code != 0)
		look_at_disk(s);
	in.no_room = s->disk.full;
	happened(s, m, &in, exited);
	if (s->going_down)
		supervisor_down(s, false);
}

static void on_kick(uv_timer_t *t)
{
	struct supervisor *s = t->data;
	struct agent_input in = {.event = AGENT_SLOT};
	struct member *m;
	int64_t id = 0;
	int i;

	look_at_disk(s);
	if (!uv_is_active((uv_handle_t *)&s->disk_timer))
		supervisor_watch_disk(s, DISK_EVERY_MS);
	if (s->disk.full)
		return;
	for (i = 0; i < SUPERVISOR_STARTS_AT_ONCE && !s->going_down; i++) {
		id = queue_next(&s->queue);
		m = id ? fleet_find(&s->fleet, id) : NULL;
		if (!id)
			return;
		if (m)
			supervisor_happened(s, m, &in);
	}
	if (!s->going_down)
		supervisor_kick(s, 0);
}

void supervisor_kick(struct supervisor *s, int64_t delay_ms)
{
	if (!uv_is_active((uv_handle_t *)&s->kick_timer) || delay_ms > 0)
		uv_timer_start(&s->kick_timer, on_kick, (uint64_t)delay_ms, 0);
}
