/* Which start of the machine a file was written in. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/boot.h"

struct place {
	char dir[64], file[80];
};

static int make(void **state)
{
	static struct place p;

	strcpy(p.dir, "/tmp/100x-boot-XXXXXX");
	assert_non_null(mkdtemp(p.dir));
	snprintf(p.file, sizeof p.file, "%s/boot", p.dir);
	*state = &p;
	return 0;
}

static int drop(void **state)
{
	struct place *p = *state;

	if (unlink(p->file) < 0)
		rmdir(p->file);
	return rmdir(p->dir);
}

static void write_text(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void remembers_this_start(void **state)
{
	struct place *p = *state;
	char id[BOOT_ID_MAX];
	struct err e;

	boot_id(id);
	assert_int_equal(strlen(id), 36);
	assert_false(boot_again(p->file)); /* nothing is known of an earlier one */
	assert_int_equal(boot_remember(p->file, &e), 0);
	assert_false(boot_again(p->file));
	write_text(p->file, "00000000-0000-4000-8000-000000000000\n");
	assert_true(boot_again(p->file));
	assert_int_equal(boot_remember(p->file, &e), 0);
	assert_false(boot_again(p->file));
	write_text(p->file, ""); /* written, and lost again */
	assert_true(boot_again(p->file));
}

static void what_tells_nothing_counts_as_another_start(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(mkfifo(p->file, 0600), 0);
	assert_true(boot_again(p->file)); /* and nobody waits for who may write */
	assert_int_equal(boot_remember(p->file, &e), -1);
	assert_int_equal(unlink(p->file), 0);
	assert_int_equal(mkdir(p->file, 0700), 0);
	assert_true(boot_again(p->file));
	assert_int_equal(boot_remember(p->file, &e), -1);
	assert_non_null(strstr(e.text, p->file));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(remembers_this_start, make, drop),
		cmocka_unit_test_setup_teardown(
			what_tells_nothing_counts_as_another_start, make, drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
