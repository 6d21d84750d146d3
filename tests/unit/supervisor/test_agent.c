/* The life cycle with its restart policy: tables and a random walk. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/agent.h"
#include "tests/unit/supervisor/walk.h"

static struct agent_todo step(struct agent *a, enum agent_event event, int64_t now)
{
	struct agent_input in = {.event = event};

	return agent_step(a, &in, now);
}

static struct agent_todo report(struct agent *a, enum agent_state s, int64_t now)
{
	struct agent_input in = {.event = AGENT_REPORTED, .state = s};

	return agent_step(a, &in, now);
}

static struct agent_todo exited(struct agent *a, int code, int64_t now)
{
	struct agent_input in = {.event = AGENT_EXITED, .code = code};

	return agent_step(a, &in, now);
}

static struct agent working(int64_t now)
{
	struct agent a = {0};

	step(&a, AGENT_SLOT, now);
	report(&a, AGENT_WORKING, now);
	assert_int_equal(a.state, AGENT_WORKING);
	assert_int_equal(a.process, PROCESS_RUNNING);
	return a;
}

static void test_words(void **state)
{
	int s;

	(void)state;
	for (s = 0; s < AGENT_STATE_COUNT; s++)
		assert_int_equal(agent_state_parse(agent_state_word((enum agent_state)s)), s);
	assert_int_equal(agent_state_parse("asleep"), AGENT_STATE_COUNT);
	assert_true(agent_state_ended(AGENT_DONE));
	assert_true(agent_state_busy(AGENT_FINISHING));
	assert_false(agent_state_busy(AGENT_WAITING));
}

static void test_straight_life(void **state)
{
	struct agent a = {0};
	struct agent_todo t;

	(void)state;
	t = step(&a, AGENT_SLOT, 100);
	assert_int_equal(t.what, AGENT_DO_SPAWN | AGENT_DO_STATE);
	assert_int_equal(a.state, AGENT_STARTING);
	assert_int_equal(report(&a, AGENT_WORKING, 200).what, 0);
	assert_int_equal(report(&a, AGENT_WAITING, 300).what, 0);
	assert_int_equal(report(&a, AGENT_WORKING, 400).what, 0);
	assert_int_equal(report(&a, AGENT_FINISHING, 500).what, 0);
	assert_int_equal(report(&a, AGENT_DONE, 600).what, 0);
	assert_int_equal(a.deadline_ms, 600 + AGENT_EXIT_MS);
	assert_int_equal(exited(&a, 0, 700).what, 0);
	assert_int_equal(a.process, PROCESS_NONE);
	assert_int_equal(a.deadline_ms, 0);
	assert_int_equal(a.state, AGENT_DONE);
}

static void test_crashes(void **state)
{
	static const int64_t delays[] = {0, 100, 500, 2000};
	struct agent a = working(0);
	struct agent_todo t;
	int64_t now = 1000;
	int i;

	(void)state;
	for (i = 0; i < 4; i++) {
		t = exited(&a, -9, now);
		assert_int_equal(t.what, AGENT_DO_STATE);
		assert_non_null(strstr(t.reason, "signal 9"));
		assert_int_equal(a.state, AGENT_STARTING);
		assert_int_equal(a.deadline_ms, now + delays[i]);
		if (delays[i] > 0)
			assert_int_equal(step(&a, AGENT_TIME, now + delays[i] - 1).what, 0);
		now += delays[i];
		assert_int_equal(step(&a, AGENT_TIME, now).what, AGENT_DO_SPAWN);
		now += 10;
	}
	t = exited(&a, 1, now);
	assert_int_equal(t.what, AGENT_DO_STATE);
	assert_string_equal(t.reason, "crashed 5 times in a minute");
	assert_int_equal(a.state, AGENT_FAILED);
	assert_int_equal(a.deadline_ms, 0);
}

/* Whether the next worker may be started before what the last one left is gone. */
static void test_succeeds(void **state)
{
	struct agent a = working(0), b = a;

	(void)state;
	assert_true(agent_succeeds(&a, -9, 1000));
	assert_memory_equal(&a, &b, sizeof(a));
	assert_true(agent_succeeds(&a, 0, 1000));
	assert_false(agent_succeeds(&a, 100, 1000));
	assert_false(agent_succeeds(&a, 111, 1000)); /* in a second */
	assert_false(agent_starts_now(&a, 1000));
	exited(&a, -9, 1000);
	assert_false(agent_starts_now(&a, 999));
	assert_true(agent_starts_now(&a, 1000));
	step(&a, AGENT_TIME, 1000);
	assert_false(agent_succeeds(&a, -9, 1001)); /* later, the second time */
	step(&b, AGENT_STOP, 500);
	assert_false(agent_succeeds(&b, -9, 1000));
	b = working(0);
	step(&b, AGENT_SUSPEND, 500);
	assert_false(agent_succeeds(&b, -9, 1000));
	b = working(0);
	report(&b, AGENT_DONE, 500);
	assert_false(agent_succeeds(&b, -9, 1000));
}

