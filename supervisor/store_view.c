/* What people ask about everything: repositories, costs, what happened. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "shared/views.h"
#include "supervisor/store_sql.h"

/* All rows, by the names of the columns; ends q (which may be NULL). */
static cJSON *rows(struct store *s, sqlite3_stmt *q, struct err *e)
{
	cJSON *all = cJSON_CreateArray(), *row;
	int got = q ? 1 : -1;

	while (q && (got = store_step(s, q, e)) == 1) {
		row = cJSON_CreateObject();
		cJSON_AddItemToArray(all, row);
		for (int i = 0; i < sqlite3_column_count(q); i++) {
			const char *name = sqlite3_column_name(q, i);

			if (sqlite3_column_type(q, i) == SQLITE_INTEGER)
				json_add_int(row, name, sqlite3_column_int64(q, i));
			else if (sqlite3_column_type(q, i) == SQLITE_FLOAT)
				cJSON_AddNumberToObject(row, name, sqlite3_column_double(q, i));
			else if (sqlite3_column_type(q, i) == SQLITE_NULL)
				cJSON_AddNullToObject(row, name);
			else
				json_add_text(row, name, (const char *)sqlite3_column_text(q, i),
					(size_t)sqlite3_column_bytes(q, i));
		}
	}
	if (got == 0)
		return all;
	cJSON_Delete(all);
	return NULL;
}

cJSON *store_repositories(struct store *s, struct err *e)
{
	return rows(s, store_query(s, e, VIEWS_REPOSITORIES, ""), e);
}

cJSON *store_costs(struct store *s, int64_t from_ms, int64_t to_ms, struct err *e)
{
	return rows(s, store_query(s, e, VIEWS_COSTS, "ii", from_ms, to_ms), e);
}

static cJSON *event_row(sqlite3_stmt *q)
{
	cJSON *one = cJSON_CreateObject();

	json_add_int(one, "id", sqlite3_column_int64(q, 0));
	json_add_str(one, "stream", (const char *)sqlite3_column_text(q, 1));
	json_add_int(one, "subject", sqlite3_column_int64(q, 2));
	json_add_str(one, "kind", (const char *)sqlite3_column_text(q, 3));
	json_add_int(one, "at", sqlite3_column_int64(q, 4));
	cJSON_AddRawToObject(one, "body", (const char *)sqlite3_column_text(q, 5));
	return one;
}

cJSON *store_activity(struct store *s, int64_t before, int64_t agent, int64_t task,
	const char *kinds, int limit, bool *more, struct err *e)
{
	sqlite3_stmt *q = store_query(
		s, e, VIEWS_ACTIVITY, "iiisi", before, agent, task, kinds, (int64_t)limit + 1);
	cJSON *all = cJSON_CreateArray();
	size_t bytes = 0, body;
	int got = q ? 1 : -1, n = 0;

	while (q && (got = store_step(s, q, e)) == 1) {
		body = (size_t)sqlite3_column_bytes(q, 5) + 160;
		if (n == limit || (n > 0 && bytes + body > STORE_ANSWER_MAX))
			break;
		cJSON_AddItemToArray(all, event_row(q));
		bytes += body;
		n++;
	}
	*more = got == 1;
	return store_rows(all, q, got);
}

char *store_diff_body(struct store *s, int64_t agent)
{
	sqlite3_stmt *q = store_query(s, NULL,
		"SELECT body FROM diffs d JOIN events v ON v.id=d.event_id WHERE d.agent_id=?", "i",
		agent);
	char *body = NULL;

	if (q && store_step(s, q, NULL) == 1) {
		body = strdup((const char *)sqlite3_column_text(q, 0));
		sqlite3_reset(q);
		if (!body)
			abort();
	}
	return body;
}

int store_task_winner(struct store *s, int64_t task, int64_t *winner, struct err *e)
{
	sqlite3_stmt *q =
		store_query(s, e, "SELECT coalesce(winner,0) FROM tasks WHERE id=?", "i", task);
	int got = q ? store_step(s, q, e) : -1;

	if (got == 0)
		return err_set(e, ERR_NOT_FOUND, "there is no task %lld", (long long)task);
	if (got == 1) {
		*winner = sqlite3_column_int64(q, 0);
		sqlite3_reset(q);
	}
	return got < 0 ? -1 : 0;
}

int store_task_agents(
	struct store *s, int64_t task, bool picked, int64_t **ids, size_t *n, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT id FROM agents WHERE task_id=?1 AND(?2=0 OR archived=2) ORDER BY id", "ii",
		task, (int64_t)picked);
	int got = q ? 1 : -1;

	*n = 0;
	*ids = NULL;
	while (q && (got = store_step(s, q, e)) == 1) {
		*ids = realloc(*ids, (*n + 1) * sizeof(**ids));
		if (!*ids)
			abort();
		(*ids)[(*n)++] = sqlite3_column_int64(q, 0);
	}
	return got;
}
