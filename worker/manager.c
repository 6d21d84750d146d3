#include "worker/manager.h"

#include <stdio.h>
#include <string.h>

#include "worker/backoff.h"

#define MINUTE_MS 60000
#define HOLD_FIRST_MS 20000
#define HOLD_MAX_MS 600000
#define HOLD_ASKED_MAX_MS (24LL * 3600 * 1000)
#define DISK_FULL "disk full: it goes on by itself when there is room"
#define ALONE "no supervisor: it goes on by itself when one is back"

static int64_t minutes_ms(const struct manager_limits *l, int64_t minutes)
{
	return minutes * (l->minute_ms > 0 ? l->minute_ms : MINUTE_MS);
}

void manager_init(struct manager *m, bool managed, const struct manager_limits *limits)
{
	memset(m, 0, sizeof *m);
	m->managed = managed;
	m->limits = *limits;
	m->granted_turns = limits->turns;
	m->granted_ms = minutes_ms(limits, limits->minutes);
	m->granted_dollars = limits->dollars;
	m->active_since_ms = -1;
}

static bool active(enum manager_phase p)
{
	return p == MANAGER_ASKING || p == MANAGER_TURN || p == MANAGER_FINISHING;
}

/* Every change of phase goes through here, so that active time is counted. */
static void enter(struct manager *m, enum manager_phase p, const char *reason, int64_t now_ms)
{
	if (m->active_since_ms >= 0)
		m->active_ms += now_ms - m->active_since_ms;
	m->active_since_ms = active(p) ? now_ms : -1;
	m->phase = p;
	if (reason != m->reason)
		snprintf(m->reason, sizeof m->reason, "%s", reason ? reason : "");
}

int64_t manager_active_ms(const struct manager *m, int64_t now_ms)
{
	return m->active_ms + (m->active_since_ms >= 0 ? now_ms - m->active_since_ms : 0);
}

bool manager_ended(const struct manager *m)
{
	return m->phase == MANAGER_DONE || m->phase == MANAGER_FAILED ||
	       m->phase == MANAGER_STOPPED;
}

bool manager_spent(const struct manager *m)
{
	return m->granted_dollars > 0 && m->dollars >= m->granted_dollars;
}

/* Fills reason when a limit is reached. turns: before one more turn. */
static bool over_limit(
	const struct manager *m, bool one_more_turn, int64_t now_ms, char *reason, size_t n)
{
	if (one_more_turn && m->granted_turns > 0 && m->turn >= m->granted_turns)
		snprintf(reason, n, "turn limit of %lld reached", (long long)m->granted_turns);
	else if (m->granted_ms > 0 && manager_active_ms(m, now_ms) >= m->granted_ms)
		snprintf(reason, n, "time limit of %lld minutes reached",
			(long long)(m->granted_ms / MINUTE_MS));
	else if (manager_spent(m))
		snprintf(reason, n, "cost limit of $%.2f reached", m->granted_dollars);
	else
		return false;
	return true;
}

static void grant_more(struct manager *m, int64_t now_ms)
{
	char reason[128];

	if (over_limit(m, true, now_ms, reason, sizeof reason)) {
		while (m->granted_turns > 0 && m->turn >= m->granted_turns)
			m->granted_turns += m->limits.turns > 0 ? m->limits.turns : 1;
		while (m->granted_ms > 0 && manager_active_ms(m, now_ms) >= m->granted_ms)
			m->granted_ms += minutes_ms(
				&m->limits, m->limits.minutes > 0 ? m->limits.minutes : 1);
		while (m->granted_dollars > 0 && m->dollars >= m->granted_dollars)
			m->granted_dollars += m->limits.dollars > 0 ? m->limits.dollars : 1;
	}
	m->by_limit = false;
}

static unsigned pause_by_limit(struct manager *m, const char *reason, int64_t now_ms)
{
	m->by_limit = true;
	enter(m, MANAGER_PAUSED, reason, now_ms);
	return 0;
}

