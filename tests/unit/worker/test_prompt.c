/* What the Agent model sees: bounded, its beginning the same from turn to turn. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/buf.h"
#include "shared/json.h"
#include "worker/prompt.h"

static const struct prompt_task TASK = {.agent = 7,
	.title = "Fix the parser",
	.description = "It drops the last line.",
	.base = "main",
	.branch = "agent-7",
	.test_command = "make check",
	.instructions = "Speak Finnish."};

static char *view_of(const struct prompt_log *log)
{
	struct buf b;

	buf_init(&b, 0);
	prompt_log_view(log, &b);
	return buf_take(&b, NULL);
}

static void a_short_log_is_whole(void **state)
{
	struct prompt_log *log = calloc(1, sizeof *log);
	char *view;

	(void)state;
	assert_non_null(log);
	prompt_log_reset(log);
	prompt_log_add(log, "one\n", 4);
	prompt_log_add(log, "two\n", 4);
	view = view_of(log);
	assert_string_equal(view, "one\ntwo\n");
	free(view);
	/* Past the head, but nothing is lost yet. */
	for (int i = 0; i < 1000; i++)
		prompt_log_add(log, "12345678\n", 9);
	view = view_of(log);
	assert_int_equal(strlen(view), 8 + 9000);
	free(view);
	free(log);
}

static void a_long_log_keeps_head_errors_tail(void **state)
{
	struct prompt_log *log = calloc(1, sizeof *log);
	char line[64];
	char *view;

	(void)state;
	assert_non_null(log);
	prompt_log_reset(log);
	for (int i = 0; i < 100000; i++) {
		int n = snprintf(line, sizeof line,
			i == 50000 ? "TypeError in line %d\n" : "all is well in line %d\n", i);

		prompt_log_add(log, line, (size_t)n);
	}
	view = view_of(log);
	assert_non_null(strstr(view, "well in line 0\n"));
	assert_non_null(strstr(view, "TypeError in line 50000\n"));
	assert_non_null(strstr(view, "well in line 99999\n"));
	assert_non_null(strstr(view, "bytes left out"));
	assert_true(
		strlen(view) <= PROMPT_HEAD_BYTES + PROMPT_ERROR_BYTES + PROMPT_TAIL_BYTES + 200);
	free(view);
	free(log);
}

static void hostile_bytes_stay_text(void **state)
{
	struct prompt_log *log = calloc(1, sizeof *log);
	char block[4096];
	char *view;

	(void)state;
	assert_non_null(log);
	prompt_log_reset(log);
	for (size_t i = 0; i < sizeof block; i++)
		block[i] = (char)(i * 37);
	for (int i = 0; i < 5000; i++)
		prompt_log_add(log, block, sizeof block - (size_t)(i % 3));
	view = view_of(log);
	assert_true(utf8_valid(view, strlen(view)));
	free(view);
	free(log);
}

static void a_question_is_bounded(void **state)
{
	struct prompt_log *log = calloc(1, sizeof *log);
	size_t big = 1 << 20;
	char *huge = malloc(big), *question;
	struct prompt_view view = {.history = huge,
		.log = log,
		.turn = 3,
		.prompt = huge,
		.stop_reason = "end_turn",
		.note = huge,
		.messages = huge};

	(void)state;
	assert_non_null(log);
	assert_non_null(huge);
	for (size_t i = 0; i < big; i++)
		huge[i] = i % 80 == 79 ? '\n' : 'e';
	huge[big - 1] = '\0';
	prompt_log_reset(log);
	for (int i = 0; i < 8; i++)
		prompt_log_add(log, huge, big - 1);
	question = prompt_question(&view);
	/* Log and history within the budget; prompt, note and messages have their own. */
	assert_true(strlen(question) <= PROMPT_LOG_TOKENS * PROMPT_CHARS_PER_TOKEN + 2000 +
						PROMPT_NOTE_BYTES + PROMPT_MESSAGES_BYTES + 1000);
	view.note = view.messages = NULL;
	free(question);
	question = prompt_question(&view);
	assert_true(strlen(question) <= PROMPT_LOG_TOKENS * PROMPT_CHARS_PER_TOKEN + 3000);
	free(question);
	free(huge);
	free(log);
}

static void the_beginning_stays_the_same(void **state)
{
	char *first = prompt_system(&TASK), *second = prompt_system(&TASK);
	char history[4096] = "", *before = NULL;

	(void)state;
	assert_string_equal(first, second);
	assert_non_null(strstr(first, "Fix the parser"));
	assert_non_null(strstr(first, "make check"));
	assert_non_null(strstr(first, "Speak Finnish."));
	for (int64_t turn = 1; turn <= 20; turn++) {
		struct prompt_view view = {.history = history};
		char *question,
			*line = prompt_history_line(turn, "/instruct go", "end_turn", "more");

		snprintf(history + strlen(history), sizeof history - strlen(history), "%s", line);
		question = prompt_question(&view);
		/* All of the history that was there begins the next question too. */
		if (before)
			assert_memory_equal(question, before,
				strlen("Earlier turns:\n") + strlen(history) - strlen(line));
		free(before);
		before = question;
		free(line);
	}
	free(before);
	free(first);
	free(second);
}

static void history_lines_are_short_and_single(void **state)
{
	char long_text[2000];
	char *line;

	(void)state;
	memset(long_text, 'a', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	long_text[5] = '\n';
	line = prompt_history_line(12, long_text, "cancelled", long_text);
	assert_true(strlen(line) < 400);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_non_null(strstr(line, "(cancelled)"));
	free(line);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_short_log_is_whole),
		cmocka_unit_test(a_long_log_keeps_head_errors_tail),
		cmocka_unit_test(hostile_bytes_stay_text),
		cmocka_unit_test(a_question_is_bounded),
		cmocka_unit_test(the_beginning_stays_the_same),
		cmocka_unit_test(history_lines_are_short_and_single),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
