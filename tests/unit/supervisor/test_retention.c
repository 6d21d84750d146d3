/* What is packed, removed and reclaimed, and when: tables, and walks by seed over which
 * nothing active is ever touched and everything comes to rest. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "supervisor/retention.h"

static const struct retention_policy policy = {
	.pack_after_ms = 100, .keep_ms = 1000, .keep_bytes = 5000, .reclaim_after_ms = 500};

static void expect(const struct retention_agent *agents, size_t n, int64_t used, int64_t now,
	enum retention_what what, int64_t agent_or_next)
{
	struct retention_step s = retention_decide(&policy, agents, n, used, now);

	assert_int_equal(s.what, what);
	assert_int_equal(what == RETENTION_NOTHING ? s.next_ms : s.agent, agent_or_next);
}

static void test_table(void **state)
{
	struct retention_agent a[] = {{.id = 1, .workspace = true},
		{.id = 2, .ended_ms = 1000, .workspace = true}, {.id = 3, .ended_ms = 900}};

	(void)state;
	expect(a, 0, 0, 5000, RETENTION_NOTHING, 0);
	expect(a, 1, 9999, 5000, RETENTION_NOTHING, 0); /* active: whatever the store holds */
	expect(a, 3, 0, 999, RETENTION_NOTHING, 1000);
	expect(a, 3, 0, 1000, RETENTION_PACK, 3);
	expect(a, 3, 0, 1200, RETENTION_PACK, 3); /* who ended first */
	a[2].packed = a[2].segments = true;
	expect(a, 3, 0, 1200, RETENTION_PACK, 2);
	a[1].packed = a[1].segments = true;
	expect(a, 3, 0, 1200, RETENTION_NOTHING, 1500);
	expect(a, 3, 0, 1500, RETENTION_RECLAIM, 2);
	a[1].not_before_ms = 1700;
	expect(a, 3, 0, 1500, RETENTION_NOTHING, 1700);
	a[1].workspace = false;
	expect(a, 3, 0, 1800, RETENTION_NOTHING, 1900);
	expect(a, 3, 0, 1900, RETENTION_DROP_AGE, 3);
	expect(a, 3, 5000, 1200, RETENTION_NOTHING, 1900);
	expect(a, 3, 5001, 1200, RETENTION_DROP_SIZE, 3);
	a[2].busy = true;
	expect(a, 3, 5001, 1200, RETENTION_DROP_SIZE, 2);
	a[1].segments = false;
	expect(a, 3, 5001, 1200, RETENTION_NOTHING, 0); /* nothing may go: it is left */
	a[2].busy = a[2].packed = false;
	expect(a, 3, 5001, 901, RETENTION_PACK, 3); /* to be removed, before its time */
}

static void test_never(void **state)
{
	struct retention_policy p = {.pack_after_ms = 100};
	struct retention_agent a = {
		.id = 1, .ended_ms = 1, .packed = true, .segments = true, .workspace = true};
	struct retention_step s = retention_decide(&p, &a, 1, INT64_MAX, INT64_MAX / 2);

	(void)state;
	assert_int_equal(s.what, RETENTION_NOTHING);
	assert_int_equal(s.next_ms, 0);
}

#define AGENTS 12

/* Until nothing is to be done: within a bounded number of steps, never to an agent that is
 * active or busy. */
static void walk(unsigned seed)
{
	struct retention_agent a[AGENTS] = {0};
	int left[AGENTS], pieces[AGENTS] = {0};
	int64_t now = 10000, used = 0;
	struct retention_step s;
	int i;

	srand(seed);
	for (i = 0; i < AGENTS; i++) {
		a[i].id = i + 1;
		a[i].ended_ms = rand() % 3 ? now - rand() % 3000 : 0;
		a[i].busy = rand() % 4 == 0;
		a[i].workspace = rand() % 2;
		left[i] = rand() % 5;
		used += left[i] * 400;
	}
	for (i = 0; i < 1000; i++) {
		struct retention_agent *it;

		s = retention_decide(&policy, a, AGENTS, used, now);
		if (s.what == RETENTION_NOTHING)
			break;
		it = &a[s.agent - 1];
		if (it->ended_ms == 0 || it->busy)
			fail_msg("seed %u: agent %d is active", seed, (int)s.agent);
		if (s.what == RETENTION_PACK) {
			assert_false(it->packed);
			it->packed = left[it->id - 1] == 0;
			if (!it->packed) {
				left[it->id - 1]--;
				pieces[it->id - 1]++;
				it->segments = true;
				used -= 300;
			}
		} else if (s.what == RETENTION_RECLAIM) {
			assert_true(it->workspace);
			if (rand() % 2)
				it->workspace = false;
			else
				it->not_before_ms = now + 1;
		} else {
			assert_true(it->packed && it->segments);
			assert_true(s.what == RETENTION_DROP_AGE || used > policy.keep_bytes);
			used -= 100;
			it->segments = --pieces[it->id - 1] > 0;
		}
		now += rand() % 3;
	}
	if (s.what != RETENTION_NOTHING)
		fail_msg("seed %u: no rest", seed);
	for (i = 0; i < AGENTS; i++) {
		if (a[i].ended_ms && !a[i].busy && a[i].ended_ms + policy.keep_ms <= now)
			assert_false(a[i].segments);
	}
}

static void test_walks(void **state)
{
	(void)state;
	for (unsigned seed = 1; seed <= 10000; seed++)
		walk(seed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_walks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
