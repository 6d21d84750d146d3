/* The REST interface's handlers: reads come from the store, changes are asked of
 * the supervisor. Who asks is already known when one is called (site.c). */
#ifndef WEBUI_API_H
#define WEBUI_API_H

#include <stdint.h>

#include "webui/control.h"
#include "webui/feed.h"
#include "webui/http.h"
#include "webui/route.h"
#include "webui/store.h"

struct api {
	struct store *store;
	struct store *history; /* the same over a connection of its own: what may be slow */
	struct control *control;
	struct feed *feed;
};

/* allowed, arg: as in struct feed_request, for an event stream. */
void api_handle(const struct api *a, struct http_exchange *x, enum route route, int64_t id,
	bool (*allowed)(void *arg), void *arg);

/* Reads a request's body as JSON of this shape into *body, which the caller owns;
 * an empty body counts as {}. On failure the answer is already given: returns -1. */
struct json_field;
int api_body(struct http_exchange *x, const struct json_field *fields, size_t n, cJSON **body);

/* The OpenAPI 3.1 description of all routes, built in, NUL-terminated. */
extern const char openapi_json[];

#endif
