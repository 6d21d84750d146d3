#include "supervisor/reclaim.h"

#include <stdio.h>
#include <stdlib.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/log.h"
#include "supervisor/call.h"

#define HOUR_MS (3600LL * 1000)

/* An errand under way. */
struct moving {
	struct supervisor *s;
	struct call *call; /* NULL: retention asked */
	int64_t agent;	   /* 0: of one that is deleted, or a copy: no row changes */
	bool back;
};

int reclaim_settled(const struct member *m, struct err *e)
{
	return m->moving ? err_set(e, ERR_CONFLICT,
				   "the workspace of agent %lld is just being reclaimed or "
				   "restored: try again in a moment",
				   (long long)m->id)
			 : 0;
}

static int idle(const struct member *m, const char *doing, struct err *e)
{
	if (reclaim_settled(m, e) < 0)
		return -1;
	if (m->agent.deleting)
		return err_set(e, ERR_CONFLICT, "agent %lld is being deleted", (long long)m->id);
	if (!agent_state_ended(m->agent.state))
		return err_set(e, ERR_CONFLICT,
			"agent %lld is %s: only the workspace of one that has ended can be %s",
			(long long)m->id, agent_state_word(m->agent.state), doing);
	if (m->agent.process != PROCESS_NONE)
		return err_set(e, ERR_CONFLICT,
			"the worker of agent %lld is still ending: try again in a moment",
			(long long)m->id);
	return 0;
}

/* Row, event and answer in one transaction. */
static int record(struct moving *v, struct member *m, const cJSON *answer, struct err *e)
{
	const char *saved = json_str(answer, "saved", NULL);
	cJSON *body = cJSON_CreateObject();

	json_add_str(body, "state", v->back ? "restored" : "reclaimed");
	json_add_str(body, "saved", saved ? saved : "");
	json_add_str(body, "mirror", json_str(answer, "mirror", ""));
	if (tx_begin(v->s, true, e) < 0) {
		cJSON_Delete(body);
		return -1;
	}
	if (store_agent_reclaimed(v->s->store, m->id, saved, v->back ? 0 : clock_wall_ms(), e) <
		0) {
		cJSON_Delete(body);
		tx_rollback(v->s);
		return -1;
	}
	if (tx_event(v->s, "agent", m->id, EVENT_WORKSPACE, body, e) < 0 ||
		(v->call && call_keep(v->call, answer, e) < 0)) {
		tx_rollback(v->s);
		return -1;
	}
	return tx_commit(v->s, e);
}

static int keep_answer(struct moving *v, const cJSON *answer, struct err *e)
{
	if (tx_begin(v->s, true, e) < 0)
		return -1;
	if (call_keep(v->call, answer, e) < 0) {
		tx_rollback(v->s);
		return -1;
	}
	return tx_commit(v->s, e);
}

static void moved(void *arg, const cJSON *answer, const struct err *failure)
{
	_cleanup_free_ struct moving *v = arg;
	struct member *m = v->agent ? fleet_find(&v->s->fleet, v->agent) : NULL;
	cJSON *result = cJSON_Duplicate(answer, true);
	struct err e;
	int done = 0;

	crash_point(v->back ? CRASH_RESTORE_ANSWERED : CRASH_RECLAIM_ANSWERED);
	cJSON_DeleteItemFromObject(result, "ok");
	if (failure)
		e = *failure;
	else
		done = m ? record(v, m, result, &e) : v->call ? keep_answer(v, result, &e) : 0;
	if (m) {
		m->moving = false;
		if (!failure && done == 0)
			m->workspace = v->back;
	}
	if (!v->call)
		v->s->keeper.reclaiming = false;
	if (failure || done < 0) {
		if (m) {
			err_wrap(&e, "agent %lld", (long long)m->id);
			m->reclaim_not_before_ms = clock_wall_ms() + KEEPER_RECLAIM_AGAIN_MS;
		}
		log_warn("%s", e.text);
		if (v->call)
			call_fail(v->call, &e);
		cJSON_Delete(result);
	} else {
		crash_point(v->back ? CRASH_RESTORE_RECORDED : CRASH_RECLAIM_RECORDED);
		if (m)
			log_info("agent=%lld its workspace is %s", (long long)m->id,
				v->back ? "restored" : "reclaimed");
		if (v->call)
			call_answer(v->call, result);
		else
			cJSON_Delete(result);
	}
	keeper_kick(v->s);
}

