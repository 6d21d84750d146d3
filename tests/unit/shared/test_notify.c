/* Both ends of the service manager's protocol. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/notify.h"

static void goes_there_and_back(const char *name)
{
	char text[NOTIFY_MAX], value[32], pid_text[16];
	struct notify n;
	struct err e;
	int fd = notify_listen(name, &e);
	pid_t pid = 0;

	assert_true(fd >= 0);
	snprintf(pid_text, sizeof(pid_text), "%d", (int)getpid());
	setenv("NOTIFY_SOCKET", name, 1);
	setenv("WATCHDOG_USEC", "10000000", 1);
	setenv("WATCHDOG_PID", pid_text, 1);
	notify_init(&n);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	assert_int_equal(n.watchdog_ms, 10000);
	assert_int_equal(notify_read(fd, text, &pid), 0);
	notify_send(&n, "READY=1\nSTATUS=%d working", 3);
	assert_true(notify_read(fd, text, &pid) > 0);
	assert_int_equal(pid, getpid());
	assert_string_equal(text, "READY=1\nSTATUS=3 working");
	assert_true(notify_value(text, "STATUS", value, sizeof(value)));
	assert_string_equal(value, "3 working");
	assert_true(notify_value(text, "STATUS", value, 4));
	assert_string_equal(value, "3 w");
	assert_false(notify_value(text, "STAT", value, sizeof(value)));
	assert_false(notify_value(text, "WATCHDOG", value, sizeof(value)));
	close(fd);
	notify_send(&n, "WATCHDOG=1"); /* to nobody */
	notify_clear(&n);
	if (*name == '/')
		unlink(name);
}

static void path_socket(void **state)
{
	char path[] = "/tmp/100x-notify-XXXXXX", name[64];

	(void)state;
	assert_non_null(mkdtemp(path));
	snprintf(name, sizeof(name), "%s/socket", path);
	goes_there_and_back(name);
	rmdir(path);
}

static void abstract_socket(void **state)
{
	char name[64];

	(void)state;
	snprintf(name, sizeof(name), "@100x-test-notify-%d", (int)getpid());
	goes_there_and_back(name);
}

static void without_a_manager_nothing_is_said(void **state)
{
	static const char *const names[] = {NULL, "", "@", "relative", "vsock:2:1"};
	struct notify n;

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (names[i])
			setenv("NOTIFY_SOCKET", names[i], 1);
		setenv("WATCHDOG_USEC", "1000000", 1);
		notify_init(&n);
		assert_int_equal(n.fd, -1);
		assert_int_equal(n.watchdog_ms, 0);
		notify_send(&n, "READY=1");
	}
}

static void the_watchdog_of_another_process_is_not_ours(void **state)
{
	static const char *const cases[][2] = {{"5000000", "1"}, {"-7", NULL}, {"word", NULL}};
	struct notify n;

	(void)state;
	for (size_t i = 0; i < 3; i++) {
		setenv("NOTIFY_SOCKET", "@100x-test-nobody", 1);
		setenv("WATCHDOG_USEC", cases[i][0], 1);
		if (cases[i][1])
			setenv("WATCHDOG_PID", cases[i][1], 1);
		notify_init(&n);
		assert_int_equal(n.watchdog_ms, 0);
		notify_clear(&n);
	}
}

static void malformed_datagrams_are_dropped(void **state)
{
	char name[64], text[NOTIFY_MAX], *big = calloc(1, 2 * NOTIFY_MAX);
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	struct err e;
	socklen_t n;
	pid_t pid;
	int fd, out = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), pipes[2];
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(2 * sizeof(int))];
	} control = {0};
	struct iovec part = {.iov_base = (char *)"FDSTORE=1", .iov_len = 9};
	struct msghdr m = {.msg_iov = &part,
		.msg_iovlen = 1,
		.msg_control = &control,
		.msg_controllen = sizeof(control),
		.msg_name = &to};

	(void)state;
	n = (socklen_t)snprintf(name, sizeof(name), "@100x-test-bad-%d", (int)getpid());
	fd = notify_listen(name, &e);
	assert_true(fd >= 0);
	memcpy(to.sun_path + 1, name + 1, n - 1);
	n = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n);
	memset(big, 'a', 2 * NOTIFY_MAX);
	sendto(out, "", 0, 0, (struct sockaddr *)&to, n);
	sendto(out, "READY=1\0X=1", 11, 0, (struct sockaddr *)&to, n);
	sendto(out, big, 2 * NOTIFY_MAX, 0, (struct sockaddr *)&to, n);
	sendto(out, "\n\n==\nREADY", 10, 0, (struct sockaddr *)&to, n);
	assert_int_equal(notify_read(fd, text, &pid), 10);
	assert_false(notify_value(text, "READY", big, 10));
	assert_int_equal(notify_read(fd, text, &pid), 0);
	/* Descriptors that come along are closed: the pipe ends. */
	assert_int_equal(pipe(pipes), 0);
	control.head = (struct cmsghdr){.cmsg_level = SOL_SOCKET,
		.cmsg_type = SCM_RIGHTS,
		.cmsg_len = CMSG_LEN(sizeof(int))};
	memcpy(CMSG_DATA(&control.head), &pipes[1], sizeof(int));
	m.msg_namelen = n;
	m.msg_controllen = CMSG_SPACE(sizeof(int));
	assert_int_equal(sendmsg(out, &m, 0), 9);
	close(pipes[1]);
	assert_int_equal(notify_read(fd, text, &pid), 9);
	assert_int_equal(read(pipes[0], text, 1), 0);
	close(pipes[0]);
	close(out);
	close(fd);
	free(big);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(path_socket),
		cmocka_unit_test(abstract_socket),
		cmocka_unit_test(without_a_manager_nothing_is_said),
		cmocka_unit_test(the_watchdog_of_another_process_is_not_ours),
		cmocka_unit_test(malformed_datagrams_are_dropped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
