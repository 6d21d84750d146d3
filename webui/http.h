/* The only home of civetweb: one HTTP/1.1 server that hands every request to one
 * handler. civetweb serves no file, no CORS and no redirect of its own: the handler
 * runs before all that, in one of HTTP_THREADS threads. */
#ifndef WEBUI_HTTP_H
#define WEBUI_HTTP_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/err.h"

#define HTTP_THREADS 800 /* one per connection: slow ones must not hold them all */
#define HTTP_BODY_MAX (1024 * 1024)
#define HTTP_REQUEST_TIMEOUT_MS 10000 /* to send a request, or to take our answer */
#define HTTP_KEEP_ALIVE_MS 5000	      /* an idle connection holds a thread */

struct http_server;
struct http_exchange; /* one request and its answer; lives as long as the handler runs */

/* Must answer, with one http_reply() or http_stream_begin(). */
typedef void (*http_handler)(void *arg, struct http_exchange *x);

/* Listens at once. address: IPv4 ("127.0.0.1"); Debian's civetweb has no IPv6.
 * ERR_CONFLICT: the port is taken (says by whom, if it can). ERR_SYS. */
struct http_server *http_start(
	const char *address, int port, http_handler handler, void *arg, struct err *e);
/* Waits until every handler has returned. */
void http_stop(struct http_server *s);

const char *http_method(const struct http_exchange *x);
const char *http_path(const struct http_exchange *x);			  /* as sent: not decoded */
const char *http_query(const struct http_exchange *x);			  /* NULL if none */
const char *http_header(const struct http_exchange *x, const char *name); /* first; or NULL */
int http_header_count(const struct http_exchange *x, const char *name);

/* The whole body, NUL-terminated, owned by x. Broken framing: ERR_PROTOCOL; more
 * than HTTP_BODY_MAX: ERR_LIMIT; slower than the timeout: ERR_UNAVAILABLE. */
int http_body(struct http_exchange *x, const char **text, size_t *n, struct err *e);

/* One more header line of the answer to come ("Name: value", no line end).
 * At most 2 KiB in all. */
void http_add_header(struct http_exchange *x, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The answer. type may be NULL when n is 0. */
void http_reply(struct http_exchange *x, int status, const char *type, const void *body, size_t n);

/* An answer without an end: the connection closes with it. 0, or -1 if the peer is gone. */
int http_stream_begin(struct http_exchange *x, const char *type);
int http_stream_write(struct http_exchange *x, const void *data, size_t n);
/* True if the peer has closed its side. Does not wait. */
bool http_peer_gone(struct http_exchange *x);

#endif
