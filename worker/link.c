#include "worker/link.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/bus.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/rpc.h"
#include "shared/spool.h"
#include "worker/held.h"

#define LINK_RESEND_MS 30000
#define LINK_HELLO_MS 20000
#define LINK_CALL_MS 30000

struct question { /* of link_ask, under way */
	struct question *next;
	struct link *link;
	link_answer_cb cb;
	void *arg;
};

struct link {
	uv_loop_t *loop;
	const struct link_handler *handler;
	void *arg;
	char folder[PATHS_MAX], ingest[PATHS_MAX], control[PATHS_MAX];
	int64_t agent, epoch;
	struct bus_pub *pub;
	struct bus_req *req;
	struct bus_ask *ask; /* hello or next under way */
	struct question *questions;
	struct spool *spool;
	int64_t published; /* seq of the last event published in this round */
	int64_t command_done;
	int64_t progress_ms; /* when something was acknowledged, or became outstanding */
	int64_t dialled_ms;
	struct held_list held;
	bool watching;
	bool full;   /* the disk, as the supervisor told last */
	bool silent; /* between link_hold and link_release */
	bool alone, retiring;
	int version; /* spoken with the supervisor: the lower of both */
	int64_t alone_ms;
	int64_t lost; /* events that the spool has lost, as told to the handler */
	uv_timer_t watch, retry, silence, loss;
	int open_handles;
};

static void on_loss(uv_timer_t *t)
{
	struct link *l = t->data;

	l->handler->lost(l->arg);
}

/* Not told at once: it may come out of the middle of a step. */
static void notice_loss(struct link *l)
{
	if (spool_lost(l->spool) == l->lost)
		return;
	l->lost = spool_lost(l->spool);
	uv_timer_start(&l->loss, on_loss, 0, 0);
}

static void publish_window(struct link *l)
{
	int64_t last = spool_last(l->spool), limit = spool_acknowledged(l->spool) + LINK_WINDOW;
	struct err e;

	while (!l->silent && l->published < last && l->published < limit) {
		char head[EVENT_HEADER_MAX];
		const char *frame;
		size_t n, head_len, rest;

		if (spool_read(l->spool, l->published + 1, &frame, &n, &e) < 0) {
			log_error("spool: %s", e.text);
			return;
		}
		last = spool_last(l->spool); /* one more, where some were lost */
		/* It may have been spooled by a worker of another version. */
		head_len = event_restamp(frame, n, l->version, head, &rest);
		l->published++;
		crash_point(CRASH_WORKER_PUBLISH_BEFORE);
		/* A full queue drops: the supervisor asks again, or the watch does. */
		if (l->pub && bus_pub_send(l->pub, head, head_len, frame + n - rest, rest, &e) < 0)
			log_debug("publish: %s", e.text);
		crash_point(CRASH_WORKER_PUBLISH_AFTER);
	}
	notice_loss(l);
}

static void watch_start(struct link *l);

static void on_watch(uv_timer_t *t)
{
	struct link *l = t->data;
	int64_t now = clock_now_ms();
	struct err e;

	l->watching = false;
	if (link_drained(l))
		return;
	if (now - l->progress_ms >= LINK_REDIAL_MS && now - l->dialled_ms >= LINK_REDIAL_MS) {
		bus_pub_free(l->pub);
		l->pub = bus_pub_dial(l->ingest, &e);
		if (!l->pub)
			log_warn("%s", e.text);
		l->dialled_ms = now;
	}
	if (now - l->progress_ms >= LINK_REPUBLISH_MS) {
		l->published = spool_acknowledged(l->spool);
		publish_window(l);
	}
	watch_start(l);
}

static void watch_start(struct link *l)
{
	if (l->watching || link_drained(l))
		return;
	l->watching = true;
	uv_timer_start(&l->watch, on_watch, LINK_REPUBLISH_MS, 0);
}

static void acknowledge(struct link *l, int64_t committed, bool resend)
{
	struct err e;

	if (committed > spool_last(l->spool)) {
		/* Cannot be: the spool starts after what hello told. */
		log_error("the supervisor acknowledged event %lld, the last is %lld",
			(long long)committed, (long long)spool_last(l->spool));
		return;
	}
	if (committed > spool_acknowledged(l->spool)) {
		if (spool_acknowledge(l->spool, committed, &e) < 0)
			log_warn("spool: %s", e.text);
		l->progress_ms = clock_now_ms();
	}
	if (resend || l->published < committed)
		l->published = spool_acknowledged(l->spool);
	publish_window(l);
	if (link_drained(l))
		l->handler->drained(l->arg);
}

