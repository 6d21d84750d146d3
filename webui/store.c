#include "webui/store_sql.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/paths.h"

#define APPLICATION_ID 0x31303078
#define BUSY_MS 2000

struct store {
	pthread_mutex_t lock;
	char path[PATHS_MAX];
	sqlite3 *db; /* NULL: not there yet */
	dev_t device;
	ino_t inode;
	int64_t generation;
};

struct store *store_new(const char *path)
{
	struct store *s = calloc(1, sizeof *s);

	if (!s)
		err_out_of_memory();
	pthread_mutex_init(&s->lock, NULL);
	snprintf(s->path, sizeof s->path, "%s", path);
	return s;
}

static void close_db(struct store *s)
{
	sqlite3_close(s->db);
	s->db = NULL;
}

void store_free(struct store *s)
{
	if (!s)
		return;
	close_db(s);
	pthread_mutex_destroy(&s->lock);
	free(s);
}

static int pragma_int(sqlite3 *db, const char *sql, int *value)
{
	sqlite3_stmt *st = NULL;
	int result = -1;

	if (sqlite3_prepare_v2(db, sql, -1, &st, NULL) == SQLITE_OK &&
		sqlite3_step(st) == SQLITE_ROW) {
		*value = sqlite3_column_int(st, 0);
		result = 0;
	}
	sqlite3_finalize(st);
	return result;
}

/* What sqlite said last; who holds the file locked lets go again. */
static int failed(struct store *s, const char *doing, struct err *e)
{
	int code = sqlite3_errcode(s->db) & 0xff;
	bool busy = code == SQLITE_BUSY || code == SQLITE_LOCKED;

	return err_set(e, busy ? ERR_UNAVAILABLE : ERR_SYS, "%s %s: %s", doing, s->path,
		sqlite3_errmsg(s->db));
}

/* Opens the file if it is there and not the one that is open already. */
static int ready(struct store *s, struct err *e)
{
	struct stat st;
	int id = 0, version = 0;

	if (stat(s->path, &st) < 0) {
		close_db(s);
		return err_set(e, ERR_UNAVAILABLE,
			"nothing is stored yet at %s: start the supervisor with `100x up`",
			s->path);
	}
	if (s->db && st.st_ino == s->inode && st.st_dev == s->device)
		return 0;
	close_db(s);
	if (sqlite3_open_v2(s->path, &s->db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, NULL) !=
			SQLITE_OK ||
		sqlite3_busy_timeout(s->db, BUSY_MS) != SQLITE_OK ||
		pragma_int(s->db, "PRAGMA application_id", &id) < 0 ||
		pragma_int(s->db, "PRAGMA user_version", &version) < 0) {
		failed(s, "open", e);
		close_db(s);
		return -1;
	}
	if (id == 0 && version == 0)
		err_set(e, ERR_UNAVAILABLE, "%s is just being made", s->path);
	else if (id != APPLICATION_ID)
		err_set(e, ERR_CONFLICT, "%s is not a store of 100x-orchestrator", s->path);
	else if (version != STORE_VERSION)
		err_set(e, ERR_CONFLICT,
			"%s is of version %d, this program reads version %d: install one release "
			"for all programs",
			s->path, version, STORE_VERSION);
	if (id != APPLICATION_ID || version != STORE_VERSION) {
		close_db(s);
		return -1;
	}
	s->inode = st.st_ino;
	s->device = st.st_dev;
	s->generation++;
	return 0;
}

static sqlite3_stmt *query(
	struct store *s, struct err *e, const char *sql, const char *format, va_list ap)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK) {
		failed(s, "read", e);
		return NULL;
	}
	for (int i = 0; format[i]; i++) {
		if (format[i] == 'i')
			sqlite3_bind_int64(st, i + 1, va_arg(ap, int64_t));
		else /* NULL binds null */
			sqlite3_bind_text(
				st, i + 1, va_arg(ap, const char *), -1, SQLITE_TRANSIENT);
	}
	return st;
}

