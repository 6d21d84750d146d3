/* task.create and task.list. */
#include <stdlib.h>
#include <string.h>

#include "shared/clock.h"
#include "shared/giturl.h"
#include "supervisor/call.h"
#include "supervisor/config.h"

#define TITLE_MAX 300
#define AGENTS_MAX 10000 /* made by one request */

static int check_tasks(const cJSON *tasks, struct err *e)
{
	static const struct json_field fields[] = {
		{"title", JSON_STRING, true, 1, TITLE_MAX},
		{"description", JSON_STRING, false, 0, EVENT_TEXT_MAX},
	};
	const cJSON *task;
	const char *title;
	int i = 0;

	cJSON_ArrayForEach (task, tasks) {
		if (json_check(task, fields, 2, e) < 0)
			return err_wrap(e, "tasks[%d]", i);
		title = json_str(task, "title", "");
		if (title[strspn(title, " \t\r\n")] == '\0')
			return err_set(e, ERR_INVALID, "tasks[%d]: title: must not be blank", i);
		i++;
	}
	return 0;
}

static int check(const struct supervisor *s, const cJSON *params, struct err *e)
{
	static const struct json_field limits[] = {
		{"turns", JSON_INT, false, 1, 100000},
		{"minutes", JSON_INT, false, 1, 1000000},
		{"dollars", JSON_NUMBER, false, 0.01, 1000000},
	};
	static const struct json_field models[] = {
		{"agent", JSON_STRING, false, 1, 255},
		{"aider", JSON_STRING, false, 1, 255},
	};
	const char *permission = json_str(params, "permission", "allow");
	const cJSON *part;
	struct giturl url;

	if (giturl_parse(json_str(params, "repository", ""),
		    json_bool(s->general, "local_repositories", true), &url, e) < 0)
		return err_wrap(e, "repository");
	if (check_tasks(json_get(params, "tasks"), e) < 0)
		return -1;
	if (strcmp(permission, "allow") != 0 && strcmp(permission, "ask") != 0)
		return err_set(e, ERR_INVALID, "permission: must be allow or ask");
	part = json_get(params, "limits");
	if (part && json_check(part, limits, 3, e) < 0)
		return err_wrap(e, "limits");
	part = json_get(params, "models");
	if (part && (json_check(part, models, 2, e) < 0))
		return err_wrap(e, "models");
	if (part && config_check_models(part, e) < 0)
		return -1;
	if (cJSON_GetArraySize(json_get(params, "tasks")) * json_int(params, "agents_per_task", 1) >
		AGENTS_MAX)
		return err_set(
			e, ERR_INVALID, "agents_per_task: more than %d agents at once", AGENTS_MAX);
	return 0;
}

static int add_agents(
	struct supervisor *s, int64_t task, int64_t n, int64_t at, cJSON *ids, struct err *e)
{
	cJSON *body;
	int64_t id;

	for (; n > 0; n--) {
		if (store_agent_add(s->store, task, agent_state_word(AGENT_QUEUED), at, &id, e) < 0)
			return -1;
		cJSON_AddItemToArray(ids, cJSON_CreateNumber((double)id));
		body = cJSON_CreateObject();
		cJSON_AddItemToObject(body, "agent", store_agent(s->store, id, e));
		if (tx_event(s, "agent", id, EVENT_CREATED, body, e) < 0)
			return -1;
	}
	return 0;
}

