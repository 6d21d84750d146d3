/* The only home of nng: publish, subscribe, ask, answer. Callbacks run in the
 * loop's thread. All sockets are ipc, mode 0600; a listener takes connections of its
 * own user (and root) alone. Dials do not wait and redial by themselves for ever (10 ms
 * to 1 s). A frame above BUS_FRAME_MAX costs its sender the connection. */
#ifndef SHARED_BUS_H
#define SHARED_BUS_H

#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "shared/err.h"

#define BUS_FRAME_MAX (1536 * 1024)
#define BUS_QUEUE 8192 /* nng's largest */

/* --- publish: a hint, never the truth; a full queue drops --- */
struct bus_pub;
struct bus_pub *bus_pub_listen(const char *url, struct err *e);
struct bus_pub *bus_pub_dial(const char *url, struct err *e);
void bus_pub_free(struct bus_pub *p);
/* Sends head and body as one frame, copying them. Never blocks. */
int bus_pub_send(struct bus_pub *p, const void *head, size_t head_len, const void *body,
	size_t body_len, struct err *e);

/* --- subscribe, in a loop --- */
typedef void (*bus_frame_cb)(void *arg, const char *frame, size_t n);
struct bus_sub;
/* Listening side: takes every topic. */
struct bus_sub *bus_sub_listen(
	uv_loop_t *loop, const char *url, bus_frame_cb cb, void *arg, struct err *e);
struct bus_sub *bus_sub_dial(uv_loop_t *loop, const char *url, const char *prefix, bus_frame_cb cb,
	void *arg, struct err *e);
/* Called once after each drained batch of frames (for group commit); may be NULL. */
void bus_sub_on_drained(struct bus_sub *s, void (*cb)(void *arg));
/* Within the frame's callback: ends the connection that the frame came by. */
void bus_sub_refuse(struct bus_sub *s);
void bus_sub_free(struct bus_sub *s);

/* --- subscribe, blocking (command line, webui's own thread) --- */
struct bus_feed;
struct bus_feed *bus_feed_dial(const char *url, const char *prefix, struct err *e);
/* Waits at most timeout_ms (-1: for ever). 1: a frame, owned by the feed until the
 * next call; 0: time is up; -1: closed or failed. */
int bus_feed_next(struct bus_feed *f, int timeout_ms, const char **frame, size_t *n, struct err *e);
void bus_feed_close(struct bus_feed *f); /* from any thread: wakes bus_feed_next */
void bus_feed_free(struct bus_feed *f);

/* --- answer: any number of requests may stay open (raw REP) --- */
struct bus_rep;
struct bus_request; /* one open request; ends with exactly one bus_reply or bus_request_drop */
typedef void (*bus_request_cb)(void *arg, struct bus_request *r, const char *data, size_t n);
struct bus_rep *bus_rep_listen(
	uv_loop_t *loop, const char *url, bus_request_cb cb, void *arg, struct err *e);
void bus_reply(struct bus_request *r, const void *data, size_t n); /* takes r */
/* Takes r. The connection it came by ends BUS_PARTING_MS later, when the answer has had
 * time to leave: for what was no request at all. */
#define BUS_PARTING_MS 100
void bus_reply_last(struct bus_request *r, const void *data, size_t n);
void bus_request_drop(struct bus_request *r); /* takes r; no answer */
void bus_rep_free(struct bus_rep *s);	      /* open requests must be ended before */

/* --- ask, in a loop; any number at once --- */
struct bus_req;
struct bus_ask; /* a question under way */
/* e == NULL on success; data is borrowed for the call. ERR_UNAVAILABLE: no answer in time. */
typedef void (*bus_answer_cb)(void *arg, const char *data, size_t n, const struct err *e);
struct bus_req *bus_req_dial(uv_loop_t *loop, const char *url, struct err *e);
/* The question is sent again by itself (every resend_ms, and when the connection
 * is lost) until an answer or timeout_ms: so it must be idempotent (JSON-RPC id). */
struct bus_ask *bus_req_ask(struct bus_req *q, const void *data, size_t n, int timeout_ms,
	int resend_ms, bus_answer_cb cb, void *arg);
void bus_ask_cancel(struct bus_ask *a); /* cb is not called any more */
void bus_req_free(struct bus_req *q);	/* cancels what is under way */

/* --- ask, blocking and thread-safe (command line, webui handlers) --- */
struct bus_asker;
struct bus_asker *bus_asker_dial(const char *url, struct err *e);
/* *answer: the caller frees it (NUL-terminated). ERR_UNAVAILABLE: nobody answered. */
int bus_asker_ask(struct bus_asker *a, const void *data, size_t n, int timeout_ms, char **answer,
	size_t *answer_len, struct err *e);
void bus_asker_free(struct bus_asker *a);

#endif
