/* What is asked of the outside world for people, by errands: repository.check,
 * repository.issues, key.list, model.test, goal.split, task.judge. */
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "supervisor/call.h"

#define DIFFS_BYTES (700 * 1024) /* of all diffs given to a judge */

static cJSON *question_of(const struct call *c, const cJSON *params)
{
	cJSON *question = cJSON_Duplicate(params, true);

	cJSON_AddItemToObject(question, "local_repositories",
		cJSON_Duplicate(json_get(c->s->general, "local_repositories"), true));
	return question;
}

/* An errand's answer, without what is between it and us. */
static cJSON *result_of(const cJSON *answer)
{
	cJSON *result = cJSON_Duplicate(answer, true);

	cJSON_DeleteItemFromObject(result, "ok");
	return result;
}

static void answered(void *arg, const cJSON *answer, const struct err *failure)
{
	if (failure)
		call_fail(arg, failure);
	else
		call_answer(arg, result_of(answer));
}

int call_repository_check(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	_cleanup_json_ cJSON *question = question_of(c, params);

	(void)result;
	(void)e;
	cJSON_AddTrueToObject(question, "branches");
	errand_run(c->s, "check", question, answered, c);
	return CALL_LATER;
}

int call_repository_issues(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	(void)result;
	(void)e;
	errand_run(c->s, "issues", params, answered, c);
	return CALL_LATER;
}

int call_key_list(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	(void)result;
	(void)e;
	errand_run(c->s, "keys", params, answered, c);
	return CALL_LATER;
}

static void model_tested(void *arg, const cJSON *answer, const struct err *failure)
{
	struct call *c = arg;
	cJSON *result;

	if (failure) {
		call_fail(c, failure);
		return;
	}
	result = result_of(answer);
	cJSON_DeleteItemFromObject(result, "works");
	cJSON_AddBoolToObject(result, "ok", json_bool(answer, "works", false));
	json_add_str(result, "model", json_str(c->params, "model", ""));
	call_answer(c, result);
}

int call_model_test(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	(void)result;
	(void)e;
	errand_run(c->s, "model", params, model_tested, c);
	return CALL_LATER;
}

/* What the question cost, told once; and the answer kept. */
static int settle_advice(
	struct call *c, const char *repository, cJSON *result, const cJSON *answer, struct err *e)
{
	const cJSON *dollars = json_get(answer, "dollars");
	struct store_cost cost = {
		.repository = repository,
		.model = json_str(answer, "model", ""),
		.role = "orchestrator",
		.tokens_in = json_int(answer, "tokens_in", 0),
		.tokens_out = json_int(answer, "tokens_out", 0),
		.tokens_cached = json_int(answer, "tokens_cached", 0),
		.dollars = cJSON_IsNumber(dollars) ? dollars->valuedouble : -1,
	};

	if (store_cost_add(c->s->store, &cost, clock_wall_ms(), e) < 0)
		return -1;
	return call_keep(c, result, e);
}

static void split_done(void *arg, const cJSON *answer, const struct err *failure)
{
	struct call *c = arg;
	cJSON *result;
	struct err e;

	if (failure) {
		call_fail(c, failure);
		return;
	}
	result = result_of(answer);
	if (tx_begin(c->s, false, &e) == 0) {
		if (settle_advice(c, json_str(c->params, "repository", ""), result, answer, &e) ==
			0)
			tx_commit(c->s, &e);
		else
			tx_rollback(c->s);
	}
	call_answer(c, result); /* kept or not, it was paid for */
}

int call_goal_split(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	_cleanup_json_ cJSON *question = question_of(c, params);

	(void)result;
	(void)e;
	json_add_str(question, "model", json_str(c->s->models, "orchestrator", ""));
	errand_run(c->s, "split", question, split_done, c);
	return CALL_LATER;
}

static void judged(void *arg, const cJSON *answer, const struct err *failure)
{
	struct call *c = arg;
	int64_t task = json_int(c->params, "task", 0);
	struct store_defaults defaults = supervisor_defaults(c->s);
	_cleanup_json_ cJSON *row = NULL;
	cJSON *result;
	struct err e;

	if (failure) {
		call_fail(c, failure);
		return;
	}
	result = result_of(answer);
	row = store_task(c->s->store, task, &defaults, &e);
	if (row && tx_begin(c->s, true, &e) == 0) {
		if (settle_advice(c, json_str(row, "repository", ""), result, answer, &e) == 0 &&
			tx_event(c->s, "task", task, EVENT_JUDGEMENT, cJSON_Duplicate(result, true),
				&e) == 0)
			tx_commit(c->s, &e);
		else
			tx_rollback(c->s);
	}
	call_answer(c, result);
}

/* The task's agents with their diffs, of which each gets its share. */
static int add_agents(struct call *c, int64_t task, cJSON *question, struct err *e)
{
	cJSON *agents, *agent;
	size_t left = DIFFS_BYTES;
	bool more;

	agents = store_agent_list(c->s->store, NULL, task, true, 0, &more, e);
	if (!agents)
		return -1;
	cJSON_AddItemToObject(question, "agents", agents);
	cJSON_ArrayForEach (agent, agents) {
		_cleanup_free_ char *diff = store_diff_body(c->s->store, json_int(agent, "id", 0));

		if (!diff || strlen(diff) > left)
			continue;
		left -= strlen(diff);
		cJSON_AddRawToObject(agent, "diff", diff);
	}
	if (cJSON_GetArraySize(agents) > 0)
		return 0;
	return err_set(e, ERR_CONFLICT, "task %lld has no agents to judge", (long long)task);
}

int call_task_judge(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct store_defaults defaults = supervisor_defaults(c->s);
	_cleanup_json_ cJSON *question = cJSON_CreateObject();
	int64_t id = json_int(params, "task", 0);
	cJSON *task = store_task(c->s->store, id, &defaults, e);

	(void)result;
	if (!task)
		return -1;
	cJSON_AddItemToObject(question, "task", task);
	if (add_agents(c, id, question, e) < 0)
		return -1;
	json_add_str(question, "model", json_str(c->s->models, "orchestrator", ""));
	errand_run(c->s, "judge", question, judged, c);
	return CALL_LATER;
}
