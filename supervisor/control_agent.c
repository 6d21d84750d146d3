/* agent.*. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/crash.h"
#include "shared/log.h"
#include "supervisor/call.h"
#include "supervisor/reclaim.h"

#define TELL_MAX (64 * 1024)

struct member *call_member(struct call *c, const cJSON *params, struct err *e)
{
	int64_t id = json_int(params, "agent", 0);
	struct member *m = fleet_find(&c->s->fleet, id);

	if (!m)
		err_set(e, ERR_NOT_FOUND, "there is no agent %lld", (long long)id);
	return m;
}

/* The agent, if it has not ended. */
static struct member *alive(struct call *c, const cJSON *params, struct err *e)
{
	struct member *m = call_member(c, params, e);

	if (m && m->agent.deleting) {
		err_set(e, ERR_CONFLICT, "agent %lld is being deleted", (long long)m->id);
		return NULL;
	}
	if (m && agent_state_ended(m->agent.state)) {
		err_set(e, ERR_CONFLICT, "agent %lld has ended (%s): retry it first",
			(long long)m->id, agent_state_word(m->agent.state));
		return NULL;
	}
	return m;
}

int call_agent_list(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	const char *state = json_str(params, "state", NULL);
	cJSON *agents;
	bool more;

	if (state && agent_state_parse(state) == AGENT_STATE_COUNT)
		return err_set(e, ERR_INVALID, "state: \"%s\" is no state of an agent", state);
	agents = store_agent_list(c->s->store, state, json_int(params, "task", 0),
		json_bool(params, "archived", false), json_int(params, "after", 0), &more, e);
	if (!agents)
		return -1;
	*result = cJSON_CreateObject();
	cJSON_AddItemToObject(*result, "agents", agents);
	cJSON_AddBoolToObject(*result, "more", more);
	return CALL_DONE;
}

int call_agent_show(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct store_defaults defaults = supervisor_defaults(c->s);
	struct member *m = call_member(c, params, e);
	cJSON *agent, *task, *turns;

	agent = m ? store_agent(c->s->store, m->id, e) : NULL;
	if (!agent)
		return -1;
	task = store_task(c->s->store, m->task, &defaults, e);
	turns = task ? store_turns(c->s->store, m->id, e) : NULL;
	if (!turns) {
		cJSON_Delete(agent);
		cJSON_Delete(task);
		return -1;
	}
	cJSON_AddItemToObject(agent, "task", task);
	cJSON_AddItemToObject(agent, "turns", turns);
	*result = agent;
	return CALL_DONE;
}

static int check_from(const char *from, int64_t *agent, struct err *e)
{
	long long id;
	char end;

	*agent = 0;
	if (strcmp(from, "person") == 0)
		return 0;
	if (sscanf(from, "agent/%18lld%c", &id, &end) == 1 && id > 0) {
		*agent = id;
		return 0;
	}
	return err_set(e, ERR_INVALID, "from: must be \"person\" or \"agent/7\"");
}

int call_agent_tell(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	static const struct json_field one[] = {
		{"agent", JSON_INT, true, 1, 9007199254740991.0},
		{"text", JSON_STRING, true, 1, TELL_MAX},
		{"from", JSON_STRING, false, 1, 64},
	};
	static const struct json_field all[] = {
		{"agent", JSON_STRING, true, 1, 16},
		{"text", JSON_STRING, true, 1, TELL_MAX},
		{"from", JSON_STRING, false, 1, 64},
	};
	const cJSON *to = json_get(params, "agent");
	_cleanup_json_ cJSON *body = NULL;
	_cleanup_free_ int64_t *ids = NULL;
	struct member *m;
	int64_t from, only = 0;
	cJSON *told;
	size_t i, n = 1;

	if (json_check(params, cJSON_IsString(to) ? all : one, 3, e) < 0)
		return -1;
	if (cJSON_IsString(to) && strcmp(to->valuestring, "all") != 0)
		return err_set(e, ERR_INVALID, "agent: must be an agent's number or \"all\"");
	if (check_from(json_str(params, "from", "person"), &from, e) < 0)
		return -1;
	if (cJSON_IsString(to)) {
		if (store_agents_alive(c->s->store, from, &ids, &n, e) < 0)
			return -1;
	} else {
		m = alive(c, params, e);
		if (!m)
			return -1;
		only = m->id;
	}
	body = cJSON_CreateObject();
	json_add_str(body, "text", json_str(params, "text", ""));
	json_add_str(body, "from", json_str(params, "from", "person"));
	*result = cJSON_CreateObject();
	told = cJSON_AddArrayToObject(*result, "agents");
	for (i = 0; i < n; i++) {
		m = fleet_find(&c->s->fleet, ids ? ids[i] : only);
		if (!m || m->agent.deleting || agent_state_ended(m->agent.state))
			continue;
		if (tx_command(c->s, m, "tell", body, e) < 0)
			return -1;
		cJSON_AddItemToArray(told, cJSON_CreateNumber((double)m->id));
	}
	return CALL_DONE;
}

