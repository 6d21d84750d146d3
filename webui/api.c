#include "webui/api_parts.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/event.h"
#include "shared/giturl.h"
#include "shared/json.h"
#include "webui/reply.h"
#include "webui/sha256.h"
#include "webui/sse.h"

#define TEXT_MAX (64 * 1024)
#define KEY_MAX 128
#define COUNT(fields) (sizeof(fields) / sizeof *(fields))

/* Not in line: the dispatcher's frame would have room for what all of them keep, and civetweb
 * gives a thread 100 KB of stack. */
#define HANDLER static __attribute__((noinline)) void

static int content_type_json(const struct http_exchange *x)
{
	const char *type = http_header(x, "Content-Type");
	size_t n = type ? strcspn(type, "; ") : 0;

	return n == strlen("application/json") && !strncasecmp(type, "application/json", n);
}

int api_body(struct http_exchange *x, const struct json_field *fields, size_t n, cJSON **body)
{
	const char *text;
	struct err e;
	size_t len;

	if (http_body(x, &text, &len, &e) < 0) {
		reply_error(x,
			e.kind == ERR_LIMIT	    ? 413
			: e.kind == ERR_UNAVAILABLE ? 408
						    : 400,
			&e);
		return -1;
	}
	if (len && !content_type_json(x)) {
		err_set(&e, ERR_INVALID, "a body must be sent as Content-Type: application/json");
		reply_error(x, 415, &e);
		return -1;
	}
	*body = len ? json_parse(text, len, HTTP_BODY_MAX, &e) : cJSON_CreateObject();
	if (*body && json_check(*body, fields, n, &e) == 0)
		return 0;
	cJSON_Delete(*body);
	*body = NULL;
	reply_failure(x, &e);
	return -1;
}

/* The asker's own key, if given, makes asking twice do it once. Which call it was
 * goes into the id, so that one key cannot take another call's answer. */
static int request_id(struct http_exchange *x, const char *method, int64_t id, char *out,
	const char **use, struct err *e)
{
	const char *key = http_header(x, "Idempotency-Key");
	char text[KEY_MAX + 96], digest[SHA256_HEX];

	*use = NULL;
	if (!key)
		return 0;
	if (!*key || strlen(key) > KEY_MAX)
		return err_set(
			e, ERR_INVALID, "Idempotency-Key: should have 1 to %d characters", KEY_MAX);
	snprintf(text, sizeof text, "%s\n%lld\n%s", method, (long long)id, key);
	sha256_hex(text, strlen(text), digest);
	snprintf(out, 33, "%.32s", digest);
	*use = out;
	return 0;
}

void api_ask(const struct api *a, struct http_exchange *x, const char *method, int64_t id,
	cJSON *params, int timeout_ms, int status)
{
	char buffer[33];
	const char *request = NULL;
	struct err e;
	cJSON *result = NULL;

	if (request_id(x, method, id, buffer, &request, &e) == 0)
		result = control_ask(a->control, request, method, params, timeout_ms, &e);
	cJSON_Delete(params);
	if (result)
		reply_json(x, status, result);
	else
		reply_failure(x, &e);
}

int api_query(struct http_exchange *x, const char *allowed, struct query *q)
{
	struct err e;

	if (query_parse(http_query(x), allowed, q, &e) == 0)
		return 0;
	reply_failure(x, &e);
	return -1;
}

bool api_known_kind(const char *word)
{
	return event_kind_parse(word, strlen(word)) != EVENT_UNKNOWN;
}

static bool known_state(const char *word)
{
	static const char *const states[] = {"queued", "starting", "working", "waiting", "paused",
		"finishing", "done", "failed", "stopped"};

	for (size_t i = 0; i < COUNT(states); i++) {
		if (!strcmp(word, states[i]))
			return true;
	}
	return false;
}

int api_words(const struct query *q, const char *name, bool (*known)(const char *word),
	struct words *w, struct err *e)
{
	if (words_parse(query_get(q, name), w, e) < 0)
		return err_wrap(e, "%s", name);
	for (int i = 0; i < w->count; i++) {
		if (!known(w->word[i]))
			return err_set(e, ERR_INVALID, "%s: there is no \"%s\"", name, w->word[i]);
	}
	return 0;
}

/* --- reads --- */

