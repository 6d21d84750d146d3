/* The only home of libcurl: requests in the loop (multi interface, uv_poll), kept
 * connections, HTTPS verified, http only to loopback or when the user's own base URL
 * says so. Secrets in headers are never logged. */
#ifndef WORKER_HTTP_H
#define WORKER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "shared/err.h"

struct http;	  /* one per process */
struct http_call; /* one request under way */

struct http_request {
	const char *method; /* "GET", "POST", … */
	const char *url;
	const char *const *headers; /* NULL-ended "Name: value" */
	const char *body;	    /* copied; NULL: none */
	size_t body_len;
	int64_t timeout_ms;	   /* whole request */
	size_t max_response_bytes; /* past it: ERR_LIMIT */
};

struct http_response {
	int status;
	const char *body; /* NUL-terminated, borrowed */
	size_t body_len;
	int64_t retry_after_ms;	    /* from Retry-After (seconds or date); -1 if none */
	int64_t rate_remaining;	    /* x-ratelimit-remaining; -1 if none */
	int64_t rate_reset_wall_ms; /* x-ratelimit-reset; -1 if none */
	const char *scopes;	    /* x-oauth-scopes; NULL if none */
};

/* Exactly one of response and e is set. ERR_UNAVAILABLE: connect, TLS, timeout. */
typedef void (*http_cb)(void *arg, const struct http_response *response, const struct err *e);

struct http *http_new(uv_loop_t *loop, struct err *e);
void http_free(struct http *h); /* cancels what is under way without callbacks */
struct http_call *http_send(struct http *h, const struct http_request *r, http_cb cb, void *arg,
	struct err *e);
void http_cancel(struct http_call *c); /* no callback */

#endif
