/* What every command of `100x` has at hand: where things lie, the way to the
 * supervisor, the terminal; and the table of commands. */
#ifndef CTL_CTL_H
#define CTL_CTL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/bus.h"
#include "shared/err.h"
#include "shared/paths.h"
#include "supervisor/ctl/args.h"
#include "supervisor/ctl/term.h"

/* Exit codes, as in docs/man/100x.1. */
enum ctl_exit {
	CTL_OK = 0,
	CTL_FAILED = 1, /* refused or failed; doctor: something needed is missing */
	CTL_USAGE = 2,	/* the command line is wrong */
	CTL_AWAY = 3,	/* the supervisor does not run or does not answer */
	CTL_UNDONE = 4, /* --wait: an agent ended otherwise than done, or needs a person */
};

#define CTL_ASK_MS 15000      /* a plain question */
#define CTL_ASK_LONG_MS 90000 /* one that asks the outside world first */

struct ctl {
	struct paths paths;
	bool json;
	bool away; /* the last question found no supervisor */
	struct term out, err;
	struct bus_asker *asker; /* dialled with the first question */
};

struct ctl_command {
	const char *name;
	const char *usage;   /* behind the name: "AGENT... [-f]" */
	const char *summary; /* one line */
	const char *details; /* more for `100x help NAME`; may be NULL */
	const struct args_option *options;
	int (*run)(struct ctl *c, const struct args *a);
	bool agents; /* its words are agents: for the completions */
};

/* Ends with a NULL name. */
extern const struct ctl_command ctl_commands[];
const struct ctl_command *ctl_find(const char *name);

/* True if something listens on the control socket right now. */
bool ctl_running(const struct ctl *c);

/* Asks the supervisor; params (may be NULL) is taken. *result (may be NULL): the
 * caller frees. ERR_UNAVAILABLE and c->away: no supervisor. */
int ctl_ask(struct ctl *c, const char *method, cJSON *params, int timeout_ms, cJSON **result,
	struct err *e);

/* Tell on stderr what failed; return the exit code that goes with it. */
int ctl_fail(const struct ctl *c, const struct err *e);
int ctl_usage(const char *command, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Prints a result as indented JSON on stdout; CTL_OK. */
int ctl_print(const cJSON *result);

/* Help of one command on stdout. */
void ctl_help(const struct ctl_command *command, FILE *out);

/* Terminal states: done, failed, stopped. */
bool ctl_ended(const char *state);

/* The commands. */
int ctl_up(struct ctl *c, const struct args *a);
int ctl_down(struct ctl *c, const struct args *a);
int ctl_status(struct ctl *c, const struct args *a);
int ctl_new(struct ctl *c, const struct args *a);
int ctl_list(struct ctl *c, const struct args *a);
int ctl_show(struct ctl *c, const struct args *a);
int ctl_logs(struct ctl *c, const struct args *a);
int ctl_events(struct ctl *c, const struct args *a);
int ctl_wait(struct ctl *c, const struct args *a);
int ctl_tell(struct ctl *c, const struct args *a);
int ctl_interrupt(struct ctl *c, const struct args *a);
int ctl_pause(struct ctl *c, const struct args *a);
int ctl_resume(struct ctl *c, const struct args *a);
int ctl_stop(struct ctl *c, const struct args *a);
int ctl_finish(struct ctl *c, const struct args *a);
int ctl_retry(struct ctl *c, const struct args *a);
int ctl_delete(struct ctl *c, const struct args *a);
int ctl_permit(struct ctl *c, const struct args *a);
int ctl_reclaim(struct ctl *c, const struct args *a);
int ctl_restore(struct ctl *c, const struct args *a);
int ctl_archive(struct ctl *c, const struct args *a);
int ctl_unarchive(struct ctl *c, const struct args *a);
int ctl_search(struct ctl *c, const struct args *a);
int ctl_branches(struct ctl *c, const struct args *a);
int ctl_issues(struct ctl *c, const struct args *a);
int ctl_keys(struct ctl *c, const struct args *a);
int ctl_models(struct ctl *c, const struct args *a);
int ctl_split(struct ctl *c, const struct args *a);
int ctl_judge(struct ctl *c, const struct args *a);
int ctl_pick(struct ctl *c, const struct args *a);
int ctl_unpick(struct ctl *c, const struct args *a);
int ctl_health(struct ctl *c, const struct args *a);
int ctl_processes(struct ctl *c, const struct args *a);
int ctl_activity(struct ctl *c, const struct args *a);
int ctl_costs(struct ctl *c, const struct args *a);
int ctl_repositories(struct ctl *c, const struct args *a);
int ctl_config(struct ctl *c, const struct args *a);
int ctl_doctor(struct ctl *c, const struct args *a);
int ctl_completion(struct ctl *c, const struct args *a);

#endif
