/* The only home of libcurl. One multi handle in the loop: curl tells which sockets
 * and which timeout it wants watched, uv_poll and uv_timer watch them. Nothing of
 * a request (headers, body, query) reaches a log or an error text; only its host. */
#include "worker/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/clock.h"

#define HTTP_MAX_CALLS 64
#define HTTP_MAX_HEADERS 32
#define HTTP_CONNECT_MS 15000
#define HTTP_IDLE_CONNECTIONS 8
#define HTTP_MAX_REDIRECTS 3
#define HTTP_RETRY_AFTER_MAX_MS (24LL * 3600 * 1000)

struct http_call {
	struct http *http;
	struct http_call *prev, *next;
	CURL *easy;
	struct curl_slist *headers;
	char *request_body;
	struct buf response;
	char host[300]; /* for error texts */
	int64_t timeout_ms;
	http_cb cb;
	void *arg;
	char why[CURL_ERROR_SIZE];
};

struct socket_watch {
	uv_poll_t poll;
	struct http *http;
	curl_socket_t fd;
};

struct http {
	uv_loop_t *loop;
	CURLM *multi;
	uv_timer_t timer;
	struct http_call *calls;
	int call_count;
	int open_handles; /* uv handles whose close callback is still to come */
	int busy;	  /* inside curl or a callback: destruction waits */
	bool closing;
};

static void handle_closed(struct http *h)
{
	if (--h->open_handles == 0)
		free(h);
}

static void watch_closed(uv_handle_t *handle)
{
	struct socket_watch *w = handle->data;
	struct http *h = w->http;

	free(w);
	handle_closed(h);
}

static void timer_closed(uv_handle_t *handle)
{
	handle_closed(handle->data);
}

static void call_free(struct http_call *c)
{
	if (c->easy) {
		curl_multi_remove_handle(c->http->multi, c->easy);
		curl_easy_cleanup(c->easy);
	}
	if (c->next)
		c->next->prev = c->prev;
	if (c->prev)
		c->prev->next = c->next;
	else
		c->http->calls = c->next;
	c->http->call_count--;
	curl_slist_free_all(c->headers);
	free(c->request_body);
	buf_clear(&c->response);
	free(c);
}

static void destroy(struct http *h)
{
	for (struct http_call *next, *c = h->calls; c; c = next) {
		next = c->next;
		call_free(c);
	}
	curl_multi_cleanup(h->multi);
	h->multi = NULL;
	uv_timer_stop(&h->timer);
	uv_close((uv_handle_t *)&h->timer, timer_closed);
}

static int64_t number_header(CURL *easy, const char *name)
{
	struct curl_header *found;
	char *end;
	long long v;

	if (curl_easy_header(easy, name, 0, CURLH_HEADER, -1, &found) != CURLHE_OK)
		return -1;
	if (!isdigit((unsigned char)found->value[0]))
		return -1;
	v = strtoll(found->value, &end, 10);
	return *end == '\0' && v < (1LL << 50) ? v : -1;
}

int64_t http_retry_after(const char *value, int64_t wall_ms)
{
	char *end;
	double seconds = strtod(value, &end);
	int64_t ms;

	while (*end == ' ')
		end++;
	if (end != value && *end == '\0' && isdigit((unsigned char)value[0])) {
		ms = isfinite(seconds) && seconds < (double)HTTP_RETRY_AFTER_MAX_MS
			     ? (int64_t)(seconds * 1000.0)
			     : HTTP_RETRY_AFTER_MAX_MS;
	} else {
		time_t at = curl_getdate(value, NULL);

		if (at < 0)
			return -1;
		ms = (int64_t)at * 1000 - wall_ms;
	}
	if (ms < 0)
		ms = 0;
	return ms < HTTP_RETRY_AFTER_MAX_MS ? ms : HTTP_RETRY_AFTER_MAX_MS;
}

/* What the server takes for now: its points in time are meant by its clock, not ours. */
static int64_t server_now_ms(CURL *easy)
{
	struct curl_header *found;
	time_t at = -1;

	if (curl_easy_header(easy, "date", 0, CURLH_HEADER, -1, &found) == CURLHE_OK)
		at = curl_getdate(found->value, NULL);
	return at < 0 ? clock_wall_ms() : (int64_t)at * 1000;
}

static int64_t retry_after(CURL *easy)
{
	/* Asked first: the next header that is asked for takes the place of the one before. */
	int64_t now_ms = server_now_ms(easy), ms = number_header(easy, "retry-after-ms");
	struct curl_header *found;

	if (ms >= 0)
		return ms < HTTP_RETRY_AFTER_MAX_MS ? ms : HTTP_RETRY_AFTER_MAX_MS;
	if (curl_easy_header(easy, "retry-after", 0, CURLH_HEADER, -1, &found) != CURLHE_OK)
		return -1;
	return http_retry_after(found->value, now_ms);
}

