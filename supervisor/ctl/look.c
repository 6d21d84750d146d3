/* status, list and show. */
#include <stdlib.h>
#include <string.h>

#include "shared/clock.h"
#include "shared/json.h"
#include "supervisor/ctl/ctl.h"

static void counts(const cJSON *agents, struct buf *out)
{
	const cJSON *state;

	cJSON_ArrayForEach (state, agents) {
		if (!cJSON_IsNumber(state) || state->valueint == 0)
			continue;
		buf_addf(out, "%s%d %s", out->len ? ", " : "", state->valueint, state->string);
	}
	if (!out->len)
		buf_adds(out, "none");
}

int ctl_status(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *webui;
	char text[32];
	struct buf line;
	struct err e;

	if (a->word_count)
		return ctl_usage("status", "status takes no words");
	if (ctl_ask(c, "status", NULL, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	buf_init(&line, 0);
	counts(json_get(r, "agents"), &line);
	printf("Supervisor  version %s, pid %lld, up for %s\n", json_str(r, "version", "?"),
		(long long)json_int(r, "pid", 0), term_duration(json_int(r, "uptime_ms", 0), text));
	webui = json_get(r, "webui");
	if (webui)
		printf("Page        http://localhost:%lld/ (`100x up` prints the URL to sign in)\n",
			(long long)json_int(webui, "port", 0));
	else
		puts("Page        does not run");
	printf("Agents      %s; %lld of at most %lld at work\n", line.data,
		(long long)json_int(r, "working", 0), (long long)json_int(r, "max_working", 0));
	printf("State       %s\n", json_str(r, "state_dir", "?"));
	buf_clear(&line);
	return CTL_OK;
}

static const char *changes(const cJSON *agent, char *out, size_t size)
{
	int64_t added = json_int(agent, "added", 0), removed = json_int(agent, "removed", 0);

	if (added || removed || json_int(agent, "files", 0))
		snprintf(out, size, "+%lld −%lld", (long long)added, (long long)removed);
	else
		out[0] = 0;
	return out;
}

/* What is most worth knowing in one line. */
static const char *news(const cJSON *agent)
{
	const char *pull = json_str(agent, "pull_request", "");
	const char *reason = json_str(agent, "reason", "");
	const char *progress = json_str(agent, "progress", "");

	return *pull ? pull : *reason ? reason : progress;
}

static void list_agents(const struct ctl *c, const cJSON *agents)
{
	static const struct term_column columns[] = {{"AGENT", true}, {"TASK", true},
		{"STATE", false}, {"TURN", true}, {"CHANGES", true}, {"TESTS", false},
		{"COST", true}, {"TITLE", false}, {"NEWS", false}};
	struct term_table *t = term_table_new(columns, 9);
	const cJSON *agent;
	char text[64];

	cJSON_ArrayForEach (agent, agents) {
		const char *state = json_str(agent, "state", "");
		const char *tests = json_str(agent, "tests", "");
		struct buf title;

		snprintf(text, sizeof(text), "%lld", (long long)json_int(agent, "id", 0));
		term_table_cell(t, TERM_BOLD, text);
		snprintf(text, sizeof(text), "%lld", (long long)json_int(agent, "task_id", 0));
		term_table_cell(t, TERM_PLAIN, text);
		term_table_cell(t, term_state_style(state), state);
		snprintf(text, sizeof(text), "%lld", (long long)json_int(agent, "turn", 0));
		term_table_cell(t, TERM_PLAIN, text);
		term_table_cell(t, TERM_PLAIN, changes(agent, text, sizeof(text)));
		term_table_cell(t, strcmp(tests, "failed") == 0 ? TERM_RED : TERM_GREEN, tests);
		term_table_cell(t, TERM_PLAIN, term_dollars(json_num(agent, "dollars", 0), text));
		buf_init(&title, 0);
		term_line(&title, json_str(agent, "title", ""), 32);
		term_table_cell(t, TERM_PLAIN, title.len ? title.data : "");
		buf_clear(&title);
		term_table_cell(t, TERM_DIM, news(agent));
	}
	term_table_print(t, &c->out, stdout);
	term_table_free(t);
}

static void list_tasks(const struct ctl *c, const cJSON *tasks)
{
	static const struct term_column columns[] = {{"TASK", true}, {"AGENTS", true},
		{"REPOSITORY", false}, {"BASE", false}, {"TITLE", false}};
	struct term_table *t = term_table_new(columns, 5);
	const cJSON *task;
	char text[32];

	cJSON_ArrayForEach (task, tasks) {
		snprintf(text, sizeof(text), "%lld", (long long)json_int(task, "id", 0));
		term_table_cell(t, TERM_BOLD, text);
		snprintf(text, sizeof(text), "%lld", (long long)json_int(task, "agents", 0));
		term_table_cell(t, TERM_PLAIN, text);
		term_table_cell(t, TERM_PLAIN, json_str(task, "repository", ""));
		term_table_cell(t, TERM_PLAIN, json_str(task, "base", ""));
		term_table_cell(t, TERM_PLAIN, json_str(task, "title", ""));
	}
	term_table_print(t, &c->out, stdout);
	term_table_free(t);
}

int ctl_list(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	bool tasks = args_has(a, "tasks");
	cJSON *params = cJSON_CreateObject();
	const cJSON *rows, *row;
	int64_t task = 0;
	struct err e;

	if (args_get(a, "state"))
		json_add_str(params, "state", args_get(a, "state"));
	if (a->word_count || args_int(a, "task", 1, INT64_MAX, &task, &e) < 0) {
		cJSON_Delete(params);
		return ctl_usage("list", "%s", a->word_count ? "list takes no words" : e.text);
	}
	if (task)
		json_add_int(params, "task", task);
	if (args_has(a, "archived"))
		cJSON_AddTrueToObject(params, "archived");
	if (tasks && cJSON_GetArraySize(params)) {
		cJSON_Delete(params);
		return ctl_usage("list", "--tasks cannot be filtered");
	}
	if (ctl_ask(c, tasks ? "task.list" : "agent.list", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	rows = json_get(r, tasks ? "tasks" : "agents");
	if (args_has(a, "ids")) {
		cJSON_ArrayForEach (row, rows)
			printf("%lld\n", (long long)json_int(row, "id", 0));
		return CTL_OK;
	}
	if (c->json)
		return ctl_print(r);
	if (!cJSON_GetArraySize(rows)) {
		puts(tasks ? "No tasks: `100x new` makes one."
			   : "No agents: `100x new` makes some.");
		return CTL_OK;
	}
	if (tasks)
		list_tasks(c, rows);
	else
		list_agents(c, rows);
	return CTL_OK;
}

/* "Name        text", further lines of text below each other; nothing for "". */
static void field(const struct ctl *c, const char *name, const char *text)
{
	struct term_filter filter = {0};
	struct buf clean;
	char *line, *rest;
	bool first = true;

	if (!text || !*text)
		return;
	buf_init(&clean, 0);
	term_filter_add(&filter, &clean, text, strlen(text));
	rest = clean.data;
	while (rest && (line = strsep(&rest, "\n"))) {
		printf("%s%-12s%s%s\n", term_on(&c->out, TERM_DIM), first ? name : "",
			term_off(&c->out, TERM_DIM), line);
		first = false;
	}
	buf_clear(&clean);
}

static void show_task(const struct ctl *c, const cJSON *task)
{
	char text[64];

	field(c, "Title", json_str(task, "title", ""));
	field(c, "Repository", json_str(task, "repository", ""));
	field(c, "Base", json_str(task, "base", ""));
	field(c, "Tests", json_str(task, "test_command", ""));
	field(c, "Arguments", json_str(task, "aider_arguments", ""));
	snprintf(text, sizeof(text), "%s, permissions: %s",
		json_bool(task, "manager", true) ? "on" : "off", json_str(task, "permission", ""));
	field(c, "Manager", text);
	field(c, "Description", json_str(task, "description", ""));
}

static void show_turns(const struct ctl *c, const cJSON *turns, int64_t last)
{
	int size = cJSON_GetArraySize(turns);
	char in[32], out[32], dollars[32];

	for (int i = size > last ? size - (int)last : 0; i < size; i++) {
		const cJSON *turn = cJSON_GetArrayItem(turns, i);

		printf("\n%sTurn %lld%s (", term_on(&c->out, TERM_BOLD),
			(long long)json_int(turn, "turn", 0), term_off(&c->out, TERM_BOLD));
		printf("%s), %s in %s out %s\n", json_str(turn, "source", ""),
			term_count(json_int(turn, "tokens_in", 0), in),
			term_count(json_int(turn, "tokens_out", 0), out),
			term_dollars(json_num(turn, "dollars", 0), dollars));
		field(c, "  prompt", json_str(turn, "prompt", ""));
		field(c, "  ended", json_str(turn, "stop_reason", ""));
		field(c, "  progress", json_str(turn, "progress", ""));
		field(c, "  thought", json_str(turn, "thought", ""));
		field(c, "  action", json_str(turn, "action", ""));
		field(c, "  future", json_str(turn, "future", ""));
	}
}

static void show_agent(const struct ctl *c, const cJSON *r, int64_t turns)
{
	const char *state = json_str(r, "state", "");
	char text[256], in[32], out[32], dollars[32];

	printf("%sAgent %lld%s  %s%s%s", term_on(&c->out, TERM_BOLD),
		(long long)json_int(r, "id", 0), term_off(&c->out, TERM_BOLD),
		term_on(&c->out, term_state_style(state)), state,
		term_off(&c->out, term_state_style(state)));
	printf("  turn %lld\n", (long long)json_int(r, "turn", 0));
	field(c, "Reason", json_str(r, "reason", ""));
	show_task(c, json_get(r, "task"));
	field(c, "Branch", json_str(r, "branch", ""));
	field(c, "Pull request", json_str(r, "pull_request", ""));
	if (json_int(r, "reclaimed_at", 0))
		field(c, "Workspace", "reclaimed; `100x restore` and `100x retry` make it again");
	if (json_int(r, "reclaimed_at", 0))
		field(c, "Work kept as", json_str(r, "saved", "(there was none)"));
	field(c, "Changes", changes(r, text, sizeof(text)));
	field(c, "Tested", json_str(r, "tests", ""));
	snprintf(text, sizeof(text), "%s tokens in, %s out, %s",
		term_count(json_int(r, "tokens_in", 0), in),
		term_count(json_int(r, "tokens_out", 0), out),
		term_dollars(json_num(r, "dollars", 0), dollars));
	field(c, "Cost", text);
	show_turns(c, json_get(r, "turns"), turns);
}

static int show_one_task(struct ctl *c, int64_t id)
{
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *task;
	struct err e;

	if (ctl_ask(c, "task.list", NULL, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	cJSON_ArrayForEach (task, json_get(r, "tasks")) {
		if (json_int(task, "id", 0) != id)
			continue;
		if (c->json)
			return ctl_print(task);
		show_task(c, task);
		return CTL_OK;
	}
	err_set(&e, ERR_NOT_FOUND, "there is no task %lld", (long long)id);
	return ctl_fail(c, &e);
}

int ctl_show(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	bool task = args_has(a, "task");
	cJSON *params;
	int64_t id, turns = 10;
	struct err e;

	if (a->word_count != 1)
		return ctl_usage("show", "show wants one number");
	if (args_parse_int(a->words[0], task ? "TASK" : "AGENT", 1, INT64_MAX, &id, &e) < 0 ||
		args_int(a, "turns", 0, 200, &turns, &e) < 0)
		return ctl_usage("show", "%s", e.text);
	if (task)
		return show_one_task(c, id);
	params = cJSON_CreateObject();
	json_add_int(params, "agent", id);
	if (ctl_ask(c, "agent.show", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	show_agent(c, r, turns);
	return CTL_OK;
}