sqlite3_stmt *store_query(struct store *s, struct err *e, const char *sql, const char *format, ...)
{
	sqlite3_stmt *st;
	va_list ap;

	va_start(ap, format);
	st = query(s, e, sql, format, ap);
	va_end(ap);
	return st;
}

int store_snapshot(struct store *s, struct err *e)
{
	pthread_mutex_lock(&s->lock);
	if (ready(s, e) == 0) {
		if (sqlite3_exec(s->db, "BEGIN", NULL, NULL, NULL) == SQLITE_OK)
			return 0;
		failed(s, "read", e);
	}
	pthread_mutex_unlock(&s->lock);
	return -1;
}

void store_snapshot_end(struct store *s)
{
	sqlite3_exec(s->db, "COMMIT", NULL, NULL, NULL);
	pthread_mutex_unlock(&s->lock);
}

sqlite3_stmt *store_begin(struct store *s, struct err *e, const char *sql, const char *format, ...)
{
	sqlite3_stmt *st = NULL;
	va_list ap;

	pthread_mutex_lock(&s->lock);
	va_start(ap, format);
	if (ready(s, e) == 0)
		st = query(s, e, sql, format, ap);
	va_end(ap);
	if (!st)
		pthread_mutex_unlock(&s->lock);
	return st;
}

int store_next(struct store *s, sqlite3_stmt *st, struct err *e)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 1;
	if (rc == SQLITE_DONE)
		return 0;
	return failed(s, "read", e);
}

void store_end(struct store *s, sqlite3_stmt *st)
{
	sqlite3_finalize(st);
	pthread_mutex_unlock(&s->lock);
}

static void add_column(cJSON *row, const char *name, sqlite3_stmt *st, int i)
{
	switch (sqlite3_column_type(st, i)) {
	case SQLITE_INTEGER:
		json_add_int(row, name, sqlite3_column_int64(st, i));
		break;
	case SQLITE_FLOAT:
		cJSON_AddNumberToObject(row, name, sqlite3_column_double(st, i));
		break;
	case SQLITE_NULL:
		cJSON_AddNullToObject(row, name);
		break;
	default:
		json_add_text(row, name, (const char *)sqlite3_column_text(st, i),
			(size_t)sqlite3_column_bytes(st, i));
	}
}

cJSON *store_row(sqlite3_stmt *st)
{
	cJSON *row = cJSON_CreateObject();

	for (int i = 0; i < sqlite3_column_count(st); i++) {
		const char *column = sqlite3_column_name(st, i), *dot = strchr(column, '.');
		size_t n = strlen(column);
		char name[64];

		if (column[n - 1] == '?') {
			snprintf(name, sizeof name, "%.*s", (int)n - 1, column);
			cJSON_AddBoolToObject(row, name, sqlite3_column_int(st, i) != 0);
		} else if (dot) {
			snprintf(name, sizeof name, "%.*s", (int)(dot - column), column);
			cJSON *inner = cJSON_GetObjectItemCaseSensitive(row, name);
			if (!inner)
				inner = cJSON_AddObjectToObject(row, name);
			add_column(inner, dot + 1, st, i);
		} else {
			add_column(row, column, st, i);
		}
	}
	return row;
}

cJSON *store_take_rows(struct store *s, sqlite3_stmt *st, struct err *e)
{
	cJSON *rows = st ? cJSON_CreateArray() : NULL;
	int more;

	if (!st)
		return NULL;
	while ((more = store_next(s, st, e)) > 0)
		cJSON_AddItemToArray(rows, store_row(st));
	store_end(s, st);
	if (more < 0) {
		cJSON_Delete(rows);
		return NULL;
	}
	return rows;
}

cJSON *store_take_row(
	struct store *s, sqlite3_stmt *st, const char *what, int64_t id, struct err *e)
{
	cJSON *row = NULL;

