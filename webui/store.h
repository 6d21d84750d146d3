/* The store (docs/protocol.md, "Store"), read-only. Opened when it is first there,
 * opened again when the file was replaced. Thread-safe: one connection, one lock.
 *
 * Every call fails with ERR_UNAVAILABLE while there is no store yet or another program
 * holds it locked, ERR_CONFLICT when the file is not ours or from another version, ERR_SYS
 * when reading fails. */
#ifndef WEBUI_STORE_H
#define WEBUI_STORE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"
#include "webui/route.h"

#define STORE_VERSION 5
#define STORE_AGENTS_MAX 10000
#define STORE_TASKS_MAX 10000

struct store;

/* path is copied. */
struct store *store_new(const char *path);
void store_free(struct store *s);

/* Highest event id ever given out (0: none), and which file it is from: *generation
 * changes when the store was replaced by another. */
int store_last(struct store *s, int64_t *last, int64_t *generation, struct err *e);

struct store_range {
	int64_t after;	    /* ids above this */
	int64_t before;	    /* and below this; 0: no end */
	bool newest;	    /* the last `limit` of the range, not its first */
	int64_t agent;	    /* 0: every stream */
	struct words kinds; /* none: all */
	int limit;
	size_t max_bytes; /* of bodies; at least one event is given */
};

/* One event; the pointers are valid during the call, which runs under the lock. */
struct store_event {
	int64_t id, subject, at;
	const char *stream, *kind, *body;
	size_t body_len;
};
typedef void (*store_event_cb)(void *arg, const struct store_event *ev);

/* What was looked at: nothing of the range with an id from first to last is missing
 * in what cb got. more: limit or max_bytes left something out. */
struct store_looked {
	int64_t first, last;
	bool more;
};

/* Calls cb for each event of the range (newest: descending, else ascending). */
int store_events(struct store *s, const struct store_range *r, store_event_cb cb, void *arg,
	struct store_looked *looked, struct err *e);

/* Each returns what docs/protocol.md calls TASK, AGENT, TURN, or arrays of them,
 * which the caller owns. ERR_NOT_FOUND where one is asked for that is not there. */
cJSON *store_tasks(struct store *s, struct err *e);
cJSON *store_task(struct store *s, int64_t id, struct err *e);
cJSON *store_agents(
	struct store *s, const struct words *states, int64_t task, bool archived, struct err *e);
cJSON *store_agent(struct store *s, int64_t id, struct err *e);
/* The last `limit` turns below `before` (0: no end), ascending. */
cJSON *store_turns(struct store *s, int64_t agent, int64_t before, int limit, struct err *e);
/* {"total": SUM, "models": [SUM + role, model], "turns": [SUM + turn]} */
cJSON *store_usage(struct store *s, int64_t agent, struct err *e);
/* Body of the newest diff event, NUL-terminated, the caller's; NULL with
 * ERR_NOT_FOUND if the agent is unknown, and with ERR_NONE if it has no diff yet. */
char *store_diff(struct store *s, int64_t agent, struct err *e);
/* Body of the newest judgement event, the caller's; NULL with ERR_NONE: there is none. */
char *store_judgement(struct store *s, int64_t task, struct err *e);
/* {"models": {role: model}, "general": {key: value}} as far as stored. */
cJSON *store_config(struct store *s, struct err *e);
/* Rows of earlier tasks' repositories and of costs (docs/protocol.md); 0: open. */
cJSON *store_repositories(struct store *s, struct err *e);
cJSON *store_costs(struct store *s, int64_t from_ms, int64_t to_ms, struct err *e);

struct store_activity {
	int64_t before, agent, task; /* 0: the end, all */
	struct words kinds;
	int limit;
	size_t max_bytes;
};
/* Everything but output, newest first, without long texts; *more: there are older ones. */
int store_activity(struct store *s, const struct store_activity *a, store_event_cb cb, void *arg,
	bool *more, struct err *e);

struct store_page {
	int64_t lines;	    /* there are in all */
	int64_t first_line; /* in which the first event's text begins */
	bool more;	    /* there is output behind what was given */
};
/* Calls cb for the output events that hold the lines from `line` (0-based; negative: from
 * the end) on, `limit` of them, as far as max_bytes allows (at least one event). */
int store_page(struct store *s, int64_t agent, int64_t line, int limit, size_t max_bytes,
	store_event_cb cb, void *arg, struct store_page *page, struct err *e);

#define STORE_SEARCH_MAX 256 /* bytes of a text to look for */
#define STORE_SEARCH_MS 2000 /* then what was found so far is answered */

/* A line that holds the text, cut to what is around it; id: of the event that completes
 * it. */
typedef void (*store_hit_cb)(void *arg, int64_t line, int64_t id, const char *text, size_t n);
struct store_search {
	int64_t agent;
	const char *text;   /* 1 to STORE_SEARCH_MAX bytes, without line ends; ASCII case does not
			     * matter */
	int64_t after_line; /* only lines behind this one; -1: all */
	int limit;
	store_hit_cb cb;
	void *arg;
};
struct store_found {
	bool more;    /* not everything was looked at: there may be more */
	int64_t line; /* the last line that was surely looked at: go on from there, or from the
		       * last hit, whichever is higher */
};
int store_search(
	struct store *s, const struct store_search *want, struct store_found *found, struct err *e);

/* {state: count} */
cJSON *store_counts(struct store *s, struct err *e);

#endif
