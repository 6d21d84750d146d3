/* Who holds a TCP port, as far as /proc lets us see. */
#ifndef WEBUI_PORT_H
#define WEBUI_PORT_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/err.h"

/* 0 if address (IPv4) and port can be listened on. ERR_CONFLICT:
 * taken; the text names the process if it is ours to see. ERR_DENIED, ERR_INVALID,
 * ERR_SYS. */
int port_check(const char *address, int port, struct err *e);

/* "name (pid 123)" of a process that listens on port; false if it cannot be seen. */
bool port_holder(int port, char *out, size_t size);

#endif
