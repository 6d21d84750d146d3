/* TCP connections for libgit2 with deadlines, which its own lack: a server that
 * falls silent must not hold a work thread for ever. TLS is put on top by libgit2. */
#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <git2/sys/stream.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "worker/workspace_git.h"

struct timed_stream {
	git_stream parent;
	char *host, *port;
	int fd;
};

static int refuse(const char *doing, const struct timed_stream *t, const char *why)
{
	char text[512];

	snprintf(text, sizeof text, "%s %s:%s: %s", doing, t->host, t->port, why);
	git_error_set_str(GIT_ERROR_NET, text);
	return -1;
}

static int wait_for(int fd, short events, int timeout_ms)
{
	struct pollfd p = {.fd = fd, .events = events};
	int rc;

	do {
		rc = poll(&p, 1, timeout_ms);
	} while (rc < 0 && errno == EINTR);
	if (rc == 0)
		errno = ETIMEDOUT;
	return rc > 0 ? 0 : -1;
}

static int connect_one(const struct addrinfo *a)
{
	_cleanup_close_ int fd =
		socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, a->ai_protocol);
	int failure = 0;
	socklen_t n = sizeof failure;

	if (fd < 0)
		return -1;
	if (connect(fd, a->ai_addr, a->ai_addrlen) < 0) {
		if (errno != EINPROGRESS || wait_for(fd, POLLOUT, WORKSPACE_CONNECT_MS) < 0)
			return -1;
		if (getsockopt(fd, SOL_SOCKET, SO_ERROR, &failure, &n) < 0)
			return -1;
		if (failure) {
			errno = failure;
			return -1;
		}
	}
	return take_fd(&fd);
}

static int stream_connect(git_stream *stream)
{
	struct timed_stream *t = (struct timed_stream *)stream;
	struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
	struct addrinfo *list = NULL;
	int rc = getaddrinfo(t->host, t->port, &hints, &list);

	if (rc != 0)
		return refuse("look up", t, gai_strerror(rc));
	for (struct addrinfo *a = list; a && t->fd < 0; a = a->ai_next)
		t->fd = connect_one(a);
	freeaddrinfo(list);
	return t->fd < 0 ? refuse("connect to", t, strerror(errno)) : 0;
}

static ssize_t stream_read(git_stream *stream, void *data, size_t n)
{
	struct timed_stream *t = (struct timed_stream *)stream;

	for (;;) {
		ssize_t got = recv(t->fd, data, n, 0);

		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return refuse("read from", t, strerror(errno));
		if (wait_for(t->fd, POLLIN, WORKSPACE_SILENCE_MS) < 0)
			return refuse("read from", t, strerror(errno));
	}
}

static ssize_t stream_write(git_stream *stream, const char *data, size_t n, int flags)
{
	struct timed_stream *t = (struct timed_stream *)stream;
	size_t sent = 0;

	(void)flags;
	while (sent < n) {
		ssize_t put = send(t->fd, data + sent, n - sent, MSG_NOSIGNAL);

		if (put >= 0) {
			sent += (size_t)put;
			continue;
		}
		if (errno != EINTR && errno != EAGAIN)
			return refuse("write to", t, strerror(errno));
		if (wait_for(t->fd, POLLOUT, WORKSPACE_SILENCE_MS) < 0)
			return refuse("write to", t, strerror(errno));
	}
	return (ssize_t)sent;
}

static int stream_close(git_stream *stream)
{
	struct timed_stream *t = (struct timed_stream *)stream;

	if (t->fd >= 0)
		close(t->fd);
	t->fd = -1;
	return 0;
}

static void stream_free(git_stream *stream)
{
	struct timed_stream *t = (struct timed_stream *)stream;

	stream_close(stream);
	free(t->host);
	free(t->port);
	free(t);
}

static int stream_new(git_stream **out, const char *host, const char *port)
{
	struct timed_stream *t = calloc(1, sizeof *t);

	if (!t || !(t->host = strdup(host)) || !(t->port = strdup(port)))
		err_out_of_memory();
	t->fd = -1;
	t->parent.version = GIT_STREAM_VERSION;
	t->parent.connect = stream_connect;
	t->parent.read = stream_read;
	t->parent.write = stream_write;
	t->parent.close = stream_close;
	t->parent.free = stream_free;
	*out = &t->parent;
	return 0;
}

int workspace_stream_register(void)
{
	git_stream_registration registration = {.version = GIT_STREAM_VERSION, .init = stream_new};

	return git_stream_register(GIT_STREAM_STANDARD, &registration);
}
