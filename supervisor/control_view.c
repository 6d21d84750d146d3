/* repository.list, activity.list, costs.list: what people ask about everything. */
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "supervisor/call.h"

#define ACTIVITY_LIMIT 200

int call_repository_list(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	cJSON *rows = store_repositories(c->s->store, e);

	(void)params;
	if (!rows)
		return -1;
	*result = cJSON_CreateObject();
	cJSON_AddItemToObject(*result, "repositories", rows);
	return CALL_DONE;
}

int call_costs_list(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	cJSON *rows =
		store_costs(c->s->store, json_int(params, "from", 0), json_int(params, "to", 0), e);

	if (!rows)
		return -1;
	*result = cJSON_CreateObject();
	cJSON_AddItemToObject(*result, "rows", rows);
	return CALL_DONE;
}

int call_activity_list(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	const cJSON *kinds = json_get(params, "kinds"), *kind;
	_cleanup_free_ char *text = NULL;
	cJSON *rows;
	bool more;

	cJSON_ArrayForEach (kind, kinds) {
		if (!cJSON_IsString(kind) || event_kind_parse(kind->valuestring,
						     strlen(kind->valuestring)) == EVENT_UNKNOWN)
			return err_set(e, ERR_INVALID, "kinds: should be kinds of events");
	}
	text = kinds ? json_print(kinds) : NULL;
	rows = store_activity(c->s->store, json_int(params, "before", 0),
		json_int(params, "agent", 0), json_int(params, "task", 0), text,
		(int)json_int(params, "limit", ACTIVITY_LIMIT), &more, e);
	if (!rows)
		return -1;
	*result = cJSON_CreateObject();
	cJSON_AddItemToObject(*result, "events", rows);
	cJSON_AddBoolToObject(*result, "more", more);
	return CALL_DONE;
}
