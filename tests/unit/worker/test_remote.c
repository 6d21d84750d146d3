/* What remotes say and how fast, judged without one: refusals of a push, slow transfers,
 * the names tried for a branch that is taken. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "worker/backoff.h"
#include "worker/finish.h"
#include "worker/workspace_git.h"

static void refusals(void **state)
{
	static const struct {
		const char *status;
		enum err_kind kind;
	} rows[] = {
		{"non-fast-forward", ERR_CONFLICT},
		{"fetch first", ERR_CONFLICT},
		{"reference already exists", ERR_CONFLICT},
		{"hook declined", ERR_DENIED},
		{"pre-receive hook declined", ERR_DENIED},
		{"protected branch hook declined", ERR_DENIED},
		{"deletion prohibited", ERR_DENIED},
		{"unpacker error", ERR_UNAVAILABLE},
		{"failed to update ref", ERR_UNAVAILABLE},
		{"cannot lock ref 'refs/heads/a'", ERR_UNAVAILABLE},
		{"", ERR_DENIED},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (workspace_refusal(rows[i].status) != rows[i].kind)
			fail_msg("row %zu: %s", i, rows[i].status);
}

static void slow_transfers(void **state)
{
	struct workspace_flow f = {0};
	int64_t now = 1000;

	(void)state;
	/* A byte a second for ever. */
	while (workspace_flow_add(&f, 1, 1000, now))
		now += 1000;
	assert_int_equal(now, 1000 + WORKSPACE_SLOW_TIMES * 1000);
	/* Slow, but it gets on. */
	f = (struct workspace_flow){0};
	for (int i = 0; i < 1000; i++, now += 500)
		assert_true(workspace_flow_add(&f, WORKSPACE_SLOW_BYTES / 8, 1000, now));
	/* Fast, then next to nothing. */
	assert_true(workspace_flow_add(&f, 1 << 20, 1000, now));
	for (int i = 0; i < 20 && workspace_flow_add(&f, 1, 1000, now += 1000); i++)
		assert_int_not_equal(i, 19);
}

static void deadline_of_the_setting(void **state)
{
	static const struct {
		const char *text;
		int ms;
	} rows[] = {{"1", 1000}, {"300", 300000}, {"0", 120000}, {"-1", 120000}, {"x", 120000},
		{"999999999999", 120000}};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		setenv("HUNDREDX_GIT_SECONDS", rows[i].text, 1);
		assert_int_equal(workspace_silence_ms(), rows[i].ms);
	}
	unsetenv("HUNDREDX_GIT_SECONDS");
	assert_int_equal(workspace_silence_ms(), 120000);
}

static void names_of_a_taken_branch(void **state)
{
	static const char *const rows[][2] = {
		{"agent-7", "agent-7-2"},
		{"agent-7-2", "agent-7-3"},
		{"agent-7-19", "agent-7-20"},
		{"other", "agent-7-2"},
		{"agent-70", "agent-7-2"},
	};
	char next[96];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		finish_other_name("agent-7", rows[i][0], next, sizeof next);
		assert_string_equal(next, rows[i][1]);
	}
}

static void backoff_table(void **state)
{
	static const struct {
		int64_t first, max;
		int tries;
		double chance;
		int64_t ms;
	} rows[] = {
		{500, 32000, 1, 0, 250},
		{500, 32000, 2, 0, 500},
		{500, 32000, 7, 0.5, 24000},
		{500, 32000, 1000000, 0.5, 24000},
		{500, 32000, 0, 0, 250},
		{1000, 500, 1, 0, 250},
	};
	uint64_t seed = 1;
	double sum = 0;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		assert_int_equal(
			backoff_ms(rows[i].first, rows[i].max, rows[i].tries, rows[i].chance),
			rows[i].ms);
	assert_int_equal(backoff_asked_ms(2000, 0), 2000);
	assert_int_equal(backoff_asked_ms(2000, 0.5), 2100);
	assert_int_equal(backoff_asked_ms(0, 0.9), 0);
	for (int i = 0; i < 10000; i++) {
		double c = backoff_chance(&seed);

		assert_true(c >= 0 && c < 1);
		sum += c;
	}
	assert_true(sum > 4800 && sum < 5200);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(refusals),
		cmocka_unit_test(slow_transfers),
		cmocka_unit_test(deadline_of_the_setting),
		cmocka_unit_test(names_of_a_taken_branch),
		cmocka_unit_test(backoff_table),
	};

	return cmocka_run_group_tests_name("remote", tests, NULL, NULL);
}
