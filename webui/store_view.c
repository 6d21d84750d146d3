/* What people ask about everything: repositories, costs, what happened. */
#include "shared/views.h"

#include <stdio.h>
#include <string.h>

#include "webui/store_sql.h"

cJSON *store_repositories(struct store *s, struct err *e)
{
	return store_take_rows(s, store_begin(s, e, VIEWS_REPOSITORIES, ""), e);
}

cJSON *store_costs(struct store *s, int64_t from_ms, int64_t to_ms, struct err *e)
{
	return store_take_rows(s, store_begin(s, e, VIEWS_COSTS, "ii", from_ms, to_ms), e);
}

/* The words as a JSON list; they are of a-z and _. NULL for none. */
static const char *json_list(const struct words *w, char *out, size_t size)
{
	size_t n = 0;

	for (int i = 0; i < w->count; i++)
		n += (size_t)snprintf(out + n, size - n, "%s\"%s\"", i ? "," : "[", w->word[i]);
	snprintf(out + n, size - n, "]");
	return w->count ? out : NULL;
}

int store_activity(struct store *s, const struct store_activity *a, store_event_cb cb, void *arg,
	bool *more, struct err *e)
{
	char kinds[QUERY_WORDS_MAX * sizeof a->kinds.word[0] + 8];
	size_t bytes = 0;
	int row, count = 0;
	sqlite3_stmt *st = store_begin(s, e, VIEWS_ACTIVITY, "iiisi", a->before, a->agent, a->task,
		json_list(&a->kinds, kinds, sizeof kinds), (int64_t)a->limit + 1);

	if (!st)
		return -1;
	while ((row = store_next(s, st, e)) > 0) {
		struct store_event ev = {.id = sqlite3_column_int64(st, 0),
			.stream = (const char *)sqlite3_column_text(st, 1),
			.subject = sqlite3_column_int64(st, 2),
			.kind = (const char *)sqlite3_column_text(st, 3),
			.at = sqlite3_column_int64(st, 4),
			.body = (const char *)sqlite3_column_text(st, 5),
			.body_len = (size_t)sqlite3_column_bytes(st, 5)};

		if (count == a->limit || (count && bytes + ev.body_len > a->max_bytes))
			break;
		cb(arg, &ev);
		count++;
		bytes += ev.body_len;
	}
	*more = row > 0;
	store_end(s, st);
	return row < 0 ? -1 : 0;
}

char *store_judgement(struct store *s, int64_t task, struct err *e)
{
	sqlite3_stmt *st = store_begin(s, e,
		"SELECT body FROM events WHERE stream = 'task' AND subject = ? AND kind = "
		"'judgement' "
		"ORDER BY id DESC LIMIT 1",
		"i", task);
	char *body = NULL;
	int row;

	if (!st)
		return NULL;
	row = store_next(s, st, e);
	if (row > 0)
		body = strdup((const char *)sqlite3_column_text(st, 0));
	else if (row == 0)
		e->kind = ERR_NONE;
	store_end(s, st);
	return body;
}
