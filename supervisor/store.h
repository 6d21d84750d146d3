/* tasks.db, whose only writer this is (docs/protocol.md, section 4). Everything is
 * written inside a transaction: store_begin, writes, store_commit. Statements are
 * prepared once and kept. */
#ifndef SUPERVISOR_STORE_H
#define SUPERVISOR_STORE_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"
#include "shared/event.h"
#include "supervisor/lines.h"

#define STORE_APPLICATION_ID 0x31303078 /* "100x" */
#define STORE_VERSION 5
#define STORE_ANSWER_MAX (900 * 1024) /* bytes of rows put into one answer */
#define STORE_SCAN_MAX 20000	      /* events looked at for one answer */

struct store;

/* Opens path, or makes it. A file of another program or of a newer version is
 * refused (ERR_CONFLICT) and left as it is. ERR_SYS: disk full, not writable, damaged. */
struct store *store_open(const char *path, struct err *e);
void store_close(struct store *s);

/* durable: the commit reaches the disk before it returns. A failed store_commit has
 * rolled back. */
int store_begin(struct store *s, bool durable, struct err *e);
int store_commit(struct store *s, struct err *e);
void store_rollback(struct store *s); /* harmless outside a transaction */

/* Pages in the write-ahead log at the last commit. */
int store_log_pages(const struct store *s);
/* Moves them into the file as far as readers allow, without waiting for anybody. */
void store_checkpoint(struct store *s);
struct store_log {
	int pages, moved; /* fewer: somebody reads the store as it was before the rest */
};
/* The same over a connection of its own: from any thread. */
int store_checkpoint_file(const char *path, struct store_log *log, struct err *e);
/* Moves all of it and lets it begin afresh; shorten: its file becomes empty as well. Waits
 * some 50 ms for readers. False: one is still there. */
bool store_log_restart(struct store *s, bool shorten);
/* Who else has the store open, in words: "sqlite3 (pid 7)"; the page only if nobody else
 * has. From any thread; looks through /proc. */
void store_readers(const char *path, char *out, size_t size);

/* --- events --- */
/* body: JSON text, borrowed; *id is the store's own number. */
int store_event_add(struct store *s, const char *stream, int64_t subject, int64_t seq,
	const char *word, int64_t at_ms, const char *body, size_t n, int64_t *id, struct err *e);
int64_t store_last_event(struct store *s);
/* Leaves out the next 1,000,000 ids, durably: for when some that were given may be gone from
 * the store, and must not be given to other events. */
int store_events_skip(struct store *s, struct err *e);
/* True if the n bytes are one JSON value (RFC 8259). */
bool store_json_valid(struct store *s, const char *text, size_t n);
/* Events behind `after`, of one agent (0: all) and of the kinds whose bits are set in
 * kinds (0: all). A bare array; the caller owns it. *last: the highest id looked at. */
cJSON *store_events_after(struct store *s, int64_t after, int64_t agent, uint32_t kinds, int limit,
	int64_t *last, struct err *e);
/* Keeps what a projected event says in the tables (not "state", which the life cycle
 * judges first). A body that is not as docs/protocol.md has it changes nothing: ERR_INVALID. */
int store_project(struct store *s, int64_t agent, enum event_kind kind, const char *body, size_t n,
	int64_t event_id, int64_t at_ms, struct err *e);

/* --- packed events of ended agents (shared/segment.h) --- */
/* Packs the agent's next events, at most one segment of at most `rows`; *done: there were
 * none left. */
int store_pack(struct store *s, int64_t agent, int rows, bool *done, struct err *e);
/* Begins or goes on to remove all the agent's packed output: its oldest segments, at most
 * `segments`; its lines; and puts in their place one event
 * that says so, with why ("older than 30 days"). *done: none is left. */
int store_drop(struct store *s, int64_t agent, int segments, const char *why, int64_t at_ms,
	bool *done, struct err *e);
/* Bytes in use in the file, and bytes free in it. */
int store_bytes(struct store *s, int64_t *used, int64_t *spare, struct err *e);
/* Gives at most `pages` free pages back to the file system, outside a transaction. *given:
 * false if the file is of a version that cannot (its free pages are used again). */
