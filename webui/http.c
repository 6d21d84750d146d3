#include "webui/http.h"

#include <arpa/inet.h>
#include <civetweb.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <time.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "webui/port.h"

#define EXTRA_HEADERS_MAX 2048
#define DISCARD_MS 2000
#define DISCARD_MAX (8 * 1024 * 1024)
#define DISCARD_STEP 2048 /* on the stack beneath every handler, of which civetweb gives 100 KB */
#define READ_STEP (64 * 1024)
#define DESCRIPTORS_MAX 8192 /* looked at to find a connection's own */

static const char security_headers[] =
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
	"connect-src 'self'; img-src 'self' data:; font-src 'self'; base-uri 'none'; "
	"form-action 'self'; frame-ancestors 'none'; require-trusted-types-for 'script'\r\n"
	"X-Content-Type-Options: nosniff\r\n"
	"X-Frame-Options: DENY\r\n"
	"Referrer-Policy: no-referrer\r\n"
	"Cross-Origin-Resource-Policy: same-origin\r\n"
	"Cross-Origin-Opener-Policy: same-origin\r\n";

struct http_server {
	struct mg_context *ctx;
	http_handler handler;
	void *arg;
	char last_message[256]; /* civetweb's reason when it does not start */
};

struct http_exchange {
	struct mg_connection *conn;
	const struct mg_request_info *info;
	char extra[EXTRA_HEADERS_MAX];
	size_t extra_len;
	char *body;
	bool body_done; /* nothing of the request is left unread */
	bool discard;	/* the rest of its body is to be read before closing */
	int status;
	int fd; /* -1: not looked for yet; -2: not found */
};

static const char *status_text(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 201:
		return "Created";
	case 204:
		return "No Content";
	case 303:
		return "See Other";
	case 304:
		return "Not Modified";
	case 400:
		return "Bad Request";
	case 401:
		return "Unauthorized";
	case 403:
		return "Forbidden";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 409:
		return "Conflict";
	case 413:
		return "Content Too Large";
	case 415:
		return "Unsupported Media Type";
	case 429:
		return "Too Many Requests";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	default:
		return "Status";
	}
}

static bool has_body(const struct mg_request_info *info)
{
	for (int i = 0; i < info->num_headers; i++) {
		const char *name = info->http_headers[i].name;

		if (!strcasecmp(name, "Transfer-Encoding") ||
			(!strcasecmp(name, "Content-Length") &&
				strcmp(info->http_headers[i].value, "0") != 0))
			return true;
	}
	return false;
}

static int refuse(struct mg_connection *conn, int status)
{
	struct http_exchange x = {
		.conn = conn, .info = mg_get_request_info(conn), .body_done = false, .fd = -1};
	char body[160];

	int n = snprintf(body, sizeof body,
		"{\"error\":{\"kind\":\"%s\",\"message\":\"the request was refused: %s\"}}",
		status >= 500 ? "internal" : "protocol", status_text(status));
	http_reply(&x, status, "application/json", body, (size_t)n);
	return status;
}

/* A request that civetweb itself refuses (no HTTP, headers too long, too slow). */
static int on_http_error(struct mg_connection *conn, int status, const char *message)
{
	(void)message;
	refuse(conn, status);
	return 0;
}

/* Closing with bytes unread would reset the connection, and the answer that says why
 * could be lost with it: what is left of a body too large is read and thrown away. */
static void discard_body(struct mg_connection *conn)
{
	int64_t end = clock_now_ms() + DISCARD_MS;
	size_t left = DISCARD_MAX;
	char step[DISCARD_STEP];
	int got;

	do {
		got = mg_read(conn, step, sizeof step);
		left -= got > 0 ? (size_t)got : 0;
	} while (got > 0 && left > sizeof step && clock_now_ms() < end);
}

static int on_request(struct mg_connection *conn)
{
	const struct mg_request_info *info = mg_get_request_info(conn);
	struct http_server *s = info->user_data;
	struct http_exchange x = {
		.conn = conn, .info = info, .body_done = !has_body(info), .fd = -1};

	/* civetweb leaves out what does not fit: an Origin could be among it. */
	if (info->num_headers >= MG_MAX_HEADERS)
		return refuse(conn, 431);
	s->handler(s->arg, &x);
	if (x.discard)
		discard_body(conn);
	free(x.body);
	return x.status ? x.status : 500;
}

static int on_log_message(const struct mg_connection *conn, const char *message)
{
	const struct mg_context *ctx = conn ? mg_get_context(conn) : NULL;
	struct http_server *s = ctx ? mg_get_user_data(ctx) : NULL;

	if (s)
		snprintf(s->last_message, sizeof s->last_message, "%s", message);
	log_debug("http: %s", message);
	return 1;
}