static void fill_failure(const struct http_call *c, CURLcode code, struct err *e)
{
	const char *why = c->why[0] ? c->why : curl_easy_strerror(code);

	switch ((int)code) {
	case CURLE_OPERATION_TIMEDOUT:
		err_set(e, ERR_UNAVAILABLE, "%s: no answer within %lld s", c->host,
			(long long)(c->timeout_ms + 999) / 1000);
		break;
	case CURLE_COULDNT_RESOLVE_HOST:
	case CURLE_COULDNT_RESOLVE_PROXY:
		err_set(e, ERR_UNAVAILABLE, "%s: the name cannot be resolved", c->host);
		break;
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		err_set(e, ERR_DENIED,
			"%s: its TLS certificate is not trusted (%s); SSL_CERT_FILE names another "
			"list of authorities",
			c->host, why);
		break;
	case CURLE_TOO_MANY_REDIRECTS:
		err_set(e, ERR_PROTOCOL, "%s: it redirects more than %d times", c->host,
			HTTP_MAX_REDIRECTS);
		break;
	case CURLE_UNSUPPORTED_PROTOCOL:
	case CURLE_URL_MALFORMAT:
		err_set(e, ERR_INVALID, "%s: %s", c->host, why);
		break;
	default:
		err_set(e, ERR_UNAVAILABLE, "%s: %s", c->host, why);
	}
}

/* Tells the caller how its request ended; frees the call first, so that the
 * callback may send again or cancel others. */
static void finish(struct http_call *c, CURLcode code)
{
	struct http_response r = {.rate_remaining = -1};
	struct curl_header *scopes;
	_cleanup_free_ char *body = NULL;
	_cleanup_free_ char *scope_text = NULL;
	http_cb cb = c->cb;
	void *arg = c->arg;
	struct err e = {0};
	long status = 0;

	if (c->response.overflow)
		err_set(&e, ERR_LIMIT, "%s: the answer is longer than %zu bytes", c->host,
			c->response.max);
	else if (code != CURLE_OK)
		fill_failure(c, code, &e);
	if (e.kind == ERR_NONE) {
		int64_t reset = number_header(c->easy, "x-ratelimit-reset");

		curl_easy_getinfo(c->easy, CURLINFO_RESPONSE_CODE, &status);
		r.status = (int)status;
		r.retry_after_ms = retry_after(c->easy);
		r.rate_remaining = number_header(c->easy, "x-ratelimit-remaining");
		r.rate_reset_in_ms = reset < 0 ? -1 : reset * 1000 - server_now_ms(c->easy);
		if (reset >= 0 && r.rate_reset_in_ms < 0)
			r.rate_reset_in_ms = 0;
		if (curl_easy_header(c->easy, "x-oauth-scopes", 0, CURLH_HEADER, -1, &scopes) ==
			CURLHE_OK)
			scope_text = strdup(scopes->value);
		r.scopes = scope_text;
		body = buf_take(&c->response, &r.body_len);
		r.body = body;
	}
	call_free(c);
	if (e.kind == ERR_NONE)
		cb(arg, &r, NULL);
	else
		cb(arg, NULL, &e);
}

static void drain(struct http *h)
{
	CURLMsg *m;
	int left;

	while (!h->closing && (m = curl_multi_info_read(h->multi, &left))) {
		struct http_call *c = NULL;
		CURLcode code = m->data.result;

		if (m->msg != CURLMSG_DONE)
			continue;
		curl_easy_getinfo(m->easy_handle, CURLINFO_PRIVATE, (char **)&c);
		finish(c, code);
	}
}

static void act(struct http *h, curl_socket_t fd, int events)
{
	int running;

	h->busy++;
	curl_multi_socket_action(h->multi, fd, events, &running);
	drain(h);
	if (--h->busy == 0 && h->closing)
		destroy(h);
}

static void on_socket(uv_poll_t *poll, int status, int events)
{
	struct socket_watch *w = poll->data;
	int flags = 0;

	if (status < 0)
		flags = CURL_CSELECT_ERR;
	if (events & UV_READABLE)
		flags |= CURL_CSELECT_IN;
	if (events & UV_WRITABLE)
		flags |= CURL_CSELECT_OUT;
	act(w->http, w->fd, flags);
}

static void on_timer(uv_timer_t *timer)
{
	act(timer->data, CURL_SOCKET_TIMEOUT, 0);
}