static unsigned start_turn(struct manager *m, enum manager_source source, int64_t now_ms)
{
	char reason[128];

	if (over_limit(m, true, now_ms, reason, sizeof reason)) {
		m->finish_wanted = m->finish_wanted || source == SOURCE_TEST;
		return pause_by_limit(m, reason, now_ms);
	}
	m->source = source;
	if (!m->ready || m->retiring) {
		m->prompt_queued = true;
		enter(m, MANAGER_STARTING, "", now_ms);
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
	enter(m, MANAGER_TURN, "", now_ms);
	return DO_PROMPT;
}

static unsigned ask(struct manager *m, int64_t now_ms)
{
	char reason[128];

	if (over_limit(m, true, now_ms, reason, sizeof reason))
		return pause_by_limit(m, reason, now_ms);
	m->carried = m->pending;
	enter(m, MANAGER_ASKING, "", now_ms);
	return m->retiring ? 0 : DO_ASK;
}

static unsigned finish(struct manager *m, int64_t now_ms)
{
	m->finish_wanted = false;
	m->redo = false;
	enter(m, MANAGER_FINISHING, "", now_ms);
	return m->retiring ? 0 : DO_FINISH;
}

/* The agent is free: what follows? */
static unsigned next(struct manager *m, int64_t now_ms)
{
	m->interrupted = false;
	if (m->finish_wanted && !m->pending)
		return finish(m, now_ms);
	if (m->managed)
		return ask(m, now_ms);
	if (m->pending)
		return start_turn(m, SOURCE_PERSON, now_ms);
	if (m->redo)
		return start_turn(m, m->turn ? SOURCE_REDO : SOURCE_TASK, now_ms);
	if (m->turn == 0)
		return start_turn(m, SOURCE_TASK, now_ms);
	return finish(m, now_ms);
}

static unsigned wait_for_person(struct manager *m, const char *reason, int64_t now_ms)
{
	enter(m, MANAGER_WAITING, reason, now_ms);
	return 0;
}

/* What a phase leaves under way. */
static unsigned cancel_bits(struct manager *m)
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
		return start_turn(m, m->source, now_ms);
	return next(m, now_ms);
}

static unsigned on_lost(struct manager *m, const struct manager_event *ev, int64_t now_ms)
{
	bool in_turn = m->phase == MANAGER_TURN;
	char text[MANAGER_REASON_BYTES];

	m->ready = false;
	m->turn_open = false;
	m->asks_person = false;
	if (in_turn && m->interrupted && !m->managed) {
		m->redo = true;
		return wait_for_person(m, "the turn was interrupted", now_ms);
	}
	/* Crashes are counted by who restarts it; one that hangs is hardly ever that fast. */
	if (in_turn && ev->late && ++m->turn_errors >= MANAGER_MAX_TURN_ERRORS) {
		m->turn_errors = 0;
		m->redo = true;
		snprintf(text, sizeof text,
			"%d turns in a row did not end in time; the last: %.300s",
			MANAGER_MAX_TURN_ERRORS, ev->reason);
		return wait_for_person(m, text, now_ms);
	}
	if (in_turn) {
		m->redo = true;
		enter(m, MANAGER_STARTING, "the coding agent is started again", now_ms);
	} else if (m->phase == MANAGER_PAUSED && m->resume_wanted) {
		m->resume_wanted = false;
		enter(m, MANAGER_STARTING, "", now_ms);
	}
	return 0;
}

static unsigned on_bad(struct manager *m, const char *reason, int64_t now_ms)
{
	char text[MANAGER_REASON_BYTES];

	if (++m->bad_answers < MANAGER_MAX_BAD_ANSWERS)
		return ask(m, now_ms);
	snprintf(text, sizeof text,
		"the Agent model gave %d unusable answers in a row; the last: %.300s",
		m->bad_answers, reason);
	m->bad_answers = 0;
	return wait_for_person(m, text, now_ms);
}

static unsigned on_told_other(struct manager *m, int64_t now_ms)
{
	m->bad_answers = 0;
	if (++m->tells >= MANAGER_MAX_TELLS) {
		m->tells = 0;
		return wait_for_person(
			m, "the Agent model only sends messages and gives no instruction", now_ms);
	}
	return ask(m, now_ms);
}

/* A turn is over while the phase was left already (paused). */
static unsigned late_end(struct manager *m, int64_t now_ms)
{
	m->turn_open = false;
	if (!m->resume_wanted)
		return 0;
	m->resume_wanted = false;
	return next(m, now_ms);
}

static unsigned on_cut(struct manager *m, const char *reason, int64_t now_ms)
{
	m->turn_errors = 0;
	if (m->managed || m->pending || m->finish_wanted)
		return next(m, now_ms);
	m->redo = true;
	return wait_for_person(m, reason, now_ms);
}