struct http_server *http_start(
	const char *address, int port, http_handler handler, void *arg, struct err *e)
{
	char ports[64], threads[16], timeout[16], keep_alive[16];
	const char *const options[] = {"listening_ports", ports, "num_threads", threads,
		"request_timeout_ms", timeout, "keep_alive_timeout_ms", keep_alive,
		"enable_keep_alive", "yes", "tcp_nodelay", "1", "decode_url", "no",
		"enable_directory_listing", "no", "enable_auth_domain_check", "no",
		"access_control_allow_origin", "", "access_control_allow_methods", "",
		"access_control_allow_headers", "", "max_request_size", "16384", "listen_backlog",
		"200", "connection_queue", "64", NULL};
	struct mg_callbacks callbacks = {.begin_request = on_request,
		.http_error = on_http_error,
		.log_message = on_log_message};

	if (port_check(address, port, e) < 0)
		return NULL;
	snprintf(ports, sizeof ports, "%s:%d", address, port);
	snprintf(threads, sizeof threads, "%d", HTTP_THREADS);
	snprintf(timeout, sizeof timeout, "%d", HTTP_REQUEST_TIMEOUT_MS);
	snprintf(keep_alive, sizeof keep_alive, "%d", HTTP_KEEP_ALIVE_MS);
	struct http_server *s = calloc(1, sizeof *s);
	if (!s)
		err_out_of_memory();
	s->handler = handler;
	s->arg = arg;
	mg_init_library(MG_FEATURES_DEFAULT);
	s->ctx = mg_start(&callbacks, s, (const char **)(uintptr_t)options);
	if (!s->ctx) {
		err_set(e, ERR_SYS, "listen on %s: %s", ports,
			s->last_message[0] ? s->last_message : "the HTTP server did not start");
		free(s);
		return NULL;
	}
	return s;
}

void http_stop(struct http_server *s)
{
	if (!s)
		return;
	mg_stop(s->ctx);
	mg_exit_library();
	free(s);
}

const char *http_method(const struct http_exchange *x)
{
	return x->info->request_method;
}

const char *http_path(const struct http_exchange *x)
{
	return x->info->local_uri_raw ? x->info->local_uri_raw : "";
}

const char *http_query(const struct http_exchange *x)
{
	return x->info->query_string;
}

const char *http_header(const struct http_exchange *x, const char *name)
{
	for (int i = 0; i < x->info->num_headers; i++) {
		if (!strcasecmp(x->info->http_headers[i].name, name))
			return x->info->http_headers[i].value;
	}
	return NULL;
}

int http_header_count(const struct http_exchange *x, const char *name)
{
	int n = 0;

	for (int i = 0; i < x->info->num_headers; i++)
		n += !strcasecmp(x->info->http_headers[i].name, name);
	return n;
}

/* RFC 9112 6.3: a request whose length can be read in two ways is refused. */
static int check_framing(struct http_exchange *x, struct err *e)
{
	const char *coding = http_header(x, "Transfer-Encoding");
	int lengths = http_header_count(x, "Content-Length");

	if (lengths > 1 || (lengths && coding) || http_header_count(x, "Transfer-Encoding") > 1)
		return err_set(e, ERR_PROTOCOL, "the length of the body is told twice");
	if (coding && strcasecmp(coding, "chunked") != 0)
		return err_set(e, ERR_PROTOCOL, "Transfer-Encoding: only chunked is understood");
	if (lengths && x->info->content_length < 0)
		return err_set(e, ERR_PROTOCOL, "Content-Length: not a number");
	if (x->info->content_length > HTTP_BODY_MAX)
		return err_set(e, ERR_LIMIT, "the body is larger than %d bytes", HTTP_BODY_MAX);
	return 0;
}

int http_body(struct http_exchange *x, const char **text, size_t *n, struct err *e)
{
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
	const char *expect = http_header(x, "Expect");
	int64_t end = clock_now_ms() + HTTP_REQUEST_TIMEOUT_MS;
	size_t cap = 0, len = 0;

	if (check_framing(x, e) < 0) {
		x->discard = e->kind == ERR_LIMIT && !expect;
		return -1;
	}
	if (!x->body_done && expect && !strcasecmp(expect, "100-continue"))
		mg_write(x->conn, go_on, sizeof go_on - 1);
	while (!x->body_done) {
		if (cap - len < 2) {
			cap = cap ? cap * 2 : READ_STEP;
			x->body = realloc(x->body, cap);
			if (!x->body)
				err_out_of_memory();
		}
		int got = mg_read(x->conn, x->body + len, cap - len - 1);
		if (got < 0 || (got == 0 && x->info->content_length > (long long)len))
			return err_set(e, ERR_PROTOCOL, "the body ended before its end");
		if (clock_now_ms() > end)
			return err_set(e, ERR_UNAVAILABLE, "the body came too slowly");
		len += (size_t)got;
		if (len > HTTP_BODY_MAX) {
			x->discard = true;
			return err_set(
				e, ERR_LIMIT, "the body is larger than %d bytes", HTTP_BODY_MAX);
		}
		x->body_done = got == 0 || x->info->content_length == (long long)len;
	}
	if (x->body)
		x->body[len] = '\0';
	*text = x->body ? x->body : "";
	*n = len;
	return 0;
}

