/* The table of commands: parser, help and completions are made from it. */
#include "supervisor/ctl/ctl.h"

#include <string.h>

static const struct args_option up_options[] = {
	{"port", 'p', "PORT", "port of the page (default 5000)"},
	{"bind", 0, "ADDRESS", "address of the page (default 127.0.0.1)"},
	{"behind-proxy", 0, NULL, "a TLS proxy is in front: needed to bind beyond loopback"},
	{"allow-host", 0, "NAME", "another name the page may be asked by; may be repeated"},
	{"no-webui", 0, NULL, "without the page"},
	{"foreground", 0, NULL, "stay, log to stderr, and go down with this command"},
	{"restore-backup", 0, NULL, "put the newest good copy of a damaged store in its place"},
	{0},
};

static const struct args_option down_options[] = {
	{"keep-agents", 0, NULL, "let running agents go on; the next `100x up` adopts them"},
	{0},
};

static const struct args_option new_options[] = {
	{"base", 'b', "BRANCH", "branch to start from (default: the repository's own)"},
	{"title", 't', "TEXT", "title of one task"},
	{"description", 'd', "TEXT", "description of the task given by --title"},
	{"task", 0, "'TITLE: TEXT'", "a task in one argument; may be repeated"},
	{"tasks-file", 0, "FILE",
		"tasks: JSON [{\"title\",\"description\"}], or a line each; - is stdin"},
	{"agents", 'n', "N", "rival agents for each task (default 1)"},
	{"test", 0, "COMMAND", "must pass before an agent is done"},
	{"aider-args", 0, "TEXT", "further arguments for aider, as on a shell's line"},
	{"no-manager", 0, NULL, "send the task straight to aider"},
	{"no-pull-request", 0, NULL, "leave the branch, open no pull request"},
	{"ask", 0, NULL, "a person answers aider's confirmations"},
	{"turns", 0, "N", "limit of turns of an agent"},
	{"minutes", 0, "N", "limit of minutes of an agent"},
	{"dollars", 0, "N", "limit of dollars of an agent"},
	{"agent-model", 0, "MODEL", "model of the manager"},
	{"aider-model", 0, "MODEL", "model of aider"},
	{"wait", 'w', NULL, "follow until all have ended"},
	{0},
};

static const struct args_option list_options[] = {
	{"state", 's', "STATE", "only agents in this state"},
	{"task", 't', "TASK", "only agents of this task"},
	{"archived", 0, NULL, "archived agents too"},
	{"tasks", 0, NULL, "list tasks instead of agents"},
	{"ids", 0, NULL, "print the numbers only"},
	{0},
};

static const struct args_option show_options[] = {
	{"task", 't', NULL, "show a task instead of an agent"},
	{"turns", 0, "N", "how many of the last turns (default 10)"},
	{0},
};

static const struct args_option logs_options[] = {
	{"follow", 'f', NULL, "go on as it happens, until the agent has ended"},
	{"lines", 'n', "N", "only the last N lines"},
	{"kinds", 'k', "KINDS", "only these kinds of event, separated by commas"},
	{0},
};

static const struct args_option events_options[] = {
	{"follow", 'f', NULL, "go on as it happens"},
	{"after", 0, "ID", "only events after this one (with -f default: from now on)"},
	{"agent", 'a', "AGENT", "only of this agent"},
	{"kinds", 'k', "KINDS", "only these kinds, separated by commas"},
	{"count", 'n', "N", "end after N events"},
	{0},
};

static const struct args_option issues_options[] = {
	{"state", 's', "STATE", "open (default), closed or all"},
	{"page", 'p', "N", "the Nth page of 50"},
	{0},
};

static const struct args_option split_options[] = {
	{"base", 'b', "BRANCH", "branch to start from (default: the repository's own)"},
	{"tasks", 'n', "N", "at most N tasks (default 20)"},
	{0},
};