static void test_slow_crashes_go_on(void **state)
{
	struct agent a = working(0);
	int64_t now = 0;
	int i;

	(void)state;
	for (i = 0; i < 50; i++) {
		now += 20000;
		exited(&a, 139, now);
		assert_int_equal(a.state, AGENT_STARTING);
		now = a.deadline_ms;
		assert_int_equal(step(&a, AGENT_TIME, now).what, AGENT_DO_SPAWN);
	}
	assert_int_equal(a.restart.in_a_row, 5);
	now += RESTART_WINDOW_MS;
	exited(&a, 139, now);
	assert_int_equal(a.deadline_ms, now); /* it ran a minute: at once again */
}

static void test_exit_codes(void **state)
{
	struct agent a = working(0);
	struct agent_todo t = exited(&a, 100, 10);

	(void)state;
	assert_int_equal(t.what, AGENT_DO_STATE | AGENT_DO_LOG_REASON);
	assert_int_equal(a.state, AGENT_FAILED);

	a = working(0);
	t = exited(&a, 111, 10);
	assert_int_equal(t.what, AGENT_DO_STATE | AGENT_DO_LOG_ADDED);
	assert_int_equal(a.state, AGENT_STARTING);
	assert_int_equal(a.deadline_ms, 10 + 1000);

	a = working(0); /* 0 without having ended is a crash */
	exited(&a, 0, 10);
	assert_int_equal(a.state, AGENT_STARTING);

	a = working(0); /* unseen end of an adopted one too */
	exited(&a, AGENT_CODE_UNKNOWN, 10);
	assert_int_equal(a.state, AGENT_STARTING);

	a = working(0); /* one that waits goes on waiting */
	report(&a, AGENT_WAITING, 5);
	t = exited(&a, -11, 10);
	assert_int_equal(t.what, 0);
	assert_int_equal(a.state, AGENT_WAITING);
	assert_int_equal(step(&a, AGENT_TIME, a.deadline_ms).what, AGENT_DO_SPAWN);
}

static void test_temporary_gives_up(void **state)
{
	struct agent a = working(0);
	int64_t now = 10;
	int i;

	(void)state;
	for (i = 0; i < RESTART_TEMPORARY_MAX; i++) {
		exited(&a, 111, now);
		assert_int_equal(a.state, AGENT_STARTING);
		now = a.deadline_ms;
		step(&a, AGENT_TIME, now);
	}
	exited(&a, 111, now);
	assert_int_equal(a.state, AGENT_FAILED);
}

static void test_stop(void **state)
{
	struct agent a = {0};

	(void)state;
	assert_int_equal(step(&a, AGENT_STOP, 1).what, AGENT_DO_STATE | AGENT_DO_DEQUEUE);
	assert_int_equal(a.state, AGENT_STOPPED);
	assert_true(step(&a, AGENT_STOP, 2).what & AGENT_DO_ILLEGAL);

	a = working(0);
	assert_int_equal(step(&a, AGENT_STOP, 1000).what, AGENT_DO_TELL_STOP);
	assert_int_equal(step(&a, AGENT_STOP, 1001).what, 0);
	assert_int_equal(step(&a, AGENT_TIME, 1000 + AGENT_STOP_MS - 1).what, 0);
	assert_int_equal(step(&a, AGENT_TIME, 1000 + AGENT_STOP_MS).what, AGENT_DO_TERM);
	assert_int_equal(step(&a, AGENT_TIME, a.deadline_ms).what, AGENT_DO_KILL);
	assert_int_equal(exited(&a, -9, 99999).what, AGENT_DO_STATE);
	assert_int_equal(a.state, AGENT_STOPPED);

	a = working(0); /* by the worker itself */
	step(&a, AGENT_STOP, 1000);
	report(&a, AGENT_STOPPED, 1100);
	assert_int_equal(exited(&a, 0, 1200).what, 0);
	assert_int_equal(a.state, AGENT_STOPPED);
	assert_true(report(&a, AGENT_WORKING, 1300).what & AGENT_DO_ILLEGAL);

	a = working(0); /* between a crash and the restart */
	exited(&a, 1, 10);
	exited(&a, 1, 10);
	assert_int_equal(step(&a, AGENT_STOP, 20).what, AGENT_DO_STATE);
	assert_int_equal(a.deadline_ms, 0);
}

