/* Copies of the store: made while it is written, checked, put in place of a damaged one. */
#include <pthread.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "supervisor/backup.h"
#include "supervisor/store.h"
#include "supervisor/store_backup.h"

static char folder[64], path[80], made[PATHS_MAX];
static atomic_bool enough;

static int make(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/100x-backup-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/tasks.db", folder);
	return 0;
}

static int tear(void **state)
{
	char command[128];

	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return system(command);
}

static int64_t add_event(struct store *s)
{
	int64_t id;
	struct err e;

	assert_int_equal(store_begin(s, false, &e), 0);
	assert_int_equal(store_event_add(s, "system", 0, 0, "config", 1, "{}", 2, &id, &e), 0);
	assert_int_equal(store_commit(s, &e), 0);
	return id;
}

static int copies(void)
{
	char command[128], text[16] = "";
	FILE *f;

	snprintf(command, sizeof command, "ls %s/backups | grep -c '^tasks-'", folder);
	f = popen(command, "r");
	assert_non_null(f);
	assert_non_null(fgets(text, sizeof text, f));
	pclose(f);
	return (int)strtol(text, NULL, 10);
}

static void damage(void)
{
	FILE *f = fopen(path, "r+");

	assert_non_null(f);
	assert_int_equal(fseek(f, 1024, SEEK_SET), 0);
	for (int i = 0; i < 8192; i++)
		fputc('x', f);
	fclose(f);
}

