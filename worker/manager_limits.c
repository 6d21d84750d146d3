/* What an agent may spend: turns, active time, dollars, and when that is looked at. */
#include "worker/manager_moves.h"

#include <stdio.h>

#define MINUTE_MS 60000

int64_t manager_minutes_ms(const struct manager_limits *l, int64_t minutes)
{
	return minutes * (l->minute_ms > 0 ? l->minute_ms : MINUTE_MS);
}

int64_t manager_active_ms(const struct manager *m, int64_t now_ms)
{
	return m->active_ms + (m->active_since_ms >= 0 ? now_ms - m->active_since_ms : 0);
}

bool manager_spent(const struct manager *m)
{
	return m->granted_dollars > 0 && m->dollars >= m->granted_dollars;
}

/* Fills reason when a limit is reached. turns: before one more turn. */
bool manager_over_limit(
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

void manager_grant_more(struct manager *m, int64_t now_ms)
{
	char reason[128];

	if (manager_over_limit(m, true, now_ms, reason, sizeof reason)) {
		while (m->granted_turns > 0 && m->turn >= m->granted_turns)
			m->granted_turns += m->limits.turns > 0 ? m->limits.turns : 1;
		while (m->granted_ms > 0 && manager_active_ms(m, now_ms) >= m->granted_ms)
			m->granted_ms += manager_minutes_ms(
				&m->limits, m->limits.minutes > 0 ? m->limits.minutes : 1);
		while (m->granted_dollars > 0 && m->dollars >= m->granted_dollars)
			m->granted_dollars += m->limits.dollars > 0 ? m->limits.dollars : 1;
	}
	m->by_limit = false;
}

unsigned manager_pause_by_limit(struct manager *m, const char *reason, int64_t now_ms)
{
	m->by_limit = true;
	manager_enter(m, MANAGER_PAUSED, reason, now_ms);
	return 0;
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
