// folder: webui
/* A request's method, path, query and Host, split at line breaks. Oracles: a
 * route's path is found again from its own text; a decoded value is UTF-8 and
 * within its bounds; a Host that is let in is one of ours. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/json.h"
#include "webui/files.h"
#include "webui/guard.h"
#include "webui/route.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_query(const char *text)
{
	struct query q;
	struct words w;
	struct err e;
	int64_t value = 7;

	if (query_parse(text, "after agent kinds limit", &q, &e) < 0)
		return;
	for (int i = 0; i < q.count; i++) {
		size_t len = strlen(q.values[i]);

		if (len >= QUERY_VALUE_MAX || !utf8_valid(q.values[i], len))
			abort();
	}
	if (query_int(&q, "after", 1, 1000, &value, &e) == 0 && (value < 1 || value > 1000))
		abort();
	if (words_parse(query_get(&q, "kinds"), &w, &e) == 0 && w.count > QUERY_WORDS_MAX)
		abort();
}

static void check_host(const char *host, const char *origin)
{
	struct guard g = {.port = 5000};
	struct guard_request r = {
		.method = "POST", .host = host, .host_count = 1, .origin = origin, .api = true};
	struct err e;

	if (guard_check(&g, &r, &e) < 0)
		return;
	if (strcasecmp(host, "localhost:5000") != 0 && strcmp(host, "127.0.0.1:5000") != 0 &&
		strcmp(host, "[::1]:5000") != 0)
		abort();
	if (strncmp(origin, "http://", 7) != 0 || strcasecmp(origin + 7, host) != 0)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char *text = malloc(n + 1), *save = NULL, allow[ROUTE_ALLOW_MAX];
	enum route route;
	int64_t id;

	memcpy(text, data, n);
	text[n] = '\0';
	const char *method = strtok_r(text, "\n", &save);
	const char *path = method ? strtok_r(NULL, "\n", &save) : NULL;
	const char *query = path ? strtok_r(NULL, "\n", &save) : NULL;
	const char *host = query ? strtok_r(NULL, "\n", &save) : NULL;
	const char *origin = host ? strtok_r(NULL, "\n", &save) : NULL;
	if (path && route_find(method, path, &route, &id, allow) == 200 && id < 0)
		abort();
	if (path && files_page_path(path) && (strstr(path, "..") || strchr(path, '%')))
		abort();
	check_query(query);
	if (origin)
		check_host(host, origin);
	free(text);
	return 0;
}
