/* 100x-guard: stands between the worker and a program that may start anything. The program
 * lives in a PID namespace where that is allowed; elsewhere we are the reaper of whatever
 * descends from it. When the program ends, or the worker dies, or we are killed, all of
 * that ends too. It links nothing but the C library: it is started with each program. */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "shared/child.h"
#include "worker/guard/keep.h"
#include "worker/guard/space.h"

#define EXIT_PERMANENT 100
#define EXIT_TEMPORARY 111

static const char usage[] =
	"Usage: 100x-guard off|auto|user PARENT-PID PROGRAM [ARGUMENT…]\n"
	"       100x-guard --probe off|auto|user\n"
	"       100x-guard --version | --help\n"
	"Runs a program so that nothing of it outlives it or the parent. Started by 100x-worker.\n"
	"  off   as the reaper of its descendants\n"
	"  auto  in a PID namespace, where we have the privilege for it\n"
	"  user  in a PID namespace, if need be through a user namespace\n";

static bool way_of(const char *word, enum space_way *way)
{
	static const char *const words[] = {"off", "auto", "user"};

	for (size_t i = 0; i < sizeof(words) / sizeof(*words); i++) {
		if (strcmp(word, words[i]) == 0) {
			*way = (enum space_way)i;
			return true;
		}
	}
	return false;
}

static int probe(enum space_way way)
{
	char why[SPACE_WHY_BYTES];
	struct space s;
	sigset_t mask;

	keep_block(&mask);
	if (!space_start(way, NULL, &mask, &s, why)) {
		puts(why);
		return 1;
	}
	space_wait(&s);
	puts(s.user ? "namespace, through a user namespace" : "namespace");
	return 0;
}

static void heed_parent(int signal, pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, signal);
	if (getppid() != parent) /* it died before we asked */
		_exit(EXIT_TEMPORARY);
}

static _Noreturn void guard(enum space_way way, pid_t parent, char **argv)
{
	char why[SPACE_WHY_BYTES];
	struct space s;
	sigset_t mask;
	int status;
	pid_t pid;

	keep_block(&mask);
	heed_parent(KEEP_ORPHANED, parent);
	if (space_start(way, argv, &mask, &s, why)) {
		heed_parent(SIGKILL, parent); /* the kernel does the rest */
		keep_let_go();
		keep_end_like(space_wait(&s));
	}
	prctl(PR_SET_CHILD_SUBREAPER, 1);
	pid = keep_start(argv, &mask);
	if (pid < 0) {
		perror("100x-guard: fork");
		_exit(EXIT_TEMPORARY);
	}
	keep_let_go();
	status = keep_wait(pid, -pid);
	child_sweep();
	if (status < 0)
		_exit(EXIT_TEMPORARY);
	keep_end_like(status);
}

int main(int argc, char **argv)
{
	enum space_way way;
	int parent;

	if (argc == 2 && strcmp(argv[1], "--version") == 0) {
		puts("100x-guard " VERSION_STRING);
		return 0;
	}
	if (argc == 2 && strcmp(argv[1], "--help") == 0) {
		fputs(usage, stdout);
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "--probe") == 0 && way_of(argv[2], &way))
		return probe(way);
	if (argc < 4 || !way_of(argv[1], &way) || (parent = atoi(argv[2])) < 1) {
		fputs(usage, stderr);
		return EXIT_PERMANENT;
	}
	guard(way, parent, argv + 3);
}
