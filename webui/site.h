/* What happens to each request, in order: Host and Origin (guard), who asks (auth),
 * then the REST interface (api) or the page's files. */
#ifndef WEBUI_SITE_H
#define WEBUI_SITE_H

#include "webui/api.h"
#include "webui/auth.h"
#include "webui/files.h"
#include "webui/guard.h"
#include "webui/http.h"

struct site {
	struct guard guard;
	struct auth *auth;
	struct files *files; /* NULL: the page is not built */
	struct api api;
	char cookie[32]; /* its name: each port has its own, browsers do not tell them apart */
};

/* An http_handler; arg is a struct site. */
void site_handle(void *arg, struct http_exchange *x);

#endif
