#include "webui/site.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "shared/clock.h"
#include "shared/json.h"
#include "webui/reply.h"

#define COUNT(fields) (sizeof(fields) / sizeof *(fields))

struct visitor {
	struct site *site;
	char session[AUTH_TOKEN_BYTES]; /* "": signed in by the token itself */
};

static bool is_api(const char *path)
{
	return !strcmp(path, "/api") || !strncmp(path, "/api/", 5);
}

static bool is_get(const struct http_exchange *x)
{
	return !strcmp(http_method(x), "GET") || !strcmp(http_method(x), "HEAD");
}

static int check_guard(const struct site *s, const struct http_exchange *x, struct err *e)
{
	struct guard_request r = {.method = http_method(x),
		.host = http_header(x, "Host"),
		.host_count = http_header_count(x, "Host"),
		.origin = http_header(x, "Origin"),
		.fetch_site = http_header(x, "Sec-Fetch-Site"),
		.fetch_mode = http_header(x, "Sec-Fetch-Mode"),
		.fetch_dest = http_header(x, "Sec-Fetch-Dest"),
		.api = is_api(http_path(x))};

	return guard_check(&s->guard, &r, e);
}

static bool read_cookie(const struct site *s, const struct http_exchange *x, char *session)
{
	return auth_cookie(http_header(x, "Cookie"), s->cookie, session, AUTH_TOKEN_BYTES) &&
	       auth_session_valid(s->auth, session, clock_wall_ms());
}

/* Asked again by an event stream, so that signing out ends it. */
static bool still_allowed(void *arg)
{
	struct visitor *v = arg;

	return !v->session[0] || auth_session_valid(v->site->auth, v->session, clock_wall_ms());
}

static void add_retry(struct http_exchange *x, int64_t retry_ms)
{
	http_add_header(x, "Retry-After: %lld", (long long)(retry_ms + 999) / 1000);
}

/* Who asks: by cookie, or by "Authorization: Bearer". On failure the answer is given. */
static int identify(struct site *s, struct http_exchange *x, struct visitor *v)
{
	const char *header = http_header(x, "Authorization");
	int64_t retry_ms;
	struct err e;

	*v = (struct visitor){.site = s};
	if (header && !strncasecmp(header, "Bearer ", 7)) {
		if (auth_check_token(s->auth, header + 7, clock_now_ms(), &retry_ms, &e) == 0)
			return 0;
		if (e.kind == ERR_LIMIT)
			add_retry(x, retry_ms);
		reply_error(x, e.kind == ERR_LIMIT ? 429 : 401, &e);
		return -1;
	}
	if (read_cookie(s, x, v->session))
		return 0;
	http_add_header(x, "WWW-Authenticate: Bearer");
	err_set(&e, ERR_DENIED,
		"sign in first: open the URL that `100x up` prints, or send its token as "
		"\"Authorization: Bearer\"");
	reply_error(x, 401, &e);
	return -1;
}

/* Opens a new session, whatever the browser had before. */
static int open_session(struct site *s, struct http_exchange *x, struct err *e)
{
	char id[AUTH_TOKEN_BYTES];

	if (auth_open_session(s->auth, clock_wall_ms(), id, e) < 0)
		return -1;
	http_add_header(x, "Set-Cookie: %s=%s; Path=/; Max-Age=%lld; HttpOnly; SameSite=Strict%s",
		s->cookie, id, AUTH_SESSION_MS / 1000, s->guard.behind_proxy ? "; Secure" : "");
	return 0;
}

static void reply_session(struct http_exchange *x, bool signed_in)
{
	cJSON *body = cJSON_CreateObject();

	cJSON_AddBoolToObject(body, "signed_in", signed_in);
	reply_json(x, 200, body);
}

static void sign_in(struct site *s, struct http_exchange *x)
{
	static const struct json_field fields[] = {{"token", JSON_STRING, true, 1, 256}};
	int64_t retry_ms = 0;
	struct err e;
	cJSON *body;

	if (api_body(x, fields, COUNT(fields), &body) < 0)
		return;
	if (auth_check_token(s->auth, json_str(body, "token", ""), clock_now_ms(), &retry_ms, &e) <
		0) {
		if (e.kind == ERR_LIMIT)
			add_retry(x, retry_ms);
		reply_error(x, e.kind == ERR_LIMIT ? 429 : 401, &e);
	} else if (open_session(s, x, &e) < 0) {
		reply_failure(x, &e);
	} else {
		reply_session(x, true);
	}
	cJSON_Delete(body);
}

