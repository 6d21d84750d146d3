/* The service manager's datagrams (sd_notify(3)): lines NAME=value to the socket that
 * NOTIFY_SOCKET names, "/path" or "@abstract". Spoken to whoever started us (systemd, or
 * `100x up`, which plays it for the other programs), and heard by `100x up`. Nobody
 * listening is no error: a program started by hand has no manager. */
#ifndef SHARED_NOTIFY_H
#define SHARED_NOTIFY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/err.h"

#define NOTIFY_MAX 2048 /* bytes of a datagram; a longer one is ignored */
#define NOTIFY_SOCKET_MAX 108

struct notify {
	int fd;				/* -1: there is no manager */
	char socket[NOTIFY_SOCKET_MAX]; /* as NOTIFY_SOCKET names it */
	int64_t watchdog_ms;		/* WATCHDOG=1 is awaited within this; 0: not at all */
};

/* Reads NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID and takes them out of the
 * environment, so that no program we start speaks in our name. */
void notify_init(struct notify *n);
void notify_clear(struct notify *n);

/* Sends one datagram of lines; dropped if the manager does not read. */
void notify_send(const struct notify *n, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* The other side. A socket at the path ("@…": abstract), replacing one that lies there.
 * The descriptor does not block; or -1. */
int notify_listen(const char *socket, struct err *e);

/* One datagram of a process of our own user; *pid: who sent it. Its length, text is
 * ended by NUL; 0: none is waiting. Others' and malformed ones are dropped. */
size_t notify_read(int fd, char text[NOTIFY_MAX], pid_t *pid);

/* Copies the value of the first line NAME=value, cut at size - 1; false: no such line. */
bool notify_value(const char *text, const char *name, char *out, size_t size);

#endif
