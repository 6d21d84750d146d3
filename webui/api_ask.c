/* What the supervisor asks the outside world for, and who of rivals is taken: a request's
 * body becomes a call's parameters, its answer the response. */
#include "shared/giturl.h"
#include "webui/api_parts.h"
#include "webui/reply.h"

#define TEXT_MAX (64 * 1024)
#define MAX 3

static const struct asking {
	enum route route;
	const char *method;
	const char *id; /* the parameter that takes the path's number; NULL: none */
	int timeout_ms;
	int count;
	struct json_field fields[MAX];
} askings[] = {
	{ROUTE_REPOSITORY_CHECK, "repository.check", NULL, CONTROL_SLOW_MS, 2,
		{{"repository", JSON_STRING, true, 1, GITURL_MAX - 1},
			{"base", JSON_STRING, false, 0, 255}}},
	{ROUTE_REPOSITORY_ISSUES, "repository.issues", NULL, CONTROL_SLOW_MS, 3,
		{{"repository", JSON_STRING, true, 1, GITURL_MAX - 1},
			{"state", JSON_STRING, false, 1, 8}, {"page", JSON_INT, false, 1, 1000}}},
	{ROUTE_MODEL_TEST, "model.test", NULL, CONTROL_SLOW_MS, 1,
		{{"model", JSON_STRING, true, 1, 255}}},
	{ROUTE_TASK_JUDGE, "task.judge", "task", CONTROL_ADVICE_MS, 0, {{0}}},
	{ROUTE_TASK_PICK, "task.pick", "task", CONTROL_QUICK_MS, 1,
		{{"agent", JSON_INT, true, 1, 9007199254740991.0}}},
	{ROUTE_TASK_UNPICK, "task.unpick", "task", CONTROL_QUICK_MS, 0, {{0}}},
};

void api_asking(const struct api *a, struct http_exchange *x, enum route route, int64_t id)
{
	static const struct json_field split[] = {
		{"repository", JSON_STRING, true, 1, GITURL_MAX - 1},
		{"base", JSON_STRING, false, 0, 255},
		{"goal", JSON_STRING, true, 1, TEXT_MAX},
		{"tasks", JSON_INT, false, 1, 20},
	};
	cJSON *body;

	if (route == ROUTE_GOAL_SPLIT) {
		if (api_body(x, split, 4, &body) == 0)
			api_ask(a, x, "goal.split", 0, body, CONTROL_ADVICE_MS, 200);
		return;
	}
	for (size_t i = 0; i < sizeof askings / sizeof *askings; i++) {
		const struct asking *k = &askings[i];

		if (k->route != route)
			continue;
		if (api_body(x, k->fields, (size_t)k->count, &body) < 0)
			return;
		if (k->id)
			json_add_int(body, k->id, id);
		api_ask(a, x, k->method, id, body, k->timeout_ms, 200);
	}
}

void api_live(const struct api *a, struct http_exchange *x, enum route route, int64_t id)
{
	const char *method = route == ROUTE_KEYS     ? "key.list"
			     : route == ROUTE_HEALTH ? "health"
						     : "agent.process";
	cJSON *params = cJSON_CreateObject();
	struct err e;

	if (route == ROUTE_PROCESS)
		json_add_int(params, "agent", id);
	cJSON *answer = control_ask(a->control, NULL, method, params, CONTROL_SLOW_MS, &e);
	cJSON_Delete(params);
	if (answer)
		reply_json(x, 200, answer);
	else
		reply_failure(x, &e);
}
