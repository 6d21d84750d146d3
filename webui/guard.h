/* Who may speak to us at all: Host and Origin of a request, checked before any
 * handler. Against DNS rebinding (a foreign Host) and requests forged by other
 * sites (Origin, Sec-Fetch-Site). Pure. */
#ifndef WEBUI_GUARD_H
#define WEBUI_GUARD_H

#include <stdbool.h>

#include "shared/err.h"

#define GUARD_HOSTS_MAX 16
#define GUARD_HOST_MAX 256

struct guard {
	int port;
	bool behind_proxy; /* the browser speaks https to a proxy */
	int count;	   /* of the names allowed beside the loopback ones */
	char hosts[GUARD_HOSTS_MAX][GUARD_HOST_MAX]; /* "name" (any port) or "name:port" */
};

/* Adds a name of --allow-host. ERR_INVALID: not a host name; ERR_LIMIT: too many. */
int guard_allow(struct guard *g, const char *host, struct err *e);

/* The values of a request's headers; NULL where there is none. */
struct guard_request {
	const char *method;
	const char *host;
	int host_count;
	const char *origin;
	const char *fetch_site, *fetch_mode, *fetch_dest;
	bool api; /* below /api/ */
};

/* 0 if the request may go on. ERR_DENIED: foreign Host or Origin (403);
 * ERR_INVALID: no Host or several (400). */
int guard_check(const struct guard *g, const struct guard_request *r, struct err *e);

#endif