HANDLER get_status(const struct api *a, struct http_exchange *x)
{
	int64_t last = 0, generation;
	struct err e;
	cJSON *status = control_ask(a->control, NULL, "status", NULL, CONTROL_QUICK_MS, &e);

	if (status) {
		cJSON_AddTrueToObject(status, "supervisor");
		reply_json(x, 200, status);
		return;
	}
	status = cJSON_CreateObject();
	cJSON_AddFalseToObject(status, "supervisor");
	json_add_str(status, "reason", e.text);
	json_add_str(status, "version", VERSION_STRING);
	cJSON *counts = store_counts(a->store, &e);
	cJSON_AddItemToObject(status, "agents", counts ? counts : cJSON_CreateObject());
	store_last(a->store, &last, &generation, &e);
	json_add_int(status, "last_event", last);
	reply_json(x, 200, status);
}

/* {"name": rows, "last_event": the position to subscribe from}; last was asked
 * before the rows were read, so nothing falls between. Takes rows. */
static void reply_rows(struct http_exchange *x, const char *name, cJSON *rows, int64_t last,
	const struct err *failure)
{
	if (!rows) {
		reply_failure(x, failure);
		return;
	}
	cJSON *body = cJSON_CreateObject();
	cJSON_AddItemToObject(body, name, rows);
	json_add_int(body, "last_event", last);
	reply_json(x, 200, body);
}

HANDLER get_tasks(const struct api *a, struct http_exchange *x)
{
	int64_t last, generation;
	struct err e;
	cJSON *rows = store_last(a->store, &last, &generation, &e) == 0 ? store_tasks(a->store, &e)
									: NULL;

	reply_rows(x, "tasks", rows, last, &e);
}

HANDLER get_task(const struct api *a, struct http_exchange *x, int64_t id)
{
	struct words all = {0};
	struct err e;
	cJSON *task = store_task(a->store, id, &e);
	cJSON *agents = task ? store_agents(a->store, &all, id, true, &e) : NULL;
	_cleanup_free_ char *judgement = agents ? store_judgement(a->store, id, &e) : NULL;

	if (!agents || (!judgement && e.kind != ERR_NONE)) {
		cJSON_Delete(task);
		cJSON_Delete(agents);
		reply_failure(x, &e);
		return;
	}
	cJSON *body = cJSON_CreateObject();
	cJSON_AddItemToObject(body, "winner", cJSON_Duplicate(json_get(task, "winner"), true));
	if (!json_get(task, "winner"))
		cJSON_AddNullToObject(body, "winner");
	cJSON_AddRawToObject(body, "judgement", judgement ? judgement : "null");
	cJSON_AddItemToObject(body, "task", task);
	cJSON_AddItemToObject(body, "agents", agents);
	reply_json(x, 200, body);
}

HANDLER get_agents(const struct api *a, struct http_exchange *x)
{
	int64_t task = 0, last = 0, generation;
	bool archived = false;
	struct words states;
	struct query q;
	struct err e;
	cJSON *rows = NULL;

	if (api_query(x, "state task archived", &q) < 0)
		return;
	if (query_int(&q, "task", 1, INT64_MAX / 2, &task, &e) == 0 &&
		api_words(&q, "state", known_state, &states, &e) == 0 &&
		query_bool(&q, "archived", &archived, &e) == 0 &&
		store_last(a->store, &last, &generation, &e) == 0)
		rows = store_agents(a->store, &states, task, archived, &e);
	reply_rows(x, "agents", rows, last, &e);
}

HANDLER get_agent(const struct api *a, struct http_exchange *x, int64_t id)
{
	struct err e;
	cJSON *task = NULL, *agent = store_agent(a->store, id, &e);

	if (agent)
		task = store_task(a->store, json_int(agent, "task_id", 0), &e);
	if (!task) {
		cJSON_Delete(agent);
		reply_failure(x, &e);
		return;
	}
	cJSON_AddItemToObject(agent, "task", task);
	reply_json(x, 200, agent);
}

HANDLER get_turns(const struct api *a, struct http_exchange *x, int64_t id)
{
	int64_t before = 0, limit = 200;
	struct query q;
	struct err e;
	cJSON *rows = NULL;

	if (api_query(x, "before limit", &q) < 0)
		return;
	if (query_int(&q, "before", 1, INT64_MAX / 2, &before, &e) == 0 &&
		query_int(&q, "limit", 1, 1000, &limit, &e) == 0)
		rows = store_turns(a->store, id, before, (int)limit, &e);
	if (!rows) {
		reply_failure(x, &e);
		return;
	}
	cJSON *body = cJSON_CreateObject();
	cJSON_AddItemToObject(body, "turns", rows);
	reply_json(x, 200, body);
}

