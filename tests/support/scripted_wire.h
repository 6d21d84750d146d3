/* The scripted agent's side of the protocol: messages out, messages in, and waiting for one. */
#ifndef TESTS_SUPPORT_SCRIPTED_WIRE_H
#define TESTS_SUPPORT_SCRIPTED_WIRE_H

#include <cjson/cJSON.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define SESSION "scripted-1"
#define LINE_MAX_BYTES (4 * 1024 * 1024)

struct agent {
	cJSON *script, *memory;
	const char *memory_path;
	int stamps_fd;
	char cwd[4096];
	char *in; /* bytes read, not yet taken */
	size_t in_len, in_cap;
	bool *used;
	int turn;
	bool cancelled;
	const char *prompt; /* of the turn under way */
	double dollars;
	int next_id, next_tool;
};

static inline void die(const char *what)
{
	fprintf(stderr, "scripted_agent: %s: %s\n", what, strerror(errno));
	exit(111);
}

static inline int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static inline void write_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t w = write(fd, data, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			exit(0); /* the client is gone */
		data += w;
		n -= (size_t)w;
	}
}

static const char *str(const cJSON *j, const char *name, const char *otherwise)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, name);

	return cJSON_IsString(v) ? v->valuestring : otherwise;
}

static inline double num(const cJSON *j, const char *name, double otherwise)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, name);

	return cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}

static inline void stamp(struct agent *a, const char *what)
{
	char line[96];
	int n;

	if (a->stamps_fd < 0)
		return;
	n = snprintf(line, sizeof line, "%s %d %lld\n", what, a->turn, (long long)now_ns());
	write_all(a->stamps_fd, line, (size_t)n);
}

/* Takes message. */
static inline void send_message(cJSON *message)
{
	char *text;

	cJSON_AddStringToObject(message, "jsonrpc", "2.0");
	text = cJSON_PrintUnformatted(message);
	cJSON_Delete(message);
	size_t n = strlen(text);
	text[n] = '\n'; /* over the NUL: one write for the whole line */
	write_all(STDOUT_FILENO, text, n + 1);
	free(text);
}

static inline void send_result(const cJSON *id, cJSON *result)
{
	cJSON *m = cJSON_CreateObject();

	cJSON_AddItemToObject(m, "id", cJSON_Duplicate(id, true));
	cJSON_AddItemToObject(m, "result", result);
	send_message(m);
}

static inline void send_error(const cJSON *id, double code, const char *message, cJSON *data)
{
	cJSON *m = cJSON_CreateObject(), *e = cJSON_AddObjectToObject(m, "error");

	cJSON_AddItemToObject(m, "id", cJSON_Duplicate(id, true));
	cJSON_AddNumberToObject(e, "code", code);
	cJSON_AddStringToObject(e, "message", message);
	if (data)
		cJSON_AddItemToObject(e, "data", data);
	send_message(m);
}

static inline void send_update(const char *kind, cJSON *update)
{
	cJSON *m = cJSON_CreateObject(), *p;

	cJSON_AddStringToObject(m, "method", "session/update");
	p = cJSON_AddObjectToObject(m, "params");
	cJSON_AddStringToObject(p, "sessionId", SESSION);
	cJSON_AddStringToObject(update, "sessionUpdate", kind);
	cJSON_AddItemToObject(p, "update", update);
	send_message(m);
}

static inline void add_text_block(cJSON *to, const char *name, const char *text)
{
	cJSON *c = cJSON_AddObjectToObject(to, name);

	cJSON_AddStringToObject(c, "type", "text");
	cJSON_AddStringToObject(c, "text", text);
}

static inline cJSON *add_extension(cJSON *update)
{
	return cJSON_AddObjectToObject(cJSON_AddObjectToObject(update, "_meta"), "100x");
}

static inline void send_chunk(const char *kind, const char *text, const char *stream)
{
	cJSON *u = cJSON_CreateObject();

	add_text_block(u, "content", text);
	if (stream)
		cJSON_AddStringToObject(add_extension(u), "stream", stream);
	send_update(kind, u);
}

/* Reads one message, at most timeout_ms (-1: for ever). NULL: time is up. */
static inline cJSON *receive(struct agent *a, int timeout_ms)
{
	int64_t end = now_ns() + (int64_t)timeout_ms * 1000000;

	for (;;) {
		char *nl = a->in_len ? memchr(a->in, '\n', a->in_len) : NULL;

		if (nl) {
			size_t n = (size_t)(nl - a->in);
			cJSON *m = cJSON_ParseWithLength(a->in, n);

			a->in_len -= n + 1;
			memmove(a->in, nl + 1, a->in_len);
			if (m)
				return m;
			fprintf(stderr, "scripted_agent: not JSON, skipped\n");
			continue;
		}
		int64_t left = timeout_ms < 0 ? -1 : (end - now_ns() + 999999) / 1000000;
		if (timeout_ms >= 0 && left <= 0)
			return NULL;
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		int r = poll(&p, 1, (int)left);
		if (r < 0 && errno != EINTR)
			die("poll");
		if (r <= 0)
			continue;
		if (a->in_len == a->in_cap) {
			a->in_cap = a->in_cap ? a->in_cap * 2 : 64 * 1024;
			if (a->in_cap > LINE_MAX_BYTES || !(a->in = realloc(a->in, a->in_cap)))
				die("a line too long");
		}
		ssize_t got = read(STDIN_FILENO, a->in + a->in_len, a->in_cap - a->in_len);
		if (got == 0)
			exit(0);
		if (got > 0)
			a->in_len += (size_t)got;
	}
}

/* Waits ms, or for ever (-1) for the answer to request want; a cancel ends it.
 * Returns the answer (the caller's) or NULL. */
static inline cJSON *wait_for(struct agent *a, int ms, int want)
{
	int64_t end = now_ns() + (int64_t)ms * 1000000;

	while (!a->cancelled) {
		int left = ms < 0 ? -1 : (int)((end - now_ns() + 999999) / 1000000);
		cJSON *m = receive(a, left < 0 && ms >= 0 ? 0 : left);

		if (!m)
			return NULL;
		if (!strcmp(str(m, "method", ""), "session/cancel"))
			a->cancelled = true;
		else if (want && !str(m, "method", NULL) && (int)num(m, "id", 0) == want)
			return m;
		cJSON_Delete(m);
	}
	return NULL;
}

#endif
