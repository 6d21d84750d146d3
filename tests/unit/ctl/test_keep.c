/* What is done about a program that crashes, hangs, or ends. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "supervisor/ctl/keep.h"

#define WATCH_MS 10000

static struct keep up_since(int64_t now)
{
	struct keep k = {.watch_ms = WATCH_MS};

	assert_int_equal(keep_step(&k, KEEP_START, 0, now), KEEP_SPAWN);
	assert_int_equal(k.deadline_ms, now + KEEP_START_MS);
	assert_int_equal(keep_step(&k, KEEP_READY, 0, now), KEEP_NOTHING);
	assert_int_equal(k.state, KEEP_UP);
	assert_int_equal(k.deadline_ms, now + WATCH_MS);
	return k;
}

static void crashes_are_started_again_ever_later(void **state)
{
	static const int64_t delays[] = {0, 100, 500, 2000, 10000, 30000, 60000, 60000, 60000};
	struct keep k = up_since(1000);
	int64_t now = 1000;

	(void)state;
	for (size_t i = 0; i < sizeof(delays) / sizeof(delays[0]); i++) {
		now += 10;
		assert_int_equal(keep_step(&k, KEEP_ENDED, i % 2 ? -9 : 111, now), KEEP_NOTHING);
		assert_int_equal(k.state, KEEP_WAITING);
		assert_int_equal(k.deadline_ms, now + delays[i]);
		if (delays[i])
			assert_int_equal(
				keep_step(&k, KEEP_TIME, 0, k.deadline_ms - 1), KEEP_NOTHING);
		now = k.deadline_ms;
		assert_int_equal(keep_step(&k, KEEP_TIME, 0, now), KEEP_SPAWN);
	}
	/* After a run of some length it is at once again. */
	now += KEEP_WELL_MS;
	keep_step(&k, KEEP_ENDED, -11, now);
	assert_int_equal(k.deadline_ms, now);
}

static void an_end_that_was_asked_for_is_the_end(void **state)
{
	struct keep k = up_since(1000);

	(void)state;
	assert_int_equal(keep_step(&k, KEEP_ENDED, 0, 2000), KEEP_LEFT);
	assert_int_equal(k.state, KEEP_DOWN);
	k = up_since(1000);
	keep_step(&k, KEEP_STOPPING, 0, 2000);
	assert_int_equal(k.deadline_ms, 0); /* it may take its time */
	keep_step(&k, KEEP_BEAT, 0, 2500);
	assert_int_equal(k.deadline_ms, 0);
	assert_int_equal(keep_step(&k, KEEP_ENDED, KEEP_CODE_UNKNOWN, 3000), KEEP_LEFT);
	/* Both are forgotten at the next start. */
	assert_int_equal(keep_step(&k, KEEP_START, 0, 4000), KEEP_SPAWN);
	assert_int_equal(keep_step(&k, KEEP_ENDED, -9, 5000), KEEP_NOTHING);
	assert_int_equal(k.state, KEEP_WAITING);
}

static void what_cannot_run_is_not_tried_again(void **state)
{
	struct keep k = up_since(1000);

	(void)state;
	assert_int_equal(keep_step(&k, KEEP_ENDED, 100, 2000), KEEP_LOST);
	assert_int_equal(k.state, KEEP_DOWN);
	k = up_since(1000);
	assert_int_equal(keep_step(&k, KEEP_ENDED, 2, 2000), KEEP_LOST);
}

static void silence_is_killed(void **state)
{
	struct keep k = up_since(1000);

	(void)state;
	keep_step(&k, KEEP_BEAT, 0, 6000);
	assert_int_equal(keep_step(&k, KEEP_TIME, 0, 15999), KEEP_NOTHING);
	assert_int_equal(keep_step(&k, KEEP_TIME, 0, 16000), KEEP_KILL);
	assert_int_equal(k.deadline_ms, 0);
	keep_step(&k, KEEP_ENDED, -9, 16001);
	assert_int_equal(k.state, KEEP_WAITING);
}

static void who_was_held_up_itself_waits_once_more(void **state)
{
	struct keep k = up_since(1000);

	(void)state;
	assert_int_equal(keep_step(&k, KEEP_TIME, 0, 3600000), KEEP_NOTHING);
	assert_int_equal(k.deadline_ms, 3600000 + WATCH_MS);
	assert_int_equal(keep_step(&k, KEEP_TIME, 0, 7200000), KEEP_KILL);
	k = up_since(1000);
	keep_step(&k, KEEP_TIME, 0, 3600000);
	keep_step(&k, KEEP_BEAT, 0, 3600001);
	assert_int_equal(keep_step(&k, KEEP_TIME, 0, 7200000), KEEP_NOTHING);
}

static void what_ran_before_is_watched_if_it_speaks(void **state)
{
	struct keep k = {.watch_ms = WATCH_MS};

	(void)state;
	keep_step(&k, KEEP_ADOPTED, 0, 1000);
	assert_int_equal(k.deadline_ms, 0);
	keep_step(&k, KEEP_BEAT, 0, 2000);
	assert_int_equal(k.deadline_ms, 2000 + WATCH_MS);
	k = (struct keep){.watch_ms = WATCH_MS};
	keep_step(&k, KEEP_ADOPTED, 1, 1000);
	assert_int_equal(keep_step(&k, KEEP_TIME, 0, 1000 + WATCH_MS), KEEP_KILL);
}

/* Whatever happens in whatever order: what runs is not started, what does not is not
 * killed, and a crash is always followed by a start. */
static void random_walks(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 10000; seed++) {
		struct keep k = {.watch_ms = WATCH_MS};
		int64_t now = 1000;
		bool runs = false;

		srand(seed);
		for (int i = 0; i < 60; i++) {
			static const int codes[] = {0, 1, 2, 100, 111, -9, -11, KEEP_CODE_UNKNOWN};
			enum keep_event event = (enum keep_event)(rand() % (KEEP_TIME + 1));
			enum keep_todo todo;

			now += rand() % 20000;
			if (event == KEEP_ADOPTED || (event == KEEP_ENDED && !runs))
				continue;
			todo = keep_step(&k, event, codes[rand() % 8], now);
			if (event == KEEP_ENDED)
				runs = false;
			if ((todo == KEEP_SPAWN && runs) || (todo == KEEP_KILL && !runs) ||
				(k.state == KEEP_WAITING && (runs || k.deadline_ms == 0)))
				fail_msg("seed %u, step %d", seed, i);
			runs = runs || todo == KEEP_SPAWN;
			if (runs != (k.state == KEEP_STARTING || k.state == KEEP_UP))
				fail_msg("seed %u, step %d: state", seed, i);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(crashes_are_started_again_ever_later),
		cmocka_unit_test(an_end_that_was_asked_for_is_the_end),
		cmocka_unit_test(what_cannot_run_is_not_tried_again),
		cmocka_unit_test(silence_is_killed),
		cmocka_unit_test(who_was_held_up_itself_waits_once_more),
		cmocka_unit_test(what_ran_before_is_watched_if_it_speaks),
		cmocka_unit_test(random_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
