/* The manager's policy: its table by example, and seeded random walks over all events
 * that must never reach an impossible state. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/worker/manager_steps.h"

static unsigned spend(struct manager *m, double dollars)
{
	struct manager_event ev = {.kind = MANAGER_EV_USAGE, .dollars = dollars};

	return manager_step(m, &ev, 0);
}

static unsigned unanswered(struct manager *m, enum err_kind kind)
{
	struct manager_event ev = {.kind = MANAGER_EV_UNANSWERED, .reason = "no", .error = kind};

	return manager_step(m, &ev, 0);
}

static void with_a_manager(void **state)
{
	struct manager m = managed();

	(void)state;
	assert_string_equal(manager_state(&m), "starting");
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_ASK);
	assert_string_equal(manager_state(&m), "working");
	assert_int_equal(step(&m, MANAGER_EV_ACTION, 0), DO_PROMPT);
	assert_int_equal(m.turn, 1);
	assert_int_equal(m.source, SOURCE_MANAGER);
	assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), DO_ASK);
	assert_int_equal(step(&m, MANAGER_EV_DONE, 0), DO_FINISH);
	assert_string_equal(manager_state(&m), "finishing");
	assert_int_equal(step(&m, MANAGER_EV_FINISHED, 0), DO_END);
	assert_string_equal(manager_state(&m), "done");
	assert_int_equal(step(&m, MANAGER_EV_PAUSE, 0), DO_ILLEGAL);
}

static void without_a_manager(void **state)
{
	struct manager m;

	(void)state;
	manager_init(&m, false, &NO_LIMITS);
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_TASK);
	assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), DO_FINISH);
	for (int i = 0; i < MANAGER_MAX_TEST_FAILURES; i++) {
		assert_int_equal(step(&m, MANAGER_EV_TESTS_FAILED, 0), DO_PROMPT);
		assert_int_equal(m.source, SOURCE_TEST);
		assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), DO_FINISH);
	}
	assert_int_equal(step(&m, MANAGER_EV_TESTS_FAILED, 0), 0);
	assert_string_equal(manager_state(&m), "waiting");
	assert_int_equal(tell(&m, true), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_PERSON);
}

static void bad_answers_end_in_waiting(void **state)
{
	struct manager m = managed();

	(void)state;
	step(&m, MANAGER_EV_READY, 0);
	assert_int_equal(step(&m, MANAGER_EV_BAD, 0), DO_ASK);
	assert_int_equal(step(&m, MANAGER_EV_BAD, 0), DO_ASK);
	assert_int_equal(step(&m, MANAGER_EV_BAD, 0), 0);
	assert_string_equal(manager_state(&m), "waiting");
	assert_non_null(strstr(m.reason, "3 unusable answers"));
	assert_int_equal(tell(&m, false), 0); /* another agent does not wake it */
	assert_int_equal(tell(&m, true), DO_ASK);
	/* A good one between starts the count again. */
	step(&m, MANAGER_EV_BAD, 0);
	step(&m, MANAGER_EV_BAD, 0);
	step(&m, MANAGER_EV_ACTION, 0);
	step(&m, MANAGER_EV_ENDED, 0);
	assert_int_equal(step(&m, MANAGER_EV_BAD, 0), DO_ASK);
}

static void only_messages_end_in_waiting(void **state)
{
	struct manager m = managed();

	(void)state;
	step(&m, MANAGER_EV_READY, 0);
	assert_int_equal(step(&m, MANAGER_EV_TOLD_OTHER, 0), DO_ASK);
	assert_int_equal(step(&m, MANAGER_EV_TOLD_OTHER, 0), DO_ASK);
	assert_int_equal(step(&m, MANAGER_EV_TOLD_OTHER, 0), 0);
	assert_string_equal(manager_state(&m), "waiting");
}