HANDLER get_diff(const struct api *a, struct http_exchange *x, int64_t id)
{
	static const char none[] =
		"{\"files\":[],\"added\":0,\"removed\":0,\"patch\":\"\",\"cut\":false}";
	struct err e;
	_cleanup_free_ char *body = store_diff(a->store, id, &e);

	if (body)
		reply_text(x, 200, body, strlen(body));
	else if (e.kind == ERR_NONE)
		reply_text(x, 200, none, sizeof none - 1);
	else
		reply_failure(x, &e);
}

HANDLER get_usage(const struct api *a, struct http_exchange *x, int64_t id)
{
	struct err e;
	cJSON *usage = store_usage(a->store, id, &e);

	if (usage)
		reply_json(x, 200, usage);
	else
		reply_failure(x, &e);
}

/* The newest come last first; they are put in front, piece by piece. */
struct event_list {
	struct buf *texts; /* one per event */
	int count;
};

static void on_event(void *arg, const struct store_event *ev)
{
	struct event_list *list = arg;
	struct buf *text = &list->texts[list->count++];

	buf_init(text, 0);
	sse_object(text, ev->id, ev->stream, ev->subject, ev->kind, ev->body, ev->body_len);
}

static void reply_events(struct http_exchange *x, const struct event_list *list, bool reversed,
	const struct store_looked *looked)
{
	struct buf out;

	buf_init(&out, 0);
	buf_adds(&out, "{\"events\":[");
	for (int i = 0; i < list->count; i++) {
		const struct buf *text = &list->texts[reversed ? list->count - 1 - i : i];

		if (i)
			buf_adds(&out, ",");
		buf_add(&out, text->data, text->len);
	}
	buf_addf(&out, "],\"first\":%lld,\"last\":%lld,\"more\":%s}", (long long)looked->first,
		(long long)looked->last, looked->more ? "true" : "false");
	reply_text(x, 200, out.data, out.len);
	buf_clear(&out);
}

HANDLER get_events(const struct api *a, struct http_exchange *x, int64_t id)
{
	struct store_range range = {.agent = id};
	struct store_looked looked;
	struct event_list list = {0};
	int64_t limit = 200, bytes = API_EVENTS_BYTES;
	struct query q;
	struct err e;
	cJSON *agent = NULL;

	if (api_query(x, "after before bytes kinds limit", &q) < 0)
		return;
	range.newest = !query_get(&q, "after");
	if (query_int(&q, "after", 0, INT64_MAX / 2, &range.after, &e) == 0 &&
		query_int(&q, "before", 1, INT64_MAX / 2, &range.before, &e) == 0 &&
		query_int(&q, "limit", 1, 1000, &limit, &e) == 0 &&
		query_int(&q, "bytes", 1, API_EVENTS_BYTES, &bytes, &e) == 0 &&
		api_words(&q, "kinds", api_known_kind, &range.kinds, &e) == 0)
		agent = store_agent(a->store, id, &e);
	if (!agent) {
		reply_failure(x, &e);
		return;
	}
	cJSON_Delete(agent);
	range.limit = (int)limit;
	range.max_bytes = (size_t)bytes;
	list.texts = calloc((size_t)limit, sizeof *list.texts);
	if (!list.texts)
		err_out_of_memory();
	if (store_events(a->store, &range, on_event, &list, &looked, &e) == 0)
		reply_events(x, &list, range.newest, &looked);
	else
		reply_failure(x, &e);
	for (int i = 0; i < list.count; i++)
		buf_clear(&list.texts[i]);
	free(list.texts);
}

HANDLER get_config(const struct api *a, struct http_exchange *x)
{
	struct err e;
	cJSON *config = control_ask(a->control, NULL, "config.get", NULL, CONTROL_QUICK_MS, &e);

	if (!config && e.kind == ERR_UNAVAILABLE)
		config = store_config(a->store, &e);
	if (config)
		reply_json(x, 200, config);
	else
		reply_failure(x, &e);
}

/* --- the event stream --- */