static void test_delete(void **state)
{
	struct agent a = {0};
	struct agent_todo t;

	(void)state;
	t = step(&a, AGENT_DELETE, 1);
	assert_int_equal(t.what, AGENT_DO_STATE | AGENT_DO_DEQUEUE | AGENT_DO_REMOVE);
	assert_true(step(&a, AGENT_DELETE, 2).what & AGENT_DO_ILLEGAL);
	assert_true(step(&a, AGENT_RETRY, 2).what & AGENT_DO_ILLEGAL);

	a = working(0);
	assert_int_equal(step(&a, AGENT_DELETE, 1).what, AGENT_DO_TELL_STOP);
	t = exited(&a, 0, 2);
	assert_int_equal(t.what, AGENT_DO_STATE | AGENT_DO_REMOVE);
	assert_int_equal(a.state, AGENT_STOPPED);

	a = working(0); /* done, but its worker has not gone yet */
	report(&a, AGENT_DONE, 1);
	assert_int_equal(step(&a, AGENT_DELETE, 2).what, AGENT_DO_TERM);
	assert_int_equal(exited(&a, 0, 3).what, AGENT_DO_REMOVE);
}

static void test_retry(void **state)
{
	struct agent a = working(0);
	struct agent_input in = {.event = AGENT_RETRY};

	(void)state;
	assert_true(agent_step(&a, &in, 1).what & AGENT_DO_ILLEGAL);
	report(&a, AGENT_FAILED, 2);
	assert_int_equal(agent_step(&a, &in, 3).what, AGENT_DO_STATE);
	assert_int_equal(exited(&a, 0, 4).what, AGENT_DO_ENQUEUE); /* not before it has gone */
	assert_int_equal(a.state, AGENT_QUEUED);

	a = working(0);
	report(&a, AGENT_DONE, 2);
	exited(&a, 0, 3);
	assert_true(agent_step(&a, &in, 4).what & AGENT_DO_ILLEGAL);
	in.may_retry_done = true;
	assert_int_equal(agent_step(&a, &in, 4).what, AGENT_DO_STATE | AGENT_DO_ENQUEUE);
}

static void test_suspend(void **state)
{
	struct agent a = working(0);

	(void)state;
	assert_int_equal(step(&a, AGENT_SUSPEND, 1).what, AGENT_DO_TERM);
	assert_int_equal(step(&a, AGENT_TIME, 1 + AGENT_SUSPEND_MS).what, AGENT_DO_KILL);
	assert_int_equal(exited(&a, -9, 20000).what, 0);
	assert_int_equal(a.state, AGENT_WORKING);
	assert_int_equal(a.deadline_ms, 0);
}

