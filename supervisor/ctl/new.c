/* new: tasks and their agents. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/json.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/logs.h"
#include "supervisor/ctl/text.h"

#define TITLE_MAX 256 /* bytes of a title made from a line */

static void add_task(cJSON *tasks, const char *title, size_t n, const char *description)
{
	cJSON *task = cJSON_CreateObject();

	json_add_text(task, "title", title, n);
	if (description && *description)
		json_add_str(task, "description", description);
	cJSON_AddItemToArray(tasks, task);
}

/* "title: description"; without a colon (or with a title too long to be one) the whole
 * is the description as well. */
static void add_line_task(cJSON *tasks, const char *line)
{
	const char *colon = strstr(line, ": ");
	size_t n = strlen(line);

	if (colon && (size_t)(colon - line) <= TITLE_MAX)
		add_task(tasks, line, (size_t)(colon - line), colon + 2);
	else
		add_task(tasks, line, utf8_cut(line, n, TITLE_MAX), n > TITLE_MAX ? line : NULL);
}

static int add_file(cJSON *tasks, const char *path, struct err *e)
{
	struct buf text;
	const char *p;
	cJSON *list, *from, *task;
	int code = -1;

	buf_init(&text, TEXT_MAX);
	if (text_read(path, &text, e) < 0)
		goto out;
	p = text.data ? text.data : "";
	p += strspn(p, " \t\r\n");
	if (*p == '[' || *p == '{') { /* {"tasks": […]}: what `100x split --json` prints */
		list = json_parse(p, strlen(p), TEXT_MAX, e);
		if (!list) {
			err_wrap(e, "%s", path);
			goto out;
		}
		from = cJSON_IsObject(list) ? cJSON_GetObjectItemCaseSensitive(list, "tasks")
					    : list;
		while ((task = cJSON_DetachItemFromArray(from, 0)))
			cJSON_AddItemToArray(tasks, task);
		cJSON_Delete(list);
	} else {
		char *rest = text.data, *line;

		while (rest && (line = strsep(&rest, "\n"))) {
			line += strspn(line, " \t\r");
			line[strcspn(line, "\r")] = 0;
			if (*line && *line != '#')
				add_line_task(tasks, line);
		}
	}
	code = 0;
out:
	buf_clear(&text);
	return code;
}

static int add_tasks(cJSON *params, const struct args *a, struct err *e)
{
	cJSON *tasks = cJSON_AddArrayToObject(params, "tasks");
	const char *title = args_get(a, "title");

	if (args_has(a, "description") && !title)
		return err_set(e, ERR_INVALID, "--description wants a --title");
	if (title)
		add_task(tasks, title, strlen(title), args_get(a, "description"));
	for (size_t i = 0; i < a->given_count; i++) {
		if (strcmp(a->given[i].option->name, "task") == 0)
			add_line_task(tasks, a->given[i].value);
		if (strcmp(a->given[i].option->name, "tasks-file") == 0 &&
			add_file(tasks, a->given[i].value, e) < 0)
			return -1;
	}
	if (!cJSON_GetArraySize(tasks))
		return err_set(e, ERR_INVALID,
			"no task: give --title and --description, --task or --tasks-file");
	return 0;
}

static int add_limits(cJSON *params, const struct args *a, struct err *e)
{
	int64_t turns = 0, minutes = 0;
	double dollars = 0;
	cJSON *limits;

	if (args_int(a, "turns", 1, 1000000, &turns, e) < 0 ||
		args_int(a, "minutes", 1, 1000000, &minutes, e) < 0 ||
		args_number(a, "dollars", 0.000001, 1e6, &dollars, e) < 0)
		return -1;
	if (!turns && !minutes && dollars <= 0)
		return 0;
	limits = cJSON_AddObjectToObject(params, "limits");
	if (turns)
		json_add_int(limits, "turns", turns);
	if (minutes)
		json_add_int(limits, "minutes", minutes);
	if (dollars > 0)
		cJSON_AddNumberToObject(limits, "dollars", dollars);
	return 0;
}