HANDLER get_stream(
	const struct api *a, struct http_exchange *x, bool (*allowed)(void *arg), void *arg)
{
	struct feed_request r = {.after = -1, .allowed = allowed, .arg = arg};
	const char *resume = http_header(x, "Last-Event-ID");
	struct query q;
	struct err e;

	if (api_query(x, "after agent kinds", &q) < 0)
		return;
	if (query_int(&q, "after", 0, INT64_MAX / 2, &r.after, &e) < 0 ||
		query_int(&q, "agent", 1, INT64_MAX / 2, &r.agent, &e) < 0 ||
		api_words(&q, "kinds", api_known_kind, &r.kinds, &e) < 0) {
		reply_failure(x, &e);
		return;
	}
	/* A browser that comes back knows better than the address it began with. */
	if (resume && *resume && strspn(resume, "0123456789") == strlen(resume) &&
		strlen(resume) <= 18)
		r.after = strtoll(resume, NULL, 10);
	if (feed_serve(a->feed, x, &r, &e) < 0) {
		http_add_header(x, "Retry-After: 5");
		reply_error(x, 503, &e);
	}
}

/* --- changes --- */

HANDLER create_task(const struct api *a, struct http_exchange *x)
{
	static const struct json_field fields[] = {
		{"repository", JSON_STRING, true, 1, GITURL_MAX},
		{"base", JSON_STRING, false, 0, 255},
		{"tasks", JSON_ARRAY, true, 1, 100},
		{"agents_per_task", JSON_INT, false, 1, 10},
		{"aider_arguments", JSON_STRING, false, 0, 4096},
		{"test_command", JSON_STRING, false, 0, 4096},
		{"manager", JSON_BOOL, false, 0, 0},
		{"permission", JSON_STRING, false, 0, 16},
		{"limits", JSON_OBJECT, false, 0, 0},
		{"models", JSON_OBJECT, false, 0, 0},
		{"pull_request", JSON_BOOL, false, 0, 0},
	};
	cJSON *body;

	if (api_body(x, fields, COUNT(fields), &body) == 0)
		api_ask(a, x, "task.create", 0, body, CONTROL_SLOW_MS, 201);
}

void api_ask_agent(const struct api *a, struct http_exchange *x, const char *method, int64_t id,
	const struct json_field *fields, size_t n)
{
	cJSON *body;

	if (api_body(x, fields, n, &body) < 0)
		return;
	if (id)
		json_add_int(body, "agent", id);
	else
		json_add_str(body, "agent", "all");
	api_ask(a, x, method, id, body, CONTROL_QUICK_MS, 200);
}

HANDLER delete_agent(const struct api *a, struct http_exchange *x, int64_t id)
{
	bool discard = false;
	struct query q;
	struct err e;
	cJSON *body;

	if (api_query(x, "discard", &q) < 0)
		return;
	if (query_bool(&q, "discard", &discard, &e) < 0) {
		reply_failure(x, &e);
		return;
	}
	if (api_body(x, NULL, 0, &body) < 0)
		return;
	json_add_int(body, "agent", id);
	if (discard)
		cJSON_AddBoolToObject(body, "discard", true);
	api_ask(a, x, "agent.delete", id, body, CONTROL_QUICK_MS, 200);
}

/* An errand looks through the whole workspace. */
HANDLER ask_workspace(const struct api *a, struct http_exchange *x, const char *method, int64_t id)
{
	cJSON *body;

	if (api_body(x, NULL, 0, &body) < 0)
		return;
	json_add_int(body, "agent", id);
	api_ask(a, x, method, id, body, CONTROL_SLOW_MS, 200);
}

HANDLER set_config(const struct api *a, struct http_exchange *x)
{
	static const struct json_field fields[] = {
		{"models", JSON_OBJECT, false, 0, 0}, {"general", JSON_OBJECT, false, 0, 0}};
	cJSON *body;

	if (api_body(x, fields, COUNT(fields), &body) == 0)
		api_ask(a, x, "config.set", 0, body, CONTROL_QUICK_MS, 200);
}

static bool takes_query(enum route route)
{
	return route == ROUTE_AGENTS || route == ROUTE_TURNS || route == ROUTE_EVENTS ||
	       route == ROUTE_STREAM || route == ROUTE_ACTIVITY || route == ROUTE_OUTPUT ||
	       route == ROUTE_SEARCH || route == ROUTE_COSTS || route == ROUTE_AGENT_DELETE;
}