static void test_deaf(void **state)
{
	struct agent a = working(0);
	struct agent_todo t = step(&a, AGENT_DEAF, 70000);

	(void)state;
	assert_int_equal(t.what, AGENT_DO_TERM | AGENT_DO_STATE);
	assert_non_null(strstr(t.reason, "not heard of"));
	assert_true(step(&a, AGENT_DEAF, 70001).what & AGENT_DO_ILLEGAL);
	assert_int_equal(step(&a, AGENT_TIME, 70000 + AGENT_TERM_MS).what, AGENT_DO_KILL);
	assert_int_equal(exited(&a, -9, 90000).what, AGENT_DO_STATE);
	assert_int_equal(a.state, AGENT_STARTING);
	assert_int_equal(step(&a, AGENT_TIME, a.deadline_ms).what, AGENT_DO_SPAWN);

	a = working(0); /* one that waits for a person goes on waiting */
	report(&a, AGENT_WAITING, 1);
	assert_int_equal(step(&a, AGENT_DEAF, 70000).what, AGENT_DO_TERM);
	assert_int_equal(exited(&a, 0, 70100).what, 0);
	assert_int_equal(a.state, AGENT_WAITING);
	assert_int_not_equal(a.deadline_ms, 0);

	a = working(0); /* a person stops it while it is being replaced */
	step(&a, AGENT_DEAF, 70000);
	assert_int_equal(step(&a, AGENT_STOP, 70001).what, 0);
	assert_int_equal(exited(&a, -9, 80000).what, AGENT_DO_STATE);
	assert_int_equal(a.state, AGENT_STOPPED);
}

static void test_retire(void **state)
{
	struct agent_input in = {.event = AGENT_RETIRE, .patience_ms = 1000};
	struct agent a = working(0);

	(void)state;
	assert_int_equal(agent_step(&a, &in, 10).what, 0);
	assert_int_equal(a.state, AGENT_WORKING);
	assert_true(agent_step(&a, &in, 11).what & AGENT_DO_ILLEGAL);
	assert_int_equal(exited(&a, 0, 500).what, AGENT_DO_STATE);
	assert_int_equal(a.state, AGENT_STARTING);
	assert_int_equal(a.deadline_ms, 500); /* at once, and it is no crash */
	assert_int_equal(a.restart.crashes, 0);
	assert_int_equal(step(&a, AGENT_TIME, 500).what, AGENT_DO_SPAWN);
	assert_false(a.retiring || a.replacing);

	a = working(0); /* does not end in time: ended, and still no fault of the agent */
	agent_step(&a, &in, 10);
	assert_int_equal(step(&a, AGENT_TIME, 10 + 1000 + AGENT_EXIT_MS).what, AGENT_DO_TERM);
	exited(&a, -9, 200000);
	assert_int_equal(a.state, AGENT_STARTING);

	in.fresh = true; /* refused at its start, whatever its exit code, for ever */
	for (int i = 0; i < 100; i++) {
		struct agent_todo t;

		step(&a, AGENT_TIME, a.deadline_ms);
		agent_step(&a, &in, 200000);
		t = exited(&a, i % 2 ? 100 : 111, 200001);
		assert_non_null(strstr(t.reason, "restart the supervisor"));
		assert_int_equal(a.state, AGENT_STARTING);
		assert_int_equal(a.deadline_ms, 200001 + AGENT_FOREIGN_MS);
	}
}

static void test_load(void **state)
{
	static const struct {
		enum agent_state row;
		bool alive;
		enum agent_state then;
		unsigned what;
	} table[] = {
		{AGENT_QUEUED, false, AGENT_QUEUED, AGENT_DO_ENQUEUE},
		{AGENT_STARTING, false, AGENT_QUEUED, AGENT_DO_STATE | AGENT_DO_ENQUEUE},
		{AGENT_WORKING, false, AGENT_QUEUED, AGENT_DO_STATE | AGENT_DO_ENQUEUE},
		{AGENT_FINISHING, false, AGENT_QUEUED, AGENT_DO_STATE | AGENT_DO_ENQUEUE},
		{AGENT_WAITING, false, AGENT_WAITING, AGENT_DO_SPAWN},
		{AGENT_PAUSED, false, AGENT_PAUSED, AGENT_DO_SPAWN},
		{AGENT_DONE, false, AGENT_DONE, 0},
		{AGENT_FAILED, false, AGENT_FAILED, 0},
		{AGENT_WORKING, true, AGENT_WORKING, 0},
		{AGENT_PAUSED, true, AGENT_PAUSED, 0},
		{AGENT_DONE, true, AGENT_DONE, 0},
	};
	struct agent a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct agent_found found = {.state = table[i].row, .alive = table[i].alive};
		struct agent_todo t = agent_load(&a, &found, 5);

		assert_int_equal(t.what, table[i].what);
		assert_int_equal(a.state, table[i].then);
		assert_int_equal(
			a.process == PROCESS_RUNNING, table[i].alive || (t.what & AGENT_DO_SPAWN));
	}
}