static void add_models(cJSON *params, const struct args *a)
{
	const char *agent = args_get(a, "agent-model"), *aider = args_get(a, "aider-model");
	cJSON *models;

	if (!agent && !aider)
		return;
	models = cJSON_AddObjectToObject(params, "models");
	if (agent)
		json_add_str(models, "agent", agent);
	if (aider)
		json_add_str(models, "aider", aider);
}

/* A path is meant from where the user stands, not from where the supervisor does. */
static void add_repository(cJSON *params, const char *text)
{
	char path[PATH_MAX];
	struct stat st;

	if (!strstr(text, "://") && stat(text, &st) == 0 && S_ISDIR(st.st_mode) &&
		realpath(text, path))
		text = path;
	json_add_str(params, "repository", text);
}

static cJSON *task_params(const struct args *a, struct err *e)
{
	static const struct {
		const char *option, *field;
	} texts[] = {{"base", "base"}, {"test", "test_command"}, {"aider-args", "aider_arguments"}};
	cJSON *params = cJSON_CreateObject();
	int64_t agents = 0;

	add_repository(params, a->words[0]);
	for (size_t i = 0; i < 3; i++)
		if (args_get(a, texts[i].option))
			json_add_str(params, texts[i].field, args_get(a, texts[i].option));
	if (add_tasks(params, a, e) < 0 || add_limits(params, a, e) < 0 ||
		args_int(a, "agents", 1, 1000, &agents, e) < 0) {
		cJSON_Delete(params);
		return NULL;
	}
	if (agents)
		json_add_int(params, "agents_per_task", agents);
	if (args_has(a, "no-manager"))
		cJSON_AddFalseToObject(params, "manager");
	if (args_has(a, "no-pull-request"))
		cJSON_AddFalseToObject(params, "pull_request");
	if (args_has(a, "ask"))
		json_add_str(params, "permission", "ask");
	add_models(params, a);
	return params;
}

static void tell_created(const cJSON *result)
{
	const cJSON *task, *agent;

	cJSON_ArrayForEach (task, json_get(result, "tasks")) {
		int n = cJSON_GetArraySize(json_get(task, "agents"));

		printf("Task %lld: agent%s", (long long)json_int(task, "id", 0), n == 1 ? "" : "s");
		cJSON_ArrayForEach (agent, json_get(task, "agents"))
			printf(" %lld", (long long)agent->valuedouble);
		putchar('\n');
	}
	fflush(stdout);
}

static int wait_for(struct ctl *c, const cJSON *result, int64_t after)
{
	const cJSON *task, *agent;
	int64_t *ids;
	size_t n = 0;
	int code;

	cJSON_ArrayForEach (task, json_get(result, "tasks"))
		n += (size_t)cJSON_GetArraySize(json_get(task, "agents"));
	ids = calloc(n + 1, sizeof(*ids));
	if (!ids)
		err_out_of_memory();
	n = 0;
	cJSON_ArrayForEach (task, json_get(result, "tasks")) {
		cJSON_ArrayForEach (agent, json_get(task, "agents"))
			ids[n++] = (int64_t)agent->valuedouble;
	}
	code = logs_wait(c, ids, n, after);
	free(ids);
	return code;
}

int ctl_new(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *status = NULL;
	_cleanup_json_ cJSON *r = NULL;
	cJSON *params;
	struct err e;

	if (a->word_count != 1)
		return ctl_usage("new", "new wants one repository");
	params = task_params(a, &e);
	if (!params)
		return ctl_usage("new", "%s", e.text);
	/* Following starts before they exist, so that nothing of them is missed. */
	if (ctl_ask(c, "status", NULL, CTL_ASK_MS, &status, &e) < 0) {
		cJSON_Delete(params);
		return ctl_fail(c, &e);
	}
	if (ctl_ask(c, "task.create", params, CTL_ASK_LONG_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (!c->json)
		tell_created(r);
	else if (!args_has(a, "wait"))
		return ctl_print(r);
	return args_has(a, "wait") ? wait_for(c, r, json_int(status, "last_event", 0)) : CTL_OK;
}
