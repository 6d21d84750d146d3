/* Runs each test of a group in a process of its own. For tests that close sockets of
 * nng 1.5.2 while frames arrive: such a close may never end, and keeps the library's one
 * clearing thread, so that everything after it in the same process fails as well. Our
 * programs close sockets only when they end. Include after cmocka.h. */
#ifndef TESTS_UNIT_APART_H
#define TESTS_UNIT_APART_H

#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

/* A test that failed may hang in its end, with sockets open: it is killed. */
#define APART_SECONDS 120

extern char **environ;

static inline int apart_one(const char *name, const struct CMUnitTest *tests, size_t n, long at)
{
	if (at < 0 || (size_t)at >= n)
		return 1;
	alarm(APART_SECONDS);
	return _cmocka_run_group_tests(name, &tests[at], 1, NULL, NULL);
}

/* A test's number as the only argument runs that one here. */
static inline int apart_run(
	int argc, char **argv, const char *name, const struct CMUnitTest *tests, size_t n)
{
	char number[24];
	char *again[] = {argv[0], number, NULL};
	int bad = 0, status;
	pid_t child;

	if (argc == 2)
		return apart_one(name, tests, n, strtol(argv[1], NULL, 10));
	for (size_t i = 0; i < n; i++) {
		snprintf(number, sizeof number, "%zu", i);
		if (posix_spawn(&child, "/proc/self/exe", NULL, NULL, again, environ) != 0 ||
			waitpid(child, &status, 0) != child || status != 0) {
			fprintf(stderr, "%s did not pass\n", tests[i].name);
			bad++;
		}
	}
	return bad;
}

#endif
