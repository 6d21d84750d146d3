#include "shared/notify.h"

#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "shared/cleanup.h"

/* Length of the address; 0: not a name we speak to. */
static socklen_t address(const char *name, struct sockaddr_un *out)
{
	size_t n = strlen(name);

	memset(out, 0, sizeof(*out));
	out->sun_family = AF_UNIX;
	if ((name[0] != '/' && name[0] != '@') || n < 2 || n >= sizeof(out->sun_path))
		return 0;
	memcpy(out->sun_path, name, n);
	if (name[0] == '@')
		out->sun_path[0] = '\0';
	/* An abstract name is as long as it says, a path is ended by its NUL. */
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + n + (name[0] == '/'));
}

void notify_init(struct notify *n)
{
	const char *socket_name = getenv("NOTIFY_SOCKET"), *usec = getenv("WATCHDOG_USEC");
	const char *pid = getenv("WATCHDOG_PID");
	struct sockaddr_un to;

	memset(n, 0, sizeof(*n));
	n->fd = -1;
	if (socket_name && address(socket_name, &to)) {
		snprintf(n->socket, sizeof(n->socket), "%s", socket_name);
		n->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
		if (usec && (!pid || strtol(pid, NULL, 10) == getpid()))
			n->watchdog_ms = strtoll(usec, NULL, 10) / 1000;
		if (n->watchdog_ms < 0)
			n->watchdog_ms = 0;
	}
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_USEC");
	unsetenv("WATCHDOG_PID");
}

void notify_clear(struct notify *n)
{
	if (n->fd >= 0)
		close(n->fd);
	n->fd = -1;
}

void notify_send(const struct notify *n, const char *fmt, ...)
{
	char text[NOTIFY_MAX];
	struct sockaddr_un to;
	va_list args;
	int len;

	if (n->fd < 0)
		return;
	va_start(args, fmt);
	len = vsnprintf(text, sizeof(text), fmt, args);
	va_end(args);
	if (len <= 0)
		return;
	if ((size_t)len >= sizeof(text))
		len = (int)sizeof(text) - 1;
	sendto(n->fd, text, (size_t)len, MSG_NOSIGNAL, (struct sockaddr *)&to,
		address(n->socket, &to));
}

int notify_listen(const char *name, struct err *e)
{
	_cleanup_close_ int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	struct sockaddr_un at;
	socklen_t n = address(name, &at);
	int on = 1;

	if (!n)
		return err_set(e, ERR_INVALID, "%s is no name of a socket", name);
	if (fd < 0)
		return err_errno(e, "socket");
	if (name[0] == '/')
		unlink(name);
	if (setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
		bind(fd, (struct sockaddr *)&at, n) < 0)
		return err_errno(e, "listen on %s", name);
	return take_fd(&fd);
}

size_t notify_read(int fd, char text[NOTIFY_MAX], pid_t *pid)
{
	union {
		struct cmsghdr head;
		char bytes[CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(16 * sizeof(int))];
	} control;
	struct iovec part = {.iov_base = text, .iov_len = NOTIFY_MAX - 1};

	for (;;) {
		struct msghdr m = {.msg_iov = &part,
			.msg_iovlen = 1,
			.msg_control = &control,
			.msg_controllen = sizeof(control)};
		struct ucred who = {.pid = 0};
		ssize_t n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
		struct cmsghdr *c;

		if (n < 0)
			return 0;
		for (c = CMSG_FIRSTHDR(&m); c; c = CMSG_NXTHDR(&m, c)) {
			if (c->cmsg_level != SOL_SOCKET)
				continue;
			if (c->cmsg_type == SCM_CREDENTIALS)
				memcpy(&who, CMSG_DATA(c), sizeof(who));
			/* Descriptors are for a store that we do not keep. */
			for (size_t at = 0; c->cmsg_type == SCM_RIGHTS &&
					    CMSG_LEN(at + sizeof(int)) <= c->cmsg_len;
				at += sizeof(int)) {
				int given;

				memcpy(&given, CMSG_DATA(c) + at, sizeof(given));
				close(given);
			}
		}
		if (n == 0 || (m.msg_flags & MSG_TRUNC) || who.pid <= 0 || who.uid != getuid() ||
			memchr(text, '\0', (size_t)n))
			continue;
		text[n] = '\0';
		*pid = who.pid;
		return (size_t)n;
	}
}

bool notify_value(const char *text, const char *name, char *out, size_t size)
{
	size_t n = strlen(name);

	while (text) {
		if (strncmp(text, name, n) == 0 && text[n] == '=') {
			text += n + 1;
			snprintf(out, size, "%.*s", (int)strcspn(text, "\n"), text);
			return true;
		}
		text = strchr(text, '\n');
		text = text ? text + 1 : NULL;
	}
	return false;
}
