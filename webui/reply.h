/* Answers of the REST interface: JSON, and errors as
 * {"error":{"kind","message","field"?}}. */
#ifndef WEBUI_REPLY_H
#define WEBUI_REPLY_H

#include <cjson/cJSON.h>
#include <stddef.h>

#include "shared/err.h"
#include "webui/http.h"

/* HTTP status of a kind of error. Pure. */
int reply_status(enum err_kind kind);

/* Name of the field an error is about, "limits.turns" of "limits.turns: must be …",
 * into out; "" if it names none. Pure. */
void reply_field(const struct err *failure, char *out, size_t size);

void reply_json(struct http_exchange *x, int status, cJSON *body); /* takes body */
void reply_text(struct http_exchange *x, int status, const char *json, size_t n);
void reply_error(struct http_exchange *x, int status, const struct err *failure);
/* With the status of its kind. */
void reply_failure(struct http_exchange *x, const struct err *failure);

#endif