int store_shrink(struct store *s, int pages, bool *given, struct err *e);

/* --- tasks and agents --- */
struct store_task {
	const char *repository, *base, *title, *description, *aider_arguments, *test_command,
		*permission, *agent_model, *aider_model;
	int64_t agents, limit_turns, limit_minutes; /* 0: the general configuration's */
	double limit_dollars;
	bool manager, pull_request;
};
int store_task_add(
	struct store *s, const struct store_task *t, int64_t at_ms, int64_t *id, struct err *e);
int store_agent_add(struct store *s, int64_t task, const char *state, int64_t at_ms, int64_t *id,
	struct err *e);

struct store_agent_row {
	int64_t id, task, epoch, pid, pid_started, committed_seq, command_done, command_last;
	int64_t ended_at;      /* 0: it has not */
	bool packed, segments; /* nothing is left to pack; something is packed */
	bool workspace;	       /* it was started and its workspace was not reclaimed */
	bool stopping;	       /* a command "stop" waits for its worker */
	const char *state;     /* borrowed for the call */
};
typedef void (*store_agent_cb)(void *arg, const struct store_agent_row *row);
int store_agents_load(struct store *s, store_agent_cb cb, void *arg, struct err *e);

int store_agent_state(struct store *s, int64_t agent, const char *state, const char *reason,
	bool ended, int64_t at_ms, struct err *e);
/* *changed: it was not so before. */
enum store_archived { STORE_LISTED, STORE_ARCHIVED, STORE_ARCHIVED_BY_PICK };
int store_agent_archive(
	struct store *s, int64_t agent, enum store_archived archived, bool *changed, struct err *e);
/* Agents of the task; those that a pick archived alone if picked. The caller frees *ids. */
int store_task_agents(
	struct store *s, int64_t task, bool picked, int64_t **ids, size_t *n, struct err *e);
int store_agent_epoch(struct store *s, int64_t agent, int64_t epoch, int64_t at_ms, struct err *e);
/* pid 0: none runs. */
int store_agent_pid(struct store *s, int64_t agent, int64_t pid, int64_t started, struct err *e);
int store_agent_seq(struct store *s, int64_t agent, int64_t seq, int64_t at_ms, struct err *e);
/* The repositories of all tasks: an array of strings, the caller's. */
cJSON *store_repositories_used(struct store *s, struct err *e);
/* Where its work is kept (a ref; NULL: nowhere), and since when its workspace is gone (0: it
 * is there). */
int store_agent_reclaimed(
	struct store *s, int64_t agent, const char *saved, int64_t at_ms, struct err *e);
/* The agent's rows, its task's when it was the last one, and the beginning of its log. */
int store_agent_delete(struct store *s, int64_t agent, struct err *e);
/* An agent that was deleted and has some of its log left (*agent 0: none). */
int store_forgotten(struct store *s, int64_t *agent, struct err *e);
/* Removes at most so many rows of such a log; *done: that was all. Its event `deleted` stays. */
int store_forget(struct store *s, int64_t agent, int rows, bool *done, struct err *e);

/* Values for what a task left to the general configuration. */
struct store_defaults {
	const char *agent_model, *aider_model;
	int64_t limit_turns, limit_minutes;
	double limit_dollars;
};
/* AGENT, TASK and TURN of docs/protocol.md. NULL with ERR_NOT_FOUND. The caller owns. */
cJSON *store_agent(struct store *s, int64_t agent, struct err *e);
cJSON *store_task(struct store *s, int64_t task, const struct store_defaults *d, struct err *e);
cJSON *store_turns(struct store *s, int64_t agent, struct err *e);
/* At most STORE_ANSWER_MAX bytes, ids behind `after`; *more tells if that was not all. Long
 * texts are cut. state NULL, task 0: all. archived: those too. */
cJSON *store_agent_list(struct store *s, const char *state, int64_t task, bool archived,
	int64_t after, bool *more, struct err *e);
