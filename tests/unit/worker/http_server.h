/* A scripted HTTP server in the test's own loop: the nth request gets the nth reply. */
#ifndef TESTS_UNIT_WORKER_HTTP_SERVER_H
#define TESTS_UNIT_WORKER_HTTP_SERVER_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <uv.h>

#include "shared/buf.h"
#include "shared/clock.h"

#define SERVER_MAX 64

enum server_mode { SERVER_ANSWER, SERVER_SILENT, SERVER_CLOSE, SERVER_DRIP, SERVER_FLOOD };

struct server_reply {
	enum server_mode mode;
	int status;
	const char *headers; /* "Name: value\r\n"… or NULL */
	const char *body;
	size_t body_len; /* 0: strlen */
};

struct server {
	uv_loop_t *loop;
	uv_tcp_t listener;
	int port;
	struct server_reply reply[SERVER_MAX];
	int replies; /* the last one is repeated */
	int requests, connections;
	char *request[SERVER_MAX]; /* whole text of each */
	int64_t at_ms[SERVER_MAX];
};

struct server_peer {
	uv_tcp_t tcp;
	uv_timer_t timer;
	struct server *server;
	struct buf in;
	int closing;
};

static void peer_closed(uv_handle_t *h)
{
	struct server_peer *p = h->data;

	if (++p->closing == 3) {
		buf_clear(&p->in);
		free(p);
	}
}

static void peer_close(struct server_peer *p)
{
	if (p->closing)
		return;
	p->closing = 1;
	uv_close((uv_handle_t *)&p->tcp, peer_closed);
	uv_close((uv_handle_t *)&p->timer, peer_closed);
}

static void peer_written(uv_write_t *w, int status)
{
	struct server_peer *p = w->handle->data;

	free(w->data);
	free(w);
	if (status < 0)
		peer_close(p);
}

static void peer_write(struct server_peer *p, const void *data, size_t n)
{
	uv_write_t *w = calloc(1, sizeof *w);
	uv_buf_t b = uv_buf_init(malloc(n), (unsigned)n);

	memcpy(b.base, data, n);
	w->data = b.base;
	uv_write(w, (uv_stream_t *)&p->tcp, &b, 1, peer_written);
}

static void peer_drip(uv_timer_t *t)
{
	peer_write(t->data, "x", 1);
}

static void peer_flood(uv_timer_t *t)
{
	static char chunk[65536];
	struct server_peer *p = t->data;

	if (uv_stream_get_write_queue_size((uv_stream_t *)&p->tcp) < 1024 * 1024)
		peer_write(p, chunk, sizeof chunk);
}

static void peer_answer(struct server_peer *p)
{
	struct server *s = p->server;
	int n = s->requests < s->replies ? s->requests : s->replies - 1;
	const struct server_reply *r = &s->reply[n];
	size_t body_len = r->body_len ? r->body_len : r->body ? strlen(r->body) : 0;
	char head[2048];
	int head_len;

	if (s->requests < SERVER_MAX) {
		s->request[s->requests] = strndup(p->in.data, p->in.len);
		s->at_ms[s->requests] = clock_now_ms();
	}
	s->requests++;
	buf_reset(&p->in);
	if (r->mode == SERVER_SILENT)
		return;
	if (r->mode == SERVER_CLOSE) {
		peer_close(p);
		return;
	}
	if (r->mode != SERVER_ANSWER)
		body_len = 100 * 1024 * 1024;
	head_len =
		snprintf(head, sizeof head, "HTTP/1.1 %d Reason\r\nContent-Length: %zu\r\n%s\r\n",
			r->status, body_len, r->headers ? r->headers : "");
	peer_write(p, head, (size_t)head_len);
	if (r->mode == SERVER_DRIP)
		uv_timer_start(&p->timer, peer_drip, 20, 20);
	else if (r->mode == SERVER_FLOOD)
		uv_timer_start(&p->timer, peer_flood, 0, 1);
	else if (body_len)
		peer_write(p, r->body, body_len);
}

static void peer_read(uv_stream_t *stream, ssize_t n, const uv_buf_t *b)
{
	struct server_peer *p = stream->data;
	const char *end, *length;
	size_t body;

	if (n < 0) {
		free(b->base);
		peer_close(p);
		return;
	}
	buf_add(&p->in, b->base, (size_t)n);
	free(b->base);
	end = p->in.data ? strstr(p->in.data, "\r\n\r\n") : NULL;
	if (!end)
		return;
	length = strcasestr(p->in.data, "\r\ncontent-length:");
	body = length && length < end ? strtoul(length + 17, NULL, 10) : 0;
	if (p->in.len >= (size_t)(end + 4 - p->in.data) + body)
		peer_answer(p);
}

static void peer_alloc(uv_handle_t *h, size_t n, uv_buf_t *b)
{
	(void)h;
	*b = uv_buf_init(malloc(n), (unsigned)n);
}

static void server_accept(uv_stream_t *listener, int status)
{
	struct server *s = listener->data;
	struct server_peer *p = calloc(1, sizeof *p);

	(void)status;
	p->server = s;
	buf_init(&p->in, 0);
	uv_tcp_init(s->loop, &p->tcp);
	uv_timer_init(s->loop, &p->timer);
	p->tcp.data = p->timer.data = p;
	uv_accept(listener, (uv_stream_t *)&p->tcp);
	s->connections++;
	uv_read_start((uv_stream_t *)&p->tcp, peer_alloc, peer_read);
}

static void server_start(struct server *s, uv_loop_t *loop)
{
	struct sockaddr_in a;
	int n = sizeof a;

	memset(s, 0, sizeof *s);
	s->loop = loop;
	uv_tcp_init(loop, &s->listener);
	s->listener.data = s;
	uv_ip4_addr("127.0.0.1", 0, &a);
	uv_tcp_bind(&s->listener, (struct sockaddr *)&a, 0);
	uv_listen((uv_stream_t *)&s->listener, 16, server_accept);
	uv_tcp_getsockname(&s->listener, (struct sockaddr *)&a, &n);
	s->port = ntohs(a.sin_port);
}

static void server_will(struct server *s, struct server_reply r)
{
	s->reply[s->replies++] = r;
}

static void server_close_one(uv_handle_t *h, void *arg)
{
	struct server *s = arg;

	if (uv_is_closing(h))
		return;
	if (h == (uv_handle_t *)&s->listener)
		uv_close(h, NULL);
	else if (h->type == UV_TCP)
		peer_close(h->data);
}

/* Ends everything of the server's and runs the loop out. */
static void server_stop(struct server *s)
{
	uv_walk(s->loop, server_close_one, s);
	uv_run(s->loop, UV_RUN_DEFAULT);
	for (int i = 0; i < s->requests && i < SERVER_MAX; i++)
		free(s->request[i]);
}

#endif
