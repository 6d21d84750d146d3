/* The manager's answers: what is understood, and how the rest is refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "worker/action.h"

static void good_actions(void **state)
{
	static const struct {
		const char *line;
		enum action_kind kind;
		const char *text, *target;
	} rows[] = {
		{"/instruct write a test", ACTION_INSTRUCT, "write a test", ""},
		{"  /instruct  two\nlines \n", ACTION_INSTRUCT, "two\nlines", ""},
		{"/instruct /run rm -rf x", ACTION_INSTRUCT, " /run rm -rf x", ""},
		{"/instruct !ls", ACTION_INSTRUCT, " !ls", ""},
		{"/add src/main.c", ACTION_COMMAND, "/add src/main.c", ""},
		{"/drop", ACTION_COMMAND, "/drop", ""},
		{"/ls", ACTION_COMMAND, "/ls", ""},
		{"/ls and more", ACTION_COMMAND, "/ls", ""},
		{"/map", ACTION_COMMAND, "/map", ""},
		{"/run make  check", ACTION_COMMAND, "/run make  check", ""},
		{"/test pytest -q", ACTION_COMMAND, "/test pytest -q", ""},
		{"/git status", ACTION_COMMAND, "/git status", ""},
		{"/tell all I took the parser", ACTION_TELL, "I took the parser", "all"},
		{"/tell 12 hello", ACTION_TELL, "hello", "12"},
		{"/tell agent-3 hello", ACTION_TELL, "hello", "3"},
		{"/finish", ACTION_FINISH, "", ""},
		{"/finish the work is done", ACTION_FINISH, "", ""},
	};
	struct action a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(action_parse(rows[i].line, &a, &e), 0);
		assert_int_equal(a.kind, rows[i].kind);
		assert_string_equal(a.text, rows[i].text);
		assert_string_equal(a.target, rows[i].target);
		action_clear(&a);
	}
}

static void bad_actions(void **state)
{
	static const char *const lines[] = {"", "  ", "finish", "/rm x", "/instruct", "/instruct  ",
		"/add", "/run", "/tell", "/tell all", "/tell bob hello", "/tell 0 hello",
		"/tell 99999999999999999999 x", "/run a\nb", "/add a\n/run b", "/instructor x",
		"!ls"};
	struct action a;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof lines / sizeof *lines; i++) {
		assert_int_equal(action_parse(lines[i], &a, &e), -1);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_true(strlen(e.text) > 0);
		action_clear(&a);
	}
}

static int parse(const char *text, struct decision *d, struct err *e)
{
	return decision_parse(text, strlen(text), d, e);
}

static void good_answers(void **state)
{
	static const char *const texts[] = {
		"{\"progress\":\"p\",\"thought\":\"t\",\"action\":\"/ls\",\"future\":\"f\"}",
		"```json\n{\"progress\":\"p\",\"thought\":\"t\",\"action\":\"/"
		"ls\",\"future\":\"f\"}\n```",
		"Sure! Here it is: {\"thought\":\"t\",\"progress\":\"p\",\"action\":\"/ls\",\n"
		"\"future\":\"f\",\"extra\":[1,{\"a\":\"}\"}]} I hope that helps {}",
	};
	struct decision d;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		assert_int_equal(parse(texts[i], &d, &e), 0);
		assert_string_equal(d.progress, "p");
		assert_string_equal(d.thought, "t");
		assert_string_equal(d.future, "f");
		assert_string_equal(d.line, "/ls");
		assert_int_equal(d.action.kind, ACTION_COMMAND);
		decision_clear(&d);
	}
}

static void bad_answers(void **state)
{
	static const struct {
		const char *text, *says;
	} rows[] = {
		{"", "empty"},
		{" \n", "empty"},
		{"/ls", "no JSON object"},
		{"{\"progress\":\"p\"", "JSON"},
		{"{\"progress\":\"p\",\"thought\":\"t\",\"action\":\"/ls\"}",
			"\"future\" is missing"},
		{"{\"progress\":1,\"thought\":\"t\",\"action\":\"/ls\",\"future\":\"f\"}",
			"\"progress\" is not a string"},
		{"{\"progress\":\"p\",\"thought\":\"t\",\"action\":\"\",\"future\":\"f\"}",
			"empty"},
		{"{\"progress\":\"p\",\"thought\":\"t\",\"action\":\"dance\",\"future\":\"f\"}",
			"no known action"},
		{"{\"progress\":\"p\",\"thought\":\"t\",\"action\":null,\"future\":\"f\"}",
			"\"action\" is missing"},
	};
	struct decision d;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(parse(rows[i].text, &d, &e), -1);
		if (i != 3)
			assert_non_null(strstr(e.text, rows[i].says));
		assert_non_null(d.progress);
		assert_non_null(d.line);
		decision_clear(&d);
	}
}

static void what_could_be_read_is_kept(void **state)
{
	struct decision d;
	struct err e;

	(void)state;
	assert_int_equal(parse("{\"progress\":\"p\",\"action\":\"dance\"}", &d, &e), -1);
	assert_string_equal(d.progress, "p");
	assert_string_equal(d.line, "dance");
	decision_clear(&d);
}

static void a_huge_answer_is_refused(void **state)
{
	size_t n = ACTION_ANSWER_MAX + 1;
	char *text = malloc(n);
	struct decision d;
	struct err e;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', n);
	assert_int_equal(decision_parse(text, n, &d, &e), -1);
	decision_clear(&d);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(good_actions),
		cmocka_unit_test(bad_actions),
		cmocka_unit_test(good_answers),
		cmocka_unit_test(bad_answers),
		cmocka_unit_test(what_could_be_read_is_kept),
		cmocka_unit_test(a_huge_answer_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
