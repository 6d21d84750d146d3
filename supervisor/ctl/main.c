/* 100x: the command line. */
#include <locale.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "shared/log.h"
#include "supervisor/ctl/ctl.h"

static void overview(FILE *out)
{
	fputs("100x COMMAND [OPTIONS]: coding agents on Git repositories.\n\n", out);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		fprintf(out, "  %-12s %s\n", c->name, c->summary);
	fputs("  help         Tell about a command: 100x help COMMAND\n"
	      "  version      Print the version\n\n"
	      "All commands take --json, --state-dir DIR and --run-dir DIR.\n"
	      "Exit codes: 0 done, 1 failed or refused, 2 wrong command line, 3 the supervisor "
	      "does\n"
	      "not run, 4 an agent that was waited for ended otherwise than done.\n",
		out);
}

static int help(const struct args *a)
{
	const struct ctl_command *command;

	if (a->word_count == 0) {
		overview(stdout);
		return CTL_OK;
	}
	command = ctl_find(a->words[0]);
	if (!command)
		return ctl_usage(NULL, "there is no command %s", a->words[0]);
	ctl_help(command, stdout);
	return CTL_OK;
}

static int run(const struct ctl_command *command, const struct args *a)
{
	struct ctl c = {0};
	struct err e;
	int code;

	term_init(&c.out, 1);
	term_init(&c.err, 2);
	c.json = args_has(a, "json");
	if (paths_init(&c.paths, args_get(a, "state-dir"), args_get(a, "run-dir"), &e) < 0)
		return ctl_fail(&c, &e);
	code = command->run(&c, a);
	bus_asker_free(c.asker);
	if (fflush(stdout) != 0 || ferror(stdout)) {
		fputs("100x: writing to stdout failed\n", stderr);
		return code ? code : CTL_FAILED;
	}
	return code;
}

/* Brings the command's name to argv[1] when options every command takes stand before it:
 * `100x --state-dir DIR list`. False when only such options stand there. */
static bool command_first(int argc, char **argv)
{
	int at = 1;

	while (at < argc && strncmp(argv[at], "--", 2) == 0) {
		bool apart =
			strcmp(argv[at], "--state-dir") == 0 || strcmp(argv[at], "--run-dir") == 0;

		if (!apart && strcmp(argv[at], "--json") != 0 &&
			strncmp(argv[at], "--state-dir=", 12) != 0 &&
			strncmp(argv[at], "--run-dir=", 10) != 0)
			break;
		at += apart ? 2 : 1;
	}
	if (at < argc) {
		char *name = argv[at];

		memmove(argv + 2, argv + 1, (size_t)(at - 1) * sizeof(*argv));
		argv[1] = name;
	}
	return at < argc;
}

int main(int argc, char **argv)
{
	static struct args a;
	const struct ctl_command *command;
	const char *name;
	struct err e;

	setlocale(LC_CTYPE, "C.UTF-8");
	log_init("100x");
	if (!command_first(argc, argv)) {
		overview(stderr);
		return CTL_USAGE;
	}
	name = argv[1];
	if (strcmp(name, "help") == 0 || strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0)
		return args_parse(NULL, argc - 2, argv + 2, &a, &e) < 0
			       ? ctl_usage(NULL, "%s", e.text)
			       : help(&a);
	if (strcmp(name, "version") == 0 || strcmp(name, "--version") == 0) {
		bool json = false;

		for (int i = 2; i < argc; i++)
			json = json || strcmp(argv[i], "--json") == 0;
		puts(json ? "{\"version\":\"" VERSION_STRING "\"}" : "100x " VERSION_STRING);
		return CTL_OK;
	}
	command = ctl_find(name);
	if (!command)
		return ctl_usage(NULL, "there is no command %s", name);
	if (args_parse(command->options, argc - 2, argv + 2, &a, &e) < 0)
		return ctl_usage(name, "%s", e.text);
	if (args_has(&a, "help")) {
		ctl_help(command, stdout);
		return CTL_OK;
	}
	return run(command, &a);
}
