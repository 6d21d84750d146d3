/* Errors: kinds, texts, cuts at character borders. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/err.h"
#include "shared/json.h"

static void fills_kind_and_text(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(err_set(&e, ERR_LIMIT, "agent %d: full", 7), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_string_equal(e.text, "agent 7: full");
	assert_int_equal(err_wrap(&e, "task %d", 3), -1);
	assert_string_equal(e.text, "task 3: agent 7: full");
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_int_equal(err_set(NULL, ERR_LIMIT, "nobody listens"), -1);
	assert_int_equal(err_wrap(NULL, "nobody listens"), -1);
}

static void errno_chooses_the_kind(void **state)
{
	struct err e;

	(void)state;
	errno = ENOENT;
	err_errno(&e, "open %s", "/x");
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_string_equal(e.text, "open /x: No such file or directory");
	errno = EACCES;
	err_errno(&e, "open");
	assert_int_equal(e.kind, ERR_DENIED);
	errno = ENOSPC;
	err_errno(&e, "write");
	assert_int_equal(e.kind, ERR_SYS);
}

static void text_may_come_from_the_error_itself(void **state)
{
	struct err e;

	(void)state;
	err_set(&e, ERR_INVALID, "field");
	err_set(&e, ERR_INVALID, "%s is bad", e.text);
	assert_string_equal(e.text, "field is bad");
}

static void long_text_is_cut_between_characters(void **state)
{
	char text[3 * ERR_TEXT_BYTES];
	struct err e;

	(void)state;
	for (size_t shift = 0; shift < 4; shift++) {
		size_t n = shift;

		memset(text, 'a', shift);
		while (n + 4 < sizeof(text)) {
			memcpy(text + n, "\xf0\x9f\x98\x80", 4);
			n += 4;
		}
		text[n] = '\0';
		err_set(&e, ERR_INVALID, "%s", text);
		assert_true(strlen(e.text) >= ERR_TEXT_BYTES - 4);
		assert_true(utf8_valid(e.text, strlen(e.text)));
		err_wrap(&e, "é%zu", shift);
		assert_true(utf8_valid(e.text, strlen(e.text)));
	}
}

static void words_go_there_and_back(void **state)
{
	(void)state;
	for (int kind = ERR_NONE; kind <= ERR_INTERNAL; kind++)
		assert_int_equal(err_kind_parse(err_kind_name((enum err_kind)kind)), kind);
	assert_int_equal(err_kind_parse("nonsense"), ERR_INTERNAL);
	assert_int_equal(err_kind_parse(NULL), ERR_INTERNAL);
	assert_string_equal(err_kind_name((enum err_kind)99), "internal");
}

static void exhausted_memory_is_told_and_temporary(void **state)
{
	char text[512] = "";
	int ends[2], status;
	pid_t child;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	child = fork();
	if (child == 0) {
		dup2(ends[1], STDERR_FILENO);
		err_out_of_memory();
	}
	close(ends[1]);
	assert_true(read(ends[0], text, sizeof(text) - 1) > 0);
	close(ends[0]);
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), ERR_MEMORY_EXIT);
	assert_ptr_equal(strstr(text, "out of memory"), text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(fills_kind_and_text),
		cmocka_unit_test(errno_chooses_the_kind),
		cmocka_unit_test(text_may_come_from_the_error_itself),
		cmocka_unit_test(long_text_is_cut_between_characters),
		cmocka_unit_test(words_go_there_and_back),
		cmocka_unit_test(exhausted_memory_is_told_and_temporary),
	};

	return cmocka_run_group_tests_name("err", tests, NULL, NULL);
}