static const struct args_option search_options[] = {
	{"lines", 'n', "N", "at most N lines (default 1000)"},
	{0},
};

static const struct args_option activity_options[] = {
	{"lines", 'n', "N", "the last N events (default 50)"},
	{"before", 0, "ID", "only events before this one"},
	{"agent", 'a', "AGENT", "only of this agent"},
	{"task", 't', "TASK", "only of this task and its agents"},
	{"kinds", 'k', "KINDS", "only these kinds, separated by commas"},
	{0},
};

static const struct args_option costs_options[] = {
	{"days", 'd', "N", "only the last N days, today included"},
	{0},
};

static const struct args_option tell_options[] = {
	{"from", 0, "NAME", "who says it (default: person)"},
	{0},
};

static const struct args_option restore_options[] = {
	{"to", 0, "FOLDER", "a new folder: a repository of its own is made there"},
	{0},
};

static const struct args_option delete_options[] = {
	{"yes", 'y', NULL, "needed to delete all"},
	{"discard", 0, NULL, "remove work that is nowhere else too, without saving it"},
	{0},
};

static const struct args_option doctor_options[] = {
	{"port", 'p', "PORT", "port of the page to look at (default 5000)"},
	{0},
};

static const struct args_option no_options[] = {{0}};

#define AGENTS_OR_ALL "AGENT... | all"

