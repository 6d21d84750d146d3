/* How soon a killed process has a successor: kills PID with SIGKILL and watches the
 * children of PARENT until another one runs the program NAME (as in /proc/PID/comm, so
 * after its exec), reading /proc without a pause. Says in one line of JSON when it killed
 * (CLOCK_MONOTONIC) and how long it took:
 *
 *   restart_probe PARENT PID NAME [gate]
 *   {"killed_ns":…,"ns":…,"pid":…,"gate_ns":…}     ns -1: nobody came within 10 s
 *
 * gate: also how long until it has passed the gate of 100x-worker, which is a pipe in the
 * place of its stdin until then, and /dev/null behind it. */
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/clock.h"

static size_t slurp(const char *path, char *out, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = fd < 0 ? 0 : read(fd, out, size - 1);

	if (fd >= 0)
		close(fd);
	out[n > 0 ? n : 0] = '\0';
	return n > 0 ? (size_t)n : 0;
}

#define OLD_MAX 1024
#define LIMIT_NS 10000000000LL

static int old[OLD_MAX]; /* who was there before */
static size_t old_count;

static bool is_old(int pid)
{
	size_t i = 0;

	while (i < old_count && old[i] != pid)
		i++;
	return i < old_count;
}

static void remember(const char *children)
{
	char text[16384], *at = text, *end;

	slurp(children, text, sizeof text);
	for (;;) {
		int pid = (int)strtol(at, &end, 10);

		if (end == at || old_count == OLD_MAX)
			return;
		at = end;
		old[old_count++] = pid;
	}
}

/* A child that was not there before and runs name; 0: none yet. */
static int successor(const char *children, const char *name)
{
	char text[16384], path[64], comm[32], *at = text, *end;

	slurp(children, text, sizeof text);
	for (;;) {
		int pid = (int)strtol(at, &end, 10);

		if (end == at)
			return 0;
		at = end;
		if (is_old(pid))
			continue;
		snprintf(path, sizeof path, "/proc/%d/comm", pid);
		slurp(path, comm, sizeof comm);
		comm[strcspn(comm, "\n")] = '\0';
		if (strcmp(comm, name) == 0)
			return pid;
	}
}

static bool passed(int pid)
{
	char path[64], target[32];
	ssize_t n;

	snprintf(path, sizeof path, "/proc/%d/fd/0", pid);
	n = readlink(path, target, sizeof target - 1);
	target[n > 0 ? n : 0] = '\0';
	return strcmp(target, "/dev/null") == 0;
}

int main(int argc, char **argv)
{
	int64_t killed, now, gate;
	int parent, victim, pid;
	char children[96];

	if (argc < 4)
		return 2;
	parent = (int)strtol(argv[1], NULL, 10);
	victim = (int)strtol(argv[2], NULL, 10);
	snprintf(children, sizeof children, "/proc/%d/task/%d/children", parent, parent);
	if (parent <= 1 || victim <= 1)
		return 2;
	remember(children);
	killed = clock_now_ns();
	if (kill(victim, SIGKILL) < 0)
		return 1;
	do {
		pid = successor(children, argv[3]);
		now = clock_now_ns();
	} while (!pid && now - killed < LIMIT_NS);
	gate = now;
	while (pid && argc > 4 && !passed(pid) && gate - killed < LIMIT_NS)
		gate = clock_now_ns();
	printf("{\"killed_ns\":%" PRId64 ",\"ns\":%" PRId64 ",\"pid\":%d,\"gate_ns\":%" PRId64
	       "}\n",
		killed, pid ? now - killed : -1, pid, gate - killed);
	return 0;
}
