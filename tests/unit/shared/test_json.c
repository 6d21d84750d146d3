/* Strict JSON, field checks, UTF-8. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/json.h"

static void takes_good_values(void **state)
{
	static const char *const good[] = {
		"{}",
		"[]",
		" null ",
		"true",
		"false",
		"0",
		"-0.5e+10",
		"\"\"",
		"{\"a\":{\"a\":1},\"b\":[1,2,{\"c\":null}]}",
		"\"\\ud83d\\ude00 \\u00e9 \\\" \\/\"",
		"[1 , 2\t,\n3\r]",
		"\"é 😀\"",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(good) / sizeof(good[0]); i++) {
		_cleanup_json_ cJSON *j = json_parse(good[i], strlen(good[i]), 1000, &e);

		if (!j)
			fail_msg("%s: %s", good[i], e.text);
	}
}

static void refuses_bad_values(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"{",
		"}",
		"[1,]",
		"{\"a\":1,}",
		"{a:1}",
		"{\"a\" 1}",
		"[1 2]",
		"{} {}",
		"{}x",
		"01",
		"+1",
		"1.",
		".5",
		"1e",
		"-",
		"nul",
		"truely",
		"'a'",
		"\"a",
		"\"\n\"",
		"\"\\x\"",
		"\"\\u12\"",
		"\"\\u0000\"",
		"\"\\ud800\"",
		"\"\\udc00\"",
		"\"\\ud800\\u0041\"",
		"{\"a\":1,\"a\":2}",
		"[{\"x\":{\"b\":1,\"c\":1,\"b\":2}}]",
		"{\"a\":1,\"\\u0061\":2}",
		"\"\xff\"",
		"\"\xc0\x80\"",
		"\"\xed\xa0\x80\"",
		"NaN",
		"Infinity",
		"[1}",
		"{\"a\":]",
		"\xef\xbb\xbf{}",
		"// c\n{}",
		"[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]]",
		"11111111111111111111111111111111111111111111111111111111111111111111111",
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		cJSON *j = json_parse(bad[i], strlen(bad[i]), 1000, &e);

		if (j)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_true(strncmp(e.text, "JSON: ", 6) == 0);
	}
	assert_null(json_parse("{}\0", 3, 1000, &e));
	assert_null(json_parse("{\"a\":1}", 7, 6, &e));
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_null(json_parse("[1 2]", 5, 1000, &e));
	assert_string_equal(e.text, "JSON: \",\" or \"]\" was expected at byte 3");
}

static const struct json_field fields[] = {
	{"id", JSON_INT, true, 1, 1000},
	{"title", JSON_STRING, false, 1, 10},
	{"ratio", JSON_NUMBER, false, 0, 0},
	{"on", JSON_BOOL, false, 0, 0},
	{"tasks", JSON_ARRAY, false, 1, 2},
	{"limits", JSON_OBJECT, false, 0, 0},
};

static void checks_fields(void **state)
{
	static const struct {
		const char *text;
		const char *error; /* NULL: good */
	} cases[] = {
		{"{\"id\":7,\"title\":\"t\",\"ratio\":0.5,\"on\":true,\"tasks\":[1],\"limits\":{}}",
			NULL},
		{"{\"id\":7,\"title\":null}", NULL},
		{"{}", "id: is missing, must be an integer"},
		{"{\"id\":null}", "id: is missing, must be an integer"},
		{"{\"id\":\"7\"}", "id: must be an integer"},
		{"{\"id\":7.5}", "id: must be an integer"},
		{"{\"id\":1e300}", "id: must be an integer"},
		{"{\"id\":0}", "id: is 0, must be from 1 to 1000"},
		{"{\"id\":1001}", "id: is 1001, must be from 1 to 1000"},
		{"{\"id\":1,\"titel\":1}", "titel: no such field"},
		{"{\"id\":1,\"title\":\"\"}", "title: is 0 bytes long, must be from 1 to 10"},
		{"{\"id\":1,\"title\":\"01234567890\"}",
			"title: is 11 bytes long, must be from 1 to 10"},
		{"{\"id\":1,\"on\":1}", "on: must be true or false"},
		{"{\"id\":1,\"tasks\":[]}", "tasks: has 0 elements, must have from 1 to 2"},
		{"{\"id\":1,\"limits\":[]}", "limits: must be an object"},
		{"[]", "an object was expected"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		_cleanup_json_ cJSON *j =
			json_parse(cases[i].text, strlen(cases[i].text), 1000, &e);
		int code = json_check(j, fields, sizeof(fields) / sizeof(fields[0]), &e);

		assert_int_equal(code, cases[i].error ? -1 : 0);
		if (cases[i].error)
			assert_string_equal(e.text, cases[i].error);
	}
}

static void reads_and_writes_fields(void **state)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	_cleanup_json_ cJSON *back = NULL;
	_cleanup_free_ char *text = NULL;

	(void)state;
	json_add_str(j, "s", "é");
	json_add_text(j, "t",
		"a\0\xff"
		"b",
		4);
	json_add_str(j, "n", NULL);
	json_add_int(j, "i", 9007199254740991);
	text = json_print(j);
	assert_string_equal(text, "{\"s\":\"é\",\"t\":\"a\xef\xbf\xbd\xef\xbf\xbd"
				  "b\",\"n\":null,"
				  "\"i\":9007199254740991}");
	assert_string_equal(json_str(j, "s", "x"), "é");
	assert_string_equal(json_str(j, "n", "x"), "x");
	assert_string_equal(json_str(j, "none", "x"), "x");
	assert_int_equal(json_int(j, "s", 5), 5);
	assert_true(json_bool(j, "s", true));
	back = json_parse(text, strlen(text), 1000, NULL);
	assert_int_equal(json_int(back, "i", 0), 9007199254740991);
	assert_true(json_num(back, "i", 0) > 9e15);
	assert_null(json_get(j, "n"));
	assert_null(json_get(NULL, "n"));
}

static void cuts_between_characters(void **state)
{
	static const char text[] = "aé😀z";

	(void)state;
	assert_int_equal(utf8_cut(text, 8, 100), 8);
	assert_int_equal(utf8_cut(text, 8, 7), 7);
	for (size_t max = 0; max <= 8; max++)
		assert_true(utf8_valid(text, utf8_cut(text, 8, max)));
	assert_int_equal(utf8_cut(text, 8, 6), 3);
	assert_int_equal(utf8_cut(text, 8, 2), 1);
	/* Broken text is cut too, at the limit. */
	assert_int_equal(utf8_cut("\x80\x80\x80\x80\x80\x80", 6, 5), 5);
}

static void cleans(void **state)
{
	_cleanup_free_ char *a = utf8_clean("ok\xe2\x82", 4);
	_cleanup_free_ char *b = utf8_clean("", 0);

	(void)state;
	assert_string_equal(a, "ok\xef\xbf\xbd\xef\xbf\xbd");
	assert_string_equal(b, "");
	assert_false(utf8_valid("\xf4\x90\x80\x80", 4));
	assert_false(utf8_valid("\xe0\x80\x80", 3));
	assert_true(utf8_valid("\xf4\x8f\xbf\xbf", 4));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_good_values),
		cmocka_unit_test(refuses_bad_values),
		cmocka_unit_test(checks_fields),
		cmocka_unit_test(reads_and_writes_fields),
		cmocka_unit_test(cuts_between_characters),
		cmocka_unit_test(cleans),
	};

	return cmocka_run_group_tests_name("json", tests, NULL, NULL);
}
