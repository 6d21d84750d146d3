/* branches, issues, keys, models, split, judge, pick, unpick: before a task and after it. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/text.h"

#define ADVICE_MS 260000 /* a model is asked first */

/* Prints a foreign text on lines of its own, each behind indent. */
static void print_text(const char *indent, const char *text)
{
	struct term_filter filter = {0};
	struct buf clean;
	char *line, *rest;

	buf_init(&clean, 0);
	term_filter_add(&filter, &clean, text, strlen(text));
	rest = clean.data;
	while (rest && (line = strsep(&rest, "\n")))
		printf("%s%s\n", indent, line);
	buf_clear(&clean);
}

static void print_line(const char *text)
{
	struct buf clean;

	buf_init(&clean, 0);
	term_line(&clean, text, 0);
	puts(clean.len ? clean.data : "");
	buf_clear(&clean);
}

/* What a model's advice cost. */
static void print_cost(const struct ctl *c, const cJSON *r)
{
	const cJSON *dollars = json_get(r, "dollars");
	char text[32];

	printf("%sasked %s, %s%s\n", term_on(&c->out, TERM_DIM), json_str(r, "model", "?"),
		cJSON_IsNumber(dollars) ? term_dollars(dollars->valuedouble, text)
					: "price unknown",
		term_off(&c->out, TERM_DIM));
}

static cJSON *about(const char *repository, const char *base)
{
	cJSON *params = cJSON_CreateObject();

	json_add_str(params, "repository", repository);
	if (base)
		json_add_str(params, "base", base);
	return params;
}