static void a_model_that_cannot_be_asked(void **state)
{
	static const enum err_kind to_person[] = {ERR_DENIED, ERR_NOT_FOUND, ERR_INVALID};
	struct manager m;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		m = managed();
		step(&m, MANAGER_EV_READY, 0);
		assert_int_equal(unanswered(&m, to_person[i]), 0);
		assert_string_equal(manager_state(&m), "paused");
		assert_string_equal(m.reason, "no");
		assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), DO_ASK);
	}
	m = managed();
	step(&m, MANAGER_EV_READY, 0);
	unanswered(&m, ERR_LIMIT);
	assert_string_equal(manager_state(&m), "waiting");
}

/* A provider that is busy for long: the question is asked again, as late as it says. */
static void a_model_that_is_busy(void **state)
{
	static const struct {
		int64_t asked_ms; /* -1: it does not say */
		int holds;	  /* before */
		int64_t low_ms, high_ms;
		const char *says;
	} rows[] = {
		{-1, 0, 10000, 20000, "trying again in "},
		{-1, 1, 20000, 40000, "trying again in "},
		{-1, 20, 300000, 600000, "why"},
		{0, 0, 0, 0, "in 0 s: why"},
		{7000, 0, 7000, 7700, "why"},
		{900000, 0, 900000, 990000, " min: why"},
		{3600000, 3, 3600000, 3960000, " min: why"},
		{25 * 3600000, 0, -1, -1, "why"},
		{-1, MANAGER_MAX_HOLDS, -1, -1, "why"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		for (double chance = 0; chance < 1; chance += 0.33) {
			struct manager m = managed();
			struct manager_event ev = {.kind = MANAGER_EV_UNANSWERED,
				.error = ERR_UNAVAILABLE,
				.reason = "why",
				.chance = chance,
				.delay_ms = rows[i].asked_ms};
			int64_t due;

			step(&m, MANAGER_EV_READY, 100);
			m.holds = rows[i].holds;
			manager_step(&m, &ev, 100);
			if (!strstr(m.reason, rows[i].says))
				fail_msg("row %zu: %s", i, m.reason);
			if (rows[i].low_ms < 0) {
				assert_string_equal(manager_state(&m), "waiting");
				continue;
			}
			due = manager_deadline(&m, 100);
			if (due - 100 < rows[i].low_ms || due - 100 > rows[i].high_ms)
				fail_msg("row %zu: %lld", i, (long long)due);
			assert_int_equal(step(&m, MANAGER_EV_TICK, due - 1), 0);
			assert_int_equal(step(&m, MANAGER_EV_TICK, due), DO_ASK);
			assert_string_equal(m.reason, "");
			step(&m, MANAGER_EV_ACTION, due);
			assert_int_equal(m.holds, 0);
		}
	}
}

static void what_is_tried_again_is_the_reason(void **state)
{
	struct manager m = managed();
	struct manager_event ev = {
		.kind = MANAGER_EV_DELAYED, .reason = "the server is away", .delay_ms = 1500};

	(void)state;
	assert_int_equal(manager_step(&m, &ev, 0), 0);
	assert_string_equal(m.reason, "trying again in 2 s: the server is away");
	ev.reason = NULL;
	manager_step(&m, &ev, 0);
	assert_string_equal(m.reason, "");
	step(&m, MANAGER_EV_READY, 0);
	ev.reason = "busy";
	manager_step(&m, &ev, 0);
	assert_string_equal(m.reason, "trying again in 2 s: busy");
	step(&m, MANAGER_EV_ACTION, 0);
	assert_string_equal(m.reason, "");
	manager_step(&m, &ev, 0);
	assert_string_equal(m.reason, "");
}

static void the_turn_limit(void **state)
{
	struct manager_limits limits = {.turns = 2};
	struct manager m;

	(void)state;
	manager_init(&m, true, &limits);
	step(&m, MANAGER_EV_READY, 0);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(step(&m, MANAGER_EV_ACTION, 0), DO_PROMPT);
		step(&m, MANAGER_EV_ENDED, 0);
	}
	assert_string_equal(manager_state(&m), "paused");
	assert_string_equal(m.reason, "turn limit of 2 reached");
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), DO_ASK);
	assert_int_equal(m.granted_turns, 4);
}

