/* The control socket: JSON-RPC requests, one table of methods (docs/protocol.md,
 * section 3). */
#ifndef SUPERVISOR_CONTROL_H
#define SUPERVISOR_CONTROL_H

#include <stddef.h>

#include "shared/bus.h"
#include "supervisor/supervisor.h"

#define CONTROL_CALLS_MAX 256 /* under way at once, waiting for something */

/* A bus_request_cb: arg is the supervisor. */
void control_request(void *arg, struct bus_request *r, const char *data, size_t n);

#endif
