/* Reading of .env files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/dotenv.h"
#include "shared/log.h"

static void reads_each_form(void **state)
{
	static const char text[] = "\xef\xbb\xbf# keys\n"
				   "PLAIN=value\r\n"
				   "  export SPACED = some value   # comment\n"
				   "SINGLE='a \\n $HOME # b'  # comment\n"
				   "DOUBLE=\"a\\n\\t\\\"\\\\\\$x \\q\"\n"
				   "HASH=a#b\n"
				   "EMPTY=\n"
				   "ONLY_COMMENT= # nothing\n"
				   "TWICE=1\n"
				   "TWICE=2\n"
				   "EQUALS=a=b=c\n"
				   "\n"
				   "not a line\n"
				   "1BAD=x\n"
				   "OPEN='x\n"
				   "BEHIND=\"x\" y\n"
				   "export\n"
				   "LAST=z";
	struct err e;
	struct dotenv *d = dotenv_parse(text, sizeof(text) - 1, &e);

	(void)state;
	assert_non_null(d);
	assert_string_equal(dotenv_get(d, "PLAIN"), "value");
	assert_string_equal(dotenv_get(d, "SPACED"), "some value");
	assert_string_equal(dotenv_get(d, "SINGLE"), "a \\n $HOME # b");
	assert_string_equal(dotenv_get(d, "DOUBLE"), "a\n\t\"\\$x \\q");
	assert_string_equal(dotenv_get(d, "HASH"), "a#b");
	assert_null(dotenv_get(d, "EMPTY"));
	assert_null(dotenv_get(d, "ONLY_COMMENT"));
	assert_string_equal(dotenv_get(d, "TWICE"), "2");
	assert_string_equal(dotenv_get(d, "EQUALS"), "a=b=c");
	assert_null(dotenv_get(d, "OPEN"));
	assert_null(dotenv_get(d, "BEHIND"));
	assert_null(dotenv_get(d, "1BAD"));
	assert_string_equal(dotenv_get(d, "LAST"), "z");
	assert_int_equal(dotenv_skipped(d), 5);
	dotenv_free(d);
}

static void the_environment_wins(void **state)
{
	struct err e;
	struct dotenv *d = dotenv_parse("HX_TEST_A=file\nHX_TEST_B=file", 29, &e);

	(void)state;
	setenv("HX_TEST_A", "environment", 1);
	setenv("HX_TEST_B", "", 1);
	assert_string_equal(dotenv_get(d, "HX_TEST_A"), "environment");
	assert_string_equal(dotenv_get(d, "HX_TEST_B"), "file");
	unsetenv("HX_TEST_A");
	unsetenv("HX_TEST_B");
	dotenv_free(d);
}

static void registers_secrets(void **state)
{
	char line[] = "tok-from-file tok-from-env open-value";
	struct err e;
	struct dotenv *d;

	(void)state;
	setenv("HX_TEST_SECRET", "tok-from-env", 1);
	d = dotenv_parse("A_TOKEN=tok-from-file\nA_NAME=open-value", 39, &e);
	assert_string_equal(dotenv_get(d, "HX_TEST_SECRET"), "tok-from-env");
	log_redact(line);
	assert_string_equal(line, "************* ************ open-value");
	unsetenv("HX_TEST_SECRET");
	dotenv_free(d);
}

static void refuses_what_is_no_text(void **state)
{
	_cleanup_free_ char *big = calloc(1, DOTENV_MAX_BYTES + 1);
	struct err e;

	(void)state;
	assert_null(dotenv_parse("A=1\0B=2", 7, &e));
	assert_int_equal(e.kind, ERR_INVALID);
	memset(big, '#', DOTENV_MAX_BYTES + 1);
	assert_null(dotenv_parse(big, DOTENV_MAX_BYTES + 1, &e));
	assert_int_equal(e.kind, ERR_LIMIT);
}

static void loads_files(void **state)
{
	char dir[] = "/tmp/dotenv-test-XXXXXX";
	char path[64];
	struct err e;
	struct dotenv *d;
	FILE *f;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/.env", dir);
	d = dotenv_load(path, &e);
	assert_non_null(d);
	assert_null(dotenv_get(d, "HX_TEST_NONE"));
	dotenv_free(d);
	f = fopen(path, "w");
	fputs("HX_TEST_NONE=1\n", f);
	fclose(f);
	d = dotenv_load(path, &e);
	assert_non_null(d);
	assert_string_equal(dotenv_get(d, "HX_TEST_NONE"), "1");
	dotenv_free(d);
	assert_null(dotenv_load(dir, &e));
	assert_non_null(strstr(e.text, dir));
	unlink(path);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_each_form),
		cmocka_unit_test(the_environment_wins),
		cmocka_unit_test(registers_secrets),
		cmocka_unit_test(refuses_what_is_no_text),
		cmocka_unit_test(loads_files),
	};

	return cmocka_run_group_tests_name("dotenv", tests, NULL, NULL);
}