static void ask(struct supervisor *s, struct call *c, struct member *m, int64_t agent, bool back,
	const char *path)
{
	struct store_defaults defaults = supervisor_defaults(s);
	_cleanup_json_ cJSON *question = cJSON_CreateObject();
	_cleanup_json_ cJSON *task = m ? store_task(s->store, m->task, &defaults, NULL) : NULL;
	struct moving *v = calloc(1, sizeof(*v));

	if (!v)
		err_out_of_memory();
	v->s = s;
	v->call = c;
	v->agent = m && !path ? m->id : 0;
	v->back = back;
	json_add_int(question, "agent", agent);
	json_add_str(question, "repository", json_str(task, "repository", ""));
	json_add_str(question, "base", json_str(task, "base", ""));
	json_add_str(question, "git_name", json_str(s->general, "git_name", ""));
	json_add_str(question, "git_email", json_str(s->general, "git_email", ""));
	if (path)
		json_add_str(question, "path", path);
	else
		m->moving = true;
	crash_point(CRASH_RECLAIM_BEGIN);
	errand_run(s, back ? "restore" : "reclaim", question, moved, v);
}

/* Where its work will be is recorded before: from then on a workspace that is missing is
 * made from there, whoever dies when. */
static int intend(struct supervisor *s, struct member *m, struct err *e)
{
	char ref[64];

	snprintf(ref, sizeof(ref), "refs/100x/agent-%lld", (long long)m->id);
	if (store_begin(s->store, true, e) < 0)
		return -1;
	if (store_agent_reclaimed(s->store, m->id, ref, 0, e) < 0) {
		store_rollback(s->store);
		return -1;
	}
	return store_commit(s->store, e);
}

void reclaim_by_itself(struct supervisor *s, struct member *m)
{
	struct err e;

	if (intend(s, m, &e) < 0) {
		m->reclaim_not_before_ms = clock_wall_ms() + KEEPER_LATER_MS;
		log_warn("agent=%lld its workspace is not reclaimed yet: %s", (long long)m->id,
			e.text);
		return;
	}
	s->keeper.reclaiming = true;
	ask(s, NULL, m, m->id, false, NULL);
}

int call_agent_reclaim(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct member *m = call_member(c, params, e);

	(void)result;
	if (!m || idle(m, "reclaimed", e) < 0)
		return -1;
	if (!m->workspace)
		return err_set(e, ERR_CONFLICT, "agent %lld has no workspace", (long long)m->id);
	if (intend(c->s, m, e) < 0)
		return -1;
	ask(c->s, c, m, m->id, false, NULL);
	return CALL_LATER;
}

int call_agent_restore(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	const char *path = json_str(params, "path", NULL);
	int64_t agent = json_int(params, "agent", 0);
	struct member *m = fleet_find(&c->s->fleet, agent);
	char repo[PATHS_MAX];

	(void)result;
	if (path && *path != '/')
		return err_set(e, ERR_INVALID, "path: should be a full path, is \"%s\"", path);
	if (!m && !path)
		return err_set(e, ERR_NOT_FOUND,
			"there is no agent %lld; if it was deleted, name a folder (path) for what "
			"is kept of its work",
			(long long)agent);
	if (m && !path && idle(m, "restored", e) < 0)
		return -1;
	if (m && !path && m->workspace)
		return err_set(e, ERR_CONFLICT, "the workspace of agent %lld is there: %s",
			(long long)agent, paths_agent(&c->s->paths, agent, "repo", repo));
	ask(c->s, c, m, agent, true, path);
	return CALL_LATER;
}

static void tidied(void *arg, const cJSON *answer, const struct err *failure)
{
	(void)arg;
	if (failure)
		log_warn("mirrors: %s", failure->text);
	else if (json_int(answer, "removed", 0) > 0)
		log_info("%lld mirrors that nobody needs any more were removed",
			(long long)json_int(answer, "removed", 0));
}

void reclaim_mirrors(struct supervisor *s)
{
	int64_t hours = json_int(s->general, "reclaim_after_hours", 0);
	_cleanup_json_ cJSON *question = cJSON_CreateObject();
	cJSON *repositories;

	if (hours == 0)
		return;
	repositories = store_repositories_used(s->store, NULL);
	if (!repositories)
		return;
	json_add_int(question, "idle_ms", hours * HOUR_MS);
	cJSON_AddItemToObject(question, "repositories", repositories);
	errand_run(s, "mirrors", question, tidied, NULL);
}