static __attribute__((noinline)) bool without_query(struct http_exchange *x)
{
	struct query none;

	return api_query(x, "", &none) == 0;
}

void api_handle(const struct api *a, struct http_exchange *x, enum route route, int64_t id,
	bool (*allowed)(void *arg), void *arg)
{
	static const struct json_field tell[] = {{"text", JSON_STRING, true, 1, TEXT_MAX}};
	static const struct json_field permission[] = {
		{"permission", JSON_STRING, true, 1, 256}, {"option", JSON_STRING, true, 1, 256}};

	if (!takes_query(route) && !without_query(x))
		return;
	switch (route) {
	case ROUTE_STATUS:
		return get_status(a, x);
	case ROUTE_TASKS:
		return get_tasks(a, x);
	case ROUTE_TASK_CREATE:
		return create_task(a, x);
	case ROUTE_TASK:
		return get_task(a, x, id);
	case ROUTE_AGENTS:
		return get_agents(a, x);
	case ROUTE_AGENT:
		return get_agent(a, x, id);
	case ROUTE_AGENT_DELETE:
		return delete_agent(a, x, id);
	case ROUTE_TELL:
	case ROUTE_TELL_ALL:
		return api_ask_agent(a, x, "agent.tell", id, tell, COUNT(tell));
	case ROUTE_PERMISSION:
		return api_ask_agent(a, x, "agent.permission", id, permission, COUNT(permission));
	case ROUTE_INTERRUPT:
		return api_ask_agent(a, x, "agent.interrupt", id, NULL, 0);
	case ROUTE_PAUSE:
		return api_ask_agent(a, x, "agent.pause", id, NULL, 0);
	case ROUTE_RESUME:
		return api_ask_agent(a, x, "agent.resume", id, NULL, 0);
	case ROUTE_STOP:
		return api_ask_agent(a, x, "agent.stop", id, NULL, 0);
	case ROUTE_FINISH:
		return api_ask_agent(a, x, "agent.finish", id, NULL, 0);
	case ROUTE_RETRY:
		return api_ask_agent(a, x, "agent.retry", id, NULL, 0);
	case ROUTE_RECLAIM:
		return ask_workspace(a, x, "agent.reclaim", id);
	case ROUTE_RESTORE:
		return ask_workspace(a, x, "agent.restore", id);
	case ROUTE_TURNS:
		return get_turns(a, x, id);
	case ROUTE_DIFF:
		return get_diff(a, x, id);
	case ROUTE_EVENTS:
		return get_events(a, x, id);
	case ROUTE_USAGE:
		return get_usage(a, x, id);
	case ROUTE_REPOSITORY_CHECK:
	case ROUTE_REPOSITORY_ISSUES:
	case ROUTE_MODEL_TEST:
	case ROUTE_GOAL_SPLIT:
	case ROUTE_TASK_JUDGE:
	case ROUTE_TASK_PICK:
	case ROUTE_TASK_UNPICK:
		return api_asking(a, x, route, id);
	case ROUTE_KEYS:
	case ROUTE_HEALTH:
	case ROUTE_PROCESS:
		return api_live(a, x, route, id);
	case ROUTE_OUTPUT:
		return api_output(a, x, id);
	case ROUTE_SEARCH:
		return api_search(a, x, id);
	case ROUTE_ARCHIVE:
		return api_archive(a, x, id, true);
	case ROUTE_UNARCHIVE:
		return api_archive(a, x, id, false);
	case ROUTE_REPOSITORIES:
		return api_repositories(a, x);
	case ROUTE_ACTIVITY:
		return api_activity(a, x);
	case ROUTE_COSTS:
		return api_costs(a, x);
	case ROUTE_CONFIG:
		return get_config(a, x);
	case ROUTE_CONFIG_SET:
		return set_config(a, x);
	case ROUTE_STREAM:
		return get_stream(a, x, allowed, arg);
	case ROUTE_OPENAPI:
		return reply_text(x, 200, openapi_json, strlen(openapi_json));
	case ROUTE_SESSION:
	case ROUTE_SIGN_IN:
	case ROUTE_SIGN_OUT:
	case ROUTE_COUNT:
		break; /* site.c's own */
	}
	struct err e;
	err_set(&e, ERR_INTERNAL, "route %s has no handler", route_path(route));
	reply_failure(x, &e);
}
