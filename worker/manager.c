#include "worker/manager_moves.h"

#include <stdio.h>
#include <string.h>

void manager_init(struct manager *m, bool managed, const struct manager_limits *limits)
{
	memset(m, 0, sizeof *m);
	m->managed = managed;
	m->limits = *limits;
	m->granted_turns = limits->turns;
	m->granted_ms = manager_minutes_ms(limits, limits->minutes);
	m->granted_dollars = limits->dollars;
	m->active_since_ms = -1;
}

static bool active(enum manager_phase p)
{
	return p == MANAGER_ASKING || p == MANAGER_TURN || p == MANAGER_FINISHING;
}

/* Every change of phase goes through here, so that active time is counted. */
void manager_enter(struct manager *m, enum manager_phase p, const char *reason, int64_t now_ms)
{
	if (m->active_since_ms >= 0)
		m->active_ms += now_ms - m->active_since_ms;
	m->active_since_ms = active(p) ? now_ms : -1;
	m->phase = p;
	if (reason != m->reason)
		snprintf(m->reason, sizeof m->reason, "%s", reason ? reason : "");
}

bool manager_ended(const struct manager *m)
{
	return m->phase == MANAGER_DONE || m->phase == MANAGER_FAILED ||
	       m->phase == MANAGER_STOPPED;
}

unsigned manager_start_turn(struct manager *m, enum manager_source source, int64_t now_ms)
{
	char reason[128];

	if (manager_over_limit(m, true, now_ms, reason, sizeof reason)) {
		m->finish_wanted = m->finish_wanted || source == SOURCE_TEST;
		return manager_pause_by_limit(m, reason, now_ms);
	}
	m->source = source;
	if (!m->ready || m->retiring) {
		m->prompt_queued = true;
		manager_enter(m, MANAGER_STARTING, "", now_ms);
		return 0;
	}
	m->prompt_queued = false;
	m->turn++;
	m->turn_open = true;
	m->redo = false;
	m->interrupted = false;
	m->tells = 0;
	if (source == SOURCE_PERSON)
		m->pending = 0;
	manager_enter(m, MANAGER_TURN, "", now_ms);
	return DO_PROMPT;
}

unsigned manager_ask(struct manager *m, int64_t now_ms)
{
	char reason[128];

	if (manager_over_limit(m, true, now_ms, reason, sizeof reason))
		return manager_pause_by_limit(m, reason, now_ms);
	m->carried = m->pending;
	manager_enter(m, MANAGER_ASKING, "", now_ms);
	return m->retiring ? 0 : DO_ASK;
}

unsigned manager_finish(struct manager *m, int64_t now_ms)
{
	m->finish_wanted = false;
	m->redo = false;
	manager_enter(m, MANAGER_FINISHING, "", now_ms);
	return m->retiring ? 0 : DO_FINISH;
}

/* The agent is free: what follows? */
unsigned manager_next(struct manager *m, int64_t now_ms)
{
	m->interrupted = false;
	if (m->finish_wanted && !m->pending)
		return manager_finish(m, now_ms);
	if (m->managed)
		return manager_ask(m, now_ms);
	if (m->pending)
		return manager_start_turn(m, SOURCE_PERSON, now_ms);
	if (m->redo)
		return manager_start_turn(m, m->turn ? SOURCE_REDO : SOURCE_TASK, now_ms);
	if (m->turn == 0)
		return manager_start_turn(m, SOURCE_TASK, now_ms);
	return manager_finish(m, now_ms);
}

unsigned manager_wait(struct manager *m, const char *reason, int64_t now_ms)
{
	manager_enter(m, MANAGER_WAITING, reason, now_ms);
	return 0;
}

/* What a phase leaves under way. */
unsigned manager_cancel_bits(struct manager *m)
{
	switch (m->phase) {
	case MANAGER_ASKING:
		return DO_CANCEL_ASK;
	case MANAGER_TURN:
		m->redo = true;
		m->asks_person = false;
		return DO_CANCEL_TURN;
	case MANAGER_FINISHING:
		m->finish_wanted = true;
		return DO_CANCEL_FINISH;
	case MANAGER_HOLD:
		m->redo = true;
		return 0;
	case MANAGER_STARTING:
	case MANAGER_WAITING:
	case MANAGER_PAUSED:
	case MANAGER_DONE:
	case MANAGER_FAILED:
	case MANAGER_STOPPED:
		return 0;
	}
	return 0;
}

static unsigned on_ready(struct manager *m, int64_t now_ms)
{
	m->ready = true;
	if (m->phase != MANAGER_STARTING)
		return 0;
	if (m->prompt_queued)
		return manager_start_turn(m, m->source, now_ms);
	return manager_next(m, now_ms);
}

static unsigned on_finished(struct manager *m, const char *reason, int64_t now_ms)
{
	if (m->pending)
		return manager_next(m, now_ms);
	manager_enter(m, MANAGER_DONE, reason, now_ms);
	return DO_END;
}

static unsigned on_tick(struct manager *m, int64_t now_ms)
{
	char reason[128];
	unsigned todo;

	if (m->phase == MANAGER_HOLD) {
		if (now_ms < m->hold_until_ms)
			return 0;
		return m->hold_asks ? manager_next(m, now_ms)
				    : manager_start_turn(m, SOURCE_REDO, now_ms);
	}
	if ((m->phase != MANAGER_TURN && m->phase != MANAGER_ASKING) ||
		!manager_over_limit(m, false, now_ms, reason, sizeof reason))
		return 0;
	todo = manager_cancel_bits(m);
	return todo | manager_pause_by_limit(m, reason, now_ms);
}

