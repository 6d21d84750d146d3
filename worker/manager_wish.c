/* What people want, and what holds an agent: a full disk, no supervisor. */
#include "worker/manager_moves.h"

#define DISK_FULL "disk full: it goes on by itself when there is room"
#define ALONE "no supervisor: it goes on by itself when one is back"

/* What a person wants while the agent is held is done when it goes on. */
static unsigned wait_held(struct manager *m, const char *reason, int64_t now_ms)
{
	m->by_hold = true;
	m->resume_wanted = false;
	if (!*reason)
		reason = m->held & HELD_DISK ? DISK_FULL : ALONE;
	manager_enter(m, MANAGER_PAUSED, reason, now_ms);
	return 0;
}

unsigned manager_on_tell(struct manager *m, bool from_person, int64_t now_ms)
{
	m->pending++;
	if (m->phase != MANAGER_WAITING || !from_person)
		return 0;
	if (m->held)
		return wait_held(m, "", now_ms);
	m->bad_answers = m->test_failures = m->turn_errors = m->tells = 0;
	return manager_next(m, now_ms);
}

unsigned manager_on_interrupt(struct manager *m, int64_t now_ms)
{
	if (m->phase == MANAGER_TURN) {
		m->interrupted = true;
		return DO_CANCEL_TURN;
	}
	if (m->phase == MANAGER_HOLD) {
		m->holds = 0;
		return m->managed ? manager_next(m, now_ms)
				  : manager_wait(m, "the turn was interrupted", now_ms);
	}
	if (m->phase == MANAGER_FINISHING) {
		unsigned todo = manager_cancel_bits(m);

		return todo | manager_wait(m, "finishing was interrupted", now_ms);
	}
	return 0;
}

static unsigned pause(struct manager *m, const char *reason, int64_t now_ms)
{
	unsigned todo = manager_cancel_bits(m);

	if (m->phase == MANAGER_STARTING && m->prompt_queued) {
		m->prompt_queued = false;
		m->finish_wanted = m->finish_wanted || m->source == SOURCE_TEST;
		m->redo = true;
	}
	manager_enter(m, MANAGER_PAUSED, reason, now_ms);
	return todo;
}

unsigned manager_on_pause(struct manager *m, int64_t now_ms)
{
	m->resume_wanted = false;
	if (m->phase == MANAGER_PAUSED && !m->by_hold)
		return 0;
	m->by_hold = false;
	return pause(m, "paused by a person", now_ms);
}

unsigned manager_on_hold(
	struct manager *m, enum manager_hold why, const char *reason, int64_t now_ms)
{
	unsigned todo = 0;

	m->held |= why;
	if (m->phase == MANAGER_WAITING || (m->phase == MANAGER_PAUSED && !m->resume_wanted))
		return 0;
	todo = pause(m, "", now_ms);
	return todo | wait_held(m, reason, now_ms);
}

/* From paused, or from waiting for a person. */
static unsigned go_on(struct manager *m, int64_t now_ms)
{
	if (m->turn_open) {
		m->resume_wanted = true;
		return 0;
	}
	if (!m->ready && !m->finish_wanted) {
		manager_enter(m, MANAGER_STARTING, "", now_ms);
		return 0;
	}
	return manager_next(m, now_ms);
}

unsigned manager_on_release(struct manager *m, enum manager_hold why, int64_t now_ms)
{
	m->held &= ~(unsigned)why;
	if (m->held || m->phase != MANAGER_PAUSED || !m->by_hold)
		return 0;
	m->by_hold = false;
	return go_on(m, now_ms);
}

unsigned manager_on_resume(struct manager *m, int64_t now_ms)
{
	if (m->phase != MANAGER_PAUSED && m->phase != MANAGER_WAITING)
		return 0;
	m->bad_answers = m->test_failures = m->turn_errors = m->tells = m->holds = 0;
	manager_grant_more(m, now_ms);
	if (m->held)
		return wait_held(m, "", now_ms);
	m->by_hold = false;
	return go_on(m, now_ms);
}

unsigned manager_on_finish(struct manager *m, int64_t now_ms)
{
	unsigned todo;

	m->finish_wanted = true;
	if (m->held)
		return wait_held(m, "", now_ms);
	m->by_hold = false;
	if (m->phase == MANAGER_TURN || m->phase == MANAGER_STARTING)
		return 0;
	if (m->phase == MANAGER_FINISHING) {
		m->finish_wanted = false;
		return 0;
	}
	if (m->turn_open) {
		m->resume_wanted = true;
		return 0;
	}
	todo = manager_cancel_bits(m);
	m->by_limit = false;
	return todo | manager_finish(m, now_ms);
}