int ctl_branches(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *name;
	struct err e;

	if (a->word_count != 1)
		return ctl_usage("branches", "branches wants a repository");
	if (ctl_ask(c, "repository.check", about(a->words[0], NULL), CTL_ASK_LONG_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	cJSON_ArrayForEach (name, json_get(r, "branches")) {
		const char *text = cJSON_IsString(name) ? name->valuestring : "";

		printf("%s ", strcmp(text, json_str(r, "default", "")) == 0 ? "*" : " ");
		print_line(text);
	}
	return CTL_OK;
}

int ctl_issues(struct ctl *c, const struct args *a)
{
	static const struct term_column columns[] = {
		{"ISSUE", true}, {"COMMENTS", true}, {"LABELS", false}, {"TITLE", false}};
	_cleanup_json_ cJSON *r = NULL;
	struct term_table *t;
	const cJSON *issue, *label;
	int64_t page = 0;
	cJSON *params = NULL;
	struct err e;
	char text[64];

	if (a->word_count != 1 || args_int(a, "page", 1, 1000, &page, &e) < 0)
		return ctl_usage("issues", "%s",
			a->word_count != 1 ? "issues wants a repository on GitHub" : e.text);
	params = about(a->words[0], NULL);
	if (args_get(a, "state"))
		json_add_str(params, "state", args_get(a, "state"));
	if (page)
		json_add_int(params, "page", page);
	if (ctl_ask(c, "repository.issues", params, CTL_ASK_LONG_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	t = term_table_new(columns, 4);
	cJSON_ArrayForEach (issue, json_get(r, "issues")) {
		struct buf labels;

		snprintf(text, sizeof(text), "#%lld", (long long)json_int(issue, "number", 0));
		term_table_cell(t, TERM_BOLD, text);
		snprintf(text, sizeof(text), "%lld", (long long)json_int(issue, "comments", 0));
		term_table_cell(t, TERM_PLAIN, text);
		buf_init(&labels, 0);
		cJSON_ArrayForEach (label, json_get(issue, "labels")) {
			if (labels.len)
				buf_adds(&labels, ", ");
			term_line(&labels, cJSON_IsString(label) ? label->valuestring : "", 24);
		}
		term_table_cell(t, TERM_DIM, labels.len ? labels.data : "");
		buf_clear(&labels);
		term_table_cell(t, TERM_PLAIN, json_str(issue, "title", ""));
	}
	term_table_print(t, &c->out, stdout);
	term_table_free(t);
	if (json_bool(r, "more", false))
		printf("There may be more: --page %lld\n", (long long)(page ? page : 1) + 1);
	return CTL_OK;
}

int ctl_keys(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *key;
	struct err e;

	if (a->word_count)
		return ctl_usage("keys", "keys takes no words");
	if (ctl_ask(c, "key.list", NULL, CTL_ASK_LONG_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	cJSON_ArrayForEach (key, json_get(r, "keys")) {
		bool present = json_bool(key, "present", false);

		printf("%s%-8s%s %s\n", term_on(&c->out, present ? TERM_GREEN : TERM_DIM),
			present ? "set" : "not set",
			term_off(&c->out, present ? TERM_GREEN : TERM_DIM),
			json_str(key, "name", ""));
	}
	return CTL_OK;
}

/* One model; CTL_FAILED if it does not answer. */
static int test_model(struct ctl *c, const char *role, const char *model, cJSON *all)
{
	cJSON *params = cJSON_CreateObject(), *r = NULL;
	struct err e;
	bool ok;

	json_add_str(params, "model", model);
	if (ctl_ask(c, "model.test", params, CTL_ASK_LONG_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	ok = json_bool(r, "ok", false);
	if (all) {
		cJSON_AddItemToArray(all, r);
		return ok ? CTL_OK : CTL_FAILED;
	}
	printf("%s%-6s%s %s%s%s", term_on(&c->out, ok ? TERM_GREEN : TERM_RED), ok ? "ok" : "fails",
		term_off(&c->out, ok ? TERM_GREEN : TERM_RED), role, *role ? " " : "", model);
	if (ok)
		printf(", answers within %lld ms\n", (long long)json_int(r, "latency_ms", 0));
	else
		puts("");
	if (!ok) {
		print_text("       ", json_str(r, "error", ""));
		if (*json_str(r, "hint", ""))
			printf("       → %s\n", json_str(r, "hint", ""));
	}
	cJSON_Delete(r);
	return ok ? CTL_OK : CTL_FAILED;
}

int ctl_models(struct ctl *c, const struct args *a)
{
	static const char *const roles[] = {"orchestrator", "agent", "aider"};
	_cleanup_json_ cJSON *config = NULL, *all = c->json ? cJSON_CreateArray() : NULL;
	int code = CTL_OK, one;
	struct err e;

	if (a->word_count < 1 || strcmp(a->words[0], "test") != 0)
		return ctl_usage("models", "models wants: test [MODEL...]");
	for (size_t i = 1; i < a->word_count; i++) {
		one = test_model(c, "", a->words[i], all);
		code = one > code ? one : code;
	}
	if (a->word_count == 1 && ctl_ask(c, "config.get", NULL, CTL_ASK_MS, &config, &e) < 0)
		return ctl_fail(c, &e);
	for (size_t i = 0; config && i < 3; i++) {
		one = test_model(
			c, roles[i], json_str(json_get(config, "models"), roles[i], ""), all);
		code = one > code ? one : code;
	}
	if (all) {
		_cleanup_json_ cJSON *r = cJSON_CreateObject();

		cJSON_AddItemToObject(r, "models", cJSON_Duplicate(all, true));
		ctl_print(r);
	}
	return code;
}

int ctl_split(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *task;
	struct buf goal;
	int64_t most = 0;
	cJSON *params = NULL;
	struct err e;

	if (a->word_count < 2 || args_int(a, "tasks", 1, 20, &most, &e) < 0)
		return ctl_usage("split", "%s",
			a->word_count < 2 ? "split wants a repository and a goal" : e.text);
	buf_init(&goal, TEXT_MAX);
	if (a->word_count == 2 && strcmp(a->words[1], "-") == 0) {
		if (text_read("-", &goal, &e) < 0)
			return ctl_fail(c, &e);
	} else {
		for (size_t i = 1; i < a->word_count; i++)
			buf_addf(&goal, "%s%s", i > 1 ? " " : "", a->words[i]);
	}
	params = about(a->words[0], args_get(a, "base"));
	json_add_text(params, "goal", goal.data ? goal.data : "", goal.len);
	buf_clear(&goal);
	if (most)
		json_add_int(params, "tasks", most);
	if (ctl_ask(c, "goal.split", params, ADVICE_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	cJSON_ArrayForEach (task, json_get(r, "tasks")) {
		fputs(term_on(&c->out, TERM_BOLD), stdout);
		print_line(json_str(task, "title", ""));
		fputs(term_off(&c->out, TERM_BOLD), stdout);
		print_text("    ", json_str(task, "description", ""));
		puts("");
	}
	print_cost(c, r);
	return CTL_OK;
}

/* The one number a command wants, as a parameter of this name. */
static int number(const char *command, const char *what, const struct args *a, cJSON **params)
{
	int64_t id;
	struct err e;

	if (a->word_count != 1)
		return ctl_usage(command, "%s wants one %s", command, what);
	if (args_parse_int(a->words[0], what, 1, INT64_MAX, &id, &e) < 0)
		return ctl_usage(command, "%s", e.text);
	*params = cJSON_CreateObject();
	json_add_int(*params, what, id);
	return CTL_OK;
}

int ctl_judge(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *score;
	cJSON *params = NULL;
	struct err e;

	if (number("judge", "task", a, &params) != CTL_OK)
		return CTL_USAGE;
	if (ctl_ask(c, "task.judge", params, ADVICE_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	if (json_int(r, "winner", 0) > 0)
		printf("%sAgent %lld%s is best.\n", term_on(&c->out, TERM_BOLD),
			(long long)json_int(r, "winner", 0), term_off(&c->out, TERM_BOLD));
	else
		puts("No agent's work is usable.");
	print_text("", json_str(r, "reasons", ""));
	cJSON_ArrayForEach (score, json_get(r, "scores")) {
		printf("\nAgent %lld: %.0f of 100\n", (long long)json_int(score, "agent", 0),
			json_num(score, "score", 0));
		print_text("    ", json_str(score, "reasons", ""));
	}
	puts("");
	print_cost(c, r);
	return CTL_OK;
}

int ctl_pick(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *agent = NULL, *r = NULL;
	cJSON *params = NULL;
	struct err e;

	if (number("pick", "agent", a, &params) != CTL_OK)
		return CTL_USAGE;
	if (ctl_ask(c, "agent.show", cJSON_Duplicate(params, true), CTL_ASK_MS, &agent, &e) == 0)
		json_add_int(params, "task", json_int(agent, "task_id", 0));
	if (!agent) {
		cJSON_Delete(params);
		return ctl_fail(c, &e);
	}
	if (ctl_ask(c, "task.pick", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	printf("Agent %lld is picked; %d others are archived, %d are stopped first.\n",
		(long long)json_int(r, "winner", 0), cJSON_GetArraySize(json_get(r, "archived")),
		cJSON_GetArraySize(json_get(r, "stopped")));
	if (json_bool(r, "opens_pull_request", false))
		puts("It opens its pull request, if it still works: when it is done.");
	return CTL_OK;
}

int ctl_unpick(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	cJSON *params = NULL;
	struct err e;

	if (number("unpick", "task", a, &params) != CTL_OK)
		return CTL_USAGE;
	if (ctl_ask(c, "task.unpick", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	printf("No agent is picked; %d are back in the lists.\n",
		cJSON_GetArraySize(json_get(r, "unarchived")));
	return CTL_OK;
}
