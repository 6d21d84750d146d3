#include "webui/pulse.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "shared/cleanup.h"
#include "shared/log.h"

#define PULSE_IDLE_MS 60000

void pulse_init(struct pulse *p)
{
	memset(p, 0, sizeof *p);
	notify_init(&p->notify);
}

void pulse_ready(struct pulse *p, const char *address, int port, const char *base)
{
	/* Listening on all addresses is listening on this one, too. */
	snprintf(p->address, sizeof p->address, "%s",
		strcmp(address, "0.0.0.0") == 0 ? "127.0.0.1" : address);
	p->port = port;
	notify_send(&p->notify, "READY=1\nSTATUS=listening on port %d\nX_PORT=%d\nX_BASE=%s", port,
		port, base);
}

/* True if anything like an answer comes: whoever is refused has been heard. */
static bool answers(const struct pulse *p)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)p->port)};
	struct timeval limit = {.tv_sec = PULSE_ANSWER_MS / 1000};
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char request[160], answer[8];
	int n = snprintf(request, sizeof request,
		"GET /api/v1/session HTTP/1.1\r\nHost: localhost:%d\r\nConnection: close\r\n\r\n",
		p->port);

	return fd >= 0 && inet_pton(AF_INET, p->address, &to.sin_addr) == 1 &&
	       setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit) == 0 &&
	       setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit) == 0 &&
	       connect(fd, (struct sockaddr *)&to, sizeof to) == 0 &&
	       send(fd, request, (size_t)n, MSG_NOSIGNAL) == n &&
	       recv(fd, answer, 5, MSG_WAITALL) == 5 && memcmp(answer, "HTTP/", 5) == 0;
}

int64_t pulse_beat(struct pulse *p, int64_t now_ms)
{
	if (p->notify.fd < 0 || p->notify.watchdog_ms == 0)
		return PULSE_IDLE_MS;
	if (now_ms < p->due_ms)
		return p->due_ms - now_ms;
	if (answers(p))
		notify_send(&p->notify, "WATCHDOG=1");
	else
		log_warn("the page does not answer itself");
	p->due_ms = now_ms + p->notify.watchdog_ms / 2;
	return p->notify.watchdog_ms / 2;
}

void pulse_stopping(const struct pulse *p)
{
	notify_send(&p->notify, "STOPPING=1");
}
