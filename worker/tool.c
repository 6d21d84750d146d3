#include "worker/tool.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "worker/workspace_patch.h"

static const char *one_of(const char *word, const char *const *words, const char *otherwise)
{
	for (; *words; words++) {
		if (!strcmp(word, *words))
			return word;
	}
	return otherwise;
}

static int slot(struct tool_memory *m, const char *id)
{
	char key[64];
	int at;

	snprintf(key, sizeof key, "%s", id);
	for (int i = 0; i < TOOL_MAX_OPEN; i++) {
		if (!strcmp(m->id[i], key))
			return i;
	}
	at = m->next;
	m->next = (m->next + 1) % TOOL_MAX_OPEN;
	memcpy(m->id[at], key, sizeof key);
	m->title[at][0] = '\0';
	snprintf(m->kind[at], sizeof m->kind[at], "other");
	return at;
}

static const char *relative(const char *path, const char *cwd)
{
	size_t n = strlen(cwd);

	return !strncmp(path, cwd, n) && path[n] == '/' ? path + n + 1 : path;
}

static void add_diff(
	cJSON *diffs, const cJSON *c, const char *cwd, size_t *room, struct buf *log_text)
{
	const char *path = relative(json_str(c, "path", ""), cwd);
	cJSON *d = cJSON_CreateObject();
	struct patch patch;

	workspace_patch(
		path, json_str(c, "oldText", NULL), json_str(c, "newText", ""), *room, &patch);
	*room -= strlen(patch.text);
	json_add_str(d, "path", path);
	json_add_str(d, "patch", patch.text);
	json_add_int(d, "added", (int64_t)patch.added);
	json_add_int(d, "removed", (int64_t)patch.removed);
	cJSON_AddBoolToObject(d, "cut", patch.cut);
	cJSON_AddItemToArray(diffs, d);
	if (log_text)
		buf_addf(log_text, "[edited %s: +%zu -%zu]\n", path, patch.added, patch.removed);
	free(patch.text);
}

cJSON *tool_body(struct tool_memory *m, const cJSON *update, int64_t turn, const char *cwd,
	struct buf *log_text)
{
	static const char *const kinds[] = {"read", "edit", "delete", "move", "search", "execute",
		"think", "fetch", "switch_mode", "other", NULL};
	static const char *const states[] = {"pending", "in_progress", "completed", "failed", NULL};
	const char *id = json_str(update, "toolCallId", ""),
		   *title = json_str(update, "title", NULL);
	const char *kind = json_str(update, "kind", NULL), *status;
	int at = slot(m, id);
	cJSON *body = cJSON_CreateObject(), *diffs;
	size_t room = TOOL_PATCH_MAX;
	struct buf text;
	const cJSON *c;

	if (title)
		snprintf(m->title[at], sizeof m->title[at], "%.*s",
			(int)utf8_cut(title, strlen(title), sizeof m->title[at] - 1), title);
	if (kind)
		snprintf(m->kind[at], sizeof m->kind[at], "%s", one_of(kind, kinds, "other"));
	status = one_of(json_str(update, "status", "pending"), states, "pending");
	json_add_int(body, "turn", turn);
	json_add_str(body, "id", m->id[at]);
	json_add_str(body, "title", m->title[at]);
	json_add_str(body, "tool_kind", m->kind[at]);
	json_add_str(body, "status", status);
	if (log_text && title)
		buf_addf(log_text, "[%s: %s]\n", m->kind[at], m->title[at]);
	diffs = cJSON_AddArrayToObject(body, "diffs");
	buf_init(&text, 0);
	cJSON_ArrayForEach (c, json_get(update, "content")) {
		const char *type = json_str(c, "type", "");
		const char *said = json_str(json_get(c, "content"), "text", "");

		if (!strcmp(type, "diff") && cJSON_GetArraySize(diffs) < TOOL_MAX_DIFFS)
			add_diff(diffs, c, cwd, &room, log_text);
		else if (!strcmp(type, "content") && *said && text.len < TOOL_TEXT_MAX)
			buf_add(&text, said,
				utf8_cut(said, strlen(said), TOOL_TEXT_MAX - text.len));
		if (!strcmp(type, "content") && *said && log_text)
			buf_addf(log_text, "%s\n", said);
	}
	json_add_text(body, "text", text.data ? text.data : "", text.len);
	buf_clear(&text);
	return body;
}
