/* Publish and subscribe over nng. Facts are hints here: a full queue drops, the
 * spool keeps the truth. */
#include "shared/bus_nng.h"

#include <errno.h>
#include <nng/protocol/pubsub0/pub.h>
#include <nng/protocol/pubsub0/sub.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/log.h"

#define BUS_URL_MAX 256
#define BUS_BATCH 1024 /* frames per turn of the loop: timers keep their time */
#define BUS_REDIAL_MIN_MS 10
#define BUS_REDIAL_MAX_MS 1000

int bus_error(struct err *e, int code, const char *doing, const char *url)
{
	const char *why = nng_strerror(code);

	switch (code) {
	case NNG_EADDRINUSE:
		return err_set(e, ERR_CONFLICT, "%s %s: in use by another process", doing, url);
	case NNG_EPERM:
		return err_set(e, ERR_DENIED, "%s %s: %s", doing, url, why);
	case NNG_EADDRINVAL:
	case NNG_EINVAL:
	case NNG_ENOTSUP:
		return err_set(e, ERR_INVALID, "%s %s: %s", doing, url, why);
	case NNG_EMSGSIZE:
		return err_set(e, ERR_LIMIT, "%s %s: %s", doing, url, why);
	case NNG_ECANCELED:
	case NNG_ECLOSED:
		return err_set(e, ERR_CANCELLED, "%s %s: closed by us", doing, url);
	case NNG_ENOMEM:
	case NNG_ENOFILES:
	case NNG_ENOSPC:
		return err_set(e, ERR_SYS, "%s %s: %s", doing, url, why);
	default:
		return err_set(e, ERR_UNAVAILABLE, "%s %s: %s", doing, url, why);
	}
}

/* Not every protocol has both queues: what it lacks it does not need. */
static int set_queues(nng_socket s)
{
	int code = nng_socket_set_int(s, NNG_OPT_RECVBUF, BUS_QUEUE);

	if (code == 0 || code == NNG_ENOTSUP)
		code = nng_socket_set_int(s, NNG_OPT_SENDBUF, BUS_QUEUE);
	return code == NNG_ENOTSUP ? 0 : code;
}

int bus_open(nng_socket *s, int (*open)(nng_socket *), const char *url, struct err *e)
{
	int code = open(s);

	if (code != 0)
		return bus_error(e, code, "open a socket for", url);
	code = nng_socket_set_size(*s, NNG_OPT_RECVMAXSZ, BUS_FRAME_MAX);
	if (code == 0)
		code = set_queues(*s);
	if (code == 0)
		return 0;
	bus_close(*s);
	return bus_error(e, code, "set limits for", url);
}

/* Takes the place of libc's for nng. A listener of nng 1.5.2 whose peer has gone
 * before the first bytes reached it gets EPIPE, reads it as "we are closed", and
 * accepts nobody any more while its thread spins on the dead connection: a peer
 * that dies at the wrong moment would silence us for ever. "Reset by peer" makes it
 * go on accepting; on an open connection both mean the same. */
ssize_t sendmsg(int fd, const struct msghdr *message, int flags)
{
	ssize_t n = syscall(SYS_sendmsg, fd, message, flags);

	if (n < 0 && errno == EPIPE)
		errno = ECONNRESET;
	return n;
}

/* In a thread of nng's, before the first byte is read. The folder's mode keeps other
 * users away already; this does so where somebody has loosened it. Root may do as it
 * likes anyway. */
static void check_peer(nng_pipe pipe, nng_pipe_ev event, void *arg)
{
	uint64_t uid;

	(void)event;
	(void)arg;
	if (nng_pipe_get_uint64(pipe, NNG_OPT_IPC_PEER_UID, &uid) == 0 &&
		(uid == geteuid() || uid == 0))
		return;
	log_warn("a connection of another user was refused");
	nng_pipe_close(pipe);
}

static int start_listener(nng_socket s, const char *url)
{
	nng_listener l;
	int code = nng_pipe_notify(s, NNG_PIPE_EV_ADD_PRE, check_peer, NULL);

	if (code == 0)
		code = nng_listener_create(&l, s, url);
	if (code == 0)
		code = nng_listener_set_int(l, NNG_OPT_IPC_PERMISSIONS, 0600);
	return code == 0 ? nng_listener_start(l, 0) : code;
}

static int start_dialer(nng_socket s, const char *url)
{
	nng_dialer d;
	int code = nng_dialer_create(&d, s, url);

	if (code == 0)
		code = nng_dialer_set_ms(d, NNG_OPT_RECONNMINT, BUS_REDIAL_MIN_MS);
	if (code == 0)
		code = nng_dialer_set_ms(d, NNG_OPT_RECONNMAXT, BUS_REDIAL_MAX_MS);
	return code == 0 ? nng_dialer_start(d, NNG_FLAG_NONBLOCK) : code;
}

