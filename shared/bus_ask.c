/* Ask and answer over nng: raw REP holds any number of requests open, REQ
 * contexts ask any number at once. */
#include "shared/bus_nng.h"

#include <nng/protocol/reqrep0/rep.h>
#include <nng/protocol/reqrep0/req.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/log.h"

#define BUS_URL_MAX 256
#define BUS_BATCH 1024
#define ASKER_RESEND_MS 30000 /* above the longest long poll (20 s) */

/* --- answer --- */

#define PARTING_MAX 64 /* connections about to be ended; one more is ended at once */

struct bus_rep {
	nng_socket socket;
	uv_poll_t poll;
	uv_timer_t parting_timer;
	nng_pipe parting[PARTING_MAX];
	int n_parting;
	int open_handles;
	bus_request_cb cb;
	void *arg;
	bool freed;
};

struct bus_request {
	struct bus_rep *rep;
	nng_msg *msg; /* its header is the way back */
};

static void rep_closed(uv_handle_t *h)
{
	struct bus_rep *s = h->data;

	if (--s->open_handles == 0)
		free(s);
}

static void part(uv_timer_t *timer)
{
	struct bus_rep *s = timer->data;

	while (s->n_parting > 0)
		nng_pipe_close(s->parting[--s->n_parting]);
}

static void rep_readable(uv_poll_t *poll, int status, int events)
{
	struct bus_rep *s = poll->data;
	struct bus_request *r;
	nng_msg *m;

	(void)status;
	(void)events;
	for (int i = 0; i < BUS_BATCH && !s->freed; i++) {
		if (nng_recvmsg(s->socket, &m, NNG_FLAG_NONBLOCK) != 0)
			break;
		r = calloc(1, sizeof(*r));
		if (!r)
			err_out_of_memory();
		r->rep = s;
		r->msg = m;
		s->cb(s->arg, r, nng_msg_body(m), nng_msg_len(m));
	}
}

struct bus_rep *bus_rep_listen(
	uv_loop_t *loop, const char *url, bus_request_cb cb, void *arg, struct err *e)
{
	_cleanup_free_ struct bus_rep *s = calloc(1, sizeof(*s));

	if (!s)
		err_out_of_memory();
	s->cb = cb;
	s->arg = arg;
	if (bus_open(&s->socket, nng_rep0_open_raw, url, e) < 0)
		return NULL;
	if (bus_attach_polled(loop, &s->poll, s->socket, true, url, e) < 0)
		return NULL;
	uv_timer_init(loop, &s->parting_timer);
	s->poll.data = s->parting_timer.data = s;
	s->open_handles = 2;
	uv_poll_start(&s->poll, UV_READABLE, rep_readable);
	return take_ptr(s);
}

void bus_reply(struct bus_request *r, const void *data, size_t n)
{
	int code = NNG_EMSGSIZE;

	nng_msg_clear(r->msg);
	if (n <= BUS_FRAME_MAX)
		code = nng_msg_append(r->msg, data, n);
	if (code == 0)
		code = nng_sendmsg(r->rep->socket, r->msg, NNG_FLAG_NONBLOCK);
	if (code != 0) {
		/* The asker asks again by itself. */
		log_warn("an answer of %zu bytes could not be sent: %s", n, nng_strerror(code));
		nng_msg_free(r->msg);
	}
	free(r);
}

void bus_reply_last(struct bus_request *r, const void *data, size_t n)
{
	struct bus_rep *s = r->rep;
	nng_pipe from = nng_msg_get_pipe(r->msg);

	bus_reply(r, data, n);
	if (s->n_parting == PARTING_MAX) {
		nng_pipe_close(from);
		return;
	}
	s->parting[s->n_parting++] = from;
	/* All of them together: the first waits its time, a later one at most less. */
	if (!uv_is_active((uv_handle_t *)&s->parting_timer))
		uv_timer_start(&s->parting_timer, part, BUS_PARTING_MS, 0);
}

void bus_request_drop(struct bus_request *r)
{
	nng_msg_free(r->msg);
	free(r);
}

void bus_rep_free(struct bus_rep *s)
{
	if (!s || s->freed)
		return;
	s->freed = true;
	uv_close((uv_handle_t *)&s->poll, rep_closed);
	uv_close((uv_handle_t *)&s->parting_timer, rep_closed);
	bus_close(s->socket);
}

/* --- ask, in a loop --- */

struct bus_req {
	nng_socket socket;
	uv_async_t wake;
	pthread_mutex_t mutex;
	struct bus_ask *finished; /* under the mutex: handed over by nng's threads */
	struct bus_ask *asks;	  /* of the loop's thread: all under way */
	bool freed;
	char url[BUS_URL_MAX];
};

struct bus_ask {
	struct bus_req *q;
	struct bus_ask *next;
	struct bus_ask *prev;
	struct bus_ask *next_finished;
	nng_ctx ctx;
	nng_aio *aio;
	nng_msg *answer;
	int64_t deadline_ms;
	int timeout_ms;
	int code;
	bool sent;
	bool cancelled; /* of the loop's thread */
	bus_answer_cb cb;
	void *arg;
};

