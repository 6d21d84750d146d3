#include "webui/reply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/json.h"

int reply_status(enum err_kind kind)
{
	switch (kind) {
	case ERR_INVALID:
	case ERR_PROTOCOL:
		return 400;
	case ERR_DENIED:
		return 403;
	case ERR_NOT_FOUND:
		return 404;
	case ERR_CONFLICT:
		return 409;
	case ERR_LIMIT:
		return 429;
	case ERR_UNAVAILABLE:
	case ERR_CANCELLED:
		return 503;
	case ERR_NONE:
	case ERR_SYS:
	case ERR_INTERNAL:
		break;
	}
	return 500;
}

void reply_field(const struct err *failure, char *out, size_t size)
{
	size_t n = strspn(failure->text, "abcdefghijklmnopqrstuvwxyz_.[]0123456789");

	out[0] = '\0';
	if (failure->kind == ERR_INVALID && n > 0 && n < size && failure->text[n] == ':')
		snprintf(out, size, "%.*s", (int)n, failure->text);
}

void reply_text(struct http_exchange *x, int status, const char *json, size_t n)
{
	http_add_header(x, "Cache-Control: no-store");
	http_reply(x, status, "application/json", json, n);
}

void reply_json(struct http_exchange *x, int status, cJSON *body)
{
	_cleanup_free_ char *text = json_print(body);

	cJSON_Delete(body);
	reply_text(x, status, text, strlen(text));
}

void reply_error(struct http_exchange *x, int status, const struct err *failure)
{
	cJSON *body = cJSON_CreateObject(), *error = cJSON_AddObjectToObject(body, "error");
	char field[128];

	json_add_str(error, "kind", err_kind_name(failure->kind));
	json_add_text(error, "message", failure->text, strlen(failure->text));
	reply_field(failure, field, sizeof field);
	if (field[0])
		json_add_str(error, "field", field);
	reply_json(x, status, body);
}

void reply_failure(struct http_exchange *x, const struct err *failure)
{
	reply_error(x, reply_status(failure->kind), failure);
}
