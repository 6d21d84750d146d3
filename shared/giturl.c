/* Repository URLs, checked part by part. */
#include "shared/giturl.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/json.h"

/* What a URL is made of, before it is put together again. */
struct parts {
	char user[64];
	char host[256];
	char port[8];
	char path[GITURL_MAX]; /* without leading slash */
};

static int refuse(struct err *e, const char *why)
{
	return err_set(e, ERR_INVALID, "repository URL: %s", why);
}

static int copy(
	char *out, size_t cap, const char *text, size_t n, const char *too_long, struct err *e)
{
	if (n >= cap)
		return refuse(e, too_long);
	memcpy(out, text, n);
	out[n] = '\0';
	return 0;
}

static int check_characters(const char *text, size_t n, struct err *e)
{
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c <= ' ' || c == 0x7f)
			return refuse(e, "spaces and control characters are not taken");
		if (c == '\\')
			return refuse(e, "backslashes are not taken");
	}
	if (!utf8_valid(text, n))
		return refuse(e, "is not valid UTF-8");
	return 0;
}

/* Copies the path's parts with single slashes and none at the ends. */
static int read_path(const char *text, char *out, struct err *e)
{
	size_t used = 0;

	while (*text) {
		size_t n = strcspn(text, "/");

		if (n > 0 && !(n == 1 && text[0] == '.')) {
			if (text[0] == '-')
				return refuse(e, "a part that starts with \"-\" is not taken");
			if (n == 2 && text[0] == '.' && text[1] == '.')
				return refuse(e, "\"..\" is not taken");
			if (used + n + 2 > GITURL_MAX)
				return refuse(e, "is too long");
			if (used > 0)
				out[used++] = '/';
			memcpy(out + used, text, n);
			used += n;
		}
		text += n;
		if (*text == '/')
			text++;
	}
	out[used] = '\0';
	return used > 0 ? 0 : refuse(e, "the path of the repository is missing");
}

static int read_host(const char *text, size_t n, char *out, struct err *e)
{
	bool v6 = n > 2 && text[0] == '[' && text[n - 1] == ']';

	if (n == 0)
		return refuse(e, "the host is missing");
	if (copy(out, 256, text, n, "the host's name is too long", e) < 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		unsigned char c = (unsigned char)text[i];

		out[i] = (char)tolower(c);
		if (v6 && (i == 0 || i == n - 1 || c == ':' || c == '.' || isxdigit(c)))
			continue;
		if (v6 || !(isalnum(c) || c == '.' || c == '-' || c == '_') || c >= 0x80)
			return refuse(e, "the host's name has a character that has no place there");
	}
	if (out[0] == '-' || out[0] == '.')
		return refuse(e, "the host's name starts with \"-\" or \".\"");
	return 0;
}

static int read_port(const char *text, size_t n, char *out, struct err *e)
{
	static const char why[] = "the port must be a number from 1 to 65535";
	long port;

	if (n == 0 || n > 5 || strspn(text, "0123456789") < n)
		return refuse(e, why);
	port = strtol(text, NULL, 10);
	if (port < 1 || port > 65535)
		return refuse(e, why);
	snprintf(out, 8, "%ld", port);
	return 0;
}

/* user@host:port of a URL with a scheme. */
static int read_authority(
	const char *text, size_t n, bool user_allowed, struct parts *p, struct err *e)
{
	const char *at = memrchr(text, '@', n);
	const char *end = text + n;
	const char *colon;

	if (at && !user_allowed)
		return refuse(e,
			"a user name or password in it is not taken; put GITHUB_TOKEN into "
			"~/.env, or use ssh");
	if (at) {
		for (const char *c = text; c < at; c++)
			if (!isalnum((unsigned char)*c) && !(strchr("._-", *c) && c > text))
				return refuse(e, "the user name may hold only letters, digits, "
						 "\".\", \"_\" and \"-\", and no password");
		if (at == text)
			return refuse(e, "the user name is empty");
		if (copy(p->user, sizeof(p->user), text, (size_t)(at - text),
			    "the user name is too long", e) < 0)
			return -1;
		text = at + 1;
	}
	colon = memrchr(text, ':', (size_t)(end - text));
	if (colon && memchr(colon, ']', (size_t)(end - colon)))
		colon = NULL;
	if (colon && read_port(colon + 1, (size_t)(end - colon - 1), p->port, e) < 0)
		return -1;
	return read_host(text, (size_t)((colon ? colon : end) - text), p->host, e);
}

static bool loopback(const char *host)
{
	if (strcmp(host, "localhost") == 0 || strcmp(host, "[::1]") == 0)
		return true;
	/* 127.x.x.x in digits only: "127.0.0.1.example" is a name. */
	return strncmp(host, "127.", 4) == 0 && strspn(host, "0123456789.") == strlen(host);
}

static int split_name(struct giturl *u, struct err *e)
{
	const char *last = strrchr(u->path, '/');
	const char *first = strchr(u->path, '/');
	const char *name = last ? last + 1 : u->path;
	size_t n = strlen(name);

	if (n > 4 && strcmp(name + n - 4, ".git") == 0)
		n -= 4;
	if (copy(u->name, sizeof(u->name), name, n, "the repository's name is too long", e) < 0)
		return -1;
	if (u->scheme == GITURL_LOCAL || !first || first != last)
		return 0;
	return copy(u->owner, sizeof(u->owner), u->path, (size_t)(first - u->path),
		"the owner's name is too long", e);
}

