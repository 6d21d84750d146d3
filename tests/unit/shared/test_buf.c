/* The byte buffer: growth, ceiling, consumption. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"

static void grows_and_stays_terminated(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 0);
	for (int i = 0; i < 1000; i++)
		assert_true(buf_addf(&b, "%d,", i));
	assert_int_equal(strlen(b.data), b.len);
	assert_memory_equal(b.data + b.len - 4, "999,", 4);
	buf_consume(&b, b.len - 4);
	assert_string_equal(b.data, "999,");
	buf_consume(&b, 100);
	assert_int_equal(b.len, 0);
	buf_clear(&b);
	assert_null(b.data);
}

static void refuses_past_the_ceiling(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 5);
	assert_true(buf_adds(&b, "abc"));
	assert_false(buf_adds(&b, "def"));
	assert_true(b.overflow);
	assert_string_equal(b.data, "abc");
	assert_true(buf_adds(&b, "de"));
	assert_true(b.overflow);
	assert_false(buf_addf(&b, "%d", 1));
	assert_false(buf_add(&b, "", SIZE_MAX));
	assert_string_equal(b.data, "abcde");
	buf_reset(&b);
	assert_false(b.overflow);
	assert_int_equal(b.max, 5);
	buf_clear(&b);
}

static void takes_away(void **state)
{
	struct buf b;
	size_t n = 9;
	char *text;

	(void)state;
	buf_init(&b, 0);
	text = buf_take(&b, &n);
	assert_string_equal(text, "");
	assert_int_equal(n, 0);
	free(text);
	buf_add(&b, "a\0b", 3);
	text = buf_take(&b, &n);
	assert_int_equal(n, 3);
	assert_memory_equal(text, "a\0b", 4);
	assert_null(b.data);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(grows_and_stays_terminated),
		cmocka_unit_test(refuses_past_the_ceiling),
		cmocka_unit_test(takes_away),
	};

	return cmocka_run_group_tests_name("buf", tests, NULL, NULL);
}