static void the_time_limit_ends_a_turn(void **state)
{
	struct manager_limits limits = {.minutes = 1};
	struct manager m;

	(void)state;
	manager_init(&m, false, &limits);
	step(&m, MANAGER_EV_READY, 1000);
	assert_int_equal(manager_deadline(&m, 1000), 61000);
	assert_int_equal(step(&m, MANAGER_EV_TICK, 60999), 0);
	assert_int_equal(step(&m, MANAGER_EV_TICK, 61000), DO_CANCEL_TURN);
	assert_string_equal(m.reason, "time limit of 1 minutes reached");
	/* Time stands still while it is paused. */
	assert_int_equal(manager_active_ms(&m, 999000), 60000);
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 999000), 0); /* the turn is still open */
	assert_int_equal(step(&m, MANAGER_EV_CANCELLED, 999001), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_REDO);
}

static void the_cost_limit(void **state)
{
	struct manager_limits limits = {.dollars = 1};
	struct manager m;

	(void)state;
	manager_init(&m, true, &limits);
	step(&m, MANAGER_EV_READY, 0);
	step(&m, MANAGER_EV_ACTION, 0);
	assert_int_equal(spend(&m, 0.99), 0);
	assert_int_equal(spend(&m, 0.01), DO_CANCEL_TURN);
	assert_string_equal(m.reason, "cost limit of $1.00 reached");
	assert_int_equal(spend(&m, -1), 0); /* unknown price */
	assert_int_equal(step(&m, MANAGER_EV_CANCELLED, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), DO_ASK);
}

static void a_lost_agent(void **state)
{
	struct manager m = in_turn(true);

	(void)state;
	assert_int_equal(step(&m, MANAGER_EV_LOST, 0), 0);
	assert_string_equal(manager_state(&m), "starting");
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_ASK);
	/* Lost during the question: the prompt waits for the new one. */
	step(&m, MANAGER_EV_LOST, 0);
	assert_int_equal(step(&m, MANAGER_EV_ACTION, 0), 0);
	assert_string_equal(manager_state(&m), "starting");
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_MANAGER);
}

static void turns_that_do_not_end(void **state)
{
	struct manager_event late = {
		.kind = MANAGER_EV_LOST, .reason = "deaf", .late = true, .delay_ms = -1};
	struct manager m = in_turn(false);

	(void)state;
	for (int i = 1; i < MANAGER_MAX_TURN_ERRORS; i++) {
		assert_int_equal(manager_step(&m, &late, 0), 0);
		assert_string_equal(manager_state(&m), "starting");
		assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_PROMPT);
		assert_int_equal(m.source, SOURCE_REDO);
	}
	assert_int_equal(manager_step(&m, &late, 0), 0);
	assert_string_equal(manager_state(&m), "waiting");
	assert_string_equal(m.reason, "3 turns in a row did not end in time; the last: deaf");
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_REDO);
}

static void without_a_supervisor(void **state)
{
	struct manager_event alone = {.kind = MANAGER_EV_ALONE, .delay_ms = -1};
	struct manager m = in_turn(true);

	(void)state;
	assert_int_equal(manager_step(&m, &alone, 0), DO_CANCEL_TURN);
	assert_string_equal(manager_state(&m), "paused");
	assert_string_equal(m.reason, "no supervisor: it goes on by itself when one is back");
	assert_int_equal(step(&m, MANAGER_EV_CANCELLED, 0), 0);
	/* Both must have passed. */
	step(&m, MANAGER_EV_FULL, 0);
	assert_int_equal(step(&m, MANAGER_EV_JOINED, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_ROOM, 0), DO_ASK);
	/* One that a person has paused stays so. */
	step(&m, MANAGER_EV_PAUSE, 0);
	step(&m, MANAGER_EV_ALONE, 0);
	assert_int_equal(step(&m, MANAGER_EV_JOINED, 0), 0);
	assert_string_equal(m.reason, "paused by a person");
}

