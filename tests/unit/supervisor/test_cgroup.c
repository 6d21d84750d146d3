/* What is written into an agent's control group; the kernel's part is in kill.test.mjs. */
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

#include "shared/cleanup.h"
#include "shared/log.h"
#include "supervisor/cgroup.h"

struct place {
	struct cgroup c;
	char group[160], max[192], procs[192];
};

static void write_file(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
}

static void expect_file(const char *path, const char *want)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	char text[64] = "";

	assert_true(read(fd, text, sizeof(text) - 1) >= 0);
	assert_string_equal(text, want);
}

static int place_make(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->c.folder, "/tmp/cgroup-test-XXXXXX");
	assert_non_null(mkdtemp(p->c.folder));
	p->c.instance = 1;
	p->c.bounds = true;
	snprintf(p->group, sizeof(p->group), "%.64s/100x-0000000000000001-7", p->c.folder);
	snprintf(p->max, sizeof(p->max), "%s/pids.max", p->group);
	snprintf(p->procs, sizeof(p->procs), "%s/cgroup.procs", p->group);
	assert_int_equal(mkdir(p->group, 0700), 0);
	write_file(p->procs, "");
	*state = p;
	return 0;
}

static int place_remove(void **state)
{
	struct place *p = *state;

	unlink(p->max);
	unlink(p->procs);
	assert_int_equal(rmdir(p->group), 0);
	assert_int_equal(rmdir(p->c.folder), 0);
	free(p);
	return 0;
}

static void the_number_is_bounded(void **state)
{
	struct place *p = *state;

	write_file(p->max, "");
	cgroup_add(&p->c, 7, 123, 2048);
	expect_file(p->max, "2048");
	expect_file(p->procs, "123");
}

static void by_0_it_is_not_any_more(void **state)
{
	struct place *p = *state;

	write_file(p->max, "");
	cgroup_add(&p->c, 7, 123, 0);
	expect_file(p->max, "max");
}

static void where_it_cannot_be_the_worker_is_started_all_the_same(void **state)
{
	struct place *p = *state;

	cgroup_add(&p->c, 7, 123, 2048); /* no such file */
	expect_file(p->procs, "123");
	assert_int_equal(access(p->max, F_OK), -1);
	write_file(p->max, "");
	p->c.bounds = false;
	cgroup_add(&p->c, 7, 123, 2048);
	expect_file(p->max, "");
}

int main(void)
{
#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		WITH_PLACE(the_number_is_bounded),
		WITH_PLACE(by_0_it_is_not_any_more),
		WITH_PLACE(where_it_cannot_be_the_worker_is_started_all_the_same),
	};

	setenv("HUNDREDX_LOG", "error", 1);
	log_init("test");
	return cmocka_run_group_tests_name("cgroup", tests, NULL, NULL);
}
