/* 100x-supervisor: arguments, and away. */
#include <getopt.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/log.h"
#include "shared/memory.h"
#include "supervisor/supervisor.h"

#define LOG_MAX (4 * 1024 * 1024) /* then it is set aside as .1 */
#define EXIT_FOR_GOOD 100
#define EXIT_FOR_NOW 111

static const char usage[] =
	"Usage: 100x-supervisor [--state-dir DIR] [--run-dir DIR] [--foreground]\n"
	"                       [--restore-backup]\n"
	"       100x-supervisor --version | --help\n"
	"Keeps the agents: queue, workers, store. Runs in the foreground; `100x up` starts it\n"
	"in the background. SIGTERM suspends the agents and ends it. --restore-backup first puts\n"
	"the newest good copy of the store in its place and keeps the damaged file beside it.\n";

static int limit_log(const struct paths *p)
{
	log_limit(p->state_dir, LOG_MAX);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{"state-dir", required_argument, NULL, 's'},
		{"run-dir", required_argument, NULL, 'r'},
		{"foreground", no_argument, NULL, 'f'},
		{"restore-backup", no_argument, NULL, 'b'},
		{"version", no_argument, NULL, 'v'},
		{"help", no_argument, NULL, 'h'},
		{NULL, 0, NULL, 0},
	};
	const char *state_dir = NULL, *run_dir = NULL;
	bool restore = false;
	struct paths paths;
	struct err e;
	int option;

	log_init("supervisor");
	while ((option = getopt_long(argc, argv, "", options, NULL)) != -1) {
		switch (option) {
		case 's':
			state_dir = optarg;
			break;
		case 'r':
			run_dir = optarg;
			break;
		case 'f':
			break;
		case 'b':
			restore = true;
			break;
		case 'v':
			puts("100x-supervisor " VERSION_STRING);
			return 0;
		case 'h':
			fputs(usage, stdout);
			return 0;
		default:
			fputs(usage, stderr);
			return EXIT_FOR_GOOD;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "100x-supervisor: unexpected argument %s\n%s", argv[optind], usage);
		return EXIT_FOR_GOOD;
	}
	memory_frugal();
	if (paths_init(&paths, state_dir, run_dir, &e) < 0 || limit_log(&paths) < 0 ||
		supervisor_run(&paths, restore, &e) < 0) {
		log_error("%s", e.text);
		fflush(NULL);
		/* Without closing nng, which may block while publishers are busy. */
		_exit(e.kind == ERR_SYS || e.kind == ERR_UNAVAILABLE ? EXIT_FOR_NOW
								     : EXIT_FOR_GOOD);
	}
	fflush(NULL);
	_exit(0);
}
