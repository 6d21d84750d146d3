/* What the files of the bus share: sockets opened with our limits, errors of nng
 * as ours. Only bus*.c include this. */
#ifndef SHARED_BUS_NNG_H
#define SHARED_BUS_NNG_H

#include <nng/nng.h>
#include <stdbool.h>

#include "shared/bus.h"

/* Fills e from an nng code; returns -1. doing: "dial", url: where. */
int bus_error(struct err *e, int code, const char *doing, const char *url);

/* Opens by one of nng's functions with the frame limit and both queues set. */
int bus_open(nng_socket *s, int (*open)(nng_socket *), const char *url, struct err *e);

/* Listens (socket file 0600, a dead listener's file is replaced) or dials in the
 * background. On failure the socket is closed. */
int bus_attach(nng_socket s, bool listen, const char *url, struct err *e);

/* The same, and a handle of the loop that becomes readable with each message. On failure
 * the socket is closed and the handle untouched. */
int bus_attach_polled(uv_loop_t *loop, uv_poll_t *poll, nng_socket s, bool listen, const char *url,
	struct err *e);

/* Closes without ever holding up the loop: past BUS_CLOSE_MS it goes on alone. */
#define BUS_CLOSE_MS 200
void bus_close(nng_socket s);

#endif
