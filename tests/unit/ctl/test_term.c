/* Foreign text made harmless; columns; numbers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/term.h"

#define BAD "\xef\xbf\xbd"

static const struct {
	const char *in, *out;
} texts[] = {
	{"plain\ttext\n", "plain\ttext\n"},
	{"\x1b[31mred\x1b[0m", "red"},
	{"\x1b]0;title\x07shown", "shown"},
	{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
	{"\x1bP1$r\x1b\\dcs", "dcs"},
	{"\x1b(Bset", "set"},
	{"\x1b"
	 "7save",
		"save"},
	{"a\r\nb\rc", "a\nb\nc"},
	{"bell\a back\b nul\x7f", "bell back nul"},
	{"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80",
		"gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80"},
	{"c1 \xc2\x9b"
	 "31m",
		"c1 " BAD "31m"},
	{"override \xe2\x80\xae", "override " BAD},
	{"isolate \xe2\x81\xa6", "isolate " BAD},
	{"overlong \xc0\xaf", "overlong " BAD BAD},
	{"surrogate \xed\xa0\x80", "surrogate " BAD},
	{"cut \xe2\x82"
	 "x",
		"cut " BAD "x"},
	{"stray \x80", "stray " BAD},
};

static void filters_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct term_filter f = {0};
		struct buf out;

		buf_init(&out, 0);
		term_filter_add(&f, &out, texts[i].in, strlen(texts[i].in));
		assert_string_equal(out.data, texts[i].out);
		buf_clear(&out);
	}
}

/* Cut anywhere, the result is the same. */
static void filters_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		for (size_t cut = 0; cut <= strlen(texts[i].in); cut++) {
			struct term_filter f = {0};
			struct buf out;

			buf_init(&out, 0);
			term_filter_add(&f, &out, texts[i].in, cut);
			term_filter_add(&f, &out, texts[i].in + cut, strlen(texts[i].in) - cut);
			assert_string_equal(out.data, texts[i].out);
			buf_clear(&out);
		}
	}
}

/* Whatever comes in, no control byte but line end and tab goes out. */
static void never_lets_control_through(void **state)
{
	unsigned seed = 20261123;

	(void)state;
	for (int round = 0; round < 2000; round++) {
		struct term_filter f = {0};
		struct buf out;
		char bytes[64];

		for (size_t i = 0; i < sizeof(bytes); i++) {
			int r = rand_r(&seed);

			bytes[i] = (char)(r % 5 == 0 ? 0x1b : r % 7 == 0 ? '[' : r >> 8);
		}
		buf_init(&out, 0);
		term_filter_add(&f, &out, bytes, sizeof(bytes));
		for (size_t i = 0; i < out.len; i++) {
			unsigned char c = (unsigned char)out.data[i];

			assert_true(c >= 0x20 || c == '\n' || c == '\t');
			assert_int_not_equal(c, 0x7f);
		}
		buf_clear(&out);
	}
}

/* A sequence that never ends does not swallow the rest for ever. */
static void endless_sequence(void **state)
{
	struct term_filter f = {0};
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	term_filter_add(&f, &out, "\x1b]", 2);
	for (int i = 0; i < TERM_SEQUENCE_MAX + 10; i++)
		term_filter_add(&f, &out, "x", 1);
	assert_true(out.len > 0 && out.len < 20);
	buf_clear(&out);
}

static void lines(void **state)
{
	static const struct {
		const char *in;
		int max;
		const char *out;
	} cases[] = {
		{"  a \n b\t\tc  ", 0, "a b c"},
		{"", 10, ""},
		{"\n\n", 10, ""},
		{"abcdef", 6, "abcdef"},
		{"abcdef", 5, "abcd…"},
		{"日本語", 5, "日本…"},
		{"日本語", 6, "日本語"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct buf out;

		buf_init(&out, 0);
		term_line(&out, cases[i].in, cases[i].max);
		assert_string_equal(out.len ? out.data : "", cases[i].out);
		buf_clear(&out);
	}
}

static void table(void **state)
{
	static const struct term_column columns[] = {
		{"ID", true}, {"NAME", false}, {"TEXT", false}};
	struct term_table *t = term_table_new(columns, 3);
	struct term term = {.width = 28};
	char *text = NULL;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	(void)state;
	term_table_cell(t, TERM_PLAIN, "7");
	term_table_cell(t, TERM_RED, "日本");
	term_table_cell(t, TERM_PLAIN, "a text that is too long\x1b[2J for it");
	term_table_cell(t, TERM_PLAIN, "12345");
	term_table_cell(t, TERM_PLAIN, "x");
	term_table_cell(t, TERM_PLAIN, "short");
	term_table_print(t, &term, f);
	fclose(f);
	assert_string_equal(text, "   ID  NAME  TEXT\n"
				  "    7  日本  a text that is…\n"
				  "12345  x     short\n");
	free(text);
	term_table_free(t);
}

static void numbers(void **state)
{
	char out[32];

	(void)state;
	assert_string_equal(term_count(999, out), "999");
	assert_string_equal(term_count(12345, out), "12.3k");
	assert_string_equal(term_count(123456, out), "123k");
	assert_string_equal(term_count(4560000, out), "4.56M");
	assert_string_equal(term_dollars(0, out), "$0.00");
	assert_string_equal(term_dollars(0.0123, out), "$0.0123");
	assert_string_equal(term_dollars(12.5, out), "$12.50");
	assert_string_equal(term_duration(812, out), "0.8s");
	assert_string_equal(term_duration(192000, out), "3m12s");
	assert_string_equal(term_duration(18180000, out), "5h03m");
	assert_string_equal(term_bytes(512, out), "512 B");
	assert_string_equal(term_bytes(3650722201, out), "3.4 GiB");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(filters_whole),
		cmocka_unit_test(filters_pieces),
		cmocka_unit_test(never_lets_control_through),
		cmocka_unit_test(endless_sequence),
		cmocka_unit_test(lines),
		cmocka_unit_test(table),
		cmocka_unit_test(numbers),
	};

	setlocale(LC_CTYPE, "C.UTF-8");
	return cmocka_run_group_tests(tests, NULL, NULL);
}
