// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "webui/sse.h"

static void one_event(void **state)
{
	static const char body[] = "{\"seq\":3,\"text\":\"a\\nb </script>\"}";
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	sse_event(&out, 42, "agent", 7, "output", body, sizeof body - 1);
	assert_string_equal(out.data,
		"id: 42\nevent: output\n"
		"data: {\"id\":42,\"stream\":\"agent\",\"subject\":7,\"kind\":\"output\","
		"\"body\":{\"seq\":3,\"text\":\"a\\nb </script>\"}}\n\n");
	buf_clear(&out);
}

/* A line break in a body would end the field and let a body forge others. */
static void line_breaks_in_a_body(void **state)
{
	static const char body[] = "{\n\"a\":1,\r\n\n\"b\":2\n}";
	struct buf out;
	char *rest;

	(void)state;
	buf_init(&out, 0);
	sse_event(&out, 1, "task", 2, "created", body, sizeof body - 1);
	rest = strstr(out.data, "data: ");
	assert_non_null(rest);
	assert_ptr_equal(strchr(rest, '\n'), out.data + out.len - 2);
	assert_null(strchr(out.data, '\r'));
	buf_clear(&out);
}

static void position(void **state)
{
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	sse_position(&out, 9007199254740991);
	assert_string_equal(out.data, "id: 9007199254740991\n\n");
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_event),
		cmocka_unit_test(line_breaks_in_a_body),
		cmocka_unit_test(position),
	};

	return cmocka_run_group_tests_name("webui/sse", tests, NULL, NULL);
}
