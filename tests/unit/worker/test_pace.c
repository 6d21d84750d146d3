/* The account of requests that all workers share: its table, and its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/clock.h"
#include "worker/backoff.h"
#include "worker/pace.h"

static void grants_by_the_table(void **state)
{
	struct pace_account a = {0};

	(void)state;
	assert_int_equal(pace_grant(&a, false, 1000), 0);
	assert_int_equal(pace_grant(&a, false, 1000), PACE_READ_MS);
	assert_int_equal(pace_grant(&a, false, 1100), 0);
	assert_int_equal(pace_grant(&a, true, 1200), 0);
	assert_int_equal(pace_grant(&a, true, 1300), 900);
	assert_int_equal(pace_grant(&a, false, 1300), 0); /* reads go between writes */
	assert_int_equal(pace_grant(&a, true, 2199), 1);
	assert_int_equal(pace_grant(&a, true, 2200), 0);
	a.closed_until_ms = 5000;
	assert_int_equal(pace_grant(&a, false, 3000), 2000);
	assert_int_equal(pace_grant(&a, true, 3000), 2000);
	assert_int_equal(pace_grant(&a, true, 5000), 0);
}

/* Whoever asks how often: never two writes within a second, more than 500 within an
 * hour, or more than 900 points within a minute. */
static void keeps_every_limit(void **state)
{
	uint64_t r = 42;
	struct pace_account a = {0};
	static int64_t writes[20000], points[400000];
	int n = 0, p = 0;

	(void)state;
	for (int64_t now = 1; now < 3 * 3600 * 1000 && p < 390000;
		now += (int64_t)(backoff_chance(&r) * 120)) {
		bool write = backoff_chance(&r) < 0.5;

		if (pace_grant(&a, write, now) != 0)
			continue;
		for (int i = 0; i < (write ? 5 : 1); i++)
			points[p++] = now;
		assert_true(p <= 900 || points[p - 1] - points[p - 901] >= 59900);
		if (!write)
			continue;
		writes[n++] = now;
		assert_true(n < 2 || now - writes[n - 2] >= 1000);
		assert_true(n <= 500 || now - writes[n - 501] >= 3600 * 1000);
	}
	assert_true(n >= 1000);
}

static void survives_a_bad_account(void **state)
{
	struct pace_account a;

	(void)state;
	memset(&a, 0xff, sizeof a);
	assert_int_equal(pace_grant(&a, true, 100), 0);
	assert_int_equal(pace_grant(&a, true, 100), PACE_WRITE_MS);
	memset(&a, 0x7f, sizeof a);
	assert_int_equal(pace_grant(&a, true, 100), 0);
}

static void shares_a_file(void **state)
{
	char path[] = "/tmp/100x-pace-XXXXXX";
	struct pace *one, *two, *fresh;
	int64_t wait_ms;
	pid_t child;
	int status;

	(void)state;
	close(mkstemp(path));
	one = pace_new(path);
	two = pace_new(path);
	assert_int_equal(pace_ask(one, true), 0);
	wait_ms = pace_ask(two, true);
	assert_in_range(wait_ms, 1, PACE_WRITE_MS);
	pace_close(one, 60000);
	pace_done(one);
	assert_in_range(pace_ask(two, false), 50000, 60000);
	pace_free(one);
	pace_free(two);
	/* Without a file each has its own. */
	one = pace_new(NULL);
	two = pace_new("/nonexistent/folder/file");
	fresh = pace_new(NULL);
	assert_int_equal(pace_ask(one, true), 0);
	assert_int_equal(pace_ask(two, true), 0);
	assert_int_equal(pace_ask(fresh, true), 0);
	pace_free(one);
	pace_free(two);
	pace_free(fresh);
	/* All places taken by one that dies: they are free again. */
	unlink(path);
	child = fork();
	if (child == 0) {
		struct pace *all[PACE_AT_ONCE];

		for (int i = 0; i < PACE_AT_ONCE; i++) {
			all[i] = pace_new(path);
			/* An account of its own each, so that none waits for its turn. */
			if (truncate(path, 0) < 0 || pace_ask(all[i], false) > 0)
				_exit(2);
		}
		_exit(pace_ask(pace_new(path), false) > 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	one = pace_new(path);
	while (pace_ask(one, false) > PACE_READ_MS)
		fail();
	pace_free(one);
	unlink(path);
}

/* As late as the request arrives: what the service sees is a second, too. */
static void writes_keep_their_distance_from_the_answer(void **state)
{
	struct pace *p = pace_new(NULL);
	int64_t answered_ms, wait_ms;

	(void)state;
	assert_int_equal(pace_ask(p, true), 0);
	usleep(20 * 1000);
	answered_ms = clock_now_ms();
	pace_done(p);
	wait_ms = pace_ask(p, true);
	assert_true(clock_now_ms() + wait_ms >= answered_ms + PACE_WRITE_MS);
	pace_free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grants_by_the_table),
		cmocka_unit_test(keeps_every_limit),
		cmocka_unit_test(survives_a_bad_account),
		cmocka_unit_test(shares_a_file),
		cmocka_unit_test(writes_keep_their_distance_from_the_answer),
	};

	return cmocka_run_group_tests_name("pace", tests, NULL, NULL);
}