/* agent.interrupt, .pause, .resume, .finish: what is behind the dot is the command. */
int call_agent_command(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	const char *kind = strchr(c->method->name, '.') + 1;
	struct member *m = alive(c, params, e);

	if (!m)
		return -1;
	if (strcmp(kind, "interrupt") == 0 && m->agent.state != AGENT_WORKING)
		return err_set(e, ERR_CONFLICT, "agent %lld has no turn to interrupt (%s)",
			(long long)m->id, agent_state_word(m->agent.state));
	*result = cJSON_CreateObject();
	return tx_command(c->s, m, kind, NULL, e);
}

/* What is asked must be open, and the answer one of those that are offered; whoever
 * answers has seen the event. */
static int check_permission(
	struct call *c, int64_t agent, const char *id, const char *option, struct err *e)
{
	_cleanup_json_ cJSON *asked = store_permission(c->s->store, agent, id, e);
	const char *status = json_str(asked, "status", "");
	const cJSON *o;
	struct buf offered;

	if (!asked)
		return e->kind ? -1
			       : err_set(e, ERR_NOT_FOUND, "agent %lld asks for no permission %s",
					 (long long)agent, id);
	if (strcmp(status, "asked") != 0)
		return err_set(e, ERR_CONFLICT,
			"permission %s of agent %lld is not open any more (%s)", id,
			(long long)agent, status);
	buf_init(&offered, 600);
	cJSON_ArrayForEach (o, json_get(asked, "options")) {
		if (strcmp(json_str(o, "id", ""), option) == 0) {
			buf_clear(&offered);
			return 0;
		}
		buf_addf(&offered, "%s%.64s", offered.len ? ", " : "", json_str(o, "id", ""));
	}
	err_set(e, ERR_INVALID, "option: \"%.64s\" was not offered; permission %s takes %s", option,
		id, offered.len ? offered.data : "nothing");
	buf_clear(&offered);
	return -1;
}

int call_agent_permission(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	_cleanup_json_ cJSON *body = cJSON_CreateObject();
	struct member *m = alive(c, params, e);

	if (!m || check_permission(c, m->id, json_str(params, "permission", ""),
			  json_str(params, "option", ""), e) < 0)
		return -1;
	json_add_str(body, "permission", json_str(params, "permission", ""));
	json_add_str(body, "option", json_str(params, "option", ""));
	*result = cJSON_CreateObject();
	return tx_command(c->s, m, "permission", body, e);
}

int call_agent_stop(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct agent_input in = {.event = AGENT_STOP};
	struct member *m = call_member(c, params, e);

	if (!m)
		return -1;
	*result = cJSON_CreateObject();
	return tx_change(c->s, m, &in, e);
}

int agent_archive(
	struct supervisor *s, struct member *m, enum store_archived archived, struct err *e)
{
	const struct agent *a = m->touched ? &m->next : &m->agent;
	cJSON *body;
	bool changed;

	if (archived && !agent_state_ended(a->state))
		return err_set(e, ERR_CONFLICT,
			"agent %lld is %s: only one that has ended can be archived; stop it first",
			(long long)m->id, agent_state_word(a->state));
	if (store_agent_archive(s->store, m->id, archived, &changed, e) < 0)
		return -1;
	if (!changed)
		return 0;
	body = cJSON_CreateObject();
	cJSON_AddBoolToObject(body, "archived", archived != STORE_LISTED);
	return tx_event(s, "agent", m->id, EVENT_ARCHIVE, body, e);
}

int call_agent_archive(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct member *m = call_member(c, params, e);

	if (!m)
		return -1;
	*result = cJSON_CreateObject();
	return agent_archive(
		c->s, m, json_bool(params, "archived", true) ? STORE_ARCHIVED : STORE_LISTED, e);
}

