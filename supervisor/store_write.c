/* Tasks, agents, events, commands, configuration and answers: what is written. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "shared/views.h"
#include "supervisor/store_sql.h"

#define COMMANDS_ANSWER_MAX (512 * 1024)

int store_event_add(struct store *s, const char *stream, int64_t subject, int64_t seq,
	const char *word, int64_t at_ms, const char *body, size_t n, int64_t *id, struct err *e)
{
	if (store_exec(s, e,
		    "INSERT INTO events(stream,subject,seq,kind,at,body) VALUES(?,?,?,?,?,?)",
		    "siisib", stream, subject, seq, word, at_ms, body, n) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(s->db);
	return 0;
}

bool store_json_valid(struct store *s, const char *text, size_t n)
{
	sqlite3_stmt *q = store_query(s, NULL, "SELECT json_valid(?)", "b", text, n);
	bool valid = q && store_step(s, q, NULL) == 1 && sqlite3_column_int(q, 0) == 1;

	if (q)
		sqlite3_reset(q);
	return valid;
}

int store_task_add(
	struct store *s, const struct store_task *t, int64_t at_ms, int64_t *id, struct err *e)
{
	if (store_exec(s, e,
		    "INSERT INTO tasks(repository,base,title,description,agents,aider_arguments,"
		    "test_command,manager,permission,pull_request,limit_turns,limit_minutes,"
		    "limit_dollars,agent_model,aider_model,created_at)"
		    " VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)",
		    "ssssissisiiidssi", t->repository, t->base, t->title, t->description, t->agents,
		    t->aider_arguments, t->test_command, (int64_t)t->manager, t->permission,
		    (int64_t)t->pull_request, t->limit_turns, t->limit_minutes, t->limit_dollars,
		    t->agent_model, t->aider_model, at_ms) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(s->db);
	return 0;
}

int store_agent_add(
	struct store *s, int64_t task, const char *state, int64_t at_ms, int64_t *id, struct err *e)
{
	if (store_exec(s, e,
		    "INSERT INTO agents(task_id,branch,state,created_at,updated_at,state_at) "
		    "VALUES(?,'',?,?,?,?)",
		    "isiii", task, state, at_ms, at_ms, at_ms) < 0)
		return -1;
	*id = sqlite3_last_insert_rowid(s->db);
	return store_exec(s, e, "UPDATE agents SET branch='agent-'||id WHERE id=?", "i", *id);
}

int store_agents_load(struct store *s, store_agent_cb cb, void *arg, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT id,task_id,epoch,coalesce(pid,0),coalesce(pid_started,0),max(committed_seq,"
		"coalesce((SELECT seq FROM events WHERE stream='agent' AND subject=agents.id"
		" AND seq>0 ORDER BY id DESC LIMIT 1),0)),"
		"command_done,coalesce((SELECT max(n) FROM commands WHERE "
		"agent_id=agents.id),0),state,coalesce(ended_at,0),packed,"
		"EXISTS(SELECT 1 FROM segments WHERE agent_id=agents.id),"
		"started_at IS NOT NULL AND reclaimed_at IS NULL,"
		"EXISTS(SELECT 1 FROM commands WHERE agent_id=agents.id AND kind='stop' AND "
		"n>command_done)"
		" FROM agents ORDER BY id",
		"");
	struct store_agent_row row;
	int got = q ? 1 : -1;

	while (q && (got = store_step(s, q, e)) == 1) {
		row = (struct store_agent_row){
			.id = sqlite3_column_int64(q, 0),
			.task = sqlite3_column_int64(q, 1),
			.epoch = sqlite3_column_int64(q, 2),
			.pid = sqlite3_column_int64(q, 3),
			.pid_started = sqlite3_column_int64(q, 4),
			.committed_seq = sqlite3_column_int64(q, 5),
			.command_done = sqlite3_column_int64(q, 6),
			.command_last = sqlite3_column_int64(q, 7),
			.state = (const char *)sqlite3_column_text(q, 8),
			.ended_at = sqlite3_column_int64(q, 9),
			.packed = sqlite3_column_int(q, 10),
			.segments = sqlite3_column_int(q, 11),
			.workspace = sqlite3_column_int(q, 12),
			.stopping = sqlite3_column_int(q, 13),
		};
		if (row.command_last < row.command_done)
			row.command_last = row.command_done;
		cb(arg, &row);
	}
	return got;
}

int store_agent_state(struct store *s, int64_t agent, const char *state, const char *reason,
	bool ended, int64_t at_ms, struct err *e)
{
	return store_exec(s, e,
		"UPDATE agents SET state_at=CASE WHEN state=?2 AND state_at>0 THEN state_at ELSE "
		"?5 END,state=?2,reason=?3,updated_at=?5,packed=0,ended_at=CASE WHEN ?4 THEN ?5 "
		"END "
		"WHERE id=?1",
		"issii", agent, state, reason, (int64_t)ended, at_ms);
}

int store_agent_archive(
	struct store *s, int64_t agent, enum store_archived archived, bool *changed, struct err *e)
{
	if (store_exec(s, e, "UPDATE agents SET archived=?2 WHERE id=?1 AND (archived=0)<>(?2=0)",
		    "ii", agent, (int64_t)archived) < 0)
		return -1;
	*changed = sqlite3_changes(s->db) > 0;
	return 0;
}

int store_task_pick(struct store *s, int64_t task, int64_t winner, struct err *e)
{
	return store_exec(
		s, e, "UPDATE tasks SET winner=nullif(?2,0) WHERE id=?1", "ii", task, winner);
}

int store_cost_add(struct store *s, const struct store_cost *c, int64_t at_ms, struct err *e)
{
	return store_exec(s, e,
		"INSERT INTO costs VALUES(" VIEWS_DAY(
			"?1") ",?2,?3,?4,1,?5,?6,?7,?8,?8 IS NULL)" VIEWS_COSTS_ADD,
		c->dollars < 0 ? "isssiiin" : "isssiiid", at_ms, c->repository, c->model, c->role,
		c->tokens_in, c->tokens_out, c->tokens_cached, c->dollars);
}

int store_agent_epoch(struct store *s, int64_t agent, int64_t epoch, int64_t at_ms, struct err *e)
{
	return store_exec(s, e,
		"UPDATE agents SET epoch=?2,reclaimed_at=NULL,pid=NULL,pid_started=NULL,"
		"started_at=coalesce(started_at,?3),updated_at=?3 WHERE id=?1",
		"iii", agent, epoch, at_ms);
}

int store_agent_pid(struct store *s, int64_t agent, int64_t pid, int64_t started, struct err *e)
{
	return store_exec(s, e,
		"UPDATE agents SET pid=nullif(?2,0),pid_started=nullif(?3,0) WHERE id=?1", "iii",
		agent, pid, started);
}

int store_agent_seq(struct store *s, int64_t agent, int64_t seq, int64_t at_ms, struct err *e)
{
	return store_exec(s, e, "UPDATE agents SET committed_seq=?2,updated_at=?3 WHERE id=?1",
		"iii", agent, seq, at_ms);
}

int store_agent_reclaimed(
	struct store *s, int64_t agent, const char *saved, int64_t at_ms, struct err *e)
{
	return store_exec(s, e, "UPDATE agents SET saved=?2,reclaimed_at=nullif(?3,0) WHERE id=?1",
		"isi", agent, saved, at_ms);
}

int store_command_add(struct store *s, int64_t agent, int64_t n, const char *kind, const char *body,
	int64_t at_ms, struct err *e)
{
	return store_exec(s, e, "INSERT INTO commands(agent_id,n,kind,body,at) VALUES(?,?,?,?,?)",
		"iissi", agent, n, kind, body, at_ms);
}

cJSON *store_commands_after(struct store *s, int64_t agent, int64_t after, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT n,kind,at,body FROM commands WHERE agent_id=? AND n>? ORDER BY n", "ii",
		agent, after);
	cJSON *all = cJSON_CreateArray(), *one;
	size_t bytes = 0;
	int got = q ? 1 : -1;

	while (q && bytes < COMMANDS_ANSWER_MAX && (got = store_step(s, q, e)) == 1) {
		one = cJSON_CreateObject();
		json_add_int(one, "n", sqlite3_column_int64(q, 0));
		json_add_str(one, "kind", (const char *)sqlite3_column_text(q, 1));
		json_add_int(one, "at", sqlite3_column_int64(q, 2));
		cJSON_AddRawToObject(one, "body", (const char *)sqlite3_column_text(q, 3));
		bytes += (size_t)sqlite3_column_bytes(q, 3);
		cJSON_AddItemToArray(all, one);
	}
	return store_rows(all, q, got);
}

int store_commands_done(struct store *s, int64_t agent, int64_t n, struct err *e)
{
	if (store_exec(s, e, "DELETE FROM commands WHERE agent_id=? AND n<=?", "ii", agent, n) < 0)
		return -1;
	return store_exec(s, e, "UPDATE agents SET command_done=?2 WHERE id=?1", "ii", agent, n);
}

bool store_command_waits(struct store *s, int64_t agent, const char *kind)
{
	struct err e;
	sqlite3_stmt *q = store_query(s, &e,
		"SELECT 1 FROM commands WHERE agent_id=?1 AND kind=?2 AND "
		"n>(SELECT command_done FROM agents WHERE id=?1)",
		"is", agent, kind);
	bool waits = q && store_step(s, q, &e) == 1;

	if (q)
		sqlite3_reset(q);
	return waits;
}

int store_commands_defuse(struct store *s, int64_t agent, struct err *e)
{
	return store_exec(s, e,
		"UPDATE commands SET kind='resume',body='{}' WHERE agent_id=?"
		" AND kind IN('stop','pause','interrupt','finish','pull_request')",
		"i", agent);
}

cJSON *store_config(struct store *s, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT 'models',role,json_quote(model) FROM model_config UNION ALL"
		" SELECT 'general',key,value FROM general_config",
		"");
	cJSON *all = cJSON_CreateObject(), *value;
	int got = q ? 1 : -1;

	cJSON_AddObjectToObject(all, "models");
	cJSON_AddObjectToObject(all, "general");
	while (q && (got = store_step(s, q, e)) == 1) {
		value = cJSON_Parse((const char *)sqlite3_column_text(q, 2));
		if (value)
			cJSON_AddItemToObject(cJSON_GetObjectItemCaseSensitive(
						      all, (const char *)sqlite3_column_text(q, 0)),
				(const char *)sqlite3_column_text(q, 1), value);
	}
	if (got >= 0)
		return all;
	cJSON_Delete(all);
	return NULL;
}

int store_config_general(struct store *s, const char *key, const char *value, struct err *e)
{
	if (!value)
		return store_exec(s, e, "DELETE FROM general_config WHERE key=?", "s", key);
	return store_exec(s, e, "INSERT OR REPLACE INTO general_config(key,value) VALUES(?,?)",
		"ss", key, value);
}

int store_config_model(struct store *s, const char *role, const char *model, struct err *e)
{
	if (!model)
		return store_exec(s, e, "DELETE FROM model_config WHERE role=?", "s", role);
	return store_exec(s, e, "INSERT OR REPLACE INTO model_config(role,model) VALUES(?,?)", "ss",
		role, model);
}

int store_request_find(struct store *s, const char *id, char **answer, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e, "SELECT answer FROM requests WHERE id=?", "s", id);
	int got = q ? store_step(s, q, e) : -1;

	*answer = NULL;
	if (got == 1) {
		*answer = strdup((const char *)sqlite3_column_text(q, 0));
		sqlite3_reset(q);
		if (!*answer)
			err_out_of_memory();
	}
	return got < 0 ? -1 : 0;
}

int store_request_save(
	struct store *s, const char *id, const char *answer, int64_t at_ms, struct err *e)
{
	return store_exec(s, e,
		"INSERT OR REPLACE INTO requests(id,answer,at) VALUES(?,?,"
		"max(?,coalesce((SELECT max(at)+1 FROM requests),0)))",
		"ssi", id, answer, at_ms);
}

int store_requests_purge(struct store *s, int64_t before_ms, struct err *e)
{
	return store_exec(s, e, "DELETE FROM requests WHERE at<?", "i", before_ms);
}

int store_requests_newest(struct store *s, int64_t *at_ms, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e, "SELECT coalesce(max(at),0) FROM requests", "");
	int got = q ? store_step(s, q, e) : -1;

	*at_ms = got == 1 ? sqlite3_column_int64(q, 0) : 0;
	if (got == 1)
		sqlite3_reset(q);
	return got < 0 ? -1 : 0;
}