int bus_attach(nng_socket s, bool listen, const char *url, struct err *e)
{
	int code = listen ? start_listener(s, url) : start_dialer(s, url);

	if (code == 0)
		return 0;
	bus_close(s);
	return bus_error(e, code, listen ? "listen on" : "dial", url);
}

int bus_attach_polled(
	uv_loop_t *loop, uv_poll_t *poll, nng_socket s, bool listen, const char *url, struct err *e)
{
	int fd;
	int code = nng_socket_get_int(s, NNG_OPT_RECVFD, &fd);

	if (code != 0) {
		bus_close(s);
		return bus_error(e, code, "receive on", url);
	}
	if (bus_attach(s, listen, url, e) < 0)
		return -1;
	code = uv_poll_init(loop, poll, fd);
	if (code == 0)
		return 0;
	bus_close(s);
	return err_set(e, ERR_SYS, "receive on %s: %s", url, uv_strerror(code));
}

/* A closing under way: freed by whichever of the two sides leaves last. */
struct closing {
	pthread_mutex_t mutex;
	pthread_cond_t done_cond;
	nng_socket socket;
	bool done;
	bool left;
};

static void *run_closing(void *arg)
{
	struct closing *c = arg;
	bool last;

	nng_close(c->socket);
	pthread_mutex_lock(&c->mutex);
	c->done = true;
	last = c->left;
	pthread_cond_signal(&c->done_cond);
	pthread_mutex_unlock(&c->mutex);
	if (last)
		free(c);
	return NULL;
}

void bus_close(nng_socket s)
{
	struct closing *c = calloc(1, sizeof(*c));
	pthread_condattr_t attr;
	struct timespec until;
	pthread_t thread;
	bool done;

	if (!c)
		err_out_of_memory();
	pthread_mutex_init(&c->mutex, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&c->done_cond, &attr);
	pthread_condattr_destroy(&attr);
	c->socket = s;
	if (pthread_create(&thread, NULL, run_closing, c) != 0) {
		nng_close(s);
		free(c);
		return;
	}
	pthread_detach(thread);
	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_nsec += BUS_CLOSE_MS * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_nsec -= 1000000000;
		until.tv_sec++;
	}
	pthread_mutex_lock(&c->mutex);
	while (!c->done && pthread_cond_timedwait(&c->done_cond, &c->mutex, &until) == 0)
		;
	done = c->done;
	c->left = true;
	pthread_mutex_unlock(&c->mutex);
	if (done)
		free(c);
	else
		log_warn("a socket did not close within %d ms; it is left to itself", BUS_CLOSE_MS);
}

/* --- publish --- */

struct bus_pub {
	nng_socket socket;
	char url[BUS_URL_MAX];
};

static struct bus_pub *pub_new(bool listen, const char *url, struct err *e)
{
	_cleanup_free_ struct bus_pub *p = calloc(1, sizeof(*p));

	if (!p)
		err_out_of_memory();
	strncpy(p->url, url, sizeof(p->url) - 1);
	if (bus_open(&p->socket, nng_pub0_open, url, e) < 0 ||
		bus_attach(p->socket, listen, url, e) < 0)
		return NULL;
	return take_ptr(p);
}

struct bus_pub *bus_pub_listen(const char *url, struct err *e)
{
	return pub_new(true, url, e);
}

struct bus_pub *bus_pub_dial(const char *url, struct err *e)
{
	return pub_new(false, url, e);
}

void bus_pub_free(struct bus_pub *p)
{
	if (!p)
		return;
	bus_close(p->socket);
	free(p);
}

int bus_pub_send(struct bus_pub *p, const void *head, size_t head_len, const void *body,
	size_t body_len, struct err *e)
{
	nng_msg *m;
	int code;

	if (head_len > BUS_FRAME_MAX || body_len > BUS_FRAME_MAX - head_len)
		return err_set(e, ERR_LIMIT, "publish on %s: a frame may have %d bytes", p->url,
			BUS_FRAME_MAX);
	code = nng_msg_alloc(&m, head_len + body_len);
	if (code != 0)
		return bus_error(e, code, "publish on", p->url);
	if (head_len > 0)
		memcpy(nng_msg_body(m), head, head_len);
	if (body_len > 0)
		memcpy((char *)nng_msg_body(m) + head_len, body, body_len);
	code = nng_sendmsg(p->socket, m, NNG_FLAG_NONBLOCK);
	if (code == 0)
		return 0;
	nng_msg_free(m);
	return bus_error(e, code, "publish on", p->url);
}

/* --- subscribe, in a loop --- */

struct bus_sub {
	nng_socket socket;
	uv_poll_t poll;
	bus_frame_cb cb;
	void (*drained)(void *arg);
	void *arg;
	nng_pipe from; /* of the frame in hand */
	bool freed;
};

static void sub_closed(uv_handle_t *h)
{
	free(h->data);
}

