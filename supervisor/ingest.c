#include "supervisor/ingest.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "supervisor/tx.h"

#define COMPLAIN_MS 5000
#define REASON_MAX 2048

/* One line now and then, however much comes. */
static void complain(struct supervisor *s, int64_t agent, int64_t seq, const char *why)
{
	int64_t now = clock_now_ms();

	s->ingest.complaints++;
	if (s->ingest.complained_ms && now - s->ingest.complained_ms < COMPLAIN_MS)
		return;
	s->ingest.complained_ms = now;
	log_warn("ingest: agent=%lld event %lld: %s (%lld such so far)", (long long)agent,
		(long long)seq, why, (long long)s->ingest.complaints);
}

static void gap(struct supervisor *s, struct member *m)
{
	int64_t now = clock_now_ms();

	if (m->resend || (m->resent_ms && now - m->resent_ms < INGEST_RESEND_MS))
		return;
	m->resend = true;
	poll_wake(s, m);
}

int ingest_frame(struct supervisor *s, const char *frame, size_t n)
{
	struct member *m;
	struct event ev;
	struct err e;

	if (event_decode(frame, n, &ev, &e) < 0) {
		complain(s, 0, 0, e.text);
		return -1;
	}
	if (strcmp(ev.stream, "agent") != 0 || ev.version > event_version() ||
		ev.version < event_version_oldest() || !event_kind_of_worker(ev.kind)) {
		complain(s, ev.subject, ev.number, "not an event that a worker may send");
		return 0;
	}
	m = fleet_find(&s->fleet, ev.subject);
	if (!m)
		return 0; /* of a deleted agent: its worker learns so from its next call */
	if (ev.number <= m->batched)
		return 0;
	if (ev.number > m->batched + 1) {
		gap(s, m);
		return 0;
	}
	if (s->ingest.batch.bodies.len + ev.body_len > INGEST_BATCH_BYTES)
		ingest_commit(s);
	if (ev.number != m->batched + 1)
		return 0; /* that commit failed */
	m->batched = ev.number;
	m->resend = false;
	outbox_add(&s->ingest.batch, "agent", m->id, ev.kind, ev.word, ev.number, ev.body,
		ev.body_len);
	return 0;
}

/* The worker's own time, from the {"seq":N,"at":MS that its spool puts in front; ours if
 * it is not there. */
static int64_t stamp(const char *body, size_t n)
{
	char head[64];
	long long seq, at;

	snprintf(head, sizeof(head), "%.*s", n < sizeof(head) ? (int)n : (int)sizeof(head) - 1,
		body);
	if (sscanf(head, "{\"seq\":%18lld,\"at\":%18lld,", &seq, &at) == 2 && at > 0)
		return at;
	return clock_wall_ms();
}

/* What its worker says the agent is in. Late or impossible news change nothing. */
static int take_state(struct supervisor *s, struct member *m, const char *body, size_t n,
	int64_t at_ms, struct err *e)
{
	_cleanup_json_ cJSON *j = json_parse(body, n, EVENT_BODY_MAX, e);
	struct agent_input in = {.event = AGENT_REPORTED};
	char reason[REASON_MAX + 1];
	const char *text;

	if (!j)
		return -1;
	in.state = agent_state_parse(json_str(j, "state", ""));
	text = json_str(j, "reason", "");
	if (tx_change(s, m, &in, e) < 0)
		return -1;
	snprintf(reason, sizeof(reason), "%.*s", (int)utf8_cut(text, strlen(text), REASON_MAX),
		text);
	return store_agent_state(s->store, m->id, agent_state_word(in.state), reason,
		agent_state_ended(in.state), at_ms, e);
}

static int take_output(struct supervisor *s, struct member *m, const char *body, size_t n,
	int64_t event_id, struct err *e)
{
	if (!m->lines) {
		m->lines = calloc(1, sizeof(*m->lines));
		if (!m->lines)
			err_out_of_memory();
		if (store_lines_load(s->store, m->id, m->lines, e) < 0) {
			free(take_ptr(m->lines)); /* read again with the next */
			return -1;
		}
	}
	return store_lines_take(s->store, m->id, m->lines, event_id, body, n, e);
}

