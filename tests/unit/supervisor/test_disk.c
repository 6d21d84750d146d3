/* When a disk is full, and the reserve. */
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

#include "supervisor/agent.h"
#include "supervisor/disk.h"

static void full_and_again_with_a_gap(void **state)
{
	(void)state;
	assert_false(disk_is_full(false, true, DISK_LOW_BYTES));
	assert_true(disk_is_full(false, true, DISK_LOW_BYTES - 1));
	/* The reserve that was given up is not room. */
	assert_true(disk_is_full(true, true, DISK_LOW_BYTES + DISK_RESERVE_BYTES));
	assert_false(disk_is_full(true, true, DISK_ROOM_BYTES + DISK_RESERVE_BYTES));
	assert_true(disk_is_full(true, false, DISK_LOW_BYTES));
	assert_false(disk_is_full(true, false, DISK_ROOM_BYTES));
}

static void the_reserve_takes_its_blocks(void **state)
{
	char folder[] = "/tmp/100x-disk-XXXXXX";
	struct stat st;
	struct disk d;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(folder));
	assert_int_equal(disk_open(&d, folder, &e), 0);
	assert_true(d.kept);
	assert_false(d.full);
	assert_int_equal(stat(d.reserve, &st), 0);
	assert_true(st.st_blocks * 512LL >= DISK_RESERVE_BYTES);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_false(disk_look(&d));
	assert_int_equal(disk_open(&d, folder, &e), 0); /* found, and kept */
	assert_true(d.kept);
	unlink(d.reserve);
	rmdir(folder);
}

static void an_end_on_a_full_disk_is_no_crash(void **state)
{
	struct agent_input exited = {.event = AGENT_EXITED, .code = 111, .no_room = true};
	struct agent_input time_up = {.event = AGENT_TIME};
	struct agent_todo t;
	struct agent a;
	int64_t now = 0;

	(void)state;
	agent_load(&a, &(struct agent_found){.state = AGENT_WORKING, .alive = true}, now);
	for (int i = 0; i < 20; i++) {
		exited.code = i % 2 ? -7 : 111;
		t = agent_step(&a, &exited, now);
		assert_int_equal(t.what, i ? 0 : AGENT_DO_STATE);
		assert_int_equal(a.state, AGENT_PAUSED);
		now += AGENT_ROOM_MS;
		assert_int_equal(agent_step(&a, &time_up, now).what, AGENT_DO_SPAWN);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(full_and_again_with_a_gap),
		cmocka_unit_test(the_reserve_takes_its_blocks),
		cmocka_unit_test(an_end_on_a_full_disk_is_no_crash),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
