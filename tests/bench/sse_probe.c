/* Opens N event streams of the webui and measures how old each line of output is when
 * its bytes arrive: the agents write "ns=<CLOCK_MONOTONIC>" into their text.
 *
 *   sse_probe PORT TOKEN CLIENTS SECONDS
 *
 * Prints one JSON object: {"lines":…,"p50_ms":…,"p99_ms":…,"max_ms":…}. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/clock.h"

#define CLIENTS_MAX 256
#define SAMPLES_MAX 4000000
#define CARRY_MAX 64

struct client {
	int fd;
	char carry[CARRY_MAX]; /* a stamp may be split between two reads */
	size_t carry_len;
};

static uint32_t *samples_us;
static size_t sample_count;

static int compare(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static int connect_stream(int port, const char *token)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	char request[512];
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int n = snprintf(request, sizeof request,
		"GET /api/v1/events HTTP/1.1\r\nHost: localhost:%d\r\n"
		"Authorization: Bearer %s\r\nAccept: text/event-stream\r\n\r\n",
		port, token);

	if (fd < 0 || connect(fd, (struct sockaddr *)&to, sizeof to) < 0 ||
		write(fd, request, (size_t)n) != n) {
		fprintf(stderr, "sse_probe: port %d: %s\n", port, strerror(errno));
		exit(1);
	}
	return fd;
}

/* Takes every whole stamp in text; returns where the unread rest begins. */
static size_t take_stamps(const char *text, size_t n, int64_t now)
{
	size_t done = 0;

	for (;;) {
		const char *at = memmem(text + done, n - done, "ns=", 3);
		const char *digit;
		int64_t stamp = 0;

		if (!at)
			return n > 3 ? n - 3 : 0;
		for (digit = at + 3; digit < text + n && *digit >= '0' && *digit <= '9'; digit++)
			stamp = stamp * 10 + (*digit - '0');
		if (digit == text + n)
			return (size_t)(at - text);
		if (stamp > 0 && stamp <= now && sample_count < SAMPLES_MAX)
			samples_us[sample_count++] = (uint32_t)((now - stamp) / 1000);
		done = (size_t)(digit - text);
	}
}

static void client_read(struct client *c)
{
	static char text[256 * 1024 + CARRY_MAX];
	int64_t now;
	size_t rest, n;
	ssize_t got;

	memcpy(text, c->carry, c->carry_len);
	got = read(c->fd, text + c->carry_len, sizeof text - CARRY_MAX);
	if (got <= 0) {
		fprintf(stderr, "sse_probe: a stream ended\n");
		exit(1);
	}
	now = clock_now_ns();
	n = c->carry_len + (size_t)got;
	rest = take_stamps(text, n, now);
	c->carry_len = n - rest < CARRY_MAX ? n - rest : 0;
	memcpy(c->carry, text + n - c->carry_len, c->carry_len);
}

int main(int argc, char **argv)
{
	struct client clients[CLIENTS_MAX] = {0};
	int port, count, epoll = epoll_create1(EPOLL_CLOEXEC);
	int64_t end;

	if (argc != 5) {
		fprintf(stderr, "usage: sse_probe PORT TOKEN CLIENTS SECONDS\n");
		return 2;
	}
	port = (int)strtol(argv[1], NULL, 10);
	count = (int)strtol(argv[3], NULL, 10);
	if (count < 1 || count > CLIENTS_MAX)
		return 2;
	samples_us = calloc(SAMPLES_MAX, sizeof *samples_us);
	if (!samples_us || epoll < 0)
		return 1;
	for (int i = 0; i < count; i++) {
		struct epoll_event ev = {.events = EPOLLIN, .data.ptr = &clients[i]};

		clients[i].fd = connect_stream(port, argv[2]);
		epoll_ctl(epoll, EPOLL_CTL_ADD, clients[i].fd, &ev);
	}
	end = clock_now_ms() + strtol(argv[4], NULL, 10) * 1000;
	while (clock_now_ms() < end) {
		struct epoll_event ready[32];
		int n = epoll_wait(epoll, ready, 32, 100);

		for (int i = 0; i < n; i++)
			client_read(ready[i].data.ptr);
	}
	if (sample_count == 0) {
		fprintf(stderr, "sse_probe: no stamped line arrived\n");
		return 1;
	}
	qsort(samples_us, sample_count, sizeof *samples_us, compare);
	printf("{\"lines\":%zu,\"p50_ms\":%.2f,\"p99_ms\":%.2f,\"max_ms\":%.2f}\n", sample_count,
		samples_us[sample_count / 2] / 1e3, samples_us[sample_count * 99 / 100] / 1e3,
		samples_us[sample_count - 1] / 1e3);
	return 0;
}
