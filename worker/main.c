/* 100x-worker: one agent, or one errand. */
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "shared/log.h"
#include "shared/memory.h"
#include "shared/paths.h"
#include "worker/errand.h"
#include "worker/worker.h"

#define WORKER_LOG_MAX (1024 * 1024) /* then it is set aside as .1 */
#define EXIT_PERMANENT 100

static const char usage[] =
	"Usage: 100x-worker --agent N --epoch E [--gate] [--state-dir DIR] [--run-dir DIR]\n"
	"       100x-worker --errand check|remove [--state-dir DIR] [--run-dir DIR]\n"
	"       100x-worker --version | --help\n"
	"Owns one agent, or answers one question on stdin. Started by 100x-supervisor.\n"
	"--gate: loads itself, then waits for a byte on stdin and ends without one.\n";

struct arguments {
	const char *state_dir, *run_dir, *errand;
	int64_t agent, epoch;
	bool gate;
};

/* A number of at least 1; anything else is 0. */
static int64_t number(const char *text)
{
	char *end;
	long long n = strtoll(text, &end, 10);

	return *text && !*end && n > 0 ? n : 0;
}

static int read_arguments(int argc, char **argv, struct arguments *a)
{
	static const struct option options[] = {
		{"agent", required_argument, NULL, 'a'},
		{"epoch", required_argument, NULL, 'e'},
		{"errand", required_argument, NULL, 'q'},
		{"gate", no_argument, NULL, 'g'},
		{"state-dir", required_argument, NULL, 's'},
		{"run-dir", required_argument, NULL, 'r'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	int option;

	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 'a':
			a->agent = number(optarg);
			break;
		case 'e':
			a->epoch = number(optarg);
			break;
		case 'q':
			a->errand = optarg;
			break;
		case 'g':
			a->gate = true;
			break;
		case 's':
			a->state_dir = optarg;
			break;
		case 'r':
			a->run_dir = optarg;
			break;
		case 'v':
			puts("100x-worker " VERSION_STRING);
			exit(0);
		case 'h':
			fputs(usage, stdout);
			exit(0);
		default:
			return -1;
		}
	}
	return optind == argc && (a->errand || (a->agent && a->epoch)) ? 0 : -1;
}

int main(int argc, char **argv)
{
	struct arguments a = {0};
	char folder[PATHS_MAX];
	struct paths paths;
	struct err e;
	int code;

	log_init("worker");
	if (read_arguments(argc, argv, &a) < 0) {
		fputs(usage, stderr);
		return EXIT_PERMANENT;
	}
	signal(SIGPIPE, SIG_IGN);
	if (paths_init(&paths, a.state_dir, a.run_dir, &e) < 0) {
		log_error("%s", e.text);
		return EXIT_PERMANENT;
	}
	if (!a.errand) /* whose stderr is the supervisor's */
		log_limit(paths_agent(&paths, a.agent, "", folder), WORKER_LOG_MAX);
	memory_frugal();
	code = a.errand ? errand_run(&paths, a.errand)
			: worker_run(&paths, a.agent, a.epoch, a.gate);
	fflush(NULL);
	/* Without the libraries' handlers at exit, which may wait for their threads. */
	_exit(code);
}
