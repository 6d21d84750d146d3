/* 100x-worker: one agent, or one errand. */
#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/log.h"
#include "shared/paths.h"
#include "worker/errand.h"
#include "worker/worker.h"

#define EXIT_USAGE 100

static const char USAGE[] =
	"usage: 100x-worker --agent N --epoch E [--state-dir DIR] [--run-dir DIR]\n"
	"       100x-worker --errand KIND [--state-dir DIR] [--run-dir DIR]\n"
	"       100x-worker --version\n"
	"\n"
	"Started by 100x-supervisor: the process behind one agent (see docs/protocol.md).\n";

/* A number from 1 on; 0 if it is none. */
static int64_t number(const char *text)
{
	char *end;
	long long v = strtoll(text, &end, 10);

	return *text >= '0' && *text <= '9' && !*end && v > 0 ? v : 0;
}

static int usage(void)
{
	fputs(USAGE, stderr);
	return EXIT_USAGE;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {{"agent", required_argument, NULL, 'a'},
		{"epoch", required_argument, NULL, 'e'}, {"errand", required_argument, NULL, 'q'},
		{"state-dir", required_argument, NULL, 's'},
		{"run-dir", required_argument, NULL, 'r'}, {"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'}, {0}};
	const char *errand = NULL, *state_dir = NULL, *run_dir = NULL;
	int64_t agent = 0, epoch = 0;
	struct paths paths;
	struct err e;
	int c;

	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (c) {
		case 'a':
			agent = number(optarg);
			break;
		case 'e':
			epoch = number(optarg);
			break;
		case 'q':
			errand = optarg;
			break;
		case 's':
			state_dir = optarg;
			break;
		case 'r':
			run_dir = optarg;
			break;
		case 'v':
			printf("100x-worker %s\n", VERSION_STRING);
			return 0;
		case 'h':
			fputs(USAGE, stdout);
			return 0;
		default:
			return usage();
		}
	}
	log_init("worker");
	if (optind < argc || (!errand && (!agent || !epoch)))
		return usage();
	if (paths_init(&paths, state_dir, run_dir, &e) < 0) {
		log_error("%s", e.text);
		return EXIT_USAGE;
	}
	/* One loop thread allocates; a large line's memory goes back to the system. */
	mallopt(M_ARENA_MAX, 2);
	mallopt(M_MMAP_THRESHOLD, 128 * 1024);
	mallopt(M_TRIM_THRESHOLD, 256 * 1024);
	return errand ? errand_run(&paths, errand) : worker_run(&paths, agent, epoch);
}