static unsigned end(struct manager *m, enum manager_phase p, const char *reason, int64_t now_ms)
{
	unsigned todo = manager_cancel_bits(m);

	m->turn_open = m->resume_wanted = m->asks_person = m->prompt_queued = false;
	manager_enter(m, p, reason, now_ms);
	return todo | DO_END;
}

unsigned manager_step(struct manager *m, const struct manager_event *event, int64_t now_ms)
{
	struct manager_event with_reason = *event;
	const struct manager_event *ev = &with_reason;

	if (!with_reason.reason)
		with_reason.reason = "";
	if (manager_ended(m))
		return ev->kind == MANAGER_EV_USAGE || ev->kind == MANAGER_EV_LOST ? 0 : DO_ILLEGAL;
	switch (ev->kind) {
	case MANAGER_EV_READY:
		return m->ready ? DO_ILLEGAL : on_ready(m, now_ms);
	case MANAGER_EV_LOST:
		return manager_on_lost(m, ev, now_ms);
	case MANAGER_EV_ACTION:
	case MANAGER_EV_TOLD_OTHER:
	case MANAGER_EV_DONE:
	case MANAGER_EV_BAD:
	case MANAGER_EV_UNANSWERED:
		return manager_on_answer(m, ev, now_ms);
	case MANAGER_EV_ENDED:
	case MANAGER_EV_CANCELLED:
	case MANAGER_EV_CUT:
	case MANAGER_EV_ERROR:
		return manager_on_turn_end(m, ev, now_ms);
	case MANAGER_EV_USAGE:
		m->dollars += ev->dollars > 0 ? ev->dollars : 0;
		return m->phase == MANAGER_TURN ? on_tick(m, now_ms) : 0;
	case MANAGER_EV_TELL:
		return manager_on_tell(m, ev->from_person, now_ms);
	case MANAGER_EV_ASKED:
		m->asks_person = m->phase == MANAGER_TURN;
		if (m->asks_person)
			snprintf(m->reason, sizeof m->reason, "%s", ev->reason);
		return 0;
	case MANAGER_EV_PERMITTED:
		if (m->asks_person)
			m->reason[0] = '\0';
		m->asks_person = false;
		return 0;
	case MANAGER_EV_INTERRUPT:
		return manager_on_interrupt(m, now_ms);
	case MANAGER_EV_PAUSE:
		return manager_on_pause(m, now_ms);
	case MANAGER_EV_RESUME:
		return manager_on_resume(m, now_ms);
	case MANAGER_EV_STOP:
		return end(m, MANAGER_STOPPED, "stopped by a person", now_ms);
	case MANAGER_EV_FINISH:
		return manager_on_finish(m, now_ms);
	case MANAGER_EV_TESTS_FAILED:
		return m->phase == MANAGER_FINISHING ? manager_on_tests_failed(m, now_ms)
						     : DO_ILLEGAL;
	case MANAGER_EV_FINISHED:
		return m->phase == MANAGER_FINISHING ? on_finished(m, ev->reason, now_ms)
						     : DO_ILLEGAL;
	case MANAGER_EV_FATAL:
		return end(m, MANAGER_FAILED, ev->reason, now_ms);
	case MANAGER_EV_FULL:
		return manager_on_hold(m, HELD_DISK, ev->reason, now_ms);
	case MANAGER_EV_ROOM:
		return manager_on_release(m, HELD_DISK, now_ms);
	case MANAGER_EV_DELAYED:
		return manager_on_delayed(m, ev);
	case MANAGER_EV_ALONE:
		return manager_on_hold(m, HELD_ALONE, ev->reason, now_ms);
	case MANAGER_EV_JOINED:
		return manager_on_release(m, HELD_ALONE, now_ms);
	case MANAGER_EV_RETIRE:
		m->retiring = true;
		return 0;
	case MANAGER_EV_TICK:
		return on_tick(m, now_ms);
	}
	return DO_ILLEGAL;
}

void manager_resume(struct manager *m)
{
	if (m->prompt_queued && m->source == SOURCE_TEST)
		m->finish_wanted = true;
	m->carried = 0;
	m->held = 0;
	m->retiring = false;
	m->ready = m->turn_open = m->interrupted = m->asks_person = m->prompt_queued = false;
	m->active_since_ms = -1;
	if (m->resume_wanted) {
		m->resume_wanted = false;
		m->phase = MANAGER_STARTING;
	}
	switch (m->phase) {
	case MANAGER_TURN:
	case MANAGER_HOLD:
		m->redo = true;
		m->phase = MANAGER_STARTING;
		break;
	case MANAGER_FINISHING:
	case MANAGER_DONE:
		m->finish_wanted = true;
		m->phase = MANAGER_STARTING;
		break;
	case MANAGER_ASKING:
	case MANAGER_FAILED:
	case MANAGER_STOPPED:
		m->phase = MANAGER_STARTING;
		break;
	case MANAGER_STARTING:
	case MANAGER_WAITING:
	case MANAGER_PAUSED:
		break;
	}
	if (m->phase == MANAGER_STARTING)
		m->reason[0] = '\0';
}
