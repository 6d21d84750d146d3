/* The wire format of events. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/event.h"

static void writes_the_documented_line(void **state)
{
	char out[EVENT_HEADER_MAX];

	(void)state;
	assert_int_equal(event_header("agent", 7, EVENT_OUTPUT, 1042, out), 23);
	assert_string_equal(out, "agent/7 output 1042 v1\n");
}

static void goes_there_and_back(void **state)
{
	(void)state;
	for (int kind = 0; kind < EVENT_KIND_COUNT; kind++) {
		char frame[EVENT_HEADER_MAX + 16];
		struct event ev;
		struct err e;
		size_t n = event_header("task", INT64_MAX, (enum event_kind)kind, INT64_MAX, frame);

		memcpy(frame + n, "{\"a\":1}", 7);
		assert_int_equal(event_decode(frame, n + 7, &ev, &e), 0);
		assert_string_equal(ev.stream, "task");
		assert_true(ev.subject == INT64_MAX);
		assert_int_equal(ev.kind, kind);
		assert_string_equal(ev.word, event_kind_word((enum event_kind)kind));
		assert_true(ev.number == INT64_MAX);
		assert_int_equal(ev.version, 1);
		assert_int_equal(ev.body_len, 7);
		assert_memory_equal(ev.body, "{\"a\":1}", 7);
	}
}

static void takes_what_is_to_come(void **state)
{
	static const char frame[] = "system/0 brand_new 1 v2\n{}";
	struct event ev;
	struct err e;

	(void)state;
	assert_int_equal(event_decode(frame, sizeof(frame) - 1, &ev, &e), 0);
	assert_int_equal(ev.kind, EVENT_UNKNOWN);
	assert_string_equal(ev.word, "brand_new");
	assert_int_equal(ev.version, 2);
}

static void refuses_malformed_frames(void **state)
{
	static const char *const bad[] = {
		"",
		"\n",
		"agent/7 output 1 v1",
		"agent/7 output 1 v1\n",
		"agent/7 output 1 v1\n{",
		"agent/7 output 1 v1\n[]",
		"agent/7 output 1 v1\n{}\n",
		"agent/7 output 1 v1\n {}",
		"agent/0 output 1 v1\n{}",
		"agent/-1 output 1 v1\n{}",
		"agent/07 output 1 v1\n{}",
		"agent/ output 1 v1\n{}",
		"agent output 1 v1\n{}",
		"system/1 config 1 v1\n{}",
		"stranger/1 output 1 v1\n{}",
		"Agent/7 output 1 v1\n{}",
		"agent/7  output 1 v1\n{}",
		"agent/7 output 0 v1\n{}",
		"agent/7 output x v1\n{}",
		"agent/7 output 1 v0\n{}",
		"agent/7 output 1 v\n{}",
		"agent/7 output 1 1\n{}",
		"agent/7 output 1 v1 \n{}",
		"agent/7 output 1 v1\r\n{}",
		"agent/7 out-put 1 v1\n{}",
		"agent/7 output 9223372036854775808 v1\n{}",
		"agent/7 output 1 v99999999999\n{}",
		"agent/7 abcdefghijklmnopqrstuvwxyzabcdefghi 1 v1\n{}",
		"agent/7 output 1 v1\n{\"a\":\"\xff\"}",
	};
	struct event ev;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (event_decode(bad[i], strlen(bad[i]), &ev, &e) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.kind, ERR_PROTOCOL);
		assert_true(e.text[0]);
	}
}

static void bounds_the_body(void **state)
{
	size_t n = EVENT_HEADER_MAX + EVENT_BODY_MAX + 1;
	char *frame = malloc(n);
	struct event ev;
	struct err e;
	size_t head = event_header("agent", 1, EVENT_DIFF, 1, frame);

	(void)state;
	memset(frame + head, ' ', n - head);
	frame[head] = '{';
	frame[head + EVENT_BODY_MAX - 1] = '}';
	assert_int_equal(event_decode(frame, head + EVENT_BODY_MAX, &ev, &e), 0);
	frame[head + EVENT_BODY_MAX - 1] = ' ';
	frame[head + EVENT_BODY_MAX] = '}';
	assert_int_equal(event_decode(frame, head + EVENT_BODY_MAX + 1, &ev, &e), -1);
	free(frame);
}

static void knows_its_kinds(void **state)
{
	(void)state;
	assert_true(event_kind_durable(EVENT_STATE));
	assert_false(event_kind_durable(EVENT_OUTPUT));
	assert_true(event_kind_projected(EVENT_USAGE));
	assert_false(event_kind_projected(EVENT_MESSAGE));
	assert_false(event_kind_durable(EVENT_UNKNOWN));
	assert_int_equal(event_kind_parse("turn", 4), EVENT_TURN);
	assert_int_equal(event_kind_parse("turns", 4), EVENT_TURN);
	assert_int_equal(event_kind_parse("tur", 3), EVENT_UNKNOWN);
	assert_string_equal(event_kind_word(EVENT_UNKNOWN), "unknown");
}

static void the_lower_version_is_spoken(void **state)
{
	(void)state;
	assert_int_equal(event_version_common(1, 1), 1);
	assert_int_equal(event_version_common(1, 7), 1); /* newer, understands us */
	assert_int_equal(event_version_common(2, 7), 0); /* newer, does not */
	assert_int_equal(event_version_common(1, 0), 0); /* older than we understand */
}

static void another_version_changes_the_header_alone(void **state)
{
	static const char frame[] = "agent/7 output 1042 v1\n{\"seq\":1042}";
	char head[EVENT_HEADER_MAX];
	size_t rest, n = event_restamp(frame, strlen(frame), 23, head, &rest);

	(void)state;
	assert_int_equal(n, strlen("agent/7 output 1042 v23\n"));
	assert_memory_equal(head, "agent/7 output 1042 v23\n", n);
	assert_string_equal(frame + strlen(frame) - rest, "{\"seq\":1042}");
	assert_int_equal(event_restamp("no frame", 8, 2, head, &rest), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_the_documented_line),
		cmocka_unit_test(goes_there_and_back),
		cmocka_unit_test(takes_what_is_to_come),
		cmocka_unit_test(refuses_malformed_frames),
		cmocka_unit_test(bounds_the_body),
		cmocka_unit_test(knows_its_kinds),
		cmocka_unit_test(the_lower_version_is_spoken),
		cmocka_unit_test(another_version_changes_the_header_alone),
	};

	return cmocka_run_group_tests_name("event", tests, NULL, NULL);
}
