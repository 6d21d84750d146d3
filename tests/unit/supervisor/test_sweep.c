/* The mark that a process carries in its environment. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/sweep.h"

#define OF(text) sweep_agent_of(text, sizeof(text) - 1, "/s/dir")

static void test_mark(void **state)
{
	(void)state;
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir/7\0"), 7);
	assert_int_equal(OF("A=1\0HUNDREDX_AGENT=/s/dir/1234567890123\0B=2\0"), 1234567890123);
	assert_int_equal(OF(""), 0);
	assert_int_equal(OF("A=1\0B=2\0"), 0);
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir/7"), 0); /* cut off */
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir/\0"), 0);
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir/x\0"), 0);
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir/7x\0"), 0);
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir/-7\0"), 0);
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir/0\0"), 0);
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir2/7\0"), 0); /* another instance */
	assert_int_equal(OF("HUNDREDX_AGENT=/s/dir\0"), 0);
	assert_int_equal(OF("XHUNDREDX_AGENT=/s/dir/7\0"), 0);
	assert_int_equal(OF("A=HUNDREDX_AGENT=/s/dir/7\0"), 0);
	assert_int_equal(OF("\0\0HUNDREDX_AGENT=/s/dir/7\0"), 7);
}

static void test_mark_random(void **state)
{
	static const char alphabet[] = "HUNDREDX_AGENT=/s/dir/7\0\0=\xff";
	unsigned seed = 1;

	(void)state;
	for (int round = 0; round < 20000; round++) {
		size_t n = (size_t)rand_r(&seed) % 64;
		char *block = malloc(n ? n : 1); /* exactly n: a sanitizer sees a read behind it */

		assert_non_null(block);
		for (size_t i = 0; i < n; i++)
			block[i] = alphabet[(size_t)rand_r(&seed) % sizeof(alphabet)];
		assert_true(sweep_agent_of(block, n, "/s/dir") >= 0);
		free(block);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mark),
		cmocka_unit_test(test_mark_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