static void a_copy_is_made_beside_an_open_store(void **state)
{
	struct err e = {0};
	struct store *s = store_open(path, &e);
	char copy[PATHS_MAX];
	struct stat st;

	(void)state;
	assert_non_null(s);
	add_event(s);
	if (store_backup(path, made, &e) < 0)
		fail_msg("%s", e.text);
	add_event(s);
	store_close(s);
	assert_int_equal(store_backup_newest(path, copy, &e), 0);
	assert_int_equal(stat(copy, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	s = store_open(copy, &e);
	assert_non_null(s);
	assert_int_equal(store_last_event(s), 1);
	store_close(s);
}

#define BIG_EVENTS 60 /* of half a megabyte */

static void *write_on(void *arg)
{
	struct store *s = arg;

	while (!atomic_load(&enough)) {
		add_event(s);
		usleep(500);
	}
	return NULL;
}

static void a_copy_comes_to_an_end_while_all_is_written(void **state)
{
	struct err e = {0};
	struct store *s = store_open(path, &e), *copy;
	char *big = malloc(500001);
	pthread_t writer;
	int64_t id, before;

	(void)state;
	assert_non_null(s);
	assert_non_null(big);
	memset(big, 'x', 500000);
	for (int i = 0; i < BIG_EVENTS; i++) {
		assert_int_equal(store_begin(s, false, &e), 0);
		assert_int_equal(
			store_event_add(s, "system", 0, 0, "config", 1, big, 500000, &id, &e), 0);
		assert_int_equal(store_commit(s, &e), 0);
	}
	before = add_event(s);
	store_checkpoint(s);
	atomic_store(&enough, false);
	assert_int_equal(pthread_create(&writer, NULL, write_on, s), 0);
	alarm(60);
	assert_int_equal(store_backup(path, made, &e), 0);
	alarm(0);
	atomic_store(&enough, true);
	pthread_join(writer, NULL);
	copy = store_open(made, &e);
	assert_non_null(copy);
	assert_true(store_last_event(copy) >= before);
	store_close(copy);
	store_close(s);
	free(big);
}

static void only_the_newest_copies_are_kept(void **state)
{
	struct err e;
	struct store *s = store_open(path, &e);

	(void)state;
	store_close(s);
	for (int i = 0; i < STORE_BACKUPS_KEPT + 3; i++) {
		assert_int_equal(store_backup(path, made, &e), 0);
	}
	assert_int_equal(copies(), STORE_BACKUPS_KEPT);
}

/* The clock was years ahead when a copy was made: those after it are newer all the same. */
static void the_newest_is_the_last_made_whatever_the_clock(void **state)
{
	char ahead[PATHS_MAX], copies_in[PATHS_MAX], copy[PATHS_MAX];
	struct err e;
	struct store *s = store_open(path, &e);

	(void)state;
	assert_int_equal(store_backup(path, made, &e), 0);
	snprintf(ahead, sizeof ahead, "%.900s/tasks-4102444800000.db",
		store_backup_folder(path, copies_in));
	assert_int_equal(rename(made, ahead), 0);
	for (int i = 0; i < STORE_BACKUPS_KEPT; i++) {
		add_event(s);
		assert_int_equal(store_backup(path, made, &e), 0);
	}
	assert_int_equal(access(ahead, F_OK), -1);
	assert_int_equal(copies(), STORE_BACKUPS_KEPT);
	assert_int_equal(store_backup_newest(path, copy, &e), 0);
	assert_string_equal(copy, made);
	store_close(s);
}

static void a_damaged_store_is_refused_and_the_copy_offered(void **state)
{
	char kept[PATHS_MAX], copy[PATHS_MAX];
	struct err e;
	struct store *s = store_open(path, &e);

	(void)state;
	for (int i = 0; i < 200; i++)
		add_event(s);
	store_close(s);
	assert_int_equal(backup_check(path, &e), 0);
	assert_int_equal(store_backup(path, made, &e), 0);
	damage();
	assert_int_equal(backup_check(path, &e), -1);
	assert_int_equal(store_backup_newest(path, copy, NULL), 0);
	assert_non_null(strstr(e.text, "damaged"));
	assert_non_null(strstr(e.text, copy));
	assert_non_null(strstr(e.text, "--restore-backup"));

	assert_int_equal(store_backup_restore(path, kept, &e), 0);
	assert_int_equal(access(kept, F_OK), 0);
	assert_int_equal(backup_check(path, &e), 0);
	s = store_open(path, &e);
	assert_non_null(s);
	assert_int_equal(store_last_event(s), 200);
	assert_true(add_event(s) > 1000000);
	store_close(s);
}

static void without_a_good_copy_nothing_is_changed(void **state)
{
	char kept[PATHS_MAX];
	struct err e;
	struct store *s = store_open(path, &e);

	(void)state;
	for (int i = 0; i < 200; i++)
		add_event(s);
	store_close(s);
	damage();
	assert_int_equal(store_backup_restore(path, kept, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_int_equal(access(path, F_OK), 0);
	assert_int_equal(backup_check(path, &e), -1);
	assert_non_null(strstr(e.text, "no good copy"));
}

static void a_copy_that_was_never_finished_is_no_copy(void **state)
{
	char part[128], copy[PATHS_MAX];
	struct err e;
	struct store *s = store_open(path, &e);
	FILE *f;

	(void)state;
	store_close(s);
	snprintf(part, sizeof part, "%s/backups", folder);
	mkdir(part, 0700);
	snprintf(part, sizeof part, "%s/backups/unfinished", folder);
	f = fopen(part, "w");
	assert_non_null(f);
	fputs("half", f);
	fclose(f);
	assert_int_equal(store_backup_newest(path, copy, &e), -1);
	assert_int_equal(store_backup(path, made, &e), 0);
	assert_int_equal(store_backup_newest(path, copy, &e), 0);
	assert_int_equal(access(part, F_OK), -1);
}

/* --- copies that cannot be made --- */

static void fill(int events)
{
	struct store *s = store_open(path, NULL);

	assert_non_null(s);
	for (int i = 0; i < events; i++)
		add_event(s);
	store_close(s);
}

static bool there(const char *name)
{
	char file[128];

	snprintf(file, sizeof file, "%s/%s", folder, name);
	return access(file, F_OK) == 0;
}

static void no_file_beyond(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

static void where_no_folder_can_be_the_copy_says_so(void **state)
{
	char name[128];
	struct err e;
	FILE *f;

	(void)state;
	fill(1);
	snprintf(name, sizeof name, "%s/backups", folder);
	f = fopen(name, "w");
	assert_non_null(f);
	fclose(f);
	assert_int_equal(store_backup(path, made, &e), -1);
	assert_non_null(strstr(e.text, name));
	assert_int_equal(store_backup_newest(path, made, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
}

static void a_folder_in_the_copys_place_is_told(void **state)
{
	char name[128];
	struct err e;

	(void)state;
	fill(1);
	assert_int_equal(store_backup(path, made, &e), 0);
	snprintf(name, sizeof name, "%s/backups/unfinished", folder);
	assert_int_equal(mkdir(name, 0700), 0);
	assert_int_equal(store_backup(path, made, &e), -1);
	assert_non_null(strstr(e.text, name));
	assert_int_equal(copies(), 1);
}

static void without_a_store_there_is_no_copy(void **state)
{
	struct err e;

	(void)state;
	assert_int_equal(store_backup(path, made, &e), -1);
	assert_non_null(strstr(e.text, path));
	assert_false(there("backups/unfinished"));
	assert_false(there("tasks.db"));
}

static void too_long_a_path_is_told(void **state)
{
	char longest[PATHS_MAX];
	struct err e;

	(void)state;
	memset(longest, 'x', sizeof longest);
	longest[0] = '/';
	memcpy(longest + sizeof longest - 10, "/tasks.db", 10);
	assert_int_equal(store_backup(longest, made, &e), -1);
	assert_int_equal(store_backup_restore(longest, made, &e), -1);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_non_null(strstr(e.text, "too long"));
}

/* The disk takes only a part of the copy: none is left half, the one before stays. */
static void a_full_disk_leaves_the_copies_there_are(void **state)
{
	char before[PATHS_MAX], newest[PATHS_MAX];
	struct err e;

	(void)state;
	fill(200);
	assert_int_equal(store_backup(path, before, &e), 0);
	no_file_beyond(8192);
	assert_int_equal(store_backup(path, made, &e), -1);
	no_file_beyond(RLIM_INFINITY);
	assert_int_equal(e.kind, ERR_SYS);
	assert_non_null(strstr(e.text, "backups/unfinished"));
	assert_false(there("backups/unfinished"));
	assert_int_equal(copies(), 1);
	assert_int_equal(store_backup_newest(path, newest, &e), 0);
	assert_string_equal(newest, before);
}

/* Else the good copies were pushed out one by one, before anyone noticed. */
static void a_damaged_store_is_not_copied(void **state)
{
	char before[PATHS_MAX], newest[PATHS_MAX];
	struct err e;

	(void)state;
	fill(200);
	assert_int_equal(store_backup(path, before, &e), 0);
	damage();
	for (int i = 0; i < STORE_BACKUPS_KEPT; i++) {
		assert_int_equal(store_backup(path, made, &e), -1);
		assert_non_null(strstr(e.text, path));
		assert_non_null(strstr(e.text, "damaged"));
	}
	assert_false(there("backups/unfinished"));
	assert_int_equal(copies(), 1);
	assert_int_equal(store_backup_newest(path, newest, &e), 0);
	assert_string_equal(newest, before);
}

static void a_full_disk_leaves_the_damaged_store_in_its_place(void **state)
{
	char kept[PATHS_MAX] = "";
	struct stat before, after;
	struct err e;

	(void)state;
	fill(200);
	assert_int_equal(store_backup(path, made, &e), 0);
	damage();
	assert_int_equal(stat(path, &before), 0);
	no_file_beyond(8192);
	assert_int_equal(store_backup_restore(path, kept, &e), -1);
	no_file_beyond(RLIM_INFINITY);
	assert_int_equal(e.kind, ERR_SYS);
	assert_non_null(strstr(e.text, "File too large"));
	assert_false(there("backups/restoring"));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(after.st_ino, before.st_ino);
	assert_int_equal(after.st_size, before.st_size);

	/* With room it goes. */
	assert_int_equal(store_backup_restore(path, kept, &e), 0);
	assert_int_equal(backup_check(path, &e), 0);
	assert_int_equal(access(kept, F_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(a_copy_is_made_beside_an_open_store, make, tear),
		cmocka_unit_test_setup_teardown(
			a_copy_comes_to_an_end_while_all_is_written, make, tear),
		cmocka_unit_test_setup_teardown(only_the_newest_copies_are_kept, make, tear),
		cmocka_unit_test_setup_teardown(
			the_newest_is_the_last_made_whatever_the_clock, make, tear),
		cmocka_unit_test_setup_teardown(
			a_damaged_store_is_refused_and_the_copy_offered, make, tear),
		cmocka_unit_test_setup_teardown(without_a_good_copy_nothing_is_changed, make, tear),
		cmocka_unit_test_setup_teardown(
			a_copy_that_was_never_finished_is_no_copy, make, tear),
		cmocka_unit_test_setup_teardown(
			where_no_folder_can_be_the_copy_says_so, make, tear),
		cmocka_unit_test_setup_teardown(a_folder_in_the_copys_place_is_told, make, tear),
		cmocka_unit_test_setup_teardown(without_a_store_there_is_no_copy, make, tear),
		cmocka_unit_test_setup_teardown(too_long_a_path_is_told, make, tear),
		cmocka_unit_test_setup_teardown(
			a_full_disk_leaves_the_copies_there_are, make, tear),
		cmocka_unit_test_setup_teardown(a_damaged_store_is_not_copied, make, tear),
		cmocka_unit_test_setup_teardown(
			a_full_disk_leaves_the_damaged_store_in_its_place, make, tear),
	};

	signal(SIGXFSZ, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
