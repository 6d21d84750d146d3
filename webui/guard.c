#include "webui/guard.h"

#include <ctype.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

static bool host_valid(const char *host)
{
	size_t n = strlen(host);

	if (n == 0 || n >= GUARD_HOST_MAX)
		return false;
	for (size_t i = 0; i < n; i++) {
		if (!isalnum((unsigned char)host[i]) && !strchr(".-_:[]", host[i]))
			return false;
	}
	return true;
}

int guard_allow(struct guard *g, const char *host, struct err *e)
{
	if (!host_valid(host))
		return err_set(e, ERR_INVALID, "--allow-host %s: not a host name", host);
	if (g->count == GUARD_HOSTS_MAX)
		return err_set(e, ERR_LIMIT, "--allow-host: at most %d names", GUARD_HOSTS_MAX);
	snprintf(g->hosts[g->count++], GUARD_HOST_MAX, "%s", host);
	return 0;
}

/* Length of the name in "name", "name:port" or "[v6]:port". */
static size_t name_length(const char *host)
{
	const char *end = host[0] == '[' ? strchr(host, ']') : NULL;

	return end ? (size_t)(end - host) + 1 : strcspn(host, ":");
}

static bool same_name(const char *host, size_t n, const char *name)
{
	return strlen(name) == n && strncasecmp(host, name, n) == 0;
}

static bool host_allowed(const struct guard *g, const char *host)
{
	static const char *const loopback[] = {"localhost", "127.0.0.1", "[::1]"};
	size_t n = name_length(host);
	char port[16];

	snprintf(port, sizeof port, ":%d", g->port);
	for (size_t i = 0; i < sizeof loopback / sizeof *loopback; i++) {
		if (same_name(host, n, loopback[i]))
			return !strcmp(host + n, port) || (!host[n] && g->port == 80);
	}
	for (int i = 0; i < g->count; i++) {
		if (!strcasecmp(host, g->hosts[i]))
			return true;
		if (!g->hosts[i][name_length(g->hosts[i])] && same_name(host, n, g->hosts[i]))
			return true;
	}
	return false;
}

/* An Origin is ours if it is the scheme we are reached by and the Host itself. */
static bool origin_ours(const struct guard *g, const char *origin, const char *host)
{
	if (!strncmp(origin, "http://", 7) && !strcasecmp(origin + 7, host))
		return true;
	return g->behind_proxy && !strncmp(origin, "https://", 8) && !strcasecmp(origin + 8, host);
}

/* A link somewhere else may lead to our page: a plain navigation, which changes
 * nothing and shows no data without the page's own requests. */
static bool plain_navigation(const struct guard_request *r)
{
	return !r->api && (!strcmp(r->method, "GET") || !strcmp(r->method, "HEAD")) &&
	       r->fetch_mode && !strcmp(r->fetch_mode, "navigate") &&
	       (!r->fetch_dest || !strcmp(r->fetch_dest, "document"));
}

int guard_check(const struct guard *g, const struct guard_request *r, struct err *e)
{
	if (r->host_count != 1 || !r->host || !host_valid(r->host))
		return err_set(e, ERR_INVALID, "the request needs exactly one valid Host header");
	if (!host_allowed(g, r->host))
		return err_set(e, ERR_DENIED,
			"this server is not \"%s\": use localhost:%d, or start it with "
			"--allow-host",
			r->host, g->port);
	if (r->origin && !origin_ours(g, r->origin, r->host))
		return err_set(e, ERR_DENIED, "requests from other sites are refused (Origin)");
	if (r->fetch_site && strcmp(r->fetch_site, "same-origin") != 0 &&
		strcmp(r->fetch_site, "none") != 0 && !plain_navigation(r))
		return err_set(
			e, ERR_DENIED, "requests from other sites are refused (Sec-Fetch-Site)");
	return 0;
}
