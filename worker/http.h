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
	bool once; /* on a connection of its own: libcurl repeats a request by itself when
		      a kept connection turns out to be dead, whatever it may have done */
};

struct http_response {
	int status;
	const char *body; /* NUL-terminated, borrowed */
	size_t body_len;
	int64_t retry_after_ms;	  /* from Retry-After (seconds or date); -1 if none */
	int64_t rate_remaining;	  /* x-ratelimit-remaining; -1 if none */
	int64_t rate_reset_in_ms; /* x-ratelimit-reset, from the server's own now; -1 if none */
	const char *scopes;	  /* x-oauth-scopes; NULL if none */
};

/* Exactly one of response and e is set. ERR_UNAVAILABLE: connect, timeout;
 * ERR_DENIED: a TLS certificate that is not trusted; ERR_LIMIT: longer than allowed. */
typedef void (*http_cb)(void *arg, const struct http_response *response, const struct err *e);

struct http *http_new(uv_loop_t *loop, struct err *e);
/* Cancels what is under way without callbacks. Its handles close in the next turn of
 * the loop, which must still be run. NULL is accepted. */
void http_free(struct http *h);
/* e: ERR_INVALID (URL, header), ERR_LIMIT (64 under way). The callback never runs
 * before this returns. Only GET follows redirects, at most 3, never from https to http. */
struct http_call *http_send(
	struct http *h, const struct http_request *r, http_cb cb, void *arg, struct err *e);
/* No callback; NULL is accepted. Not to be called once the callback has run. */
void http_cancel(struct http_call *c);

/* Pure: milliseconds that a Retry-After value (seconds or HTTP date, RFC 9110 10.2.3)
 * asks to wait, at most a day; -1 if it is neither. wall_ms: now. */
int64_t http_retry_after(const char *value, int64_t wall_ms);

#endif