int call_agent_retry(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct agent_input in = {.event = AGENT_RETRY};
	struct member *m = call_member(c, params, e);

	if (!m || reclaim_settled(m, e) < 0)
		return -1;
	in.may_retry_done = !store_agent_has_pull_request(c->s->store, m->id);
	*result = cJSON_CreateObject();
	/* What works is never out of sight. */
	if (tx_change(c->s, m, &in, e) == 0)
		return agent_archive(c->s, m, STORE_LISTED, e);
	return err_wrap(e, "only an agent that has failed, was stopped, or is done without a pull "
			   "request can be retried");
}

/* --- delete --- */

static struct call *waiting_for(struct supervisor *s, int64_t agent)
{
	struct call *c = s->calls;

	while (c && c->agent != agent)
		c = c->next;
	return c;
}

/* Its workspace is gone: now its rows; what was a long log goes little by little. */
static int forget(
	struct supervisor *s, struct member *m, struct call *c, const cJSON *result, struct err *e)
{
	if (tx_begin(s, true, e) < 0)
		return -1;
	if (store_agent_delete(s->store, m->id, e) < 0 ||
		tx_event(s, "agent", m->id, EVENT_DELETED, NULL, e) < 0 ||
		(c && call_keep(c, result, e) < 0)) {
		tx_rollback(s);
		return -1;
	}
	return tx_commit(s, e);
}

struct removal {
	struct supervisor *s;
	int64_t agent;
};

static void removed(void *arg, const cJSON *answer, const struct err *failure)
{
	_cleanup_free_ struct removal *r = arg;
	_cleanup_json_ cJSON *result = cJSON_CreateObject();
	const char *saved = json_str(answer, "saved", NULL);
	struct call *c = waiting_for(r->s, r->agent);
	struct member *m = fleet_find(&r->s->fleet, r->agent);
	struct err e;

	crash_point(CRASH_DELETE_REMOVED);
	if (saved) {
		json_add_str(result, "saved", saved);
		json_add_str(result, "mirror", json_str(answer, "mirror", ""));
		log_info("agent=%lld its work is kept as %s in %s", (long long)r->agent, saved,
			json_str(answer, "mirror", ""));
	}
	if (failure)
		e = *failure;
	if (failure || forget(r->s, m, c, result, &e) < 0) {
		err_wrap(&e, "agent %lld is stopped, but could not be removed", (long long)m->id);
		log_warn("%s", e.text);
		m->agent.deleting = false;
		if (c)
			call_fail(c, &e);
		return;
	}
	crash_point(CRASH_DELETE_FORGOTTEN);
	err_set(&e, ERR_NOT_FOUND, "gone: agent %lld was deleted", (long long)m->id);
	poll_refuse(m, &e);
	m->agent.deadline_ms = 0;
	m->unsaved = false;
	supervisor_arm(m);
	fleet_remove(&r->s->fleet, m);
	keeper_forget(r->s);
	if (c)
		call_answer(c, take_ptr(result));
}

void call_agent_remove(struct supervisor *s, struct member *m)
{
	struct store_defaults defaults = supervisor_defaults(s);
	_cleanup_json_ cJSON *question = cJSON_CreateObject();
	_cleanup_json_ cJSON *task = store_task(s->store, m->task, &defaults, NULL);
	struct removal *r = malloc(sizeof(*r));

	if (!r)
		err_out_of_memory();
	r->s = s;
	r->agent = m->id;
	crash_point(CRASH_DELETE_BEGIN);
	json_add_int(question, "agent", m->id);
	json_add_str(question, "repository", json_str(task, "repository", ""));
	cJSON_AddBoolToObject(question, "discard", m->discard);
	errand_run(s, "remove", question, removed, r);
}

int call_agent_delete(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct agent_input in = {.event = AGENT_DELETE};
	struct member *m = call_member(c, params, e);

	(void)result;
	if (!m || reclaim_settled(m, e) < 0 || tx_begin(c->s, true, e) < 0)
		return -1;
	if (tx_change(c->s, m, &in, e) < 0) {
		tx_rollback(c->s);
		return -1;
	}
	c->agent = m->id;
	m->discard = json_bool(params, "discard", false);
	return tx_commit(c->s, e) < 0 ? -1 : CALL_LATER;
}
