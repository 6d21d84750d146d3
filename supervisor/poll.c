#include "supervisor/poll.h"

#include <stdlib.h>
#include <string.h>

#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/event.h"
#include "shared/json.h"
#include "shared/rpc.h"
#include "supervisor/supervisor.h"

struct poll_next {
	struct supervisor *supervisor;
	struct member *member;
	struct bus_request *request;
	cJSON *id;
	int64_t have;
	bool hurried; /* the timer is down to INGEST_ACK_MS */
	uv_timer_t timer;
};

struct poll_events {
	struct supervisor *supervisor;
	struct poll_events *next, **link; /* link: what points at us */
	struct poll_question question;
	struct bus_request *request;
	cJSON *id;
	uv_timer_t timer;
};

/* Answers with result (taken), or with the error if result is NULL. */
static void reply(struct bus_request *request, const cJSON *id, cJSON *result, const struct err *e)
{
	char *text = result ? rpc_result(id, result) : rpc_error_from(id, e);

	bus_reply(request, text, strlen(text));
	free(text);
	cJSON_Delete(result);
}

/* --- worker.next --- */

static void next_freed(uv_handle_t *h)
{
	free(h->data);
}

/* Parts from the member; the request is ended by the caller. */
static void next_close(struct poll_next *p)
{
	p->member->poll = NULL;
	p->member->heard_ms = clock_now_ms(); /* from now on it is to ask again */
	cJSON_Delete(p->id);
	uv_close((uv_handle_t *)&p->timer, next_freed);
}

static void next_answer(struct poll_next *p)
{
	struct supervisor *s = p->supervisor;
	struct member *m = p->member;
	cJSON *commands = NULL, *result = NULL;
	struct err e;

	commands = m->command_last > m->command_done && !m->agent.retiring
			   ? store_commands_after(s->store, m->id, m->command_done, &e)
			   : cJSON_CreateArray();
	if (commands) {
		result = cJSON_CreateObject();
		cJSON_AddItemToObject(result, "commands", commands);
		json_add_int(result, "committed", m->committed);
		cJSON_AddBoolToObject(result, "resend", m->resend);
		json_add_str(result, "disk_full", s->disk.full ? s->disk.reason : "");
		m->told_full = s->disk.full;
		json_add_int(result, "version", event_version());
		cJSON_AddBoolToObject(result, "retire", m->agent.retiring);
		if (m->resend)
			m->resent_ms = clock_now_ms();
		m->resend = false;
	}
	crash_point(CRASH_NEXT_REPLY_BEFORE);
	reply(p->request, p->id, result, &e);
	crash_point(CRASH_NEXT_REPLY_AFTER);
	next_close(p);
}

static void next_time(uv_timer_t *t)
{
	next_answer(t->data);
}

void poll_wake(struct supervisor *s, struct member *m)
{
	(void)s;
	if (m->poll && (m->resend || (m->command_last > m->command_done && !m->agent.retiring)))
		next_answer(m->poll);
}

void poll_committed(struct supervisor *s, struct member *m, bool last)
{
	struct poll_next *p = m->poll;

	(void)s;
	if (!p || m->committed <= p->have)
		return;
	if (last || m->committed - p->have >= INGEST_ACK_EVENTS) {
		next_answer(p);
	} else if (!p->hurried) {
		p->hurried = true;
		uv_timer_start(&p->timer, next_time, INGEST_ACK_MS, 0);
	}
}

void polls_disk(struct supervisor *s)
{
	struct member *m;
	size_t i;

	for (i = 0; i < s->fleet.n; i++) {
		m = s->fleet.members[i];
		if (m->poll && m->told_full != s->disk.full)
			next_answer(m->poll);
	}
}

void poll_refuse(struct member *m, const struct err *e)
{
	if (!m->poll)
		return;
	reply(m->poll->request, m->poll->id, NULL, e);
	next_close(m->poll);
}