static void ask_next(struct link *l);
static void on_retry(uv_timer_t *t);

/* True if the refusal is for good. */
static bool permanent(const struct err *e)
{
	return e->kind == ERR_DENIED || e->kind == ERR_NOT_FOUND || e->kind == ERR_INVALID;
}

/* Parses an answer. 0, or -1 with e filled (also from the error it carries). */
static int read_answer(
	const char *data, size_t n, const struct err *failure, struct rpc *m, struct err *e)
{
	if (failure) {
		*e = *failure;
		return -1;
	}
	if (rpc_parse(data, n, BUS_FRAME_MAX, m, e) < 0) {
		e->kind = ERR_PROTOCOL; /* ERR_INVALID would be what the supervisor says of us */
		return -1;
	}
	if (m->type == RPC_RESULT)
		return 0;
	if (m->type == RPC_ERROR)
		rpc_error_to(m, e);
	else
		err_set(e, ERR_PROTOCOL, "not an answer");
	rpc_clear(m);
	return -1;
}

static void on_silence(uv_timer_t *t)
{
	struct link *l = t->data;

	log_warn("no supervisor for %lld s", (long long)(l->alone_ms / 1000));
	l->alone = true;
	l->handler->alone(l->arg, true);
}

/* Something came of a supervisor. */
static void heard(struct link *l)
{
	if (l->alone_ms > 0)
		uv_timer_start(&l->silence, on_silence, (uint64_t)l->alone_ms, 0);
	if (!l->alone)
		return;
	l->alone = false;
	l->handler->alone(l->arg, false);
}

void link_alone_after(struct link *l, int64_t ms)
{
	l->alone_ms = ms;
	heard(l);
}

/* The version that the supervisor speaks may be another than before: it was replaced. */
static void read_version(struct link *l, const cJSON *result)
{
	int64_t theirs = json_int(result, "version", 1);

	l->version = theirs < event_version() ? (int)theirs : event_version();
}

static void tell_disk(struct link *l, const cJSON *result, bool first)
{
	const char *reason = json_str(result, "disk_full", "");
	bool full = *reason != '\0';

	if (full == l->full && !first)
		return;
	l->full = full;
	if (l->held.first) /* a reserve was given up, or there is room */
		uv_timer_start(&l->retry, on_retry, 0, 0);
	l->handler->disk(l->arg, reason);
}

/* In order, what is above command_done. False: one was not taken over (the disk did not
 * keep it); it comes again. */
static bool take_commands(struct link *l, const cJSON *result)
{
	const cJSON *c;
	int64_t last = 0;

	cJSON_ArrayForEach (c, json_get(result, "commands")) {
		last = json_int(c, "n", 0);
		if (last > l->command_done)
			l->handler->command(
				l->arg, last, json_str(c, "kind", ""), json_get(c, "body"));
	}
	return last <= l->command_done;
}

static void on_next(void *arg, const char *data, size_t n, const struct err *failure)
{
	struct link *l = arg;
	struct rpc m;
	struct err e;
	bool taken;

	l->ask = NULL;
	if (!failure)
		heard(l);
	if (read_answer(data, n, failure, &m, &e) < 0) {
		if (!failure && permanent(&e)) {
			l->handler->refused(l->arg, &e);
			return;
		}
		if (failure) {
			ask_next(l);
			return;
		}
		/* Answered, so asking again at once would spin. */
		log_warn("worker.next: %s", e.text);
		uv_timer_start(&l->retry, on_retry, LINK_REPUBLISH_MS, 0);
		return;
	}
	read_version(l, m.result);
	if (json_bool(m.result, "retire", false)) {
		l->retiring = true;
		l->handler->retire(l->arg);
	}
	acknowledge(l, json_int(m.result, "committed", 0), json_bool(m.result, "resend", false));
	tell_disk(l, m.result, false);
	taken = take_commands(l, m.result);
	rpc_clear(&m);
	if (!taken)
		uv_timer_start(&l->retry, on_retry, LINK_RETRY_DISK_MS, 0);
	else
		ask_next(l);
}

static void ask(
	struct link *l, const char *method, const cJSON *params, int timeout_ms, bus_answer_cb cb)
{
	char id[33];
	_cleanup_free_ char *text = NULL;

