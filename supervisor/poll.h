/* Requests that wait for news: worker.next and events.after. */
#ifndef SUPERVISOR_POLL_H
#define SUPERVISOR_POLL_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/bus.h"
#include "shared/err.h"

#define POLL_WAIT_MS 20000
#define POLL_EVENTS_MAX 256 /* events.after that wait at once; more are answered at once */

struct member;
struct poll_events;
struct supervisor;

struct polls {
	struct poll_events *events;
	int n;
};

/* Holds a worker.next until there is something to say; takes request. id and have are
 * of the request; an earlier one of the same worker is dropped. */
void poll_next_open(struct supervisor *s, struct member *m, struct bus_request *request,
	const cJSON *id, int64_t have);
/* A command waits, or a gap: says it now, if the worker is listening. */
void poll_wake(struct supervisor *s, struct member *m);
/* m->committed has risen. last: nothing more will come, so it is told at once. */
void poll_committed(struct supervisor *s, struct member *m, bool last);
/* Tells every worker that the disk is full, or no longer. */
void polls_disk(struct supervisor *s);
/* Ends m's open poll with an error. */
void poll_refuse(struct member *m, const struct err *e);

struct poll_question {
	int64_t after, agent; /* 0: all agents, and all else */
	uint32_t kinds;	      /* bits of enum event_kind; 0: all */
	int limit, wait_ms;
};
/* Answers now or within wait_ms; takes request. */
void poll_events_open(struct supervisor *s, const struct poll_question *q,
	struct bus_request *request, const cJSON *id);
/* What lies in the outbox has been published. */
void polls_published(struct supervisor *s);

#endif
