/* Inside of the REST interface, for api*.c alone: handlers and what they share. */
#ifndef WEBUI_API_PARTS_H
#define WEBUI_API_PARTS_H

#include "shared/json.h"
#include "webui/api.h"

#define API_EVENTS_BYTES (8 << 20) /* of one answer */

/* The query with these names allowed; -1: answered already. */
int api_query(struct http_exchange *x, const char *allowed, struct query *q);
/* Words that known() knows. */
int api_words(const struct query *q, const char *name, bool (*known)(const char *word),
	struct words *w, struct err *e);
bool api_known_kind(const char *word);

/* Asks the supervisor and hands on its answer. Takes params. */
void api_ask(const struct api *a, struct http_exchange *x, const char *method, int64_t id,
	cJSON *params, int timeout_ms, int status);
/* Asks method about agent id (0: "all") with the body's fields as further params. */
void api_ask_agent(const struct api *a, struct http_exchange *x, const char *method, int64_t id,
	const struct json_field *fields, size_t n);

/* api_ask.c */
void api_asking(const struct api *a, struct http_exchange *x, enum route route, int64_t id);
/* What only the supervisor knows, without a body to send. */
void api_live(const struct api *a, struct http_exchange *x, enum route route, int64_t id);

/* api_output.c */
void api_output(const struct api *a, struct http_exchange *x, int64_t id);
void api_search(const struct api *a, struct http_exchange *x, int64_t id);

/* api_view.c */
void api_archive(const struct api *a, struct http_exchange *x, int64_t id, bool archived);
void api_repositories(const struct api *a, struct http_exchange *x);
void api_activity(const struct api *a, struct http_exchange *x);
void api_costs(const struct api *a, struct http_exchange *x);

#endif