/* In a thread of nng's: first the question is sent, then the answer is here. The
 * ask belongs to that thread until it is put on the finished list. */
static void ask_step(void *arg)
{
	struct bus_ask *a = arg;
	struct bus_req *q = a->q;
	int64_t left_ms;

	a->code = nng_aio_result(a->aio);
	if (a->code == 0 && !a->sent) {
		a->sent = true;
		left_ms = a->deadline_ms - clock_now_ms();
		nng_aio_set_timeout(a->aio, left_ms > 0 ? (nng_duration)left_ms : 0);
		nng_ctx_recv(a->ctx, a->aio);
		return;
	}
	if (a->code == 0)
		a->answer = nng_aio_get_msg(a->aio);
	else if (!a->sent)
		nng_msg_free(nng_aio_get_msg(a->aio));
	pthread_mutex_lock(&q->mutex);
	a->next_finished = q->finished;
	q->finished = a;
	uv_async_send(&q->wake);
	pthread_mutex_unlock(&q->mutex);
}

static void ask_report(struct bus_ask *a)
{
	struct err e;

	if (a->code == 0) {
		a->cb(a->arg, nng_msg_body(a->answer), nng_msg_len(a->answer), NULL);
		return;
	}
	if (a->code == NNG_ETIMEDOUT)
		err_set(&e, ERR_UNAVAILABLE, "no answer from %s within %d ms", a->q->url,
			a->timeout_ms);
	else
		bus_error(&e, a->code, "ask", a->q->url);
	a->cb(a->arg, NULL, 0, &e);
}

static void ask_unlink(struct bus_ask *a)
{
	if (a->prev)
		a->prev->next = a->next;
	else
		a->q->asks = a->next;
	if (a->next)
		a->next->prev = a->prev;
}

static void ask_free(struct bus_ask *a)
{
	if (a->aio)
		nng_aio_free(a->aio);
	if (a->answer)
		nng_msg_free(a->answer);
	free(a);
}

static void req_closed(uv_handle_t *h)
{
	struct bus_req *q = h->data;

	pthread_mutex_destroy(&q->mutex);
	free(q);
}

/* The last ask has come home: nothing of nng's refers to q any more. */
static void req_end(struct bus_req *q)
{
	uv_close((uv_handle_t *)&q->wake, req_closed);
	bus_close(q->socket);
}

static void req_woken(uv_async_t *wake)
{
	struct bus_req *q = wake->data;
	struct bus_ask *list;
	struct bus_ask *a;
	bool had = q->asks;

	pthread_mutex_lock(&q->mutex);
	list = q->finished;
	q->finished = NULL;
	pthread_mutex_unlock(&q->mutex);
	while ((a = list)) {
		list = a->next_finished;
		if (!a->cancelled) {
			a->cancelled = true; /* a cancel from within cb finds it done */
			nng_ctx_close(a->ctx);
			ask_report(a);
		}
		ask_unlink(a);
		ask_free(a);
	}
	if (q->freed && had && !q->asks)
		req_end(q);
}

struct bus_req *bus_req_dial(uv_loop_t *loop, const char *url, struct err *e)
{
	_cleanup_free_ struct bus_req *q = calloc(1, sizeof(*q));
	int code;

	if (!q)
		err_out_of_memory();
	strncpy(q->url, url, sizeof(q->url) - 1);
	if (bus_open(&q->socket, nng_req0_open, url, e) < 0 ||
		bus_attach(q->socket, false, url, e) < 0)
		return NULL;
	code = uv_async_init(loop, &q->wake, req_woken);
	if (code != 0) {
		bus_close(q->socket);
		err_set(e, ERR_SYS, "ask %s: %s", url, uv_strerror(code));
		return NULL;
	}
	q->wake.data = q;
	pthread_mutex_init(&q->mutex, NULL);
	return take_ptr(q);
}

/* Hands a failure at the start to the loop like any other answer. */
static void ask_failed(struct bus_ask *a, int code)
{
	struct bus_req *q = a->q;

	a->code = code;
	pthread_mutex_lock(&q->mutex);
	a->next_finished = q->finished;
	q->finished = a;
	uv_async_send(&q->wake);
	pthread_mutex_unlock(&q->mutex);
}

/* Opens the question's context; *question is to be sent. Returns nng's code. */
static int ask_prepare(
	struct bus_ask *a, const void *data, size_t n, int resend_ms, nng_msg **question)
{
	int code = nng_ctx_open(&a->ctx, a->q->socket);

	if (code == 0)
		code = nng_ctx_set_ms(a->ctx, NNG_OPT_REQ_RESENDTIME, resend_ms);
	if (code == 0)
		code = nng_aio_alloc(&a->aio, ask_step, a);
	if (code == 0)
		code = n <= BUS_FRAME_MAX ? nng_msg_alloc(question, n) : NNG_EMSGSIZE;
	if (code == 0)
		memcpy(nng_msg_body(*question), data, n);
	return code;
}