static int compose(struct giturl *u, const struct parts *p, const char *scheme, struct err *e)
{
	int n = snprintf(u->text, sizeof(u->text), "%s://%s%s%s%s%s/%s", scheme, p->user,
		p->user[0] ? "@" : "", p->host, p->port[0] ? ":" : "", p->port, p->path);

	if (n < 0 || (size_t)n >= sizeof(u->text))
		return refuse(e, "is too long");
	memcpy(u->host, p->host, sizeof(u->host));
	memcpy(u->path, p->path, sizeof(u->path));
	return split_name(u, e);
}

static int parse_remote(
	const char *rest, enum giturl_scheme scheme, struct giturl *u, struct err *e)
{
	static const char *const words[] = {"https", "http", "ssh"};
	struct parts p = {0};
	size_t n = strcspn(rest, "/");

	u->scheme = scheme;
	if (strpbrk(rest, "?#"))
		return refuse(e, "\"?\" and \"#\" have no place in it");
	if (read_authority(rest, n, scheme == GITURL_SSH, &p, e) < 0 ||
		read_path(rest + n, p.path, e) < 0)
		return -1;
	if (scheme == GITURL_HTTP && !loopback(p.host))
		return refuse(
			e, "http:// is taken only for this machine (localhost); use https://");
	return compose(u, &p, words[scheme], e);
}

/* git@host:path, as ssh's own clients write it. */
static int parse_scp(const char *text, const char *colon, struct giturl *u, struct err *e)
{
	struct parts p = {0};
	int n;

	u->scheme = GITURL_SSH;
	if (read_authority(text, (size_t)(colon - text), true, &p, e) < 0 ||
		read_path(colon + 1, p.path, e) < 0)
		return -1;
	if (p.path[0] == ':')
		return refuse(e, "the path starts with \":\"");
	/* A leading slash means an absolute path on that host: another repository. */
	n = snprintf(u->text, sizeof(u->text), "%s%s%s:%s%s", p.user, p.user[0] ? "@" : "", p.host,
		colon[1] == '/' ? "/" : "", p.path);
	if (n < 0 || (size_t)n >= sizeof(u->text))
		return refuse(e, "is too long");
	memcpy(u->host, p.host, sizeof(u->host));
	memcpy(u->path, p.path, sizeof(u->path));
	return split_name(u, e);
}

static int parse_local(const char *path, bool allowed, struct giturl *u, struct err *e)
{
	char parts[GITURL_MAX];

	if (!allowed)
		return refuse(e, "paths on this machine are switched off (setting "
				 "local_repositories); use https:// or ssh://");
	if (path[0] != '/')
		return refuse(e, "a path on this machine must start with \"/\"");
	u->scheme = GITURL_LOCAL;
	if (read_path(path, parts, e) < 0)
		return -1;
	u->path[0] = '/';
	memcpy(u->path + 1, parts, strlen(parts) + 1);
	memcpy(u->text, u->path, sizeof(u->text));
	return split_name(u, e);
}

int giturl_parse(const char *text, bool allow_local, struct giturl *u, struct err *e)
{
	size_t n = strlen(text);
	const char *colon = strchr(text, ':');
	const char *slash = strchr(text, '/');

	memset(u, 0, sizeof(*u));
	if (n == 0)
		return refuse(e, "is empty");
	if (n >= GITURL_MAX)
		return refuse(e, "is longer than 2047 bytes");
	if (check_characters(text, n, e) < 0)
		return -1;
	if (strncasecmp(text, "https://", 8) == 0)
		return parse_remote(text + 8, GITURL_HTTPS, u, e);
	if (strncasecmp(text, "http://", 7) == 0)
		return parse_remote(text + 7, GITURL_HTTP, u, e);
	if (strncasecmp(text, "ssh://", 6) == 0)
		return parse_remote(text + 6, GITURL_SSH, u, e);
	if (strncasecmp(text, "file://", 7) == 0) {
		if (strchr(text, '%'))
			return refuse(
				e, "\"%\" in a file:// URL is not taken; give the plain path");
		return parse_local(text + 7, allow_local, u, e);
	}
	if (strstr(text, "://"))
		return refuse(e, "this scheme is not taken; use https://, ssh:// or git@host:path");
	if (text[0] == '/')
		return parse_local(text, allow_local, u, e);
	if (colon && colon[1] == ':')
		return refuse(e, "transport helpers (\"name::\") are not taken");
	if (colon && (!slash || colon < slash) && memchr(text, '@', (size_t)(colon - text)))
		return parse_scp(text, colon, u, e);
	return refuse(e, "must look like https://host/owner/name, ssh://host/path or "
			 "git@host:path");
}

void giturl_hash(const struct giturl *u, char out[17])
{
	uint64_t hash = 0xcbf29ce484222325;

	for (const char *c = u->text; *c; c++) {
		hash ^= (unsigned char)*c;
		hash *= 0x100000001b3;
	}
	snprintf(out, 17, "%016" PRIx64, hash);
}