	if (!st)
		return NULL;
	int more = store_next(s, st, e);
	if (more > 0)
		row = store_row(st);
	else if (more == 0)
		err_set(e, ERR_NOT_FOUND, "there is no %s %lld", what, (long long)id);
	store_end(s, st);
	return row;
}

int store_last(struct store *s, int64_t *last, int64_t *generation, struct err *e)
{
	sqlite3_stmt *st =
		store_begin(s, e, "SELECT seq FROM sqlite_sequence WHERE name = 'events'", "");

	if (!st)
		return -1;
	int more = store_next(s, st, e);
	*last = more > 0 ? sqlite3_column_int64(st, 0) : 0;
	*generation = s->generation;
	store_end(s, st);
	return more < 0 ? -1 : 0;
}

const char *store_in_list(const char *column, const struct words *w, char *out, size_t size)
{
	size_t n = 0;

	out[0] = '\0';
	for (int i = 0; i < w->count; i++) {
		if (i == 0)
			n += (size_t)snprintf(out, size, " AND %s IN (?", column);
		else
			n += (size_t)snprintf(out + n, size - n, ", ?");
	}
	if (w->count)
		snprintf(out + n, size - n, ")");
	return out;
}

void store_bind_words(sqlite3_stmt *st, int first, const struct words *w)
{
	for (int i = 0; i < w->count; i++)
		sqlite3_bind_text(st, first + i, w->word[i], -1, SQLITE_STATIC);
}

#define TASK_COLUMNS                                                                               \
	"id, repository, base, title, description, agents, aider_arguments, test_command, "        \
	"manager AS \"manager?\", permission, limit_turns AS \"limits.turns\", "                   \
	"limit_minutes AS \"limits.minutes\", limit_dollars AS \"limits.dollars\", "               \
	"agent_model AS \"models.agent\", aider_model AS \"models.aider\", "                       \
	"pull_request AS \"pull_request?\", created_at, winner"

cJSON *store_tasks(struct store *s, struct err *e)
{
	return store_take_rows(s,
		store_begin(s, e, "SELECT " TASK_COLUMNS " FROM tasks ORDER BY id LIMIT ?", "i",
			(int64_t)STORE_TASKS_MAX),
		e);
}

cJSON *store_task(struct store *s, int64_t id, struct err *e)
{
	return store_take_row(s,
		store_begin(s, e, "SELECT " TASK_COLUMNS " FROM tasks WHERE id = ?", "i", id),
		"task", id, e);
}

/* The newest event there is, in the same statement: sums and position belong together. */
#define LAST_EVENT                                                                                 \
	"COALESCE((SELECT seq FROM sqlite_sequence WHERE name = 'events'), 0) AS last_event "

#define AGENT_SELECT                                                                               \
	"SELECT a.id AS id, task_id, title, repository, base, branch, state, reason, turn, "       \
	"progress, thought, action, future, tokens_in, tokens_out, dollars, files, added, "        \
	"removed, tests, a.pull_request AS pull_request, epoch, pid, manager AS \"manager?\", "    \
	"a.created_at AS created_at, started_at, ended_at, updated_at, "                           \
	"archived AS \"archived?\", state_at, limit_turns AS \"limits.turns\", "                   \
	"limit_minutes AS \"limits.minutes\", limit_dollars AS \"limits.dollars\", "               \
	"reclaimed_at, saved, removed_events, "                                                    \
	"COALESCE(o.newlines + o.open, 0) AS lines, COALESCE(o.last_line, '') AS "                 \
	"last_line, " LAST_EVENT                                                                   \
	"FROM agents a JOIN tasks t ON t.id = a.task_id LEFT JOIN outputs o ON o.agent_id = a.id "

cJSON *store_agents(
	struct store *s, const struct words *states, int64_t task, bool archived, struct err *e)
{
	char sql[2 * SQL_MAX], list[256];