static void troubles(void **state)
{
	struct manager m = in_turn(true);

	(void)state;
	trouble(&m, TROUBLE_DENIED, -1, 0);
	assert_string_equal(manager_state(&m), "paused");

	m = in_turn(true);
	assert_int_equal(trouble(&m, TROUBLE_BUSY, 7000, 100), 0);
	assert_string_equal(manager_state(&m), "working");
	assert_int_equal(manager_deadline(&m, 100), 7100);
	assert_int_equal(step(&m, MANAGER_EV_TICK, 7099), 0);
	assert_int_equal(step(&m, MANAGER_EV_TICK, 7100), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_REDO);
	for (int i = 1; i < MANAGER_MAX_HOLDS; i++) {
		trouble(&m, TROUBLE_BUSY, 1, 8000);
		step(&m, MANAGER_EV_TICK, 9000);
	}
	trouble(&m, TROUBLE_BUSY, 1, 9000);
	assert_string_equal(manager_state(&m), "waiting");

	m = in_turn(true);
	assert_int_equal(trouble(&m, TROUBLE_OTHER, -1, 0), DO_ASK);
	step(&m, MANAGER_EV_ACTION, 0);
	assert_int_equal(trouble(&m, TROUBLE_OTHER, -1, 0), DO_ASK);
	step(&m, MANAGER_EV_ACTION, 0);
	assert_int_equal(trouble(&m, TROUBLE_OTHER, -1, 0), 0);
	assert_string_equal(manager_state(&m), "waiting");
}

static void resumed_by_a_new_worker(void **state)
{
	struct manager m = in_turn(false);

	(void)state;
	manager_resume(&m);
	assert_string_equal(manager_state(&m), "starting");
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_REDO);

	m = in_turn(true);
	step(&m, MANAGER_EV_PAUSE, 0);
	manager_resume(&m);
	assert_string_equal(manager_state(&m), "paused");
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), DO_ASK);

	/* A retry of one that was done hands in again. */
	m = in_turn(false);
	step(&m, MANAGER_EV_ENDED, 0);
	step(&m, MANAGER_EV_FINISHED, 0);
	manager_resume(&m);
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_FINISH);

	/* One that was stopped goes on. */
	m = in_turn(true);
	step(&m, MANAGER_EV_STOP, 0);
	manager_resume(&m);
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_ASK);
}

/* --- random walks --- */

static uint64_t next_random(uint64_t *s)
{
	*s ^= *s << 13;
	*s ^= *s >> 7;
	*s ^= *s << 17;
	return *s;
}

static void walk_failed(uint64_t seed, int at, const char *what)
{
	print_error("HUNDREDX_SEED=%llu, step %d: %s\n", (unsigned long long)seed, at, what);
	fail();
}

static void check_state(const struct manager *m, unsigned todo, uint64_t seed, int at)
{
	int actions =
		!!(todo & DO_ASK) + !!(todo & DO_PROMPT) + !!(todo & DO_FINISH) + !!(todo & DO_END);

	if (actions > 1)
		walk_failed(seed, at, "two actions at once");
	if ((todo & DO_PROMPT) && (!m->ready || m->phase != MANAGER_TURN || !m->turn_open))
		walk_failed(seed, at, "a prompt for an agent that is not ready");
	if ((todo & DO_ASK) && m->phase != MANAGER_ASKING)
		walk_failed(seed, at, "a question outside of asking");
	if ((todo & DO_FINISH) && m->phase != MANAGER_FINISHING)
		walk_failed(seed, at, "finishing outside of finishing");
	if (!!(todo & DO_END) != manager_ended(m) && !(todo & DO_ILLEGAL) && (todo & DO_END))
		walk_failed(seed, at, "an end that is none");
	if (m->phase == MANAGER_TURN && (!m->turn_open || !m->ready))
		walk_failed(seed, at, "a turn without a prompt");
	if (m->turn_open && !m->ready)
		walk_failed(seed, at, "a turn of an agent that is gone");
	if ((m->held || m->retiring) && (todo & (DO_ASK | DO_PROMPT | DO_FINISH)))
		walk_failed(seed, at, "something is begun while it is held, or retires");
	if (m->held && (m->phase == MANAGER_TURN || m->phase == MANAGER_ASKING ||
			       m->phase == MANAGER_HOLD || m->phase == MANAGER_FINISHING))
		walk_failed(seed, at, "at work while it is held");
	if (m->phase == MANAGER_HOLD && manager_deadline(m, 0) < 0)
		walk_failed(seed, at, "trying again, and nothing will happen");
	if (m->phase == MANAGER_WAITING && m->turn_open)
		walk_failed(seed, at, "waiting with a turn under way");
	if (m->pending < 0 || m->carried < 0 || m->carried > m->pending)
		walk_failed(seed, at, "a wrong count of messages");
	if (m->granted_turns > 0 && m->turn > m->granted_turns)
		walk_failed(seed, at, "more turns than granted");
	if (m->bad_answers >= MANAGER_MAX_BAD_ANSWERS ||
		m->test_failures > MANAGER_MAX_TEST_FAILURES || m->holds > MANAGER_MAX_HOLDS)
		walk_failed(seed, at, "a counter past its end");
}

