/* What became of a question, a turn, a test run: what follows from it. */
#include "worker/manager_moves.h"

#include <stdio.h>
#include <string.h>

#include "worker/backoff.h"

#define HOLD_FIRST_MS 20000
#define HOLD_MAX_MS 600000
#define HOLD_ASKED_MAX_MS (24LL * 3600 * 1000)

static unsigned on_bad(struct manager *m, const char *reason, int64_t now_ms)
{
	char text[MANAGER_REASON_BYTES];

	if (++m->bad_answers < MANAGER_MAX_BAD_ANSWERS)
		return manager_ask(m, now_ms);
	snprintf(text, sizeof text,
		"the Agent model gave %d unusable answers in a row; the last: %.300s",
		m->bad_answers, reason);
	m->bad_answers = 0;
	return manager_wait(m, text, now_ms);
}

static unsigned on_told_other(struct manager *m, int64_t now_ms)
{
	m->bad_answers = 0;
	if (++m->tells >= MANAGER_MAX_TELLS) {
		m->tells = 0;
		return manager_wait(
			m, "the Agent model only sends messages and gives no instruction", now_ms);
	}
	return manager_ask(m, now_ms);
}

/* A turn is over while the phase was left already (paused). */
static unsigned late_end(struct manager *m, int64_t now_ms)
{
	m->turn_open = false;
	if (!m->resume_wanted)
		return 0;
	m->resume_wanted = false;
	return manager_next(m, now_ms);
}

static unsigned on_cut(struct manager *m, const char *reason, int64_t now_ms)
{
	m->turn_errors = 0;
	if (m->managed || m->pending || m->finish_wanted)
		return manager_next(m, now_ms);
	m->redo = true;
	return manager_wait(m, reason, now_ms);
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
		return manager_wait(m, ev->reason, now_ms);
	}
	if (delay_ms < 0)
		delay_ms = backoff_ms(HOLD_FIRST_MS, HOLD_MAX_MS, m->holds, ev->chance);
	else
		delay_ms = backoff_asked_ms(delay_ms, ev->chance);
	m->hold_asks = m->phase == MANAGER_ASKING;
	m->hold_until_ms = now_ms + delay_ms;
	m->redo = true;
	delay_words(text, delay_ms, ev->reason);
	manager_enter(m, MANAGER_HOLD, text, now_ms);
	return 0;
}

static unsigned on_unanswered(struct manager *m, const struct manager_event *ev, int64_t now_ms)
{
	if (ev->error == ERR_UNAVAILABLE)
		return hold(m, ev, now_ms);
	if (ev->error != ERR_DENIED && ev->error != ERR_NOT_FOUND && ev->error != ERR_INVALID)
		return manager_wait(m, ev->reason, now_ms);
	manager_enter(m, MANAGER_PAUSED, ev->reason, now_ms);
	return 0;
}

/* A reason while something is tried again by itself. */
unsigned manager_on_delayed(struct manager *m, const struct manager_event *ev)
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
		manager_enter(m, MANAGER_PAUSED, ev->reason, now_ms);
		return 0;
	}
	if (ev->trouble == TROUBLE_BUSY)
		return hold(m, ev, now_ms);
	m->redo = true;
	if (++m->turn_errors < MANAGER_MAX_TURN_ERRORS && (m->managed || m->finish_wanted))
		return manager_next(m, now_ms);
	m->turn_errors = 0;
	return manager_wait(m, ev->reason, now_ms);
}

/* The four ways a turn ends. */
unsigned manager_on_turn_end(struct manager *m, const struct manager_event *ev, int64_t now_ms)
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
			return manager_wait(m,
				m->interrupted ? "the turn was interrupted"
					       : "the coding agent cancelled the turn",
				now_ms);
	}
	return manager_next(m, now_ms);
}

unsigned manager_on_answer(struct manager *m, const struct manager_event *ev, int64_t now_ms)
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
		return manager_start_turn(m, SOURCE_MANAGER, now_ms);
	case MANAGER_EV_TOLD_OTHER:
		return on_told_other(m, now_ms);
	case MANAGER_EV_DONE:
		m->bad_answers = 0;
		return manager_finish(m, now_ms);
	case MANAGER_EV_BAD:
		return on_bad(m, ev->reason, now_ms);
	default:
		return on_unanswered(m, ev, now_ms);
	}
}

unsigned manager_on_lost(struct manager *m, const struct manager_event *ev, int64_t now_ms)
{
	bool in_turn = m->phase == MANAGER_TURN;
	char text[MANAGER_REASON_BYTES];

	m->ready = false;
	m->turn_open = false;
	m->asks_person = false;
	if (in_turn && m->interrupted && !m->managed) {
		m->redo = true;
		return manager_wait(m, "the turn was interrupted", now_ms);
	}
	/* Crashes are counted by who restarts it; one that hangs is hardly ever that fast. */
	if (in_turn && ev->late && ++m->turn_errors >= MANAGER_MAX_TURN_ERRORS) {
		m->turn_errors = 0;
		m->redo = true;
		snprintf(text, sizeof text,
			"%d turns in a row did not end in time; the last: %.300s",
			MANAGER_MAX_TURN_ERRORS, ev->reason);
		return manager_wait(m, text, now_ms);
	}
	if (in_turn) {
		m->redo = true;
		manager_enter(m, MANAGER_STARTING, "the coding agent is started again", now_ms);
	} else if (m->phase == MANAGER_PAUSED && m->resume_wanted) {
		m->resume_wanted = false;
		manager_enter(m, MANAGER_STARTING, "", now_ms);
	}
	return 0;
}

unsigned manager_on_tests_failed(struct manager *m, int64_t now_ms)
{
	char text[MANAGER_REASON_BYTES];

	if (++m->test_failures <= MANAGER_MAX_TEST_FAILURES)
		return manager_start_turn(m, SOURCE_TEST, now_ms);
	m->test_failures = 0;
	snprintf(text, sizeof text, "the tests still fail after %d attempts",
		MANAGER_MAX_TEST_FAILURES);
	return manager_wait(m, text, now_ms);
}
