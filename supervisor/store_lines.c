/* Lines of output, as lines.h counts them. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/jsonscan.h"
#include "supervisor/store_sql.h"

int store_lines_load(struct store *s, int64_t agent, struct lines *l, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT newlines,open,block_line,block_first,last_id,last_line FROM outputs"
		" WHERE agent_id=?",
		"i", agent);
	int got = q ? store_step(s, q, e) : -1;

	memset(l, 0, sizeof(*l));
	if (got != 1)
		return got;
	l->newlines = sqlite3_column_int64(q, 0);
	l->open = sqlite3_column_int(q, 1);
	l->block.line = sqlite3_column_int64(q, 2);
	l->block.first_id = sqlite3_column_int64(q, 3);
	l->block.last_id = sqlite3_column_int64(q, 4);
	snprintf(l->last, sizeof(l->last), "%s", (const char *)sqlite3_column_text(q, 5));
	sqlite3_reset(q);
	/* What was in the block so far is not in the filter. */
	l->block.filtered = false;
	return 0;
}

int store_lines_save(struct store *s, int64_t agent, const struct lines *l, struct err *e)
{
	char last[LINES_LAST_BYTES + 1];

	lines_last(l, last);
	return store_exec(s, e,
		"INSERT OR REPLACE INTO outputs(agent_id,newlines,open,block_line,block_first,"
		"last_id,last_line) VALUES(?,?,?,?,?,?,?)",
		"iiiiiis", agent, l->newlines, (int64_t)l->open, l->block.line, l->block.first_id,
		l->block.last_id, last);
}

int store_lines_take(struct store *s, int64_t agent, struct lines *l, int64_t event_id,
	const char *body, size_t n, struct err *e)
{
	struct lines_block ended;
	const char *raw;
	size_t raw_len;
	char *text;
	int done = 0;

	if (!jsonscan_string(body, n, "text", &raw, &raw_len) || raw_len == 0)
		return 0;
	text = malloc(raw_len);
	if (!text)
		abort();
	if (lines_add(l, event_id, text, jsonscan_decode(raw, raw_len, text), &ended))
		done = store_exec(s, e,
			"INSERT OR REPLACE INTO output_blocks(agent_id,line,first_id,last_id,grams)"
			" VALUES(?,?,?,?,?)",
			ended.filtered ? "iiiiB" : "iiiin", agent, ended.line, ended.first_id,
			ended.last_id, (const char *)ended.grams, sizeof(ended.grams));
	free(text);
	return done;
}

int store_lines_fill(struct store *s, struct err *e)
{
	sqlite3_stmt *q = store_query(s, e,
		"SELECT subject,id,body FROM events WHERE stream='agent' AND kind='output'"
		" AND subject IN (SELECT id FROM agents) ORDER BY subject,id",
		"");
	struct lines *l = calloc(1, sizeof(*l));
	int64_t agent = 0, next;
	int got = q ? 1 : -1;

	if (!l)
		abort();
	while (q && (got = store_step(s, q, e)) == 1) {
		next = sqlite3_column_int64(q, 0);
		if (next != agent) {
			if (agent && store_lines_save(s, agent, l, e) < 0)
				break;
			memset(l, 0, sizeof(*l));
			agent = next;
		}
		if (store_lines_take(s, agent, l, sqlite3_column_int64(q, 1),
			    (const char *)sqlite3_column_text(q, 2),
			    (size_t)sqlite3_column_bytes(q, 2), e) < 0)
			break;
	}
	if (got == 0 && agent && store_lines_save(s, agent, l, e) < 0)
		got = -1;
	if (got == 1) {
		sqlite3_reset(q);
		got = -1;
	}
	free(l);
	return got;
}
