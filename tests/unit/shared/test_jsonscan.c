/* One string member found and decoded, against cJSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "shared/jsonscan.h"

static void finds(void **state)
{
	static const struct {
		const char *json, *text; /* NULL: none */
		size_t lines;
		bool open;
	} cases[] = {
		{"{\"text\":\"a\"}", "a", 0, true},
		{" { \"x\" : {\"text\":[\"no\",{\"}\":\"\\\"\"}]} , \"text\" : \"a\\nb\" } ",
			"a\nb", 1, true},
		{"{\"seq\":1,\"b\":true,\"n\":null,\"f\":-1.5e3,\"text\":\"\\n\\n\"}", "\n\n", 2,
			false},
		{"{\"t\":\"\\\\\",\"text\":\"\\\\n\\u000A\\u00e4\\ud83d\\ude00\"}",
			"\\n\n\xc3\xa4\xf0\x9f\x98\x80", 1, true},
		{"{\"text\":\"\\u0000\\ud800\\/\\\"\\t\"}", "\xef\xbf\xbd\xef\xbf\xbd/\"\t", 0,
			true},
		{"{\"text\":\"\"}", "", 0, false},
		{"{\"text\":5}", NULL, 0, false},
		{"{\"texts\":\"a\"}", NULL, 0, false},
		{"{}", NULL, 0, false},
		{"", NULL, 0, false},
		{"{\"text\":\"a", NULL, 0, false},
		{"{\"a\":[1,{\"b\":2", NULL, 0, false},
		{"[\"text\",\"a\"]", NULL, 0, false},
	};
	char out[64];

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		const char *raw;
		size_t n, len;
		bool open, found = jsonscan_string(
				   cases[i].json, strlen(cases[i].json), "text", &raw, &n);

		if (found != (cases[i].text != NULL))
			fail_msg("%s", cases[i].json);
		if (!found)
			continue;
		len = jsonscan_decode(raw, n, out);
		assert_int_equal(len, strlen(cases[i].text));
		assert_memory_equal(out, cases[i].text, len);
		assert_int_equal(jsonscan_lines(raw, n, &open), cases[i].lines);
		assert_int_equal(open, cases[i].open);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(finds)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