struct bus_ask *bus_req_ask(struct bus_req *q, const void *data, size_t n, int timeout_ms,
	int resend_ms, bus_answer_cb cb, void *arg)
{
	struct bus_ask *a = calloc(1, sizeof(*a));
	nng_msg *question = NULL;
	int code;

	if (!a)
		err_out_of_memory();
	a->q = q;
	a->cb = cb;
	a->arg = arg;
	a->timeout_ms = timeout_ms;
	a->deadline_ms = clock_now_ms() + timeout_ms;
	a->next = q->asks;
	if (a->next)
		a->next->prev = a;
	q->asks = a;
	code = ask_prepare(a, data, n, resend_ms, &question);
	if (code != 0) {
		ask_failed(a, code);
		return a;
	}
	nng_aio_set_msg(a->aio, question);
	nng_aio_set_timeout(a->aio, timeout_ms);
	nng_ctx_send(a->ctx, a->aio);
	return a;
}

void bus_ask_cancel(struct bus_ask *a)
{
	if (!a || a->cancelled)
		return;
	a->cancelled = true;
	/* What is under way fails now, what would follow fails at once. */
	nng_ctx_close(a->ctx);
}

void bus_req_free(struct bus_req *q)
{
	if (!q || q->freed)
		return;
	q->freed = true;
	for (struct bus_ask *a = q->asks; a; a = a->next)
		bus_ask_cancel(a);
	if (!q->asks)
		req_end(q);
}

/* --- ask, blocking --- */

struct bus_asker {
	nng_socket socket;
	char url[BUS_URL_MAX];
};

struct bus_asker *bus_asker_dial(const char *url, struct err *e)
{
	_cleanup_free_ struct bus_asker *a = calloc(1, sizeof(*a));

	if (!a)
		err_out_of_memory();
	strncpy(a->url, url, sizeof(a->url) - 1);
	if (bus_open(&a->socket, nng_req0_open, url, e) < 0 ||
		bus_attach(a->socket, false, url, e) < 0)
		return NULL;
	return take_ptr(a);
}

/* Sends the question and waits for the answer; returns nng's code. */
static int ask_once(nng_ctx ctx, nng_aio *aio, nng_msg *question, int64_t deadline_ms)
{
	int64_t left_ms = deadline_ms - clock_now_ms();
	int code;

	nng_aio_set_msg(aio, question);
	nng_aio_set_timeout(aio, left_ms > 0 ? (nng_duration)left_ms : 0);
	nng_ctx_send(ctx, aio);
	nng_aio_wait(aio);
	code = nng_aio_result(aio);
	if (code != 0) {
		nng_msg_free(nng_aio_get_msg(aio));
		return code;
	}
	left_ms = deadline_ms - clock_now_ms();
	nng_aio_set_timeout(aio, left_ms > 0 ? (nng_duration)left_ms : 0);
	nng_ctx_recv(ctx, aio);
	nng_aio_wait(aio);
	return nng_aio_result(aio);
}

static int asker_error(struct bus_asker *a, int code, int timeout_ms, struct err *e)
{
	if (code == NNG_ETIMEDOUT)
		return err_set(
			e, ERR_UNAVAILABLE, "no answer from %s within %d ms", a->url, timeout_ms);
	return bus_error(e, code, "ask", a->url);
}

int bus_asker_ask(struct bus_asker *a, const void *data, size_t n, int timeout_ms, char **answer,
	size_t *answer_len, struct err *e)
{
	int64_t deadline_ms = clock_now_ms() + timeout_ms;
	nng_aio *aio = NULL;
	nng_msg *m = NULL;
	nng_ctx ctx;
	int code;

	if (n > BUS_FRAME_MAX)
		return asker_error(a, NNG_EMSGSIZE, timeout_ms, e);
	code = nng_ctx_open(&ctx, a->socket);
	if (code != 0)
		return asker_error(a, code, timeout_ms, e);
	code = nng_ctx_set_ms(ctx, NNG_OPT_REQ_RESENDTIME, ASKER_RESEND_MS);
	if (code == 0)
		code = nng_aio_alloc(&aio, NULL, NULL);
	if (code == 0)
		code = nng_msg_alloc(&m, n);
	if (code == 0) {
		memcpy(nng_msg_body(m), data, n);
		code = ask_once(ctx, aio, m, deadline_ms);
	}
	nng_ctx_close(ctx);
	if (code == 0) {
		m = nng_aio_get_msg(aio);
		*answer_len = nng_msg_len(m);
		*answer = strndup(nng_msg_body(m), *answer_len);
		if (!*answer)
			err_out_of_memory();
		nng_msg_free(m);
	}
	nng_aio_free(aio);
	return code == 0 ? 0 : asker_error(a, code, timeout_ms, e);
}

void bus_asker_free(struct bus_asker *a)
{
	if (!a)
		return;
	bus_close(a->socket);
	free(a);
}