/* Who was told to stop is not started again, whoever died since. */
static void test_load_stopping(void **state)
{
	static const struct {
		enum agent_state row;
		bool alive;
		enum agent_state then;
		enum agent_process process;
		unsigned what;
	} table[] = {
		{AGENT_QUEUED, false, AGENT_STOPPED, PROCESS_NONE, AGENT_DO_STATE},
		{AGENT_WORKING, false, AGENT_STOPPED, PROCESS_NONE, AGENT_DO_STATE},
		{AGENT_PAUSED, false, AGENT_STOPPED, PROCESS_NONE, AGENT_DO_STATE},
		{AGENT_WORKING, true, AGENT_WORKING, PROCESS_STOPPING, 0},
		{AGENT_WAITING, true, AGENT_WAITING, PROCESS_STOPPING, 0},
		{AGENT_STOPPED, true, AGENT_STOPPED, PROCESS_RUNNING, 0},
		{AGENT_DONE, false, AGENT_DONE, PROCESS_NONE, 0},
	};
	struct agent a;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		struct agent_found found = {
			.state = table[i].row, .alive = table[i].alive, .stopping = true};
		struct agent_todo t = agent_load(&a, &found, 5);

		assert_int_equal(t.what, table[i].what);
		assert_int_equal(a.state, table[i].then);
		assert_int_equal(a.process, table[i].process);
		if (a.process != PROCESS_STOPPING)
			continue;
		assert_int_equal(a.deadline_ms, 5 + AGENT_STOP_MS);
		assert_int_equal(exited(&a, -9, 10).what, AGENT_DO_STATE);
		assert_int_equal(a.state, AGENT_STOPPED);
	}
}

static void test_late_news(void **state)
{
	struct agent a = working(0);

	(void)state;
	exited(&a, -9, 10);
	assert_true(report(&a, AGENT_WORKING, 11).what & AGENT_DO_ILLEGAL);
	assert_int_equal(a.state, AGENT_STARTING);
	/* It had said that it was done before it died: then it is. */
	assert_int_equal(report(&a, AGENT_DONE, 11).what, 0);
	assert_int_equal(a.state, AGENT_DONE);
	assert_int_equal(a.deadline_ms, 0);
}

/* --- random walk --- */

/* The walk of one agent: now and then the supervisor is killed, and what it knew is loaded
 * from the row, with or without a worker that still lives. */
