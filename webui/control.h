/* Asking the supervisor (docs/protocol.md, "Control"). Thread-safe. */
#ifndef WEBUI_CONTROL_H
#define WEBUI_CONTROL_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "shared/err.h"

#define CONTROL_QUICK_MS 10000	 /* for an answer that needs no outside party */
#define CONTROL_ADVICE_MS 250000 /* for what a model is asked first */
#define CONTROL_SLOW_MS 75000	 /* task.create: its errand has 60 s */

struct control;

struct control *control_new(const char *control_url, struct err *e);
void control_free(struct control *c);

/* Asks and returns the result, the caller's; NULL with the supervisor's own error,
 * or ERR_UNAVAILABLE at once when it does not run. id: 32 hex digits, or NULL for
 * a fresh one. params: borrowed, may be NULL. */
cJSON *control_ask(struct control *c, const char *id, const char *method, const cJSON *params,
	int timeout_ms, struct err *e);

/* Tells the supervisor once in its life that we are there; call it now and then. */
void control_hello(struct control *c, int pid, int port);

#endif