static void sign_out(struct site *s, struct http_exchange *x)
{
	char session[AUTH_TOKEN_BYTES];

	if (read_cookie(s, x, session))
		auth_close_session(s->auth, session);
	http_add_header(
		x, "Set-Cookie: %s=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict", s->cookie);
	reply_session(x, false);
}

static void handle_api(struct site *s, struct http_exchange *x)
{
	char allow[ROUTE_ALLOW_MAX], session[AUTH_TOKEN_BYTES];
	struct visitor v;
	enum route route;
	struct err e;
	int64_t id;
	int status = route_find(http_method(x), http_path(x), &route, &id, allow);

	if (status != 200) {
		if (status == 405)
			http_add_header(x, "Allow: %s", allow);
		err_set(&e, ERR_NOT_FOUND, "%s",
			status == 405 ? "this path takes other methods only, see Allow"
				      : "there is no such path; /api/v1/openapi.json lists them");
		reply_error(x, status, &e);
	} else if (route == ROUTE_SESSION) {
		reply_session(x, read_cookie(s, x, session));
	} else if (route == ROUTE_SIGN_IN) {
		sign_in(s, x);
	} else if (route == ROUTE_SIGN_OUT) {
		sign_out(s, x);
	} else if (identify(s, x, &v) == 0) {
		api_handle(&s->api, x, route, id, still_allowed, &v);
	}
}

static void reply_plain(struct http_exchange *x, int status, const char *text)
{
	http_add_header(x, "Cache-Control: no-store");
	http_reply(x, status, "text/plain; charset=utf-8", text, strlen(text));
}

/* The URL that is printed at start: the token becomes a cookie and leaves the
 * address bar. */
static void follow_sign_in(struct site *s, struct http_exchange *x)
{
	int64_t retry_ms = 0;
	struct query q;
	struct err e;

	if (query_parse(http_query(x), "token", &q, &e) == 0 && query_get(&q, "token") &&
		auth_check_token(s->auth, query_get(&q, "token"), clock_now_ms(), &retry_ms, &e) ==
			0 &&
		open_session(s, x, &e) == 0) {
		http_add_header(x, "Location: /");
		http_add_header(x, "Cache-Control: no-store");
		http_reply(x, 303, NULL, NULL, 0);
		return;
	}
	if (retry_ms) {
		add_retry(x, retry_ms);
		reply_plain(x, 429, "Too many wrong tokens. Try again in a moment.\n");
		return;
	}
	reply_plain(x, 403,
		"This sign-in link is not valid any more.\n\n`100x up` prints the one that is.\n");
}

static bool accepts_gzip(const struct http_exchange *x)
{
	const char *accept = http_header(x, "Accept-Encoding");
	const char *at = accept ? strcasestr(accept, "gzip") : NULL;

	return at && strncmp(at + 4, ";q=0", 4) != 0;
}

static void reply_file(struct http_exchange *x, const struct file *file)
{
	const char *match = http_header(x, "If-None-Match");
	bool gzip = file->gzip && accepts_gzip(x);

	http_add_header(x, "Cache-Control: %s",
		file->immutable ? "public, max-age=31536000, immutable" : "no-cache");
	http_add_header(x, "ETag: %s", file->tag);
	if (file->gzip)
		http_add_header(x, "Vary: Accept-Encoding");
	if (match && strstr(match, file->tag)) {
		http_reply(x, 304, NULL, NULL, 0);
		return;
	}
	if (gzip)
		http_add_header(x, "Content-Encoding: gzip");
	http_reply(x, 200, file->type, gzip ? file->gzip : file->body,
		gzip ? file->gzip_size : file->size);
}

static void handle_page(struct site *s, struct http_exchange *x)
{
	const char *path = http_path(x);
	const struct file *file = files_find(s->files, path);

	if (!is_get(x)) {
		http_add_header(x, "Allow: GET");
		reply_plain(x, 405, "This path takes only GET.\n");
		return;
	}
	if (!strcmp(path, "/sign-in") && http_query(x)) {
		follow_sign_in(s, x);
		return;
	}
	if (!file && files_page_path(path)) {
		file = files_find(s->files, "/index.html");
		if (!file) {
			reply_plain(x, 503,
				"The page is not built: run `make web`, then start again.\n"
				"The REST interface is at /api/v1.\n");
			return;
		}
	}
	if (file)
		reply_file(x, file);
	else
		reply_plain(x, 404, "There is no such file.\n");
}

void site_handle(void *arg, struct http_exchange *x)
{
	struct site *s = arg;
	struct err e;

	if (check_guard(s, x, &e) < 0)
		reply_failure(x, &e);
	else if (is_api(http_path(x)))
		handle_api(s, x);
	else
		handle_page(s, x);
}