static void walk(uint64_t seed)
{
	uint64_t r = seed * 0x9e3779b97f4a7c15u + 1;
	struct agent a = {0}, before;
	bool queued = true, removed = false;
	bool stopping = false; /* the command is in the store */
	int64_t now = 1000;
	int i;

	for (i = 0; i < 80 && !removed; i++) {
		struct agent_input in = {
			.event = (enum agent_event)(random_next(&r) % (AGENT_TIME + 1))};
		struct agent_todo t;

		now += (int64_t)(random_next(&r) % 20000);
		if (random_next(&r) % 32 == 0 && !a.deleting) {
			bool alive = a.process != PROCESS_NONE && random_next(&r) % 2;
			enum agent_state row = a.state;
			struct agent_found found = {
				.state = row, .alive = alive, .stopping = stopping};

			t = agent_load(&a, &found, now);
			queued = (t.what & AGENT_DO_ENQUEUE) != 0;
			if ((t.what & AGENT_DO_SPAWN) && alive)
				FAIL("two workers after a restart of the supervisor");
			if ((a.process != PROCESS_NONE) != (alive || (t.what & AGENT_DO_SPAWN)))
				FAIL("a worker that is none");
			if (stopping && (queued || (t.what & AGENT_DO_SPAWN)))
				FAIL("told to stop, and started");
			if (stopping && !alive && !agent_state_ended(a.state))
				FAIL("told to stop, and not stopped");
			if (!stopping && agent_state_ended(row) != agent_state_ended(a.state))
				FAIL("a restart of the supervisor changed how it ended");
			continue;
		}
		if (in.event == AGENT_SLOT && !queued)
			in.event = AGENT_REPORTED;
		if (in.event == AGENT_EXITED && a.process == PROCESS_NONE)
			in.event = AGENT_TIME;
		if ((in.event == AGENT_DELETE || in.event == AGENT_SUSPEND) && random_next(&r) % 8)
			in.event = AGENT_REPORTED;
		in.code = (int)(random_next(&r) % 5 == 0 ? 111 : random_next(&r) % 103) - 2;
		in.state = (enum agent_state)(random_next(&r) % AGENT_STATE_COUNT);
		in.may_retry_done = random_next(&r) % 2;
		in.no_room = random_next(&r) % 8 == 0;
		in.fresh = random_next(&r) % 2;
		in.patience_ms = (int64_t)(random_next(&r) % 60000);
		before = a;
		t = agent_step(&a, &in, now);
		if (t.what & AGENT_DO_ILLEGAL) {
			if (memcmp(&a, &before, sizeof(a)) != 0)
				FAIL("refused, yet changed");
			continue;
		}
		if (in.event == AGENT_SLOT)
			queued = false;
		if (in.event == AGENT_RETRY)
			stopping = false;
		if (t.what & AGENT_DO_TELL_STOP)
			stopping = true;
		if (t.what & AGENT_DO_ENQUEUE) {
			if (queued || a.state != AGENT_QUEUED || a.process != PROCESS_NONE)
				FAIL("enqueued twice, or not ready for it");
			queued = true;
		}
		if (t.what & AGENT_DO_DEQUEUE) {
			if (!queued && !a.suspending)
				FAIL("not in the queue");
			queued = false;
		}
		if ((t.what & AGENT_DO_SPAWN) && before.process != PROCESS_NONE)
			FAIL("two workers");
		if ((t.what & (AGENT_DO_TERM | AGENT_DO_KILL)) && before.process == PROCESS_NONE)
			FAIL("a signal to nobody");
		if (a.state != before.state && in.event != AGENT_REPORTED &&
			!(t.what & AGENT_DO_STATE))
			FAIL("a state that nobody is told");
		if (agent_state_ended(before.state) && a.state != before.state &&
			in.event != AGENT_RETRY)
			FAIL("came back to life by itself");
		if ((a.process == PROCESS_STOPPING || a.process == PROCESS_TERM) &&
			a.deadline_ms == 0)
			FAIL("told to end, and nothing follows if it does not");
		if (a.retiring && a.process == PROCESS_RUNNING && a.deadline_ms == 0)
			FAIL("retires, and nothing follows if it does not");
		if (agent_state_ended(a.state) && a.process == PROCESS_RUNNING &&
			a.deadline_ms == 0)
			FAIL("ended, and its process may stay for ever");
		if (in.event == AGENT_EXITED && before.replacing && !before.deleting &&
			a.state == AGENT_STOPPED && before.state != AGENT_STOPPED)
			FAIL("stopped by nobody");
		if (t.what & AGENT_DO_REMOVE) {
			if (!a.deleting || a.process != PROCESS_NONE || queued)
				FAIL("removed too early");
			removed = true;
		}
		if (queued != (a.state == AGENT_QUEUED && a.process == PROCESS_NONE) && !removed &&
			!a.suspending)
			FAIL("queue and state do not agree");
		if (a.process == PROCESS_NONE && !a.suspending && a.state != AGENT_QUEUED &&
			!agent_state_ended(a.state) && a.deadline_ms == 0)
			FAIL("alive, without a worker, and nothing will happen");
		if (agent_state_ended(a.state) && a.process == PROCESS_NONE && a.deadline_ms != 0)
			FAIL("ended, and still waits for something");
	}
}

static void test_walk(void **state)
{
	(void)state;
	each_seed(walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_straight_life),
		cmocka_unit_test(test_crashes),
		cmocka_unit_test(test_succeeds),
		cmocka_unit_test(test_slow_crashes_go_on),
		cmocka_unit_test(test_exit_codes),
		cmocka_unit_test(test_temporary_gives_up),
		cmocka_unit_test(test_stop),
		cmocka_unit_test(test_delete),
		cmocka_unit_test(test_retry),
		cmocka_unit_test(test_suspend),
		cmocka_unit_test(test_deaf),
		cmocka_unit_test(test_retire),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_load_stopping),
		cmocka_unit_test(test_late_news),
		cmocka_unit_test(test_walk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
