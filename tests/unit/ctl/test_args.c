/* Command lines against a table of options. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "supervisor/ctl/ctl.h"

static const struct args_option options[] = {
	{"follow", 'f', NULL, ""},
	{"lines", 'n', "N", ""},
	{"task", 0, "TEXT", ""},
	{0},
};

static int parse(struct args *a, struct err *e, int argc, const char *const *argv)
{
	return args_parse(options, argc, (char *const *)argv, a, e);
}

static void reads_every_form(void **state)
{
	const char *argv[] = {"7", "-fn3", "--task=a", "--task", "b: c", "--json", "--", "-x"};
	struct args a;
	struct err e;
	int64_t lines = 0;

	(void)state;
	assert_int_equal(parse(&a, &e, 8, argv), 0);
	assert_true(args_has(&a, "follow"));
	assert_true(args_has(&a, "json"));
	assert_false(args_has(&a, "help"));
	assert_int_equal(args_int(&a, "lines", 0, 10, &lines, &e), 0);
	assert_int_equal(lines, 3);
	assert_string_equal(args_get(&a, "task"), "b: c");
	assert_int_equal(a.word_count, 2);
	assert_string_equal(a.words[0], "7");
	assert_string_equal(a.words[1], "-x");
}

static void refuses(void **state)
{
	static const struct {
		const char *argv[2];
		int argc;
		const char *says;
	} cases[] = {
		{{"--nonsense"}, 1, "--nonsense"},
		{{"-z"}, 1, "-z"},
		{{"--lines"}, 1, "--lines wants a value"},
		{{"-n"}, 1, "-n wants a value"},
		{{"--follow=1"}, 1, "--follow takes no value"},
		{{"--foll"}, 1, "--foll"},
	};
	struct args a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(parse(&a, &e, cases[i].argc, cases[i].argv), -1);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_non_null(strstr(e.text, cases[i].says));
	}
}

static void refuses_numbers(void **state)
{
	static const char *const bad[] = {
		"", " 1", "1 ", "1x", "0x10", "+1", "99999999999999999999", "11", "-1", "1.5"};
	struct err e;
	int64_t v = 42;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_int_equal(args_parse_int(bad[i], "N", 0, 10, &v, &e), -1);
	assert_int_equal(v, 42);
	assert_int_equal(args_parse_int("10", "N", 0, 10, &v, &e), 0);
	assert_int_equal(v, 10);
}

static void too_many_words(void **state)
{
	static const char *argv[ARGS_MAX + 1];
	static struct args a;
	struct err e;

	(void)state;
	for (size_t i = 0; i <= ARGS_MAX; i++)
		argv[i] = "1";
	assert_int_equal(parse(&a, &e, ARGS_MAX, argv), 0);
	assert_int_equal(parse(&a, &e, ARGS_MAX + 1, argv), -1);
}

/* Every command's table is sound: no letter or name twice, none that hides a common one. */
static void tables_are_sound(void **state)
{
	(void)state;
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		assert_ptr_equal(ctl_find(c->name), c);
		assert_true(strlen(c->summary) < 72);
		for (const struct args_option *o = c->options; o->name; o++) {
			for (const struct args_option *p = o + 1; p->name; p++) {
				assert_string_not_equal(o->name, p->name);
				assert_true(!o->letter || o->letter != p->letter);
			}
			for (const struct args_option *p = args_common; p->name; p++)
				assert_string_not_equal(o->name, p->name);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_every_form),
		cmocka_unit_test(refuses),
		cmocka_unit_test(refuses_numbers),
		cmocka_unit_test(too_many_words),
		cmocka_unit_test(tables_are_sound),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