	rpc_new_id(id);
	text = rpc_request(id, method, params);
	l->ask = bus_req_ask(l->req, text, strlen(text), timeout_ms, LINK_RESEND_MS, cb, l);
}

static void ask_next(struct link *l)
{
	_cleanup_json_ cJSON *p = cJSON_CreateObject();

	if (l->ask)
		return;
	json_add_int(p, "agent", l->agent);
	json_add_int(p, "epoch", l->epoch);
	json_add_int(p, "after", l->command_done);
	json_add_int(p, "last_seq", spool_last(l->spool));
	json_add_int(p, "have", spool_acknowledged(l->spool));
	cJSON_AddBoolToObject(p, "full", l->full);
	json_add_int(p, "version", event_version());
	json_add_int(p, "oldest", event_version_oldest());
	cJSON_AddBoolToObject(p, "retiring", l->retiring);
	ask(l, "worker.next", p, LINK_POLL_MS, on_next);
}

static void ask_hello(struct link *l);

static void on_hello(void *arg, const char *data, size_t n, const struct err *failure)
{
	struct link *l = arg;
	struct rpc m;
	struct err e;

	l->ask = NULL;
	if (read_answer(data, n, failure, &m, &e) < 0) {
		if (failure)
			ask_hello(l);
		else
			l->handler->refused(l->arg, &e);
		return;
	}
	read_version(l, m.result);
	l->spool = spool_open(l->folder, l->agent, json_int(m.result, "committed", 0), &e);
	if (!l->spool) {
		l->handler->refused(l->arg, &e);
		rpc_clear(&m);
		return;
	}
	l->published = spool_acknowledged(l->spool);
	l->progress_ms = clock_now_ms();
	publish_window(l);
	watch_start(l);
	l->handler->hello(l->arg, m.result);
	tell_disk(l, m.result, true);
	take_commands(l, m.result); /* before anything is begun, which waits for the loop */
	rpc_clear(&m);
	ask_next(l);
}

/* What the spool holds, before the supervisor's word decides where it goes on. */
static int64_t stored_last(struct link *l)
{
	struct err e;
	struct spool *s = spool_open(l->folder, l->agent, 0, &e);
	int64_t last = s ? spool_last(s) : 0;

	if (s)
		l->lost -= spool_lost(s); /* told when the spool is opened to stay */
	spool_free(s);
	return last;
}

static void ask_hello(struct link *l)
{
	_cleanup_json_ cJSON *p = cJSON_CreateObject();

	json_add_int(p, "agent", l->agent);
	json_add_int(p, "epoch", l->epoch);
	json_add_int(p, "pid", getpid());
	json_add_int(p, "version", event_version());
	json_add_int(p, "oldest", event_version_oldest());
	json_add_int(p, "last_seq", stored_last(l));
	ask(l, "worker.hello", p, LINK_HELLO_MS, on_hello);
}

static int append(struct link *l, enum event_kind kind, const char *body, struct err *e)
{
	bool idle = link_drained(l);
	int64_t seq;

	if (spool_append(l->spool, kind, body, strlen(body), &seq, e) < 0)
		return -1;
	if (idle)
		l->progress_ms = clock_now_ms();
	return 0;
}

static void on_retry(uv_timer_t *t)
{
	struct link *l = t->data;
	bool was_held = l->held.first != NULL;
	struct err e;

	while (l->held.first && append(l, l->held.first->kind, l->held.first->body, &e) == 0)
		held_drop(&l->held);
	publish_window(l);
	watch_start(l);
	ask_next(l);
	if (l->held.first)
		uv_timer_start(&l->retry, on_retry, LINK_RETRY_DISK_MS, 0);
	else if (was_held)
		l->handler->blocked(l->arg, false, NULL);
}

/* Takes body. */
static void hold(struct link *l, enum event_kind kind, char *body, const struct err *why)
{
	if (l->held.n >= LINK_MAX_HELD) {
		/* The agent's output is paused by now; only our own notes come here. */
		log_error("the spool takes no event and %d are held: one is lost", l->held.n);
		free(body);
		return;
	}
	held_add(&l->held, kind, body);
	if (l->held.n > 1)
		return;
	log_error("spool: %s; the agent's output waits", why->text);
	uv_timer_start(&l->retry, on_retry, LINK_RETRY_DISK_MS, 0);
	l->handler->blocked(l->arg, true, why);
}