	snprintf(sql, sizeof sql,
		AGENT_SELECT
		"WHERE (?1 = 0 OR task_id = ?1) AND archived <= 2 * ?2%s ORDER BY a.id "
		"LIMIT %d",
		store_in_list("state", states, list, sizeof list), STORE_AGENTS_MAX);
	sqlite3_stmt *st = store_begin(s, e, sql, "ii", task, (int64_t)archived);
	if (st)
		store_bind_words(st, 3, states);
	return store_take_rows(s, st, e);
}

cJSON *store_agent(struct store *s, int64_t id, struct err *e)
{
	return store_take_row(
		s, store_begin(s, e, AGENT_SELECT "WHERE a.id = ?", "i", id), "agent", id, e);
}

int store_check_agent(struct store *s, int64_t agent, struct err *e)
{
	cJSON *row = store_take_row(s,
		store_begin(s, e, "SELECT id FROM agents WHERE id = ?", "i", agent), "agent", agent,
		e);

	cJSON_Delete(row);
	return row ? 0 : -1;
}

/* "roles": {role: {tokens_in, tokens_out, dollars}} to each of these turns. */
static int add_roles(struct store *s, int64_t agent, cJSON *turns, struct err *e)
{
	cJSON *turn = turns->child;
	_cleanup_json_ cJSON *rows = store_take_rows(s,
		store_begin(s, e,
			"SELECT turn, role, SUM(tokens_in) AS tokens_in, "
			"SUM(tokens_out) AS tokens_out, SUM(dollars) AS dollars FROM usage "
			"WHERE agent_id = ? AND turn >= ? GROUP BY turn, role ORDER BY turn",
			"ii", agent, turn ? json_int(turn, "turn", 0) : (int64_t)0),
		e);
	cJSON *row, *after;

	if (!rows)
		return -1;
	for (; turn; turn = turn->next)
		cJSON_AddObjectToObject(turn, "roles");
	turn = turns->child;
	for (row = rows->child; row; row = after) {
		int64_t of = json_int(row, "turn", 0);

		after = row->next;
		while (turn && json_int(turn, "turn", 0) < of)
			turn = turn->next;
		if (!turn || json_int(turn, "turn", 0) != of)
			continue;
		cJSON_DetachItemViaPointer(rows, row);
		char role[64];
		snprintf(role, sizeof role, "%s", json_str(row, "role", ""));
		cJSON_DeleteItemFromObject(row, "turn");
		cJSON_DeleteItemFromObject(row, "role");
		cJSON_AddItemToObject(cJSON_GetObjectItem(turn, "roles"), role, row);
	}
	return 0;
}

cJSON *store_turns(struct store *s, int64_t agent, int64_t before, int limit, struct err *e)
{
	cJSON *turns;

	if (store_check_agent(s, agent, e) < 0)
		return NULL;
	turns = store_take_rows(s,
		store_begin(s, e,
			"SELECT * FROM (SELECT turn, source, prompt, progress, thought, action, "
			"future, stop_reason, started_at, ended_at, "
			"COALESCE(u.tokens_in, 0) AS tokens_in, "
			"COALESCE(u.tokens_out, 0) AS tokens_out, u.dollars AS dollars, "
			"idle_ms, " LAST_EVENT
			"FROM turns t LEFT JOIN (SELECT turn AS of, SUM(tokens_in) AS tokens_in, "
			"SUM(tokens_out) AS tokens_out, SUM(dollars) AS dollars FROM usage "
			"WHERE agent_id = ?1 GROUP BY turn) u ON u.of = t.turn "
			"WHERE agent_id = ?1 AND (?2 = 0 OR turn < ?2) "
			"ORDER BY turn DESC LIMIT ?3) ORDER BY turn",
			"iii", agent, before, (int64_t)limit),
		e);
	if (turns && add_roles(s, agent, turns, e) < 0) {
		cJSON_Delete(turns);
		turns = NULL;
	}
	return turns;
}

