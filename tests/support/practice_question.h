/* One request for a chat completion, read. */
#ifndef SUPPORT_PRACTICE_QUESTION_H
#define SUPPORT_PRACTICE_QUESTION_H

#include <string.h>

#include "shared/buf.h"
#include "shared/json.h"

struct question {
	cJSON *json;
	size_t bytes;
	const char *model;
	struct buf system, user, any;
	int messages;
	bool stream, include_usage, has_key;
};

/* A message's content: a string, or a list of parts with text. */
static void add_content(struct buf *b, const cJSON *content)
{
	const cJSON *part;

	if (cJSON_IsString(content))
		buf_adds(b, content->valuestring);
	cJSON_ArrayForEach (part, content) {
		if (cJSON_IsObject(part))
			buf_adds(b, json_str(part, "text", ""));
	}
}

static void question_read(struct question *q)
{
	const cJSON *message;

	q->model = json_str(q->json, "model", "");
	q->stream = json_bool(q->json, "stream", false);
	q->include_usage = json_bool(json_get(q->json, "stream_options"), "include_usage", false);
	cJSON_ArrayForEach (message, json_get(q->json, "messages")) {
		const char *role = json_str(message, "role", "");
		const cJSON *content = json_get(message, "content");

		q->messages++;
		add_content(&q->any, content);
		buf_adds(&q->any, "\n");
		if (strcmp(role, "system") == 0) {
			add_content(&q->system, content);
		} else if (strcmp(role, "user") == 0) {
			buf_reset(&q->user);
			add_content(&q->user, content);
		}
	}
}

static void question_clear(struct question *q)
{
	cJSON_Delete(q->json);
	buf_clear(&q->system);
	buf_clear(&q->user);
	buf_clear(&q->any);
}

static bool has(const struct buf *b, const char *text)
{
	return b->data && strstr(b->data, text);
}

#endif