void poll_next_open(struct supervisor *s, struct member *m, struct bus_request *request,
	const cJSON *id, int64_t have)
{
	struct poll_next *p = calloc(1, sizeof(*p));

	if (!p)
		err_out_of_memory();
	if (m->poll) { /* asked again, after a lost connection: nobody waits for the old one */
		bus_request_drop(m->poll->request);
		next_close(m->poll);
	}
	p->supervisor = s;
	p->member = m;
	p->request = request;
	p->id = cJSON_Duplicate(id, true);
	p->have = have;
	uv_timer_init(s->loop, &p->timer);
	p->timer.data = p;
	m->poll = p;
	uv_timer_start(&p->timer, next_time, (uint64_t)pulse_poll_ms(&s->pulse), 0);
	poll_wake(s, m);
	poll_committed(s, m, agent_state_ended(m->agent.state));
	if (m->poll && (m->told_full != s->disk.full || m->told_retire != m->agent.retiring))
		next_answer(m->poll);
}

/* --- events.after --- */

/* Answers at once. */
static void events_answer(struct supervisor *s, const struct poll_question *q,
	struct bus_request *request, const cJSON *id, bool even_empty, bool *answered)
{
	cJSON *events, *result = NULL;
	int64_t last = q->after;
	struct err e;

	events = store_events_after(s->store, q->after, q->agent, q->kinds, q->limit, &last, &e);
	*answered = true;
	if (events && !even_empty && !events->child && last - q->after < STORE_SCAN_MAX) {
		cJSON_Delete(events);
		*answered = false;
		return;
	}
	if (events) {
		result = cJSON_CreateObject();
		cJSON_AddItemToObject(result, "events", events);
		json_add_int(result, "last", last);
	}
	reply(request, id, result, &e);
}

static void events_freed(uv_handle_t *h)
{
	free(h->data);
}

static void events_finish(struct poll_events *p)
{
	bool answered;

	events_answer(p->supervisor, &p->question, p->request, p->id, true, &answered);
	*p->link = p->next;
	if (p->next)
		p->next->link = p->link;
	p->supervisor->polls.n--;
	cJSON_Delete(p->id);
	uv_close((uv_handle_t *)&p->timer, events_freed);
}

static void events_time(uv_timer_t *t)
{
	events_finish(t->data);
}

void poll_events_open(struct supervisor *s, const struct poll_question *q,
	struct bus_request *request, const cJSON *id)
{
	struct poll_events *p;
	bool answered, wait = q->wait_ms > 0 && s->polls.n < POLL_EVENTS_MAX && !s->going_down;

	events_answer(s, q, request, id, !wait, &answered);
	if (answered)
		return;
	p = calloc(1, sizeof(*p));
	if (!p)
		err_out_of_memory();
	p->supervisor = s;
	p->question = *q;
	p->request = request;
	p->id = cJSON_Duplicate(id, true);
	p->next = s->polls.events;
	p->link = &s->polls.events;
	if (p->next)
		p->next->link = &p->next;
	s->polls.events = p;
	s->polls.n++;
	uv_timer_init(s->loop, &p->timer);
	p->timer.data = p;
	uv_timer_start(&p->timer, events_time, (uint64_t)q->wait_ms, 0);
}

static bool matches(const struct poll_question *q, const struct outbox *o)
{
	const struct outbox_event *ev;
	size_t i;

	for (i = 0; i < o->n; i++) {
		ev = &o->events[i];
		if ((!q->agent || (q->agent == ev->subject && strcmp(ev->stream, "agent") == 0)) &&
			(!q->kinds || (ev->kind != EVENT_UNKNOWN && (q->kinds & (1u << ev->kind)))))
			return true;
	}
	return false;
}

void polls_published(struct supervisor *s)
{
	struct poll_events *p, *next;

	for (p = s->polls.events; p; p = next) {
		next = p->next;
		if (matches(&p->question, &s->outbox))
			events_finish(p);
	}
}