static void delay_words(char out[MANAGER_REASON_BYTES], int64_t delay_ms, const char *reason)
{
	int64_t seconds = (delay_ms + 999) / 1000;
	bool minutes = seconds >= 600;

	snprintf(out, MANAGER_REASON_BYTES, "trying again in %lld %s: %.400s",
		(long long)(minutes ? (seconds + 59) / 60 : seconds), minutes ? "min" : "s",
		reason);
}

/* What a busy provider keeps waiting: as long as it asks, else longer each time. */
static unsigned hold(struct manager *m, const struct manager_event *ev, int64_t now_ms)
{
	int64_t delay_ms = ev->delay_ms;
	char text[MANAGER_REASON_BYTES];

	if (++m->holds > MANAGER_MAX_HOLDS || delay_ms > HOLD_ASKED_MAX_MS) {
		m->holds = 0;
		m->redo = true;
		return wait_for_person(m, ev->reason, now_ms);
	}
	if (delay_ms < 0)
		delay_ms = backoff_ms(HOLD_FIRST_MS, HOLD_MAX_MS, m->holds, ev->chance);
	else
		delay_ms = backoff_asked_ms(delay_ms, ev->chance);
	m->hold_asks = m->phase == MANAGER_ASKING;
	m->hold_until_ms = now_ms + delay_ms;
	m->redo = true;
	delay_words(text, delay_ms, ev->reason);
	enter(m, MANAGER_HOLD, text, now_ms);
	return 0;
}

static unsigned on_unanswered(struct manager *m, const struct manager_event *ev, int64_t now_ms)
{
	if (ev->error == ERR_UNAVAILABLE)
		return hold(m, ev, now_ms);
	if (ev->error != ERR_DENIED && ev->error != ERR_NOT_FOUND && ev->error != ERR_INVALID)
		return wait_for_person(m, ev->reason, now_ms);
	enter(m, MANAGER_PAUSED, ev->reason, now_ms);
	return 0;
}

/* A reason while something is tried again by itself. */
static unsigned on_delayed(struct manager *m, const struct manager_event *ev)
{
	char text[MANAGER_REASON_BYTES];

	if (m->phase != MANAGER_ASKING && m->phase != MANAGER_FINISHING &&
		m->phase != MANAGER_STARTING)
		return 0;
	m->reason[0] = '\0';
	if (*ev->reason) {
		delay_words(text, ev->delay_ms, ev->reason);
		memcpy(m->reason, text, sizeof m->reason);
	}
	return 0;
}

static unsigned on_error(struct manager *m, const struct manager_event *ev, int64_t now_ms)
{
	if (ev->trouble == TROUBLE_DENIED) {
		m->redo = true;
		enter(m, MANAGER_PAUSED, ev->reason, now_ms);
		return 0;
	}
	if (ev->trouble == TROUBLE_BUSY)
		return hold(m, ev, now_ms);
	m->redo = true;
	if (++m->turn_errors < MANAGER_MAX_TURN_ERRORS && (m->managed || m->finish_wanted))
		return next(m, now_ms);
	m->turn_errors = 0;
	return wait_for_person(m, ev->reason, now_ms);
}

/* The four ways a turn ends. */
static unsigned on_turn_end(struct manager *m, const struct manager_event *ev, int64_t now_ms)
{
	if (!m->turn_open)
		return DO_ILLEGAL;
	if (m->phase != MANAGER_TURN)
		return late_end(m, now_ms);
	m->turn_open = false;
	m->asks_person = false;
	if (ev->kind == MANAGER_EV_ERROR)
		return on_error(m, ev, now_ms);
	m->holds = 0;
	if (ev->kind == MANAGER_EV_CUT)
		return on_cut(m, ev->reason, now_ms);
	m->turn_errors = 0;
	if (ev->kind == MANAGER_EV_CANCELLED) {
		m->redo = true;
		if (!m->managed && !m->pending && !m->finish_wanted)
			return wait_for_person(m,
				m->interrupted ? "the turn was interrupted"
					       : "the coding agent cancelled the turn",
				now_ms);
	}
	return next(m, now_ms);
}