static void walk(uint64_t seed)
{
	uint64_t r = seed * 0x9e3779b97f4a7c15u + 1;
	struct manager_limits limits = {.turns = (int64_t)(next_random(&r) % 4) * 3,
		.minutes = (int64_t)(next_random(&r) % 3),
		.dollars = (double)(next_random(&r) % 3)};
	int64_t now = 1000;
	struct manager m;

	manager_init(&m, next_random(&r) % 2, &limits);
	for (int i = 0; i < 120; i++) {
		struct manager_event ev = {
			.kind = (enum manager_event_kind)(next_random(&r) % (MANAGER_EV_TICK + 1)),
			.chance = (double)(next_random(&r) % 10) / 10,
			.reason = "why",
			.error = (enum err_kind)(next_random(&r) % (ERR_INTERNAL + 1)),
			.trouble = (enum manager_trouble)(next_random(&r) % 4),
			.delay_ms = (int64_t)(next_random(&r) % 5000) - 1,
			.dollars = (double)(next_random(&r) % 100) / 200,
			.from_person = next_random(&r) % 2,
			.late = next_random(&r) % 2};
		struct manager before = m;
		unsigned todo;

		/* Ends come from the edge rarely, or a walk would be short. */
		if ((ev.kind == MANAGER_EV_STOP || ev.kind == MANAGER_EV_FATAL) &&
			next_random(&r) % 8)
			continue;
		if (ev.kind == MANAGER_EV_RETIRE && next_random(&r) % 8)
			continue;
		now += (int64_t)(next_random(&r) % 20000);
		todo = manager_step(&m, &ev, now);
		if ((todo & DO_ILLEGAL) && memcmp(&before, &m, sizeof m) != 0)
			walk_failed(seed, i, "an illegal event changed something");
		check_state(&m, todo, seed, i);
		if (next_random(&r) % 40 == 0)
			manager_resume(&m);
		if (manager_ended(&m) && next_random(&r) % 2)
			return;
	}
}

static void random_walks(void **state)
{
	const char *one = getenv("HUNDREDX_SEED");

	(void)state;
	if (one) {
		walk(strtoull(one, NULL, 10));
		return;
	}
	for (uint64_t seed = 1; seed <= 10000; seed++)
		walk(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(with_a_manager),
		cmocka_unit_test(without_a_manager),
		cmocka_unit_test(bad_answers_end_in_waiting),
		cmocka_unit_test(only_messages_end_in_waiting),
		cmocka_unit_test(a_model_that_cannot_be_asked),
		cmocka_unit_test(a_model_that_is_busy),
		cmocka_unit_test(what_is_tried_again_is_the_reason),
		cmocka_unit_test(the_turn_limit),
		cmocka_unit_test(the_time_limit_ends_a_turn),
		cmocka_unit_test(the_cost_limit),
		cmocka_unit_test(a_lost_agent),
		cmocka_unit_test(turns_that_do_not_end),
		cmocka_unit_test(without_a_supervisor),
		cmocka_unit_test(troubles),
		cmocka_unit_test(resumed_by_a_new_worker),
		cmocka_unit_test(random_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