cJSON *store_task_list(
	struct store *s, int64_t after, const struct store_defaults *d, bool *more, struct err *e);
/* Arrays of rows as docs/protocol.md has them. */
cJSON *store_repositories(struct store *s, struct err *e);
/* Costs of a call that no agent made; dollars < 0: price unknown. */
struct store_cost {
	const char *repository, *model, *role;
	int64_t tokens_in, tokens_out, tokens_cached;
	double dollars;
};
int store_cost_add(struct store *s, const struct store_cost *c, int64_t at_ms, struct err *e);
/* Body of the agent's newest diff event; the caller's; NULL: none. */
char *store_diff_body(struct store *s, int64_t agent);
/* The task's winner: 0 none. ERR_NOT_FOUND. */
int store_task_winner(struct store *s, int64_t task, int64_t *winner, struct err *e);
int store_task_pick(struct store *s, int64_t task, int64_t winner, struct err *e);
cJSON *store_costs(struct store *s, int64_t from_ms, int64_t to_ms, struct err *e);
/* Newest first, below `before` (0: the end), never output; agent, task 0: all; kinds: a JSON
 * list of words, NULL: all. */
cJSON *store_activity(struct store *s, int64_t before, int64_t agent, int64_t task,
	const char *kinds, int limit, bool *more, struct err *e);
/* Agents that have not ended: all, or those on the same repository as `from` without it. */
/* Body of the newest event about a permission of an agent; NULL: there is none among its
 * last PERMISSION_SCAN_MAX events, or e. */
cJSON *store_permission(struct store *s, int64_t agent, const char *id, struct err *e);
int store_agents_alive(struct store *s, int64_t from, int64_t **ids, size_t *n, struct err *e);
bool store_agent_has_pull_request(struct store *s, int64_t agent);

/* --- lines of output (lines.h) --- */
/* What is known of the agent's lines; all 0 for one without output. */
int store_lines_load(struct store *s, int64_t agent, struct lines *l, struct err *e);
int store_lines_save(struct store *s, int64_t agent, const struct lines *l, struct err *e);
/* Takes an output event's body: counts its lines in l, and keeps the block that it ends. */
int store_lines_take(struct store *s, int64_t agent, struct lines *l, int64_t event_id,
	const char *body, size_t n, struct err *e);

/* --- commands to workers --- */
int store_command_add(struct store *s, int64_t agent, int64_t n, const char *kind, const char *body,
	int64_t at_ms, struct err *e);
/* [{"n","kind","at","body"}] behind `after`, bounded; the caller owns it. */
cJSON *store_commands_after(struct store *s, int64_t agent, int64_t after, struct err *e);
/* Drops those up to n, which the worker has taken over. */
int store_commands_done(struct store *s, int64_t agent, int64_t n, struct err *e);
/* One of this kind has not been taken over. False, too, if that cannot be read. */
bool store_command_waits(struct store *s, int64_t agent, const char *kind);
/* A retried agent goes on: what was to halt it turns into "resume", and so does
 * what hello tells anew. */
int store_commands_defuse(struct store *s, int64_t agent, struct err *e);

/* --- configuration --- */
/* {"models": {...}, "general": {...}} of what is set; the caller owns it. */
cJSON *store_config(struct store *s, struct err *e);
/* value NULL: back to the default. */
int store_config_general(struct store *s, const char *key, const char *value, struct err *e);
int store_config_model(struct store *s, const char *role, const char *model, struct err *e);

/* --- answers kept under the asker's id --- */
/* *answer: the caller frees it; NULL if there is none. */
int store_request_find(struct store *s, const char *id, char **answer, struct err *e);
int store_request_save(
	struct store *s, const char *id, const char *answer, int64_t at_ms, struct err *e);
int store_requests_purge(struct store *s, int64_t before_ms, struct err *e);
/* Answers are dated in the order they were given, whatever the clock does: each later than
 * the one before. The newest's date; 0: there is none. */
int store_requests_newest(struct store *s, int64_t *at_ms, struct err *e);

#endif