/* What a person wants while the agent is held is done when it goes on. */
static unsigned wait_held(struct manager *m, const char *reason, int64_t now_ms)
{
	m->by_hold = true;
	m->resume_wanted = false;
	if (!*reason)
		reason = m->held & HELD_DISK ? DISK_FULL : ALONE;
	enter(m, MANAGER_PAUSED, reason, now_ms);
	return 0;
}

static unsigned on_tell(struct manager *m, bool from_person, int64_t now_ms)
{
	m->pending++;
	if (m->phase != MANAGER_WAITING || !from_person)
		return 0;
	if (m->held)
		return wait_held(m, "", now_ms);
	m->bad_answers = m->test_failures = m->turn_errors = m->tells = 0;
	return next(m, now_ms);
}

static unsigned on_interrupt(struct manager *m, int64_t now_ms)
{
	if (m->phase == MANAGER_TURN) {
		m->interrupted = true;
		return DO_CANCEL_TURN;
	}
	if (m->phase == MANAGER_HOLD) {
		m->holds = 0;
		return m->managed ? next(m, now_ms)
				  : wait_for_person(m, "the turn was interrupted", now_ms);
	}
	if (m->phase == MANAGER_FINISHING) {
		unsigned todo = cancel_bits(m);

		return todo | wait_for_person(m, "finishing was interrupted", now_ms);
	}
	return 0;
}

static unsigned pause(struct manager *m, const char *reason, int64_t now_ms)
{
	unsigned todo = cancel_bits(m);

	if (m->phase == MANAGER_STARTING && m->prompt_queued) {
		m->prompt_queued = false;
		m->finish_wanted = m->finish_wanted || m->source == SOURCE_TEST;
		m->redo = true;
	}
	enter(m, MANAGER_PAUSED, reason, now_ms);
	return todo;
}

static unsigned on_pause(struct manager *m, int64_t now_ms)
{
	m->resume_wanted = false;
	if (m->phase == MANAGER_PAUSED && !m->by_hold)
		return 0;
	m->by_hold = false;
	return pause(m, "paused by a person", now_ms);
}

static unsigned on_hold(
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
		enter(m, MANAGER_STARTING, "", now_ms);
		return 0;
	}
	return next(m, now_ms);
}

static unsigned on_release(struct manager *m, enum manager_hold why, int64_t now_ms)
{
	m->held &= ~(unsigned)why;
	if (m->held || m->phase != MANAGER_PAUSED || !m->by_hold)
		return 0;
	m->by_hold = false;
	return go_on(m, now_ms);
}

static unsigned on_resume(struct manager *m, int64_t now_ms)
{
	if (m->phase != MANAGER_PAUSED && m->phase != MANAGER_WAITING)
		return 0;
	m->bad_answers = m->test_failures = m->turn_errors = m->tells = m->holds = 0;
	grant_more(m, now_ms);
	if (m->held)
		return wait_held(m, "", now_ms);
	m->by_hold = false;
	return go_on(m, now_ms);
}

static unsigned on_finish(struct manager *m, int64_t now_ms)
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
	todo = cancel_bits(m);
	m->by_limit = false;
	return todo | finish(m, now_ms);
}

static unsigned on_tests_failed(struct manager *m, int64_t now_ms)
{
	char text[MANAGER_REASON_BYTES];

	if (++m->test_failures <= MANAGER_MAX_TEST_FAILURES)
		return start_turn(m, SOURCE_TEST, now_ms);
	m->test_failures = 0;
	snprintf(text, sizeof text, "the tests still fail after %d attempts",
		MANAGER_MAX_TEST_FAILURES);
	return wait_for_person(m, text, now_ms);
}

static unsigned on_finished(struct manager *m, const char *reason, int64_t now_ms)
{
	if (m->pending)
		return next(m, now_ms);
	enter(m, MANAGER_DONE, reason, now_ms);
	return DO_END;
}

static unsigned on_tick(struct manager *m, int64_t now_ms)
{
	char reason[128];
	unsigned todo;

	if (m->phase == MANAGER_HOLD) {
		if (now_ms < m->hold_until_ms)
			return 0;
		return m->hold_asks ? next(m, now_ms) : start_turn(m, SOURCE_REDO, now_ms);
	}
	if ((m->phase != MANAGER_TURN && m->phase != MANAGER_ASKING) ||
		!over_limit(m, false, now_ms, reason, sizeof reason))
		return 0;
	todo = cancel_bits(m);
	return todo | pause_by_limit(m, reason, now_ms);
}