static void watch_end(struct http *h, struct socket_watch *w, curl_socket_t fd)
{
	curl_multi_assign(h->multi, fd, NULL);
	uv_poll_stop(&w->poll);
	uv_close((uv_handle_t *)&w->poll, watch_closed);
}

static int watch_socket(CURL *easy, curl_socket_t fd, int what, void *arg, void *socket_arg)
{
	struct http *h = arg;
	struct socket_watch *w = socket_arg;
	int events = 0;

	(void)easy;
	if (what == CURL_POLL_REMOVE) {
		if (w)
			watch_end(h, w, fd);
		return 0;
	}
	if (!w) {
		w = calloc(1, sizeof *w);
		if (!w)
			err_out_of_memory();
		if (uv_poll_init(h->loop, &w->poll, fd) < 0) {
			free(w);
			return -1;
		}
		w->http = h;
		w->fd = fd;
		w->poll.data = w;
		h->open_handles++;
		curl_multi_assign(h->multi, fd, w);
	}
	if (what & CURL_POLL_IN)
		events |= UV_READABLE;
	if (what & CURL_POLL_OUT)
		events |= UV_WRITABLE;
	uv_poll_start(&w->poll, events, on_socket);
	return 0;
}

static int set_timer(CURLM *multi, long timeout_ms, void *arg)
{
	struct http *h = arg;

	(void)multi;
	if (timeout_ms < 0)
		uv_timer_stop(&h->timer);
	else
		uv_timer_start(&h->timer, on_timer, (uint64_t)timeout_ms, 0);
	return 0;
}

static size_t take_body(char *data, size_t size, size_t n, void *arg)
{
	struct http_call *c = arg;

	return buf_add(&c->response, data, size * n) ? n : 0;
}

struct http *http_new(uv_loop_t *loop, struct err *e)
{
	struct http *h;

	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) {
		err_set(e, ERR_SYS, "libcurl cannot be initialised");
		return NULL;
	}
	h = calloc(1, sizeof *h);
	if (!h)
		err_out_of_memory();
	h->loop = loop;
	h->multi = curl_multi_init();
	if (!h->multi)
		err_out_of_memory();
	uv_timer_init(loop, &h->timer);
	h->timer.data = h;
	h->open_handles = 1;
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETFUNCTION, watch_socket);
	curl_multi_setopt(h->multi, CURLMOPT_SOCKETDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERFUNCTION, set_timer);
	curl_multi_setopt(h->multi, CURLMOPT_TIMERDATA, h);
	curl_multi_setopt(h->multi, CURLMOPT_MAXCONNECTS, (long)HTTP_IDLE_CONNECTIONS);
	return h;
}

void http_free(struct http *h)
{
	if (!h)
		return;
	h->closing = true;
	if (h->busy == 0)
		destroy(h);
}

static bool loopback(const char *host)
{
	return strcasecmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0 ||
	       (strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host));
}

/* Splits off what error texts and decisions need; nothing but http and https passes. */
static int look_at_url(struct http_call *c, const char *url, bool *is_https, struct err *e)
{
	CURLU *u = curl_url();
	char *scheme = NULL, *host = NULL, *port = NULL;
	int rc = -1;

	if (!u)
		err_out_of_memory();
	if (curl_url_set(u, CURLUPART_URL, url, 0) != CURLUE_OK ||
		curl_url_get(u, CURLUPART_SCHEME, &scheme, 0) != CURLUE_OK ||
		curl_url_get(u, CURLUPART_HOST, &host, 0) != CURLUE_OK) {
		err_set(e, ERR_INVALID, "the address of a service is not a URL");
	} else if (strcmp(scheme, "https") != 0 && strcmp(scheme, "http") != 0) {
		err_set(e, ERR_INVALID, "%s: only http and https are spoken, not %s", host, scheme);
	} else {
		*is_https = strcmp(scheme, "https") == 0;
		if (curl_url_get(u, CURLUPART_PORT, &port, 0) == CURLUE_OK)
			snprintf(c->host, sizeof c->host, "%s:%s", host, port);
		else
			snprintf(c->host, sizeof c->host, "%s", host);
		/* A proxy for the outside world is of no use for this machine's own services. */
		if (loopback(host))
			curl_easy_setopt(c->easy, CURLOPT_NOPROXY, "*");
		rc = 0;
	}
	curl_free(scheme);
	curl_free(host);
	curl_free(port);
	curl_url_cleanup(u);
	return rc;
}