void link_send(struct link *l, enum event_kind kind, cJSON *body)
{
	_cleanup_json_ cJSON *owned = body;
	char *text = json_print(owned);
	struct err e;

	log_redact(text);
	err_set(&e, ERR_LIMIT, "events before it wait");
	if (l->held.first || append(l, kind, text, &e) < 0) {
		if (e.kind == ERR_LIMIT && strlen(text) > EVENT_BODY_MAX - 64) {
			log_error("an event %s of %zu bytes is too long and is left out",
				event_kind_word(kind), strlen(text));
			free(text);
			return;
		}
		hold(l, kind, text, &e);
		return;
	}
	free(text);
	publish_window(l);
	watch_start(l);
}

void link_hold(struct link *l)
{
	l->silent = true;
}

void link_release(struct link *l)
{
	l->silent = false;
	if (l->spool)
		publish_window(l);
}

void link_taken(struct link *l, int64_t n)
{
	if (n > l->command_done)
		l->command_done = n;
}

static void forget(struct question *q)
{
	struct question **at = &q->link->questions;

	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
}

static void on_answer(void *arg, const char *data, size_t n, const struct err *failure)
{
	_cleanup_free_ struct question *q = arg;
	struct rpc m;
	struct err e;

	forget(q);
	if (read_answer(data, n, failure, &m, &e) < 0) {
		q->cb(q->arg, NULL, &e);
		return;
	}
	q->cb(q->arg, m.result, NULL);
	rpc_clear(&m);
}

void link_ask(struct link *l, const char *id, const char *method, const cJSON *params,
	link_answer_cb cb, void *arg)
{
	_cleanup_free_ char *text = rpc_request(id, method, params);
	struct question *q = calloc(1, sizeof *q);

	if (!q)
		err_out_of_memory();
	q->link = l;
	q->cb = cb;
	q->arg = arg;
	q->next = l->questions;
	l->questions = q;
	bus_req_ask(l->req, text, strlen(text), LINK_CALL_MS, LINK_RESEND_MS, on_answer, q);
}

struct link *link_new(uv_loop_t *loop, const struct paths *paths, int64_t agent, int64_t epoch,
	const struct link_handler *handler, void *arg, struct err *e)
{
	struct link *l = calloc(1, sizeof *l);

	if (!l)
		err_out_of_memory();
	l->loop = loop;
	l->handler = handler;
	l->arg = arg;
	l->agent = agent;
	l->epoch = epoch;
	l->version = event_version();
	paths_agent(paths, agent, "spool", l->folder);
	paths_ingest_url(paths, l->ingest);
	paths_control_url(paths, l->control);
	l->pub = bus_pub_dial(l->ingest, e);
	l->req = l->pub ? bus_req_dial(loop, l->control, e) : NULL;
	if (!l->req) {
		bus_pub_free(l->pub);
		free(l);
		return NULL;
	}
	l->dialled_ms = clock_now_ms();
	uv_timer_init(loop, &l->watch);
	uv_timer_init(loop, &l->retry);
	uv_timer_init(loop, &l->silence);
	uv_timer_init(loop, &l->loss);
	l->watch.data = l->retry.data = l->silence.data = l->loss.data = l;
	return l;
}

void link_start(struct link *l, int64_t command_done)
{
	l->command_done = command_done;
	ask_hello(l);
}

/* In any order: what lies in l stays until the last of them is closed. */
static void on_timer_closed(uv_handle_t *h)
{
	struct link *l = h->data;

	if (--l->open_handles == 0)
		free(l);
}

void link_free(struct link *l)
{
	if (!l)
		return;
	bus_req_free(l->req);
	bus_pub_free(l->pub);
	spool_free(l->spool);
	while (l->held.first)
		held_drop(&l->held);
	while (l->questions) {
		struct question *q = l->questions;

		l->questions = q->next;
		free(q);
	}
	l->open_handles = 4;
	uv_close((uv_handle_t *)&l->watch, on_timer_closed);
	uv_close((uv_handle_t *)&l->silence, on_timer_closed);
	uv_close((uv_handle_t *)&l->retry, on_timer_closed);
	uv_close((uv_handle_t *)&l->loss, on_timer_closed);
}

bool link_drained(const struct link *l)
{
	return l->spool && !l->held.first && spool_acknowledged(l->spool) >= spool_last(l->spool);
}

int64_t link_last(const struct link *l)
{
	return l->spool ? spool_last(l->spool) : 0;
}
