/* Which handler a request means: the table of the REST interface, and query
 * strings. Pure. The table is what openapi.json describes; a test compares them. */
#ifndef WEBUI_ROUTE_H
#define WEBUI_ROUTE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/err.h"

/* X(NAME, method, path below /api/v1; {id} is a positive number, {verb} a word) */
#define ROUTES(X)                                                                                  \
	X(STATUS, "GET", "/status")                                                                \
	X(TASKS, "GET", "/tasks")                                                                  \
	X(TASK_CREATE, "POST", "/tasks")                                                           \
	X(TASK, "GET", "/tasks/{id}")                                                              \
	X(AGENTS, "GET", "/agents")                                                                \
	X(TELL_ALL, "POST", "/agents/all/tell")                                                    \
	X(AGENT, "GET", "/agents/{id}")                                                            \
	X(AGENT_DELETE, "DELETE", "/agents/{id}")                                                  \
	X(TELL, "POST", "/agents/{id}/tell")                                                       \
	X(PERMISSION, "POST", "/agents/{id}/permission")                                           \
	X(INTERRUPT, "POST", "/agents/{id}/interrupt")                                             \
	X(PAUSE, "POST", "/agents/{id}/pause")                                                     \
	X(RESUME, "POST", "/agents/{id}/resume")                                                   \
	X(STOP, "POST", "/agents/{id}/stop")                                                       \
	X(FINISH, "POST", "/agents/{id}/finish")                                                   \
	X(RETRY, "POST", "/agents/{id}/retry")                                                     \
	X(TURNS, "GET", "/agents/{id}/turns")                                                      \
	X(DIFF, "GET", "/agents/{id}/diff")                                                        \
	X(EVENTS, "GET", "/agents/{id}/events")                                                    \
	X(USAGE, "GET", "/agents/{id}/usage")                                                      \
	X(RECLAIM, "POST", "/agents/{id}/reclaim")                                                 \
	X(RESTORE, "POST", "/agents/{id}/restore")                                                 \
	X(ARCHIVE, "POST", "/agents/{id}/archive")                                                 \
	X(UNARCHIVE, "POST", "/agents/{id}/unarchive")                                             \
	X(REPOSITORIES, "GET", "/repositories")                                                    \
	X(ACTIVITY, "GET", "/activity")                                                            \
	X(COSTS, "GET", "/costs")                                                                  \
	X(OUTPUT, "GET", "/agents/{id}/output")                                                    \
	X(SEARCH, "GET", "/agents/{id}/search")                                                    \
	X(REPOSITORY_CHECK, "POST", "/repositories/check")                                         \
	X(REPOSITORY_ISSUES, "POST", "/repositories/issues")                                       \
	X(MODEL_TEST, "POST", "/models/test")                                                      \
	X(PROCESS, "GET", "/agents/{id}/process")                                                  \
	X(HEALTH, "GET", "/health")                                                                \
	X(KEYS, "GET", "/keys")                                                                    \
	X(GOAL_SPLIT, "POST", "/goals/split")                                                      \
	X(TASK_JUDGE, "POST", "/tasks/{id}/judge")                                                 \
	X(TASK_PICK, "POST", "/tasks/{id}/pick")                                                   \
	X(TASK_UNPICK, "POST", "/tasks/{id}/unpick")                                               \
	X(CONFIG, "GET", "/config")                                                                \
	X(CONFIG_SET, "PATCH", "/config")                                                          \
	X(STREAM, "GET", "/events")                                                                \
	X(OPENAPI, "GET", "/openapi.json")                                                         \
	X(SESSION, "GET", "/session")                                                              \
	X(SIGN_IN, "POST", "/session")                                                             \
	X(SIGN_OUT, "DELETE", "/session")

enum route {
#define X(name, method, path) ROUTE_##name,
	ROUTES(X)
#undef X
		ROUTE_COUNT
};

#define ROUTE_PREFIX "/api/v1"
#define ROUTE_ALLOW_MAX 64

const char *route_method(enum route r);
const char *route_path(enum route r);

/* What a method and a path (with the prefix) mean. Returns the HTTP status: 200 with
 * *r and *id filled; 404; 405 with the methods there are in allow (ROUTE_ALLOW_MAX
 * bytes). HEAD counts as GET. */
int route_find(const char *method, const char *path, enum route *r, int64_t *id, char *allow);

#define QUERY_PARAMS_MAX 8
#define QUERY_VALUE_MAX 512

struct query {
	int count;
	char names[QUERY_PARAMS_MAX][32];
	char values[QUERY_PARAMS_MAX][QUERY_VALUE_MAX];
};

/* Decodes "a=1&b=x%20y" (text may be NULL). allowed: the names there may be,
 * separated by spaces. ERR_INVALID names what is wrong: an unknown name, a name
 * given twice, a broken escape, text that is not UTF-8, a value too long. */
int query_parse(const char *text, const char *allowed, struct query *q, struct err *e);
const char *query_get(const struct query *q, const char *name); /* NULL if not given */
/* *value is left alone if the parameter is not given. ERR_INVALID: not a whole
 * number from min to max. */
int query_int(const struct query *q, const char *name, int64_t min, int64_t max, int64_t *value,
	struct err *e);

/* true or false; *value is left alone if the parameter is not given. */
int query_bool(const struct query *q, const char *name, bool *value, struct err *e);

/* A list of words "a,b" as it comes in a query: kinds of events, states. text may
 * be NULL or "" (no words). ERR_INVALID: other characters than a-z and _, or too many. */
#define QUERY_WORDS_MAX 32
struct words {
	int count;
	char word[QUERY_WORDS_MAX][32];
};
int words_parse(const char *text, struct words *w, struct err *e);

#endif