static int add_headers(struct http_call *c, const char *const *headers, struct err *e)
{
	struct curl_slist *list = curl_slist_append(NULL, "Expect:");

	for (size_t i = 0; list && headers && headers[i]; i++) {
		struct curl_slist *longer;
		bool bad = i >= HTTP_MAX_HEADERS;

		for (const char *p = headers[i]; *p && !bad; p++)
			bad = (unsigned char)*p < 0x20 || *p == 0x7f;
		if (bad) {
			curl_slist_free_all(list);
			return err_set(e, ERR_INVALID,
				"%s: the header %.*s cannot be sent (a key with a line break or a "
				"control character in it?)",
				c->host, (int)strcspn(headers[i], ":"), headers[i]);
		}
		longer = curl_slist_append(list, headers[i]);
		if (!longer)
			err_out_of_memory();
		list = longer;
	}
	c->headers = list;
	curl_easy_setopt(c->easy, CURLOPT_HTTPHEADER, list);
	return 0;
}

static void set_method(struct http_call *c, const struct http_request *r, bool is_https)
{
	bool plain = strcmp(r->method, "GET") == 0 && !r->body;

	if (plain) {
		curl_easy_setopt(c->easy, CURLOPT_HTTPGET, 1L);
		curl_easy_setopt(c->easy, CURLOPT_FOLLOWLOCATION, 1L);
		curl_easy_setopt(c->easy, CURLOPT_MAXREDIRS, (long)HTTP_MAX_REDIRECTS);
		curl_easy_setopt(
			c->easy, CURLOPT_REDIR_PROTOCOLS_STR, is_https ? "https" : "http,https");
		return;
	}
	c->request_body = malloc(r->body_len + 1);
	if (!c->request_body)
		err_out_of_memory();
	if (r->body_len)
		memcpy(c->request_body, r->body, r->body_len);
	c->request_body[r->body_len] = '\0';
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)r->body_len);
	curl_easy_setopt(c->easy, CURLOPT_POSTFIELDS, c->request_body);
	curl_easy_setopt(c->easy, CURLOPT_CUSTOMREQUEST, r->method);
}

static void set_common(struct http_call *c, const struct http_request *r)
{
	const char *ca_file = getenv("SSL_CERT_FILE");
	const char *ca_dir = getenv("SSL_CERT_DIR");
	CURL *easy = c->easy;

	curl_easy_setopt(easy, CURLOPT_PRIVATE, c);
	curl_easy_setopt(easy, CURLOPT_ERRORBUFFER, c->why);
	curl_easy_setopt(easy, CURLOPT_URL, r->url);
	curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYPEER, 1L);
	curl_easy_setopt(easy, CURLOPT_SSL_VERIFYHOST, 2L);
	if (ca_file && *ca_file)
		curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file);
	if (ca_dir && *ca_dir)
		curl_easy_setopt(easy, CURLOPT_CAPATH, ca_dir);
	curl_easy_setopt(easy, CURLOPT_HTTP_VERSION, CURL_HTTP_VERSION_2TLS);
	curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
	curl_easy_setopt(easy, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(easy, CURLOPT_USERAGENT, "100x-orchestrator/" VERSION_STRING);
	curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, take_body);
	curl_easy_setopt(easy, CURLOPT_WRITEDATA, c);
	if (r->once)
		curl_easy_setopt(easy, CURLOPT_FRESH_CONNECT, 1L);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)r->timeout_ms);
	curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
		(long)(r->timeout_ms < HTTP_CONNECT_MS ? r->timeout_ms : HTTP_CONNECT_MS));
}

struct http_call *http_send(
	struct http *h, const struct http_request *r, http_cb cb, void *arg, struct err *e)
{
	struct http_call *c;
	bool is_https = false;

	if (h->call_count >= HTTP_MAX_CALLS) {
		err_set(e, ERR_LIMIT, "%d requests are under way already", HTTP_MAX_CALLS);
		return NULL;
	}
	c = calloc(1, sizeof *c);
	if (!c || !(c->easy = curl_easy_init()))
		err_out_of_memory();
	c->http = h;
	c->cb = cb;
	c->arg = arg;
	c->timeout_ms = r->timeout_ms;
	buf_init(&c->response, r->max_response_bytes);
	h->call_count++;
	c->next = h->calls;
	if (c->next)
		c->next->prev = c;
	h->calls = c;
	set_common(c, r);
	if (look_at_url(c, r->url, &is_https, e) < 0 || add_headers(c, r->headers, e) < 0) {
		call_free(c);
		return NULL;
	}
	set_method(c, r, is_https);
	if (curl_multi_add_handle(h->multi, c->easy) != CURLM_OK) {
		call_free(c);
		err_set(e, ERR_INTERNAL, "a request cannot be started");
		return NULL;
	}
	return c;
}

void http_cancel(struct http_call *c)
{
	if (c)
		call_free(c);
}
