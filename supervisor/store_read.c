/* AGENT, TASK, TURN and events for answers: bounded, built from rows. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "supervisor/store_sql.h"

#define BRIEF_MAX 256	   /* bytes of a long text in a list */
#define TURN_TEXT_MAX 1024 /* bytes of a text of a turn */
#define TURNS_MAX 200
#define LIST_MAX 10000
#define PERMISSION_SCAN_MAX 20000

#define AGENT_COLUMNS                                                                              \
	"SELECT a.id,a.task_id,t.title,t.repository,t.base,a.branch,a.state,a.reason,a.turn,"      \
	"a.progress,a.thought,a.action,a.future,a.tokens_in,a.tokens_out,a.dollars,a.files,"       \
	"a.added,a.removed,a.tests,a.pull_request,a.epoch,a.pid,t.manager,a.created_at,"           \
	"a.started_at,a.ended_at,a.updated_at,a.archived,a.state_at,t.limit_turns,"                \
	"t.limit_minutes,t.limit_dollars,a.reclaimed_at,a.saved,a.removed_events,"                 \
	"coalesce(o.newlines+o.open,0),"                                                           \
	"coalesce(o.last_line,'') FROM agents a JOIN tasks t ON t.id=a.task_id "                   \
	"LEFT JOIN outputs o ON o.agent_id=a.id "

/* i integer, n integer or null, d number, b bool, s short text or null, l long text.
 * "a.b" is the field b of an object a. */
static const struct column {
	const char *name;
	char type;
} agent_columns[] =
	{
		{"id", 'i'},
		{"task_id", 'i'},
		{"title", 'l'},
		{"repository", 's'},
		{"base", 's'},
		{"branch", 's'},
		{"state", 's'},
		{"reason", 'l'},
		{"turn", 'i'},
		{"progress", 'l'},
		{"thought", 'l'},
		{"action", 'l'},
		{"future", 'l'},
		{"tokens_in", 'i'},
		{"tokens_out", 'i'},
		{"dollars", 'd'},
		{"files", 'i'},
		{"added", 'i'},
		{"removed", 'i'},
		{"tests", 's'},
		{"pull_request", 's'},
		{"epoch", 'i'},
		{"pid", 'n'},
		{"manager", 'b'},
		{"created_at", 'i'},
		{"started_at", 'n'},
		{"ended_at", 'n'},
		{"updated_at", 'i'},
		{"archived", 'b'},
		{"state_at", 'i'},
		{"limits.turns", 'i'},
		{"limits.minutes", 'i'},
		{"limits.dollars", 'd'},
		{"reclaimed_at", 'n'},
		{"saved", 's'},
		{"removed_events", 'i'},
		{"lines", 'i'},
		{"last_line", 's'},
},
  turn_columns[] = {
	  {"turn", 'i'},
	  {"source", 's'},
	  {"prompt", 'l'},
	  {"progress", 'l'},
	  {"thought", 'l'},
	  {"action", 'l'},
	  {"future", 'l'},
	  {"stop_reason", 's'},
	  {"started_at", 'i'},
	  {"ended_at", 'n'},
	  {"tokens_in", 'i'},
	  {"tokens_out", 'i'},
	  {"dollars", 'd'},
	  {"idle_ms", 'd'},
};

#define COLUMNS(a) ((int)(sizeof(a) / sizeof((a)[0])))

#define TASK_COLUMNS                                                                               \
	"SELECT id,repository,base,title,description,agents,aider_arguments,test_command,manager," \
	"permission,pull_request,limit_turns,limit_minutes,limit_dollars,agent_model,aider_model," \
	"created_at,winner FROM tasks "

/* Bytes the text takes in JSON at most. */
static size_t cost(const char *text, size_t n)
{
	size_t bytes = n, i;

	for (i = 0; i < n; i++) {
		if ((unsigned char)text[i] < 0x20)
			bytes += 5;
		else if (text[i] == '"' || text[i] == '\\')
			bytes++;
	}
	return bytes;
}

static void add_text(cJSON *j, const char *name, sqlite3_stmt *q, int i, size_t max, size_t *bytes)
{
	const char *text = (const char *)sqlite3_column_text(q, i);
	size_t n = (size_t)sqlite3_column_bytes(q, i);

	if (!text)
		text = "";
	n = utf8_cut(text, n, max);
	*bytes += cost(text, n);
	json_add_text(j, name, text, n);
}

/* The object that takes "a.b" of j, its name put behind the dot. */
static cJSON *inner(cJSON *j, const char **name)
{
	const char *dot = strchr(*name, '.');
	char first[32];
	cJSON *in;

	if (!dot)
		return j;
	snprintf(first, sizeof(first), "%.*s", (int)(dot - *name), *name);
	*name = dot + 1;
	in = cJSON_GetObjectItemCaseSensitive(j, first);
	return in ? in : cJSON_AddObjectToObject(j, first);
}