static int take(struct supervisor *s, struct member *m, struct outbox_event *ev, struct err *e)
{
	const char *body = outbox_body(&s->outbox, ev);
	int64_t seq = ev->number, at = stamp(body, ev->n);
	char broken[96];
	int done;

	if (!store_json_valid(s->store, body, ev->n)) {
		/* Its number is used up; what it said is not passed on. */
		complain(s, m->id, seq, "its body is not JSON");
		ev->n = (size_t)snprintf(broken, sizeof(broken),
			"{\"seq\":%lld,\"at\":%lld,\"broken\":true}", (long long)seq,
			(long long)at);
		ev->at = s->outbox.bodies.len;
		buf_add(&s->outbox.bodies, broken, ev->n);
		body = outbox_body(&s->outbox, ev);
	}
	tx_touch(s, m);
	if (seq != m->next_seq + 1)
		return err_set(e, ERR_INTERNAL, "agent %lld: event %lld after %lld",
			(long long)m->id, (long long)seq, (long long)m->next_seq);
	m->next_seq = seq;
	if (store_event_add(
		    s->store, "agent", m->id, seq, ev->word, at, body, ev->n, &ev->number, e) < 0)
		return -1;
	if (ev->kind == EVENT_OUTPUT)
		done = take_output(s, m, body, ev->n, ev->number, e);
	else if (ev->kind == EVENT_STATE)
		done = take_state(s, m, body, ev->n, at, e);
	else
		done = store_project(s->store, m->id, ev->kind, body, ev->n, ev->number, at, e);
	if (done < 0 && e->kind != ERR_SYS) {
		complain(s, m->id, seq, e->text);
		return 0;
	}
	return done;
}

static int take_all(struct supervisor *s, bool durable, struct err *e)
{
	struct outbox_event *ev;
	struct member *m;
	size_t i;

	for (i = 0; i < s->outbox.n; i++) {
		ev = &s->outbox.events[i];
		m = fleet_find(&s->fleet, ev->subject);
		if (m && take(s, m, ev, e) < 0)
			return -1;
	}
	for (m = s->touched; m; m = m->touched_next) {
		if (m->lines && m->lines->changed &&
			store_lines_save(s->store, m->id, m->lines, e) < 0)
			return -1;
		if (m->next.state != m->agent.state && agent_state_ended(m->next.state) &&
			pick_ended(s, m, e) < 0)
			return -1;
	}
	/* The events themselves tell how far they go: the row need not be written for each. */
	for (m = durable ? s->touched : NULL; m; m = m->touched_next) {
		if (store_agent_seq(s->store, m->id, m->next_seq, clock_wall_ms(), e) < 0)
			return -1;
	}
	return 0;
}

/* Nothing was taken: the workers publish it again, since it stays unacknowledged. */
static void refused(struct supervisor *s, const struct err *e)
{
	struct member *m;
	size_t i;

	for (i = 0; i < s->outbox.n; i++) {
		m = fleet_find(&s->fleet, s->outbox.events[i].subject);
		if (m)
			m->batched = m->committed;
	}
	tx_rollback(s);
	supervisor_refused(s, "events not taken, the workers keep them", e);
}

void ingest_commit(struct supervisor *s)
{
	struct outbox empty = s->outbox;
	bool durable = false;
	struct err e;
	size_t i;

	if (s->ingest.batch.n == 0)
		return;
	for (i = 0; i < s->ingest.batch.n; i++)
		durable = durable || event_kind_durable(s->ingest.batch.events[i].kind);
	s->outbox = s->ingest.batch;
	s->ingest.batch = empty;
	crash_point(CRASH_INGEST_COMMIT_BEFORE);
	if (tx_begin(s, durable, &e) < 0 || take_all(s, durable, &e) < 0 ||
		store_commit(s->store, &e) < 0) {
		refused(s, &e);
		return;
	}
	crash_point(CRASH_INGEST_COMMIT_AFTER);
	tx_settle(s);
}