static void sub_readable(uv_poll_t *poll, int status, int events)
{
	struct bus_sub *s = poll->data;
	nng_msg *m;

	(void)status;
	(void)events;
	/* What is left keeps the descriptor readable: the next turn goes on. */
	for (int i = 0; i < BUS_BATCH && !s->freed; i++) {
		if (nng_recvmsg(s->socket, &m, NNG_FLAG_NONBLOCK) != 0)
			break;
		s->from = nng_msg_get_pipe(m);
		s->cb(s->arg, nng_msg_body(m), nng_msg_len(m));
		nng_msg_free(m);
	}
	if (!s->freed && s->drained)
		s->drained(s->arg);
}

static struct bus_sub *sub_new(uv_loop_t *loop, bool listen, const char *url, const char *prefix,
	bus_frame_cb cb, void *arg, struct err *e)
{
	_cleanup_free_ struct bus_sub *s = calloc(1, sizeof(*s));
	int code;

	if (!s)
		err_out_of_memory();
	s->cb = cb;
	s->arg = arg;
	if (bus_open(&s->socket, nng_sub0_open, url, e) < 0)
		return NULL;
	code = nng_socket_set(s->socket, NNG_OPT_SUB_SUBSCRIBE, prefix, strlen(prefix));
	if (code != 0) {
		bus_close(s->socket);
		bus_error(e, code, "subscribe on", url);
		return NULL;
	}
	if (bus_attach_polled(loop, &s->poll, s->socket, listen, url, e) < 0)
		return NULL;
	s->poll.data = s;
	uv_poll_start(&s->poll, UV_READABLE, sub_readable);
	return take_ptr(s);
}

struct bus_sub *bus_sub_listen(
	uv_loop_t *loop, const char *url, bus_frame_cb cb, void *arg, struct err *e)
{
	return sub_new(loop, true, url, "", cb, arg, e);
}

struct bus_sub *bus_sub_dial(uv_loop_t *loop, const char *url, const char *prefix, bus_frame_cb cb,
	void *arg, struct err *e)
{
	return sub_new(loop, false, url, prefix, cb, arg, e);
}

void bus_sub_on_drained(struct bus_sub *s, void (*cb)(void *arg))
{
	s->drained = cb;
}

void bus_sub_refuse(struct bus_sub *s)
{
	nng_pipe_close(s->from);
}

void bus_sub_free(struct bus_sub *s)
{
	if (!s || s->freed)
		return;
	s->freed = true;
	/* The descriptor is nng's own: off the loop before nng closes it. */
	uv_close((uv_handle_t *)&s->poll, sub_closed);
	bus_close(s->socket);
}

/* --- subscribe, blocking --- */

struct bus_feed {
	nng_socket socket;
	nng_aio *aio;
	nng_msg *msg;
	atomic_bool closed;
	char url[BUS_URL_MAX];
};

struct bus_feed *bus_feed_dial(const char *url, const char *prefix, struct err *e)
{
	_cleanup_free_ struct bus_feed *f = calloc(1, sizeof(*f));
	int code;

	if (!f)
		err_out_of_memory();
	strncpy(f->url, url, sizeof(f->url) - 1);
	if (bus_open(&f->socket, nng_sub0_open, url, e) < 0)
		return NULL;
	code = nng_socket_set(f->socket, NNG_OPT_SUB_SUBSCRIBE, prefix, strlen(prefix));
	if (code == 0)
		code = nng_aio_alloc(&f->aio, NULL, NULL);
	if (code != 0) {
		bus_close(f->socket);
		bus_error(e, code, "subscribe on", url);
		return NULL;
	}
	if (bus_attach(f->socket, false, url, e) < 0) {
		nng_aio_free(f->aio);
		return NULL;
	}
	return take_ptr(f);
}

int bus_feed_next(struct bus_feed *f, int timeout_ms, const char **frame, size_t *n, struct err *e)
{
	int code;

	if (f->msg) {
		nng_msg_free(f->msg);
		f->msg = NULL;
	}
	nng_aio_set_timeout(f->aio, timeout_ms < 0 ? NNG_DURATION_INFINITE : timeout_ms);
	nng_recv_aio(f->socket, f->aio);
	nng_aio_wait(f->aio);
	code = nng_aio_result(f->aio);
	if (code == NNG_ETIMEDOUT)
		return 0;
	if (code != 0)
		return bus_error(e, code, "receive from", f->url);
	f->msg = nng_aio_get_msg(f->aio);
	*frame = nng_msg_body(f->msg);
	*n = nng_msg_len(f->msg);
	return 1;
}

void bus_feed_close(struct bus_feed *f)
{
	if (atomic_exchange(&f->closed, true))
		return;
	bus_close(f->socket);
	/* nng's close may hang on a dialer that is just connecting, before it comes to who
	 * waits for a frame. */
	nng_aio_abort(f->aio, NNG_ECLOSED);
}

void bus_feed_free(struct bus_feed *f)
{
	if (!f)
		return;
	bus_feed_close(f);
	nng_aio_free(f->aio);
	if (f->msg)
		nng_msg_free(f->msg);
	free(f);
}