#define USAGE_SUMS                                                                                 \
	"COUNT(*) AS calls, COALESCE(SUM(tokens_in), 0) AS tokens_in, "                            \
	"COALESCE(SUM(tokens_out), 0) AS tokens_out, "                                             \
	"COALESCE(SUM(tokens_cached), 0) AS tokens_cached, SUM(dollars) AS dollars "               \
	"FROM usage WHERE agent_id = ?"

cJSON *store_usage(struct store *s, int64_t agent, struct err *e)
{
	_cleanup_json_ cJSON *total = NULL, *models = NULL, *turns = NULL;

	if (store_check_agent(s, agent, e) < 0)
		return NULL;
	total = store_take_row(
		s, store_begin(s, e, "SELECT " USAGE_SUMS, "i", agent), "agent", agent, e);
	models = total ? store_take_rows(s,
				 store_begin(s, e,
					 "SELECT role, model, " USAGE_SUMS
					 " GROUP BY role, model ORDER BY role, model",
					 "i", agent),
				 e)
		       : NULL;
	turns = models ? store_take_rows(s,
				 store_begin(s, e,
					 "SELECT turn, " USAGE_SUMS
					 " GROUP BY turn ORDER BY turn LIMIT 1000",
					 "i", agent),
				 e)
		       : NULL;
	if (!turns)
		return NULL;
	cJSON *all = cJSON_CreateObject();
	cJSON_AddItemToObject(all, "total", take_ptr(total));
	cJSON_AddItemToObject(all, "models", take_ptr(models));
	cJSON_AddItemToObject(all, "turns", take_ptr(turns));
	return all;
}

char *store_diff(struct store *s, int64_t agent, struct err *e)
{
	char *body = NULL;

	if (store_check_agent(s, agent, e) < 0)
		return NULL;
	sqlite3_stmt *st = store_begin(s, e,
		"SELECT body FROM diffs d JOIN events v ON v.id = d.event_id WHERE d.agent_id = ?",
		"i", agent);
	if (!st)
		return NULL;
	int more = store_next(s, st, e);
	if (more > 0)
		body = strdup((const char *)sqlite3_column_text(st, 0));
	else if (more == 0)
		e->kind = ERR_NONE;
	store_end(s, st);
	return body;
}

cJSON *store_config(struct store *s, struct err *e)
{
	_cleanup_json_ cJSON *models = store_take_rows(
		s, store_begin(s, e, "SELECT role, model FROM model_config", ""), e);
	_cleanup_json_ cJSON *general = models ? store_take_rows(s,
							 store_begin(s, e,
								 "SELECT key, value FROM "
								 "general_config",
								 ""),
							 e)
					       : NULL;
	const cJSON *row;

	if (!general)
		return NULL;
	cJSON *all = cJSON_CreateObject(), *to = cJSON_AddObjectToObject(all, "models");
	cJSON_ArrayForEach (row, models) {
		json_add_str(to, json_str(row, "role", ""), json_str(row, "model", ""));
	}
	to = cJSON_AddObjectToObject(all, "general");
	cJSON_ArrayForEach (row, general) {
		cJSON *value = cJSON_Parse(json_str(row, "value", "null"));

		if (value)
			cJSON_AddItemToObject(to, json_str(row, "key", ""), value);
	}
	return all;
}

cJSON *store_counts(struct store *s, struct err *e)
{
	_cleanup_json_ cJSON *rows = store_take_rows(s,
		store_begin(s, e, "SELECT state, COUNT(*) AS n FROM agents GROUP BY state", ""), e);
	const cJSON *row;

	if (!rows)
		return NULL;
	cJSON *counts = cJSON_CreateObject();
	cJSON_ArrayForEach (row, rows) {
		json_add_int(counts, json_str(row, "state", ""), json_int(row, "n", 0));
	}
	return counts;
}