void http_add_header(struct http_exchange *x, const char *fmt, ...)
{
	va_list ap;
	size_t left = sizeof x->extra - x->extra_len;

	va_start(ap, fmt);
	int n = vsnprintf(x->extra + x->extra_len, left, fmt, ap);
	va_end(ap);
	if (n < 0 || (size_t)n + 3 > left) {
		x->extra[x->extra_len] = '\0';
		log_error("http: an answer's headers are too long; one was left out");
		return;
	}
	x->extra_len += (size_t)n;
	memcpy(x->extra + x->extra_len, "\r\n", 3);
	x->extra_len += 2;
}

static int write_head(struct http_exchange *x, int status, const char *type, const char *length)
{
	char head[EXTRA_HEADERS_MAX + sizeof security_headers + 512], date[64];
	time_t now = time(NULL);
	struct tm tm;

	x->status = status;
	strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime_r(&now, &tm));
	/* What is left of an unread body would be taken for the next request, and
	 * civetweb closes after a 401 in any case. */
	bool close = !length || !x->body_done || status == 401;
	if (close)
		mg_disable_connection_keep_alive(x->conn);
	if (status == 204)
		length = NULL; /* RFC 9110 8.6 */
	int n = snprintf(head, sizeof head, "HTTP/1.1 %d %s\r\nDate: %s\r\n%s%s%s%s%s%s%s%s%s\r\n",
		status, status_text(status), date, type ? "Content-Type: " : "", type ? type : "",
		type ? "\r\n" : "", length ? "Content-Length: " : "", length ? length : "",
		length ? "\r\n" : "", close ? "Connection: close\r\n" : "", security_headers,
		x->extra);
	return mg_write(x->conn, head, (size_t)n) == n ? 0 : -1;
}

void http_reply(struct http_exchange *x, int status, const char *type, const void *body, size_t n)
{
	char length[24];
	bool bodyless = status == 204 || status == 304;

	snprintf(length, sizeof length, "%zu", n);
	if (write_head(x, status, n ? type : NULL, length) < 0 || bodyless)
		return;
	if (x->info && x->info->request_method && !strcmp(x->info->request_method, "HEAD"))
		return;
	for (size_t done = 0; done < n;) {
		size_t step = n - done < READ_STEP ? n - done : READ_STEP;
		int w = mg_write(x->conn, (const char *)body + done, step);

		if (w <= 0)
			return;
		done += (size_t)w;
	}
}

int http_stream_begin(struct http_exchange *x, const char *type)
{
	return write_head(x, 200, type, NULL);
}

int http_stream_write(struct http_exchange *x, const void *data, size_t n)
{
	return mg_write(x->conn, data, n) == (int)n ? 0 : -1;
}

/* civetweb does not tell a connection's descriptor: it is the one whose peer has
 * this port. It stays ours while the handler runs. */
static int find_descriptor(const struct mg_request_info *info)
{
	for (int fd = 3; fd < DESCRIPTORS_MAX; fd++) {
		struct sockaddr_storage a = {0};
		socklen_t n = sizeof a;
		char text[INET6_ADDRSTRLEN] = "";
		int port = 0;

		if (getpeername(fd, (struct sockaddr *)&a, &n) < 0)
			continue;
		if (a.ss_family == AF_INET) {
			const struct sockaddr_in *v4 = (const struct sockaddr_in *)&a;

			port = ntohs(v4->sin_port);
			inet_ntop(AF_INET, &v4->sin_addr, text, sizeof text);
		} else if (a.ss_family == AF_INET6) {
			const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&a;

			port = ntohs(v6->sin6_port);
			inet_ntop(AF_INET6, &v6->sin6_addr, text, sizeof text);
		}
		if (port == info->remote_port && !strcmp(text, info->remote_addr))
			return fd;
	}
	return -2;
}

bool http_peer_gone(struct http_exchange *x)
{
	if (x->fd == -1)
		x->fd = find_descriptor(x->info);
	if (x->fd < 0)
		return false;
	struct pollfd p = {.fd = x->fd, .events = POLLRDHUP};
	return poll(&p, 1, 0) > 0 && (p.revents & (POLLRDHUP | POLLHUP | POLLERR));
}