static cJSON *row(
	sqlite3_stmt *q, const struct column *c, int columns, size_t long_max, size_t *bytes)
{
	cJSON *row = cJSON_CreateObject(), *j;
	const char *name;
	int i;

	for (i = 0; i < columns; i++) {
		name = c[i].name;
		j = inner(row, &name);
		*bytes += strlen(name) + 16;
		if (sqlite3_column_type(q, i) == SQLITE_NULL)
			cJSON_AddNullToObject(j, name);
		else if (c[i].type == 'b')
			cJSON_AddBoolToObject(j, name, sqlite3_column_int(q, i));
		else if (c[i].type == 'd')
			cJSON_AddNumberToObject(j, name, sqlite3_column_double(q, i));
		else if (c[i].type == 'i' || c[i].type == 'n')
			json_add_int(j, name, sqlite3_column_int64(q, i));
		else
			add_text(j, name, q, i, c[i].type == 'l' ? long_max : 4096, bytes);
	}
	return row;
}

static cJSON *task_row(
	sqlite3_stmt *q, const struct store_defaults *d, size_t long_max, size_t *bytes)
{
	cJSON *j = cJSON_CreateObject(), *part;
	const char *model;

	*bytes += 512;
	json_add_int(j, "id", sqlite3_column_int64(q, 0));
	add_text(j, "repository", q, 1, 4096, bytes);
	add_text(j, "base", q, 2, 4096, bytes);
	add_text(j, "title", q, 3, 4096, bytes);
	add_text(j, "description", q, 4, long_max, bytes);
	json_add_int(j, "agents", sqlite3_column_int64(q, 5));
	add_text(j, "aider_arguments", q, 6, long_max, bytes);
	add_text(j, "test_command", q, 7, long_max, bytes);
	cJSON_AddBoolToObject(j, "manager", sqlite3_column_int(q, 8));
	add_text(j, "permission", q, 9, 16, bytes);
	cJSON_AddBoolToObject(j, "pull_request", sqlite3_column_int(q, 10));
	part = cJSON_AddObjectToObject(j, "limits");
	json_add_int(part, "turns",
		sqlite3_column_int64(q, 11) ? sqlite3_column_int64(q, 11) : d->limit_turns);
	json_add_int(part, "minutes",
		sqlite3_column_int64(q, 12) ? sqlite3_column_int64(q, 12) : d->limit_minutes);
	cJSON_AddNumberToObject(part, "dollars",
		sqlite3_column_double(q, 13) > 0 ? sqlite3_column_double(q, 13) : d->limit_dollars);
	part = cJSON_AddObjectToObject(j, "models");
	model = (const char *)sqlite3_column_text(q, 14);
	json_add_str(part, "agent", *model ? model : d->agent_model);
	model = (const char *)sqlite3_column_text(q, 15);
	json_add_str(part, "aider", *model ? model : d->aider_model);
	json_add_int(j, "created_at", sqlite3_column_int64(q, 16));
	if (sqlite3_column_type(q, 17) == SQLITE_NULL)
		cJSON_AddNullToObject(j, "winner");
	else
		json_add_int(j, "winner", sqlite3_column_int64(q, 17));
	return j;
}

cJSON *store_agent(struct store *s, int64_t agent, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e, AGENT_COLUMNS "WHERE a.id=?", "i", agent);
	int got = q ? store_step(s, q, e) : -1;
	size_t bytes = 0;
	cJSON *j = NULL;

	if (got == 1) {
		j = row(q, agent_columns, COLUMNS(agent_columns), 8192, &bytes);
		sqlite3_reset(q);
	} else if (got == 0) {
		err_set(e, ERR_NOT_FOUND, "there is no agent %lld", (long long)agent);
	}
	return j;
}

cJSON *store_task(struct store *s, int64_t task, const struct store_defaults *d, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e, TASK_COLUMNS "WHERE id=?", "i", task);
	int got = q ? store_step(s, q, e) : -1;
	size_t bytes = 0;
	cJSON *j = NULL;

	if (got == 1) {
		j = task_row(q, d, EVENT_TEXT_MAX, &bytes);
		sqlite3_reset(q);
	} else if (got == 0) {
		err_set(e, ERR_NOT_FOUND, "there is no task %lld", (long long)task);
	}
	return j;
}

cJSON *store_turns(struct store *s, int64_t agent, struct err *e)
{
	/* Newest first, so that the bound drops the oldest. */
	sqlite3_stmt *q = store_query(s, e,
		"SELECT t.turn,source,prompt,progress,thought,action,future,stop_reason,started_at,"
		"ended_at,coalesce(sum(u.tokens_in),0),coalesce(sum(u.tokens_out),0),"
		"coalesce(sum(u.dollars),0.0),t.idle_ms FROM turns t LEFT JOIN usage u"
		" ON u.agent_id=t.agent_id AND u.turn=t.turn WHERE t.agent_id=?1"
		" GROUP BY t.turn ORDER BY t.turn DESC LIMIT ?2",
		"ii", agent, (int64_t)TURNS_MAX);
	cJSON *all = cJSON_CreateArray();
	size_t bytes = 0;
	int got = q ? 1 : -1;

	while (q && bytes < STORE_ANSWER_MAX / 2 && (got = store_step(s, q, e)) == 1)
		cJSON_InsertItemInArray(
			all, 0, row(q, turn_columns, COLUMNS(turn_columns), TURN_TEXT_MAX, &bytes));
	return store_rows(all, q, got);
}

