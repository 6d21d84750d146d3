/* Reading the store's events as they come. */
#include "supervisor/ctl/follow.h"

#include <string.h>

#include "shared/event.h"
#include "shared/json.h"

#define FOLLOW_WAIT_MS 20000
#define FOLLOW_LIMIT 1000

cJSON *follow_kinds(const char *text, struct err *e)
{
	cJSON *list = cJSON_CreateArray();

	while (*text) {
		size_t n = strcspn(text, ",");
		char word[32];

		if (n == 0 || n >= sizeof(word) || event_kind_parse(text, n) == EVENT_UNKNOWN) {
			cJSON_Delete(list);
			err_set(e, ERR_INVALID, "unknown kind of event \"%.*s\"", (int)n, text);
			return NULL;
		}
		memcpy(word, text, n);
		word[n] = 0;
		cJSON_AddItemToArray(list, cJSON_CreateString(word));
		text += n;
		text += *text == ',';
	}
	return list;
}

/* One question. *got: how many events came. -1: failed; 0: the callback ended it; 1. */
static int step(struct ctl *c, const struct follow_spec *spec, int64_t *after, bool wait,
	follow_cb cb, void *arg, int *got, struct err *e)
{
	_cleanup_json_ cJSON *result = NULL;
	cJSON *params = cJSON_CreateObject();
	const cJSON *events, *event;

	json_add_int(params, "after", *after);
	json_add_int(params, "limit", FOLLOW_LIMIT);
	if (spec->agent)
		json_add_int(params, "agent", spec->agent);
	if (spec->kinds) {
		cJSON *kinds = follow_kinds(spec->kinds, e);

		if (!kinds) {
			cJSON_Delete(params);
			return -1;
		}
		cJSON_AddItemToObject(params, "kinds", kinds);
	}
	if (wait)
		json_add_int(params, "wait_ms", FOLLOW_WAIT_MS);
	if (ctl_ask(c, "events.after", params, FOLLOW_WAIT_MS + CTL_ASK_MS, &result, e) < 0)
		return -1;
	events = json_get(result, "events");
	*got = 0;
	cJSON_ArrayForEach (event, events) {
		int64_t id = json_int(event, "id", 0);

		if (id <= *after)
			return err_set(e, ERR_PROTOCOL, "event %lld came after %lld", (long long)id,
				(long long)*after);
		*after = id;
		(*got)++;
		if (!cb(arg, event))
			return 0;
	}
	if (json_int(result, "last", 0) > *after) {
		*after = json_int(result, "last", 0);
		(*got)++;
	}
	return 1;
}

int follow_run(struct ctl *c, const struct follow_spec *spec, follow_cb cb, follow_idle_cb idle,
	void *arg, struct err *e)
{
	int64_t after = spec->after;
	bool caught_up = false;

	for (;;) {
		int got = 0;
		int more = step(c, spec, &after, caught_up, cb, arg, &got, e);

		if (more <= 0)
			return more;
		fflush(stdout);
		if (got)
			continue;
		if (!caught_up && idle && !idle(arg))
			return 0;
		fflush(stdout);
		if (!spec->live)
			return 0;
		caught_up = true;
	}
}