static int add_task(struct call *c, const cJSON *one, const char *base, cJSON *made, struct err *e)
{
	const cJSON *limits = json_get(c->params, "limits"),
		    *models = json_get(c->params, "models");
	struct store_defaults defaults = supervisor_defaults(c->s);
	int64_t id, at = clock_wall_ms();
	struct giturl url;
	struct store_task t = {
		.base = base,
		.title = json_str(one, "title", ""),
		.description = json_str(one, "description", ""),
		.aider_arguments = json_str(c->params, "aider_arguments", ""),
		.test_command = json_str(c->params, "test_command", ""),
		.permission = json_str(
			c->params, "permission", json_str(c->s->general, "permission", "allow")),
		.agent_model = json_str(models, "agent", ""),
		.aider_model = json_str(models, "aider", ""),
		.agents = json_int(c->params, "agents_per_task", 1),
		.limit_turns = json_int(limits, "turns", 0),
		.limit_minutes = json_int(limits, "minutes", 0),
		.limit_dollars = json_num(limits, "dollars", 0),
		.manager = json_bool(c->params, "manager", true),
		.pull_request = json_bool(c->params, "pull_request", true),
	};
	cJSON *task, *body;

	if (giturl_parse(json_str(c->params, "repository", ""), true, &url, e) < 0)
		return err_wrap(e, "repository");
	t.repository = url.text;
	if (store_task_add(c->s->store, &t, at, &id, e) < 0)
		return -1;
	body = cJSON_CreateObject();
	cJSON_AddItemToObject(body, "task", store_task(c->s->store, id, &defaults, e));
	if (tx_event(c->s, "task", id, EVENT_CREATED, body, e) < 0)
		return -1;
	task = cJSON_CreateObject();
	cJSON_AddItemToArray(made, task);
	json_add_int(task, "id", id);
	return add_agents(c->s, id, t.agents, at, cJSON_AddArrayToObject(task, "agents"), e);
}

static void enlist(struct supervisor *s, const cJSON *made)
{
	const cJSON *task, *id;
	struct member *m;

	cJSON_ArrayForEach (task, made) {
		cJSON_ArrayForEach (id, json_get(task, "agents")) {
			m = fleet_add(&s->fleet, (int64_t)id->valuedouble);
			m->supervisor = s;
			m->task = json_int(task, "id", 0);
			queue_push(&s->queue, m->id);
		}
	}
	supervisor_kick(s, 0);
}

static void checked(void *arg, const cJSON *answer, const struct err *failure)
{
	struct call *c = arg;
	const char *base = json_str(answer, "base", json_str(c->params, "base", ""));
	cJSON *result, *made;
	const cJSON *one;
	struct err e;

	if (failure) {
		call_fail(c, failure);
		return;
	}
	if (tx_begin(c->s, true, &e) < 0) {
		call_fail(c, &e);
		return;
	}
	result = cJSON_CreateObject();
	made = cJSON_AddArrayToObject(result, "tasks");
	cJSON_ArrayForEach (one, json_get(c->params, "tasks")) {
		if (add_task(c, one, base, made, &e) < 0)
			goto undo;
	}
	if (call_keep(c, result, &e) < 0 || tx_commit(c->s, &e) < 0)
		goto undo;
	enlist(c->s, made);
	call_answer(c, result);
	return;
undo:
	tx_rollback(c->s);
	cJSON_Delete(result);
	call_fail(c, &e);
}

int call_task_create(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	_cleanup_json_ cJSON *question = NULL;
	const struct supervisor *s = c->s;

	(void)result;
	if (check(s, params, e) < 0)
		return -1;
	question = cJSON_CreateObject();
	json_add_str(question, "repository", json_str(params, "repository", ""));
	json_add_str(question, "base", json_str(params, "base", ""));
	json_add_str(question, "aider_arguments", json_str(params, "aider_arguments", ""));
	cJSON_AddItemToObject(question, "local_repositories",
		cJSON_Duplicate(json_get(s->general, "local_repositories"), true));
	cJSON_AddItemToObject(question, "agent_command",
		cJSON_Duplicate(json_get(s->general, "agent_command"), true));
	errand_run(c->s, "check", question, checked, c);
	return CALL_LATER;
}

int call_task_list(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct store_defaults defaults = supervisor_defaults(c->s);
	bool more;
	cJSON *tasks =
		store_task_list(c->s->store, json_int(params, "after", 0), &defaults, &more, e);

	if (!tasks)
		return -1;
	*result = cJSON_CreateObject();
	cJSON_AddItemToObject(*result, "tasks", tasks);
	cJSON_AddBoolToObject(*result, "more", more);
	return CALL_DONE;
}
