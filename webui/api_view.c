/* What people ask about everything: repositories, activity, costs; archiving. */
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "webui/api_parts.h"
#include "webui/reply.h"

void api_archive(const struct api *a, struct http_exchange *x, int64_t id, bool archived)
{
	cJSON *body;

	if (api_body(x, NULL, 0, &body) < 0)
		return;
	json_add_int(body, "agent", id);
	cJSON_AddBoolToObject(body, "archived", archived);
	api_ask(a, x, "agent.archive", id, body, CONTROL_QUICK_MS, 200);
}

/* {name: rows}; rows NULL: the failure. Takes rows. */
static void reply_named(
	struct http_exchange *x, const char *name, cJSON *rows, const struct err *failure)
{
	cJSON *body;

	if (!rows) {
		reply_failure(x, failure);
		return;
	}
	body = cJSON_CreateObject();
	cJSON_AddItemToObject(body, name, rows);
	reply_json(x, 200, body);
}

void api_repositories(const struct api *a, struct http_exchange *x)
{
	struct err e;

	reply_named(x, "repositories", store_repositories(a->history, &e), &e);
}

void api_costs(const struct api *a, struct http_exchange *x)
{
	int64_t from = 0, to = 0;
	struct query q;
	cJSON *rows = NULL;
	struct err e;

	if (api_query(x, "from to", &q) < 0)
		return;
	if (query_int(&q, "from", 0, INT64_MAX / 2, &from, &e) == 0 &&
		query_int(&q, "to", 0, INT64_MAX / 2, &to, &e) == 0)
		rows = store_costs(a->history, from, to, &e);
	reply_named(x, "rows", rows, &e);
}

static void on_event(void *arg, const struct store_event *ev)
{
	struct buf *out = arg;

	buf_addf(out,
		"%s{\"id\":%lld,\"stream\":\"%s\",\"subject\":%lld,\"kind\":\"%s\",\"at\":%lld,"
		"\"body\":",
		out->data[out->len - 1] == '[' ? "" : ",", (long long)ev->id, ev->stream,
		(long long)ev->subject, ev->kind, (long long)ev->at);
	buf_add(out, ev->body, ev->body_len);
	buf_adds(out, "}");
}

static bool known(const char *word)
{
	return strcmp(word, "output") != 0 && api_known_kind(word);
}

void api_activity(const struct api *a, struct http_exchange *x)
{
	struct store_activity want = {.max_bytes = API_EVENTS_BYTES};
	int64_t limit = 200;
	struct query q;
	struct buf out;
	struct err e;
	bool more;

	if (api_query(x, "before limit kinds agent task", &q) < 0)
		return;
	if (query_int(&q, "before", 1, INT64_MAX / 2, &want.before, &e) < 0 ||
		query_int(&q, "limit", 1, 1000, &limit, &e) < 0 ||
		query_int(&q, "agent", 1, INT64_MAX / 2, &want.agent, &e) < 0 ||
		query_int(&q, "task", 1, INT64_MAX / 2, &want.task, &e) < 0 ||
		api_words(&q, "kinds", known, &want.kinds, &e) < 0) {
		reply_failure(x, &e);
		return;
	}
	want.limit = (int)limit;
	buf_init(&out, 0);
	buf_adds(&out, "{\"events\":[");
	if (store_activity(a->history, &want, on_event, &out, &more, &e) == 0) {
		buf_addf(&out, "],\"more\":%s}", more ? "true" : "false");
		reply_text(x, 200, out.data, out.len);
	} else {
		reply_failure(x, &e);
	}
	buf_clear(&out);
}
