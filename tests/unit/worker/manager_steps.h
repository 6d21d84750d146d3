/* Events for the manager, and managers to begin with. */
#ifndef TESTS_UNIT_WORKER_MANAGER_STEPS_H
#define TESTS_UNIT_WORKER_MANAGER_STEPS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/manager.h"

static const struct manager_limits NO_LIMITS;

static inline unsigned step(struct manager *m, enum manager_event_kind kind, int64_t now)
{
	struct manager_event ev = {.kind = kind, .reason = "why", .delay_ms = -1};

	return manager_step(m, &ev, now);
}

static inline unsigned tell(struct manager *m, bool from_person)
{
	struct manager_event ev = {.kind = MANAGER_EV_TELL, .from_person = from_person};

	return manager_step(m, &ev, 0);
}

static inline unsigned trouble(
	struct manager *m, enum manager_trouble t, int64_t delay_ms, int64_t now)
{
	struct manager_event ev = {
		.kind = MANAGER_EV_ERROR, .reason = "why", .trouble = t, .delay_ms = delay_ms};

	return manager_step(m, &ev, now);
}

static inline struct manager managed(void)
{
	struct manager m;

	manager_init(&m, true, &NO_LIMITS);
	return m;
}

static inline struct manager in_turn(bool with_manager)
{
	struct manager m;

	manager_init(&m, with_manager, &NO_LIMITS);
	step(&m, MANAGER_EV_READY, 0);
	if (with_manager)
		step(&m, MANAGER_EV_ACTION, 0);
	assert_int_equal(m.phase, MANAGER_TURN);
	return m;
}

#endif
