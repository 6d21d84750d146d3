/* Tells the service manager that we are ready, and from then on that we answer: each sign
 * of life is a request of our own that came back. */
#ifndef WEBUI_PULSE_H
#define WEBUI_PULSE_H

#include <stdint.h>

#include "shared/notify.h"

#define PULSE_ANSWER_MS 3000 /* an answer that takes longer is none */

struct pulse {
	struct notify notify;
	char address[64];
	int port;
	int64_t due_ms;
};

/* Before any thread starts. */
void pulse_init(struct pulse *p);
/* Serving at the IPv4 address; base: URL of the page as the browser reaches it, without
 * the token. */
void pulse_ready(struct pulse *p, const char *address, int port, const char *base);
/* Asks ourselves if it is time. Returns ms until the next call may have something to do. */
int64_t pulse_beat(struct pulse *p, int64_t now_ms);
void pulse_stopping(const struct pulse *p);

#endif
