/* Lines of output: counted over events, blocks, and the line that is shown. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "shared/json.h"
#include "supervisor/lines.h"

static void last_line(void **state)
{
	static const struct {
		const char *pieces[4];
		const char *last;
		int64_t newlines;
	} cases[] = {
		{{"one\n"}, "one", 1},
		{{"one\ntw", "o"}, "two", 1},
		{{"one\n\n  \n\t\n"}, "one", 4},
		{{"one\r\n", "two\r\n"}, "two", 2},
		{{" 10 %\r", " 20 %\r", " 30 %"}, "30 %", 0},
		{{"\x1b[1;31mred\x1b[0m\x1b]0;title\a!\n"}, "red!", 1},
		{{"\x1b]52;c;AAAA\x1b\\", "a\xe2\x80\xae"
					  "b\x7f\x01\xc2\x9b"
					  "c"},
			"abc", 0},
		{{"\xc3\xa4\xf0\x9f\x98\x80\n"}, "\xc3\xa4\xf0\x9f\x98\x80", 1},
		{{""}, "", 0},
	};
	struct lines_block ended;
	char last[LINES_LAST_BYTES + 1];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct lines l = {0};

		for (int k = 0; k < 4 && cases[i].pieces[k]; k++)
			lines_add(
				&l, k + 1, cases[i].pieces[k], strlen(cases[i].pieces[k]), &ended);
		lines_last(&l, last);
		assert_string_equal(last, cases[i].last);
		assert_int_equal(l.newlines, cases[i].newlines);
	}
}

/* Cut at a border of characters, however long the line is and wherever it is cut. */
static void long_lines(void **state)
{
	static char text[20000];
	struct lines_block ended;
	char last[LINES_LAST_BYTES + 1];

	(void)state;
	for (size_t i = 0; i + 3 <= sizeof(text); i += 3)
		memcpy(text + i, "\xe2\x82\xac", 3);
	for (size_t n = 3; n < sizeof(text) - 3; n += 3 * 97) {
		struct lines l = {0};

		lines_add(&l, 1, "x", n % 2, &ended);
		lines_add(&l, 2, text, n, &ended);
		lines_last(&l, last);
		assert_true(utf8_valid(last, strlen(last)));
		assert_true(strlen(last) >= (n < 190 ? n : 190));
	}
}

static void blocks(void **state)
{
	struct lines l = {0};
	struct lines_block ended;
	int64_t id, before = 0, count = 0;

	(void)state;
	/* Where a line ends, behind 256 lines. */
	for (id = 1; id <= 3000; id++) {
		const char *text = id % 2 ? "half a " : "line\n";

		if (!lines_add(&l, id, text, strlen(text), &ended))
			continue;
		assert_int_equal(ended.line, count++ * LINES_BLOCK);
		assert_int_equal(ended.first_id, before + 1);
		assert_int_equal(ended.last_id, id - 1);
		assert_true(ended.filtered);
		assert_true(grams_may_have(ended.grams, "half a line", 11));
		assert_false(grams_may_have(ended.grams, "quarter", 7));
		before = id - 1;
	}
	assert_int_equal(count, 5);
	/* A line without an end: neither half has a filter. */
	memset(&l, 0, sizeof(l));
	for (id = 1; id <= 2 * LINES_BYTES_MAX / 4; id++) {
		if (lines_add(&l, id, "abcd", 4, &ended)) {
			assert_false(ended.filtered);
			assert_false(l.block.filtered);
			assert_int_equal(ended.last_id, id - 1);
		}
	}
	assert_int_equal(l.newlines, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(last_line),
		cmocka_unit_test(long_lines), cmocka_unit_test(blocks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
