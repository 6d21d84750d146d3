/* Lines on stderr: format, escapes, secrets. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/log.h"

static int saved;
static int lines[2];

static void capture(void)
{
	assert_int_equal(pipe(lines), 0);
	saved = dup(STDERR_FILENO);
	dup2(lines[1], STDERR_FILENO);
}

/* What was written since capture(). */
static void captured(char *out, size_t cap)
{
	ssize_t n;

	dup2(saved, STDERR_FILENO);
	close(saved);
	close(lines[1]);
	n = read(lines[0], out, cap - 1);
	out[n > 0 ? n : 0] = '\0';
	close(lines[0]);
}

static void writes_one_line(void **state)
{
	char text[4096];
	int year;
	char level[16];
	char program[32];
	int pid;

	(void)state;
	log_init("worker");
	capture();
	log_warn("aider exited code=%d", 1);
	log_debug("not shown at the default level");
	captured(text, sizeof(text));
	assert_int_equal(sscanf(text, "%4d-%*2d-%*2dT%*2d:%*2d:%*2d.%*3dZ %15s %31[a-z][%d] ",
				 &year, level, program, &pid),
		4);
	assert_string_equal(level, "warn");
	assert_string_equal(program, "worker");
	assert_int_equal(pid, getpid());
	assert_non_null(strstr(text, "] aider exited code=1\n"));
	assert_null(strstr(text, "not shown"));
}

static void escapes_foreign_bytes(void **state)
{
	char text[4096];

	(void)state;
	capture();
	log_info("%s", "a\nb\x1b[31m \xff é \xc2\x9b"
		       "end");
	captured(text, sizeof(text));
	assert_non_null(strstr(text, "a\\x0ab\\x1b[31m \\xff é \\xc2\\x9bend\n"));
}

static void hides_secrets(void **state)
{
	char text[8192];
	char body[] = "key=sk-first-secret and sk-first-secret-longer.";
	char overlap[] = "<abcdefghijklmnop>";
	char longer[6000];

	(void)state;
	log_secret("sk-first-secret");
	log_secret("sk-first-secret-longer");
	log_secret("abcdefghijkl");
	log_secret("efghijklmnop");
	log_secret("short");
	log_secret(NULL);
	capture();
	log_error("key sk-first-secret-longer is refused, sk-first-secret too, short stays");
	captured(text, sizeof(text));
	assert_null(strstr(text, "sk-first"));
	assert_null(strstr(text, "longer"));
	assert_non_null(strstr(text, "key [secret] is refused, [secret] too, short stays"));

	log_redact(body);
	assert_string_equal(body, "key=*************** and **********************.");
	log_redact(overlap);
	assert_string_equal(overlap, "<****************>");

	/* A secret on the border where a long line is cut must not show its half. */
	for (size_t at = 4060; at < 4110; at++) {
		memset(longer, 'x', sizeof(longer) - 1);
		longer[sizeof(longer) - 1] = '\0';
		memcpy(longer + at, "sk-first-secret", 15);
		capture();
		log_error("%s", longer);
		captured(text, sizeof(text));
		assert_null(strstr(text, "sk-"));
	}
}

static void keeps_a_bounded_number(void **state)
{
	char text[64];

	(void)state;
	for (int i = 0; i < 2 * LOG_MAX_SECRETS; i++) {
		snprintf(text, sizeof(text), "number-%06d", i);
		log_secret(text);
	}
	snprintf(text, sizeof(text), "number-%06d", 2 * LOG_MAX_SECRETS - 1);
	log_redact(text);
	assert_string_equal(text, "number-000127");
}

static long size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? (long)st.st_size : -1;
}

static void begins_afresh(void **state)
{
	char folder[] = "/tmp/100x-log-XXXXXX", path[64], old[64], other[64];
	int before = dup(STDERR_FILENO), fd;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/a.log", folder);
	snprintf(old, sizeof(old), "%s/a.log.1", folder);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND, 0600);
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_limit("/tmp/100x-no-such-folder", 4000);
	for (int i = 0; i < 200; i++)
		log_info("line %d of many that tell the same", i);
	assert_true(size_of(path) > 8000); /* not of ours: left alone */
	log_limit(folder, 4000);
	for (int i = 0; i < 1000; i++)
		log_info("line %d of many that tell the same", i);
	log_limit("", 0);
	dup2(before, STDERR_FILENO);
	close(before);
	assert_in_range(size_of(path), 0, 8000);
	assert_in_range(size_of(old), 4000, 8000);
	snprintf(other, sizeof(other), "%s/a.log.1.1", folder);
	assert_int_equal(size_of(other), -1);
	unlink(path);
	unlink(old);
	assert_int_equal(rmdir(folder), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(writes_one_line),
		cmocka_unit_test(escapes_foreign_bytes),
		cmocka_unit_test(hides_secrets),
		cmocka_unit_test(keeps_a_bounded_number),
		cmocka_unit_test(begins_afresh),
	};

	unsetenv("HUNDREDX_LOG");
	return cmocka_run_group_tests_name("log", tests, NULL, NULL);
}
