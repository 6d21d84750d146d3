/* worker.hello and worker.next. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/clock.h"
#include "shared/log.h"
#include "supervisor/call.h"

/* The agent, if this is its present worker. */
static struct member *present(struct call *c, const cJSON *params, struct err *e)
{
	int64_t id = json_int(params, "agent", 0), epoch = json_int(params, "epoch", 0);
	struct member *m = fleet_find(&c->s->fleet, id);

	if (!m) {
		err_set(e, ERR_NOT_FOUND, "gone: there is no agent %lld", (long long)id);
		return NULL;
	}
	if (epoch == m->epoch)
		return m;
	if (epoch < m->epoch)
		err_set(e, ERR_DENIED, "replaced by epoch %lld", (long long)m->epoch);
	else
		err_set(e, ERR_DENIED, "epoch %lld was never given to a worker of agent %lld",
			(long long)epoch, (long long)id);
	return NULL;
}

/* False: the worker and we have no version in common. It ends its turn and is replaced. */
static bool speak(struct call *c, struct member *m, const cJSON *params, bool fresh)
{
	struct agent_input in = {.event = AGENT_RETIRE, .fresh = fresh};
	int64_t own = json_int(params, "version", 1), oldest = json_int(params, "oldest", own);

	m->heard_ms = clock_now_ms();
	if (event_version_common(oldest, own))
		return true;
	if (m->agent.retiring)
		return false;
	log_warn("agent=%lld its worker speaks protocol %lld to %lld, the supervisor %d to %d: %s",
		(long long)m->id, (long long)oldest, (long long)own, event_version_oldest(),
		event_version(),
		fresh ? "restart the supervisor, so that both are of the same version"
		      : "it ends its turn and is replaced");
	in.patience_ms = json_int(c->s->general, "turn_minutes", 30) * clock_minute_ms();
	supervisor_happened(c->s, m, &in);
	return false;
}

int call_worker_hello(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct store_defaults defaults = supervisor_defaults(c->s);
	struct member *m = present(c, params, e);
	cJSON *agent, *task, *commands;

	if (!m)
		return -1;
	if (!speak(c, m, params, true))
		return err_set(e, ERR_UNAVAILABLE,
			"this worker and the supervisor have no version of the protocol in common: "
			"restart the supervisor");
	agent = store_agent(c->s->store, m->id, e);
	task = agent ? store_task(c->s->store, m->task, &defaults, e) : NULL;
	/* Known before it does anything: what it was told while no worker was there. */
	commands = task ? store_commands_after(c->s->store, m->id, m->command_done, e) : NULL;
	if (!commands) {
		cJSON_Delete(agent);
		cJSON_Delete(task);
		return -1;
	}
	/* What was picked is wanted as a pull request, whatever the task said. */
	if (json_int(task, "winner", 0) == m->id)
		cJSON_ReplaceItemInObject(task, "pull_request", cJSON_CreateTrue());
	*result = cJSON_CreateObject();
	json_add_int(*result, "version", event_version());
	cJSON_AddItemToObject(*result, "commands", commands);
	json_add_int(*result, "committed", m->committed);
	cJSON_AddItemToObject(*result, "agent", agent);
	cJSON_AddItemToObject(*result, "task", task);
	cJSON_AddItemToObject(*result, "config", cJSON_Duplicate(c->s->general, true));
	json_add_int(*result, "command", m->command_done);
	json_add_str(*result, "disk_full", c->s->disk.full ? c->s->disk.reason : "");
	return CALL_DONE;
}

/* The worker has taken over the commands up to after: they need not be kept. */
static int taken_over(struct supervisor *s, struct member *m, int64_t after, struct err *e)
{
	if (after <= m->command_done)
		return 0;
	if (after > m->command_last)
		return err_set(e, ERR_INVALID, "after: the last command has number %lld",
			(long long)m->command_last);
	if (tx_begin(s, false, e) < 0)
		return -1;
	if (store_commands_done(s->store, m->id, after, e) < 0) {
		tx_rollback(s);
		return -1;
	}
	if (tx_commit(s, e) < 0)
		return -1;
	m->command_done = after;
	return 0;
}

static cJSON *lost_events(const struct member *m, int64_t have)
{
	cJSON *body = cJSON_CreateObject();
	char reason[256];

	snprintf(reason, sizeof(reason),
		"events %lld to %lld are not in the store any more: it was put back from a copy, "
		"or the machine went down before they were on its disk",
		(long long)m->committed + 1, (long long)have);
	log_warn("agent=%lld %s", (long long)m->id, reason);
	json_add_str(body, "what", "events lost");
	json_add_int(body, "lost_events", have - m->committed);
	json_add_str(body, "reason", reason);
	return body;
}

/* The worker was once told that more is committed than the store has. What lies between is
 * lost, which is told; what follows is not. */
static int put_back(struct supervisor *s, struct member *m, int64_t have, struct err *e)
{
	if (have <= m->committed)
		return 0;
	if (tx_begin(s, true, e) < 0)
		return -1;
	if (store_agent_seq(s->store, m->id, have, clock_wall_ms(), e) < 0 ||
		tx_event(s, "agent", m->id, EVENT_TROUBLE, lost_events(m, have), e) < 0) {
		tx_rollback(s);
		return -1;
	}
	if (tx_commit(s, e) < 0)
		return -1;
	m->committed = have;
	return 0;
}

int call_worker_next(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct member *m = present(c, params, e);

	(void)result;
	if (!m || taken_over(c->s, m, json_int(params, "after", 0), e) < 0 ||
		put_back(c->s, m, json_int(params, "have", 0), e) < 0)
		return -1;
	speak(c, m, params, false);
	m->told_full = json_bool(params, "full", false);
	m->told_retire = json_bool(params, "retiring", false);
	poll_next_open(c->s, m, c->askers[0].request, c->askers[0].id, json_int(params, "have", 0));
	return CALL_TAKEN;
}
