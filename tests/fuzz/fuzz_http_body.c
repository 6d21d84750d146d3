// folder: webui
/* Bodies of the REST interface: the first byte chooses the route, the rest is the body.
 * Oracle: each request is answered once, an error in JSON with a status of its own, and
 * what is asked of the supervisor is JSON that it would read. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "webui/api.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct http_exchange {
	const char *body;
	size_t n;
	int answers, status;
};

int http_body(struct http_exchange *x, const char **text, size_t *n, struct err *e)
{
	(void)e;
	*text = x->body;
	*n = x->n;
	return 0;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
	(void)x;
	if (!strcmp(name, "Content-Type"))
		return "application/json; charset=utf-8";
	return !strcmp(name, "Idempotency-Key") ? "a key" : NULL;
}

const char *http_query(const struct http_exchange *x)
{
	(void)x;
	return NULL;
}

const char *http_method(const struct http_exchange *x)
{
	(void)x;
	return "POST";
}

void http_add_header(struct http_exchange *x, const char *fmt, ...)
{
	(void)x, (void)fmt;
}

void http_reply(struct http_exchange *x, int status, const char *type, const void *body, size_t n)
{
	struct err e;
	cJSON *json = n ? json_parse(body, n, HTTP_BODY_MAX, &e) : NULL;

	(void)type;
	if (++x->answers != 1 || status < 200 || status > 599)
		abort();
	if (status >= 400 && !json_get(json_get(json, "error"), "message"))
		abort();
	cJSON_Delete(json);
	x->status = status;
}

cJSON *control_ask(struct control *c, const char *id, const char *method, const cJSON *params,
	int timeout_ms, struct err *e)
{
	char *text = params ? json_print(params) : NULL;
	cJSON *again = text ? json_parse(text, strlen(text), HTTP_BODY_MAX + 4096, e) : NULL;

	(void)c, (void)id, (void)timeout_ms;
	if (!*method || (text && !again))
		abort();
	cJSON_Delete(again);
	free(text);
	return cJSON_CreateObject();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct api api = {0};
	struct http_exchange x = {0};
	char *body;
	int route = 0;

	if (n == 0)
		return 0;
	/* Routes that read a body only: the others read the store. */
	for (int left = data[0], i = 0; left >= 0; i = (i + 1) % ROUTE_COUNT) {
		const char *method = route_method((enum route)i);

		route = i;
		if ((!strcmp(method, "POST") || !strcmp(method, "PATCH")) && i != ROUTE_SIGN_IN)
			left--;
	}
	body = malloc(n);
	memcpy(body, data + 1, n - 1);
	body[n - 1] = '\0';
	x.body = body;
	x.n = n - 1;
	api_handle(&api, &x, (enum route)route, 1, NULL, NULL);
	if (x.answers != 1)
		abort();
	free(body);
	return 0;
}