static unsigned end(struct manager *m, enum manager_phase p, const char *reason, int64_t now_ms)
{
	unsigned todo = cancel_bits(m);

	m->turn_open = m->resume_wanted = m->asks_person = m->prompt_queued = false;
	enter(m, p, reason, now_ms);
	return todo | DO_END;
}

static unsigned on_answer(struct manager *m, const struct manager_event *ev, int64_t now_ms)
{
	if (m->phase != MANAGER_ASKING)
		return DO_ILLEGAL;
	if (ev->kind != MANAGER_EV_BAD && ev->kind != MANAGER_EV_UNANSWERED) {
		m->pending -= m->carried;
		m->carried = 0;
	}
	switch (ev->kind) {
	case MANAGER_EV_ACTION:
		m->bad_answers = m->holds = 0;
		return start_turn(m, SOURCE_MANAGER, now_ms);
	case MANAGER_EV_TOLD_OTHER:
		return on_told_other(m, now_ms);
	case MANAGER_EV_DONE:
		m->bad_answers = 0;
		return finish(m, now_ms);
	case MANAGER_EV_BAD:
		return on_bad(m, ev->reason, now_ms);
	default:
		return on_unanswered(m, ev, now_ms);
	}
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
		return on_lost(m, ev, now_ms);
	case MANAGER_EV_ACTION:
	case MANAGER_EV_TOLD_OTHER:
	case MANAGER_EV_DONE:
	case MANAGER_EV_BAD:
	case MANAGER_EV_UNANSWERED:
		return on_answer(m, ev, now_ms);
	case MANAGER_EV_ENDED:
	case MANAGER_EV_CANCELLED:
	case MANAGER_EV_CUT:
	case MANAGER_EV_ERROR:
		return on_turn_end(m, ev, now_ms);
	case MANAGER_EV_USAGE:
		m->dollars += ev->dollars > 0 ? ev->dollars : 0;
		return m->phase == MANAGER_TURN ? on_tick(m, now_ms) : 0;
	case MANAGER_EV_TELL:
		return on_tell(m, ev->from_person, now_ms);
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
		return on_interrupt(m, now_ms);
	case MANAGER_EV_PAUSE:
		return on_pause(m, now_ms);
	case MANAGER_EV_RESUME:
		return on_resume(m, now_ms);
	case MANAGER_EV_STOP:
		return end(m, MANAGER_STOPPED, "stopped by a person", now_ms);
	case MANAGER_EV_FINISH:
		return on_finish(m, now_ms);
	case MANAGER_EV_TESTS_FAILED:
		return m->phase == MANAGER_FINISHING ? on_tests_failed(m, now_ms) : DO_ILLEGAL;
	case MANAGER_EV_FINISHED:
		return m->phase == MANAGER_FINISHING ? on_finished(m, ev->reason, now_ms)
						     : DO_ILLEGAL;
	case MANAGER_EV_FATAL:
		return end(m, MANAGER_FAILED, ev->reason, now_ms);
	case MANAGER_EV_FULL:
		return on_hold(m, HELD_DISK, ev->reason, now_ms);
	case MANAGER_EV_ROOM:
		return on_release(m, HELD_DISK, now_ms);
	case MANAGER_EV_DELAYED:
		return on_delayed(m, ev);
	case MANAGER_EV_ALONE:
		return on_hold(m, HELD_ALONE, ev->reason, now_ms);
	case MANAGER_EV_JOINED:
		return on_release(m, HELD_ALONE, now_ms);
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

int64_t manager_deadline(const struct manager *m, int64_t now_ms)
{
	if (m->phase == MANAGER_HOLD)
		return m->hold_until_ms;
	if (m->granted_ms > 0 && (m->phase == MANAGER_TURN || m->phase == MANAGER_ASKING)) {
		int64_t left = m->granted_ms - manager_active_ms(m, now_ms);

		return now_ms + (left > 0 ? left : 0);
	}
	return -1;
}

int64_t manager_hold_ms(const struct manager *m, int64_t now_ms)
{
	if (m->phase != MANAGER_HOLD)
		return -1;
	return m->hold_until_ms > now_ms ? m->hold_until_ms - now_ms : 0;
}
