/* The wire to the supervisor (docs/protocol.md, section 2): hello, spool → publish
 * → acknowledge, commands by a long poll. The worker only dials. What cannot be
 * delivered now waits in the spool; what is unacknowledged for LINK_REPUBLISH_MS is
 * published again, and after LINK_REDIAL_MS over a fresh connection. */
#ifndef WORKER_LINK_H
#define WORKER_LINK_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "shared/err.h"
#include "shared/event.h"
#include "shared/paths.h"

#define LINK_WINDOW 1024 /* events published beyond the last acknowledged one */
#define LINK_REPUBLISH_MS 2000
#define LINK_REDIAL_MS 5000
#define LINK_POLL_MS 40000 /* one worker.next, answered by the supervisor within 20 s */
#define LINK_MAX_HELD 4096 /* events kept in memory while the disk takes none */
#define LINK_RETRY_DISK_MS 500

struct link;

struct link_handler {
	/* worker.hello was answered; the spool is open, events may be sent. */
	void (*hello)(void *arg, const cJSON *result);
	/* A command with a number above the last one taken over. Those that waited come right
	 * behind hello, before the loop goes on. */
	void (*command)(void *arg, int64_t n, const char *kind, const cJSON *body);
	/* Everything sent so far is committed. */
	void (*drained)(void *arg);
	/* The disk takes no event (true), or takes them again (false). */
	void (*blocked)(void *arg, bool blocked, const struct err *why);
	/* The supervisor says that the disk is full, or, with "", that there is room. Told
	 * after hello and at each change. */
	void (*disk)(void *arg, const char *full);
	/* Events were damaged in the spool before they were committed. Which ones nobody knows:
	 * what the supervisor must know is to be told again. */
	void (*lost)(void *arg);
	/* Nothing was heard of a supervisor for the time given to link_alone_after (true), or
	 * it is back (false). */
	void (*alone)(void *arg, bool alone);
	/* The supervisor has no version of the protocol in common with us: end with the turn,
	 * a worker that it understands follows. May be told again. */
	void (*retire)(void *arg);
	/* Replaced by a newer worker, or the agent is gone: end at once. */
	void (*refused)(void *arg, const struct err *why);
};

struct link *link_new(uv_loop_t *loop, const struct paths *paths, int64_t agent, int64_t epoch,
	const struct link_handler *handler, void *arg, struct err *e);
/* command_done: number of the last command taken over (from the session). */
void link_start(struct link *l, int64_t command_done);
/* From now on: how long without an answer is alone. 0: never. */
void link_alone_after(struct link *l, int64_t ms);
void link_free(struct link *l);

/* Spools and publishes one event; takes body (an object without seq and at).
 * Secrets in it are blotted out. Never fails: what the disk refuses is held in
 * memory and tried again, in order. */
void link_send(struct link *l, enum event_kind kind, cJSON *body);

/* Between hold and release what is sent is spooled, and nobody hears of it yet: for what
 * must be saved elsewhere before anyone acts on it. */
void link_hold(struct link *l);
void link_release(struct link *l);
/* Everything up to command n is durably taken over. */
void link_taken(struct link *l, int64_t n);
/* One control request to the supervisor, asked once under this id. */
typedef void (*link_answer_cb)(void *arg, const cJSON *result, const struct err *e);
void link_ask(struct link *l, const char *id, const char *method, const cJSON *params,
	link_answer_cb cb, void *arg);

bool link_drained(const struct link *l);
int64_t link_last(const struct link *l); /* seq of the last event */

#endif
