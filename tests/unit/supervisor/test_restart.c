/* Whether a crashed worker is started again, and when: a random walk. */
#include "supervisor/restart.h"
#include "tests/unit/supervisor/walk.h"

/* The delays never shrink within a row, a long run ends the row, and giving up comes with
 * exactly RESTART_CRASHES crashes within RESTART_WINDOW_MS, or that many temporary ends. */
static void restart_walk(uint64_t seed)
{
	uint64_t r = seed * 0x9e3779b97f4a7c15u + 3;
	int64_t now = 1000, crashed[64], last = 0, delay, started;
	struct restart x = {0};
	int i, n = 0, temporary = 0, recent, k;

	for (i = 0; i < 60; i++) {
		started = now;
		now += (int64_t)(random_next(&r) % (random_next(&r) % 4 ? 8000 : 90000));
		if (random_next(&r) % 3 == 0) {
			temporary = now - started >= RESTART_WINDOW_MS ? 1 : temporary + 1;
			delay = restart_temporary(&x, started, now);
			if ((delay == RESTART_GIVE_UP) != (temporary > RESTART_TEMPORARY_MAX))
				FAIL("gave up too early, or not at all");
			if (delay != RESTART_GIVE_UP && (delay < 1000 || delay > 60000))
				FAIL("a delay out of bounds");
		} else {
			crashed[n++ % 64] = now;
			for (recent = 0, k = n > 64 ? n - 64 : 0; k < n; k++)
				recent += now - crashed[k % 64] <= RESTART_WINDOW_MS;
			delay = restart_crashed(&x, started, now);
			if ((delay == RESTART_GIVE_UP) != (recent >= RESTART_CRASHES))
				FAIL("gave up too early, or not at all");
			if (delay != RESTART_GIVE_UP && (delay < 0 || delay > 10000))
				FAIL("a delay out of bounds");
			if (now - started < RESTART_WINDOW_MS && delay != RESTART_GIVE_UP &&
				delay < last)
				FAIL("a shorter delay in the same row");
			if (now - started >= RESTART_WINDOW_MS && delay > 0)
				FAIL("a long run does not end the row");
			last = delay;
		}
		if (delay == RESTART_GIVE_UP) { /* a person retries: all begins afresh */
			n = temporary = 0;
			last = delay = 0;
		}
		now += delay;
	}
}

static void test_restart_random(void **state)
{
	(void)state;
	each_seed(restart_walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_restart_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
