#include "worker/description.h"

#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/json.h"
#include "worker/action.h"
#include "worker/forge.h"

static void set_cut(char **slot, const char *text, size_t max)
{
	free(*slot);
	*slot = strndup(text, utf8_cut(text, strlen(text), max));
	if (!*slot)
		err_out_of_memory();
}

static void set_title(struct session_finish *f, const char *title)
{
	set_cut(&f->title, title, DESCRIPTION_TITLE_MAX);
	for (char *c = f->title; *c; c++) {
		if (*c == '\n' || *c == '\r')
			*c = ' ';
	}
}

static cJSON *names_of(const cJSON *list)
{
	cJSON *names = cJSON_CreateArray();
	const cJSON *n;

	cJSON_ArrayForEach (n, list) {
		if (cJSON_IsString(n) && *n->valuestring &&
			cJSON_GetArraySize(names) < FORGE_MAX_NAMES)
			cJSON_AddItemToArray(names, cJSON_CreateString(n->valuestring));
	}
	return names;
}

int description_read(struct session_finish *f, const char *answer, struct err *e)
{
	_cleanup_json_ cJSON *j = answer_object(answer, strlen(answer), e);
	const char *title = json_str(j, "title", "");

	if (!j)
		return -1;
	if (!*title)
		return err_set(e, ERR_INVALID, "the answer has no title");
	set_title(f, title);
	set_cut(&f->body, json_str(j, "body", ""), DESCRIPTION_BODY_MAX);
	cJSON_Delete(f->labels);
	cJSON_Delete(f->reviewers);
	f->labels = names_of(json_get(j, "labels"));
	f->reviewers = names_of(json_get(j, "reviewers"));
	return 0;
}

void description_plain(
	struct session_finish *f, const char *title, const char *description, const char *history)
{
	struct buf b;

	buf_init(&b, 0);
	buf_adds(&b, *description ? description : title);
	if (history && *history)
		buf_addf(&b, "\n\n```\n%s```\n", history);
	set_title(f, title);
	set_cut(&f->body, b.data ? b.data : "", DESCRIPTION_BODY_MAX);
	buf_clear(&b);
}
