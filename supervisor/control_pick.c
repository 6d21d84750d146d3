/* task.pick and task.unpick: one of rival agents is taken, the others step back. */
#include <stdlib.h>

#include "shared/cleanup.h"
#include "shared/giturl.h"
#include "supervisor/call.h"

static int tell_winner(
	struct supervisor *s, int64_t task, int64_t agent, cJSON *archived, struct err *e)
{
	cJSON *body = cJSON_CreateObject();

	if (agent)
		json_add_int(body, "agent", agent);
	else
		cJSON_AddNullToObject(body, "agent");
	cJSON_AddItemToObject(body, "archived", archived);
	return tx_event(s, "task", task, EVENT_WINNER, body, e);
}

/* It has no pull request, and could have one. */
static bool lacks_pull(struct supervisor *s, const struct member *m, const cJSON *task)
{
	struct giturl url;
	struct err e;

	return !store_agent_has_pull_request(s->store, m->id) &&
	       giturl_parse(json_str(task, "repository", ""), true, &url, &e) == 0 &&
	       url.scheme != GITURL_LOCAL;
}

static const struct agent *as_it_will_be(const struct member *m)
{
	return m->touched ? &m->next : &m->agent;
}

/* The winner's pull request, whatever the task said: one that is done without it finishes
 * anew; the worker of one that has not ended is told. */
static int open_pull(struct supervisor *s, struct member *m, bool *opens, struct err *e)
{
	struct store_defaults defaults = supervisor_defaults(s);
	_cleanup_json_ cJSON *task = store_task(s->store, m->task, &defaults, e);
	_cleanup_json_ cJSON *body = cJSON_CreateObject();
	struct agent_input retry = {.event = AGENT_RETRY, .may_retry_done = true};
	const struct agent *a = as_it_will_be(m);

	if (!task)
		return -1;
	*opens = !a->deleting && a->state != AGENT_FAILED && a->state != AGENT_STOPPED &&
		 lacks_pull(s, m, task);
	if (!*opens)
		return 0;
	if (a->state == AGENT_DONE)
		return tx_change(s, m, &retry, e);
	if (json_bool(task, "pull_request", true))
		return 0; /* it does so anyway */
	cJSON_AddTrueToObject(body, "wanted");
	return tx_command(s, m, "pull_request", body, e);
}

/* It was told that its pull request is wanted, and ended before it heard. */
static int heard_too_late(struct supervisor *s, struct member *m, struct err *e)
{
	bool opens;

	if (as_it_will_be(m)->state != AGENT_DONE ||
		!store_command_waits(s->store, m->id, "pull_request"))
		return 0;
	return open_pull(s, m, &opens, e);
}

int pick_ended(struct supervisor *s, struct member *m, struct err *e)
{
	int64_t winner;

	if (store_task_winner(s->store, m->task, &winner, e) < 0)
		return -1;
	if (winner == m->id)
		return heard_too_late(s, m, e);
	return winner ? agent_archive(s, m, STORE_ARCHIVED_BY_PICK, e) : 0;
}

/* Stopped if it works, archived if (or as soon as) it has ended. */
static int step_back(
	struct supervisor *s, struct member *m, cJSON *archived, cJSON *stopped, struct err *e)
{
	struct agent_input stop = {.event = AGENT_STOP};

	if (m->agent.deleting)
		return 0;
	if (agent_state_ended(m->agent.state)) {
		cJSON_AddItemToArray(archived, cJSON_CreateNumber((double)m->id));
		return agent_archive(s, m, STORE_ARCHIVED_BY_PICK, e);
	}
	cJSON_AddItemToArray(stopped, cJSON_CreateNumber((double)m->id));
	if (tx_change(s, m, &stop, e) == 0)
		return 0;
	return e->kind == ERR_CONFLICT ? 0 : -1; /* it stops already */
}

int call_task_pick(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	int64_t task = json_int(params, "task", 0), winner;
	struct member *m = call_member(c, params, e), *other;
	_cleanup_free_ int64_t *ids = NULL;
	cJSON *archived, *stopped;
	bool opens;
	size_t n;

	if (!m || store_task_winner(c->s->store, task, &winner, e) < 0)
		return -1;
	if (m->task != task)
		return err_set(e, ERR_INVALID,
			"agent: agent %lld is of task %lld, not of task %lld", (long long)m->id,
			(long long)m->task, (long long)task);
	if (winner && winner != m->id)
		return err_set(e, ERR_CONFLICT,
			"agent %lld was picked already: take that back first", (long long)winner);
	/* The winner first: who ends from now on steps back. */
	if (store_task_pick(c->s->store, task, m->id, e) < 0 ||
		store_task_agents(c->s->store, task, false, &ids, &n, e) < 0 ||
		agent_archive(c->s, m, STORE_LISTED, e) < 0)
		return -1;
	*result = cJSON_CreateObject();
	json_add_int(*result, "winner", m->id);
	archived = cJSON_AddArrayToObject(*result, "archived");
	stopped = cJSON_AddArrayToObject(*result, "stopped");
	for (size_t i = 0; i < n; i++) {
		other = fleet_find(&c->s->fleet, ids[i]);
		if (other && other != m && step_back(c->s, other, archived, stopped, e) < 0)
			return -1;
	}
	if (open_pull(c->s, m, &opens, e) < 0)
		return -1;
	cJSON_AddBoolToObject(*result, "opens_pull_request", opens);
	return winner ? 0 : tell_winner(c->s, task, m->id, cJSON_Duplicate(archived, true), e);
}

/* Its pull request is again what the task says. */
static int take_back(struct supervisor *s, struct member *m, struct err *e)
{
	struct store_defaults defaults = supervisor_defaults(s);
	_cleanup_json_ cJSON *task = store_task(s->store, m->task, &defaults, e);
	_cleanup_json_ cJSON *body = cJSON_CreateObject();

	if (!task)
		return -1;
	if (json_bool(task, "pull_request", true) || m->agent.deleting ||
		agent_state_ended(m->agent.state))
		return 0;
	cJSON_AddFalseToObject(body, "wanted");
	return tx_command(s, m, "pull_request", body, e);
}

int call_task_unpick(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	int64_t task = json_int(params, "task", 0), winner;
	_cleanup_free_ int64_t *ids = NULL;
	struct member *m;
	cJSON *back;
	size_t n;

	if (store_task_winner(c->s->store, task, &winner, e) < 0)
		return -1;
	if (!winner)
		return err_set(
			e, ERR_CONFLICT, "no agent of task %lld was picked", (long long)task);
	if (store_task_pick(c->s->store, task, 0, e) < 0 ||
		store_task_agents(c->s->store, task, true, &ids, &n, e) < 0)
		return -1;
	m = fleet_find(&c->s->fleet, winner);
	if (m && take_back(c->s, m, e) < 0)
		return -1;
	*result = cJSON_CreateObject();
	back = cJSON_AddArrayToObject(*result, "unarchived");
	for (size_t i = 0; i < n; i++) {
		m = fleet_find(&c->s->fleet, ids[i]);
		if (m && agent_archive(c->s, m, STORE_LISTED, e) < 0)
			return -1;
		cJSON_AddItemToArray(back, cJSON_CreateNumber((double)ids[i]));
	}
	return tell_winner(c->s, task, 0, cJSON_CreateArray(), e);
}
