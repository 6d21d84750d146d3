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
#include "shared/clock.h"
#include "worker/workspace_git.h"

struct timed_stream {
	git_stream parent;
	char *host, *port;
	int fd;
	struct workspace_flow flow;
};

static int refuse(const char *doing, const struct timed_stream *t, const char *why)
{
	char text[512];

	snprintf(text, sizeof text, "%s %s:%s: %s", doing, t->host, t->port, why);
	git_error_set_str(GIT_ERROR_NET, text);
	return -1;
}

int workspace_silence_ms(void)
{
	const char *text = getenv("HUNDREDX_GIT_SECONDS");
	long seconds = text ? strtol(text, NULL, 10) : 0;

	return (int)(seconds > 0 && seconds <= 86400 ? seconds : WORKSPACE_SILENCE_S) * 1000;
}

bool workspace_flow_add(struct workspace_flow *f, size_t n, int silence_ms, int64_t now_ms)
{
	bool fast;

	if (!f->since_ms)
		f->since_ms = now_ms;
	f->bytes += (int64_t)n;
	if (now_ms - f->since_ms < (int64_t)silence_ms * WORKSPACE_SLOW_TIMES)
		return true;
	fast = f->bytes >= WORKSPACE_SLOW_BYTES;
	*f = (struct workspace_flow){.since_ms = now_ms};
	return fast;
}

static const char *silence_or(int error)
{
	static _Thread_local char text[64];

	if (error != ETIMEDOUT)
		return strerror(error);
	snprintf(text, sizeof text, "silent for %d s", workspace_silence_ms() / 1000);
	return text;
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

		if (got > 0 && !workspace_flow_add(&t->flow, (size_t)got, workspace_silence_ms(),
				       clock_now_ms()))
			return refuse("read from", t, "it sends next to nothing");
		if (got >= 0)
			return got;
		if (errno != EINTR && errno != EAGAIN)
			return refuse("read from", t, strerror(errno));
		if (wait_for(t->fd, POLLIN, workspace_silence_ms()) < 0)
			return refuse("read from", t, silence_or(errno));
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
		if (wait_for(t->fd, POLLOUT, workspace_silence_ms()) < 0)
			return refuse("write to", t, silence_or(errno));
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
