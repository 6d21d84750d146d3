/* An agent's output by line, and a text looked for in it. */
#include <string.h>

#include "shared/buf.h"
#include "webui/api_parts.h"
#include "webui/reply.h"

#define LINE_MAX_ASKED ((int64_t)1 << 48)
#define PAGE_LINES 1000
#define HITS 100

static void on_output(void *arg, const struct store_event *ev)
{
	struct buf *out = arg;

	buf_addf(out,
		"%s{\"id\":%lld,\"at\":%lld,\"kind\":\"output\",\"body\":", out->len ? "," : "",
		(long long)ev->id, (long long)ev->at);
	buf_add(out, ev->body, ev->body_len);
	buf_adds(out, "}");
}

void api_output(const struct api *a, struct http_exchange *x, int64_t id)
{
	int64_t line = 0, limit = PAGE_LINES, bytes = API_EVENTS_BYTES;
	struct store_page page;
	struct buf events, out;
	struct query q;
	struct err e;

	if (api_query(x, "line limit bytes", &q) < 0)
		return;
	if (query_int(&q, "line", -LINE_MAX_ASKED, LINE_MAX_ASKED, &line, &e) < 0 ||
		query_int(&q, "limit", 1, 10000, &limit, &e) < 0 ||
		query_int(&q, "bytes", 1, API_EVENTS_BYTES, &bytes, &e) < 0) {
		reply_failure(x, &e);
		return;
	}
	buf_init(&events, 0);
	buf_init(&out, 0);
	if (store_page(a->history, id, line, (int)limit, (size_t)bytes, on_output, &events, &page,
		    &e) == 0) {
		buf_addf(&out, "{\"lines\":%lld,\"first_line\":%lld,\"more\":%s,\"events\":[",
			(long long)page.lines, (long long)page.first_line,
			page.more ? "true" : "false");
		buf_add(&out, events.data ? events.data : "", events.len);
		buf_adds(&out, "]}");
		reply_text(x, 200, out.data, out.len);
	} else {
		reply_failure(x, &e);
	}
	buf_clear(&events);
	buf_clear(&out);
}

static void on_hit(void *arg, int64_t line, int64_t id, const char *text, size_t n)
{
	cJSON *hit = cJSON_CreateObject();

	json_add_int(hit, "line", line);
	json_add_int(hit, "id", id);
	json_add_text(hit, "text", text, n);
	cJSON_AddItemToArray(arg, hit);
}

void api_search(const struct api *a, struct http_exchange *x, int64_t id)
{
	struct store_search want = {.agent = id, .after_line = -1, .cb = on_hit};
	struct store_found found;
	int64_t limit = HITS;
	cJSON *body;
	struct query q;
	struct err e;

	if (api_query(x, "q limit after_line", &q) < 0)
		return;
	want.text = query_get(&q, "q");
	e.kind = ERR_NONE;
	if (!want.text || !*want.text || strlen(want.text) > STORE_SEARCH_MAX ||
		strpbrk(want.text, "\r\n"))
		err_set(&e, ERR_INVALID, "q: should be a text of 1 to %d bytes on one line",
			STORE_SEARCH_MAX);
	if (e.kind != ERR_NONE || query_int(&q, "limit", 1, 1000, &limit, &e) < 0 ||
		query_int(&q, "after_line", 0, LINE_MAX_ASKED, &want.after_line, &e) < 0) {
		reply_failure(x, &e);
		return;
	}
	want.limit = (int)limit;
	body = cJSON_CreateObject();
	want.arg = cJSON_AddArrayToObject(body, "hits");
	if (store_search(a->history, &want, &found, &e) < 0) {
		cJSON_Delete(body);
		reply_failure(x, &e);
		return;
	}
	cJSON_AddBoolToObject(body, "more", found.more);
	json_add_int(body, "line", found.line);
	reply_json(x, 200, body);
}