const struct ctl_command ctl_commands[] = {
	{"up", "[OPTIONS]", "Start the supervisor and the page",
		"Both run in the background and log to <state>/logs/; what crashes or hangs is "
		"started\n"
		"again. Prints the URL to sign in. "
		"What\n"
		"runs already is left as it is.",
		up_options, ctl_up, false},
	{"down", "[--keep-agents]", "End the supervisor, the page and, resumably, all agents",
		"Agents keep their state and go on where they were at the next `100x up`.",
		down_options, ctl_down, false},
	{"status", "", "Tell what runs", NULL, no_options, ctl_status, false},
	{"new", "REPOSITORY [OPTIONS]", "Create tasks and their agents",
		"REPOSITORY is an https, ssh or git@ URL or a local path. A task is given by "
		"--title and\n"
		"--description, by --task 'title: description', or in a file.",
		new_options, ctl_new, false},
	{"list", "[OPTIONS]", "List agents, or tasks", NULL, list_options, ctl_list, false},
	{"show", "AGENT | --task TASK", "Show one agent with its turns, or a task", NULL,
		show_options, ctl_show, true},
	{"logs", "AGENT [-f]", "Print what an agent said and did", NULL, logs_options, ctl_logs,
		true},
	{"search", "AGENT TEXT", "Print the lines of an agent's output that hold a text",
		"Lines are counted from 0; case of letters does not matter. Exit code 1: none "
		"does.",
		search_options, ctl_search, true},
	{"wait", "AGENT... | all", "Follow agents until they have ended",
		"Exit code 0 if all are done, 4 if one ended otherwise or waits for a person.",
		no_options, ctl_wait, true},
	{"tell", "AGENT | all TEXT...", "Send a message into the next turn",
		"TEXT \"-\" reads stdin.", tell_options, ctl_tell, true},
	{"interrupt", AGENTS_OR_ALL, "Cancel the turn that runs", NULL, no_options, ctl_interrupt,
		true},
	{"pause", AGENTS_OR_ALL, "Pause agents", NULL, no_options, ctl_pause, true},
	{"resume", AGENTS_OR_ALL, "Let paused or waiting agents go on", NULL, no_options,
		ctl_resume, true},
	{"stop", AGENTS_OR_ALL, "Stop agents for good; `100x retry` starts them again", NULL,
		no_options, ctl_stop, true},
	{"finish", AGENTS_OR_ALL, "Finish after the turn that runs", NULL, no_options, ctl_finish,
		true},
	{"retry", "AGENT...", "Let ended agents go on where they were", NULL, no_options, ctl_retry,
		true},
	{"delete", AGENTS_OR_ALL, "Stop agents and remove their workspaces and history", NULL,
		delete_options, ctl_delete, true},
	{"reclaim", AGENTS_OR_ALL, "Remove workspaces of ended agents, keeping their work",
		"The work is kept in the repository's mirror, as refs/100x/agent-N; log and row "
		"stay.",
		no_options, ctl_reclaim, true},
	{"restore", "AGENT [--to FOLDER]", "Bring back the work of a reclaimed or deleted agent",
		"Makes a reclaimed workspace again, with what was not committed. With --to, and "
		"for "
		"a\n"
		"deleted agent (default: ./agent-N), a repository of its own is made in FOLDER.",
		restore_options, ctl_restore, true},
	{"archive", AGENTS_OR_ALL, "Take ended agents out of the lists", NULL, no_options,
		ctl_archive, true},
	{"unarchive", "AGENT...", "Put archived agents back into the lists",
		"`100x list --archived` shows them.", no_options, ctl_unarchive, true},
	{"permit", "AGENT PERMISSION OPTION", "Answer a permission an agent waits for",
		"`100x show AGENT` lists what is asked and the options.", no_options, ctl_permit,
		true},
	{"events", "[OPTIONS]", "Print events of all agents, one a line", NULL, events_options,
		ctl_events, false},
	{"branches", "REPOSITORY", "List the branches of a repository, its own marked", NULL,
		no_options, ctl_branches, false},
	{"issues", "REPOSITORY [OPTIONS]", "List a repository's issues on GitHub", NULL,
		issues_options, ctl_issues, false},
	{"split", "REPOSITORY GOAL... [OPTIONS]", "Ask the Orchestrator model to split a goal",
		"Nothing is started: `100x split --json REPOSITORY GOAL` gives tasks that\n"
		"`100x new --tasks-file` takes. GOAL \"-\" reads stdin.",
		split_options, ctl_split, false},
	{"judge", "TASK", "Ask the Orchestrator model whose work on a task is best", NULL,
		no_options, ctl_judge, false},
	{"pick", "AGENT", "Take an agent's work; its rivals are stopped and archived", NULL,
		no_options, ctl_pick, true},
	{"unpick", "TASK", "Take a pick back", NULL, no_options, ctl_unpick, false},
	{"models", "test [MODEL...]", "Try whether models answer",
		"Without MODEL: those of the configuration. Exit code 1: one does not.", no_options,
		ctl_models, false},
	{"keys", "", "Tell which keys are set; never shows one", NULL, no_options, ctl_keys, false},
	{"processes", "AGENT", "Show an agent's processes, their memory and time", NULL, no_options,
		ctl_processes, true},
	{"health", "", "Show what runs, what it takes, and what is amiss",
		"Exit code 1: something is missing for real work, as `100x doctor` tells.",
		no_options, ctl_health, false},
	{"activity", "[OPTIONS]", "Print what happened lately, the newest last", NULL,
		activity_options, ctl_activity, false},
	{"costs", "[--days N]", "Show costs by day, repository, role and model", NULL,
		costs_options, ctl_costs, false},
	{"repositories", "", "List repositories of earlier tasks", NULL, no_options,
		ctl_repositories, false},
	{"config", "[get [KEY] | set KEY=VALUE... | models]", "Show or change the configuration",
		"Keys: models.orchestrator, models.agent, models.aider and the general keys that\n"
		"`100x config` lists. \"-\" as VALUE reads stdin.",
		no_options, ctl_config, false},
	{"doctor", "", "Tell what is missing for real work, and how to mend it", NULL,
		doctor_options, ctl_doctor, false},
	{"completion", "bash | zsh | fish", "Print a completion script for a shell",
		"bash: source <(100x completion bash)", no_options, ctl_completion, false},
	{0},
};

const struct ctl_command *ctl_find(const char *name)
{
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		if (strcmp(c->name, name) == 0)
			return c;
	return NULL;
}