cJSON *store_agent_list(struct store *s, const char *state, int64_t task, bool archived,
	int64_t after, bool *more, struct err *e)
{
	sqlite3_stmt *q =
		task ? store_query(s, e,
			       AGENT_COLUMNS "WHERE a.task_id=?1 AND a.id>?3 AND a.archived<=2*?4"
					     " AND(?2 IS NULL OR a.state=?2) ORDER BY a.id",
			       "isii", task, state, after, (int64_t)archived)
		     : store_query(s, e,
			       AGENT_COLUMNS "WHERE a.id>?2 AND a.archived<=2*?3"
					     " AND(?1 IS NULL OR a.state=?1) ORDER BY a.id",
			       "sii", state, after, (int64_t)archived);
	cJSON *all = cJSON_CreateArray();
	size_t bytes = 0;
	int got = q ? 1 : -1;

	while (q && bytes < STORE_ANSWER_MAX && (got = store_step(s, q, e)) == 1)
		cJSON_AddItemToArray(
			all, row(q, agent_columns, COLUMNS(agent_columns), BRIEF_MAX, &bytes));
	*more = got == 1;
	return store_rows(all, q, got);
}

cJSON *store_task_list(
	struct store *s, int64_t after, const struct store_defaults *d, bool *more, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e, TASK_COLUMNS "WHERE id>? ORDER BY id", "i", after);
	cJSON *all = cJSON_CreateArray();
	size_t bytes = 0;
	int got = q ? 1 : -1;

	while (q && bytes < STORE_ANSWER_MAX && (got = store_step(s, q, e)) == 1)
		cJSON_AddItemToArray(all, task_row(q, d, BRIEF_MAX, &bytes));
	*more = got == 1;
	return store_rows(all, q, got);
}

int store_agents_alive(struct store *s, int64_t from, int64_t **ids, size_t *n, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT a.id FROM agents a JOIN tasks t ON t.id=a.task_id"
		" WHERE a.state NOT IN('done','failed','stopped') AND(?1=0 OR(a.id<>?1 AND"
		" t.repository=(SELECT repository FROM tasks WHERE id="
		"(SELECT task_id FROM agents WHERE id=?1)))) ORDER BY a.id LIMIT ?2",
		"ii", from, (int64_t)LIST_MAX);
	int got = q ? 1 : -1;

	*n = 0;
	*ids = calloc(LIST_MAX, sizeof(**ids));
	if (!*ids)
		err_out_of_memory();
	while (q && (got = store_step(s, q, e)) == 1)
		(*ids)[(*n)++] = sqlite3_column_int64(q, 0);
	return got < 0 ? -1 : 0;
}

cJSON *store_permission(struct store *s, int64_t agent, const char *id, struct err *e)
{
	cJSON *body = NULL;
	sqlite3_stmt *q;

	e->kind = ERR_NONE;
	q = store_query(s, e,
		"SELECT body FROM (SELECT id,kind,body FROM events WHERE stream='agent'"
		" AND subject=?1 ORDER BY id DESC LIMIT ?2) WHERE kind='permission' ORDER BY id "
		"DESC",
		"ii", agent, (int64_t)PERMISSION_SCAN_MAX);
	while (q && !body && store_step(s, q, e) == 1) {
		body = json_parse((const char *)sqlite3_column_text(q, 0),
			(size_t)sqlite3_column_bytes(q, 0), EVENT_BODY_MAX, NULL);
		if (strcmp(json_str(body, "id", ""), id) != 0) {
			cJSON_Delete(body);
			body = NULL;
		}
	}
	if (q)
		sqlite3_reset(q);
	return body;
}

bool store_agent_has_pull_request(struct store *s, int64_t agent)
{
	sqlite3_stmt *q = store_query(s, NULL,
		"SELECT 1 FROM agents WHERE id=? AND pull_request IS NOT NULL", "i", agent);
	bool has = q && store_step(s, q, NULL) == 1;

	if (q)
		sqlite3_reset(q);
	return has;
}

cJSON *store_repositories_used(struct store *s, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e, "SELECT DISTINCT repository FROM tasks", "");
	cJSON *all = cJSON_CreateArray();
	int got = q ? 1 : -1;

	while (q && (got = store_step(s, q, e)) == 1)
		cJSON_AddItemToArray(
			all, cJSON_CreateString((const char *)sqlite3_column_text(q, 0)));
	return store_rows(all, q, got);
}
