/* The small nouns at the edge: lock, last line of a log, fleet, outbox. */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/json.h"
#include "supervisor/fleet.h"
#include "supervisor/launcher.h"
#include "supervisor/lock.h"
#include "supervisor/outbox.h"
#include "supervisor/tx.h"

static void folder(char out[64])
{
	snprintf(out, 64, "/tmp/100x-edges-XXXXXX");
	assert_non_null(mkdtemp(out));
}

static void drop(const char *folder, const char *leaf)
{
	char path[PATHS_MAX];

	snprintf(path, sizeof(path), "%s/%s", folder, leaf);
	remove(path);
}

/* Another process: takes the lock, forks, tells our end of the pipe, and is killed. What it
 * has forked lives on, with all its descriptors, as a child does that has not done its exec. */
static void hold_and_die(const struct paths *p, bool die)
{
	int told[2], stays[2];
	struct err e;
	pid_t pid;
	char byte;

	assert_int_equal(pipe2(told, O_CLOEXEC), 0);
	assert_int_equal(pipe2(stays, O_CLOEXEC), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		close(stays[1]);
		if (lock_take(p, &e) < 0)
			_exit(1);
		if (die && fork() == 0) {
			byte = (char)read(stays[0], &byte, 1); /* until the test is over */
			_exit(0);
		}
		byte = (char)write(told[1], "x", 1);
		pause();
		_exit(0);
	}
	close(stays[0]);
	close(told[1]);
	assert_int_equal(read(told[0], &byte, 1), 1);
	close(told[0]);
	if (!die) {
		char text[32];

		assert_int_equal(lock_take(p, &e), -1);
		assert_int_equal(e.kind, ERR_CONFLICT);
		snprintf(text, sizeof(text), "pid %d", (int)pid);
		assert_non_null(strstr(e.text, text));
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	if (die && lock_take(p, &e) < 0)
		fail_msg("%s", e.text);
	close(stays[1]);
}

static void test_lock(void **state)
{
	char a[64], b[64];
	struct paths p, other;
	struct err e;

	(void)state;
	folder(a);
	folder(b);
	assert_int_equal(paths_init(&p, a, a, &e), 0);
	assert_int_equal(lock_take(&p, &e), -1);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_non_null(strstr(e.text, "--run-dir"));
	assert_int_equal(paths_init(&p, a, b, &e), 0);
	hold_and_die(&p, false);
	hold_and_die(&p, true);
	assert_int_equal(paths_init(&other, "/proc/100x", b, &e), 0);
	assert_int_equal(lock_take(&other, &e), -1);
	assert_non_null(strstr(e.text, "/proc/100x"));
	drop(a, "supervisor.lock");
	drop(b, "supervisor.lock");
	assert_int_equal(rmdir(a), 0);
	assert_int_equal(rmdir(b), 0);
}

static void write_log(const struct paths *p, const char *text)
{
	char path[PATHS_MAX];
	FILE *f;

	assert_int_equal(paths_mkdirs(paths_agent(p, 7, "", path), 0700, NULL), 0);
	f = fopen(paths_agent(p, 7, "worker.log", path), "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

/* The log of agent 7 ends with "disk \xef\xbf\xbd gone" from now on. */
static void check_reasons(const struct paths *p)
{
	static struct supervisor s;
	const struct member m = {.id = 7};
	struct agent_todo todo = {AGENT_DO_STATE, "trying again"};
	char out[LAUNCHER_REASON_BYTES], log[700] = "disk \xff gone ";

	write_log(p, log);
	s.paths = *p;
	tx_reason(&s, &m, &todo, out);
	assert_string_equal(out, "trying again");
	todo.what |= AGENT_DO_LOG_ADDED;
	tx_reason(&s, &m, &todo, out);
	assert_string_equal(out, "trying again: disk \xef\xbf\xbd gone");
	todo.what = AGENT_DO_STATE | AGENT_DO_LOG_REASON;
	tx_reason(&s, &m, &todo, out);
	assert_string_equal(out, "disk \xef\xbf\xbd gone");
	for (int i = 0; i < 300; i++) /* cut where a character ends */
		strcat(log, "\u00e4");
	write_log(p, log);
	todo.what = AGENT_DO_STATE | AGENT_DO_LOG_ADDED;
	tx_reason(&s, &m, &todo, out);
	assert_in_range(strlen(out), LAUNCHER_REASON_BYTES - 3, LAUNCHER_REASON_BYTES - 1);
	assert_true(utf8_valid(out, strlen(out)));
}

static void test_last_line(void **state)
{
	char dir[64], out[LAUNCHER_REASON_BYTES], path[PATHS_MAX], *huge;
	struct paths p;
	struct err e;

	(void)state;
	folder(dir);
	assert_int_equal(paths_init(&p, dir, dir, &e), 0);
	assert_false(launcher_last_line(&p, 7, out));
	write_log(&p, "");
	assert_false(launcher_last_line(&p, 7, out));
	write_log(&p, "one\n2026-11-23T08:00:00.123Z error worker[12] aider is missing\n\n");
	assert_true(launcher_last_line(&p, 7, out));
	assert_string_equal(out, "aider is missing");
	write_log(&p, "a[1] b] plain \xff line");
	assert_true(launcher_last_line(&p, 7, out));
	assert_string_equal(out, "a[1] b] plain \xef\xbf\xbd line");
	check_reasons(&p);
	huge = calloc(1, 20001);
	assert_non_null(huge);
	memset(huge, 'x', 20000);
	write_log(&p, huge);
	free(huge);
	assert_true(launcher_last_line(&p, 7, out));
	assert_int_equal(strlen(out), LAUNCHER_REASON_BYTES - 1);
	remove(paths_agent(&p, 7, "worker.log", path));
	rmdir(paths_agent(&p, 7, "", path));
	drop(dir, "workspaces");
	assert_int_equal(rmdir(dir), 0);
}

static void test_fleet(void **state)
{
	struct fleet f = {0};
	int64_t id;

	(void)state;
	for (id = 2; id <= 2000; id += 2)
		assert_int_equal(fleet_add(&f, id)->id, id);
	assert_int_equal(f.count[AGENT_QUEUED], 1000);
	assert_null(fleet_find(&f, 3));
	assert_null(fleet_find(&f, 2001));
	assert_int_equal(fleet_find(&f, 1000)->id, 1000);
	fleet_remove(&f, fleet_find(&f, 1000));
	assert_null(fleet_find(&f, 1000));
	assert_int_equal(fleet_find(&f, 1002)->id, 1002);
	assert_int_equal(f.n, 999);
	fleet_clear(&f);
	assert_int_equal(f.n, 0);
}

static void test_outbox(void **state)
{
	struct outbox o = {0};
	char head[EVENT_HEADER_MAX], frame[256];
	struct event ev;
	struct err e;
	size_t n;

	(void)state;
	outbox_add(&o, "agent", 7, EVENT_OUTPUT, "output", 12, "{\"a\":1}", 7);
	outbox_add(&o, "agent", 8, EVENT_UNKNOWN, "novelty", 13, "{}", 2);
	n = outbox_header(&o.events[1], head);
	assert_int_equal(n, strlen("agent/8 novelty 13 v1\n"));
	assert_memory_equal(head, "agent/8 novelty 13 v1\n", n);
	n = outbox_header(&o.events[0], head);
	snprintf(frame, sizeof(frame), "%.*s%.*s", (int)n, head, (int)o.events[0].n,
		outbox_body(&o, &o.events[0]));
	assert_int_equal(event_decode(frame, strlen(frame), &ev, &e), 0);
	assert_int_equal(ev.number, 12);
	assert_int_equal(ev.subject, 7);
	outbox_reset(&o);
	assert_int_equal(o.n, 0);
	assert_int_equal(o.bodies.len, 0);
	outbox_clear(&o);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lock),
		cmocka_unit_test(test_last_line),
		cmocka_unit_test(test_fleet),
		cmocka_unit_test(test_outbox),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
