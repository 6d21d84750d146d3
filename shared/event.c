/* The header line of an event: written and read. */
#include "shared/event.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"

static const struct {
	const char *word;
	bool durable;
	bool projected;
} kinds[] = {
#define X(name, text, is_durable, is_projected) {text, is_durable, is_projected},
	EVENT_KINDS(X)
#undef X
};

const char *event_kind_word(enum event_kind kind)
{
	return (unsigned)kind < EVENT_KIND_COUNT ? kinds[kind].word : "unknown";
}

enum event_kind event_kind_parse(const char *word, size_t n)
{
	for (size_t i = 0; i < EVENT_KIND_COUNT; i++)
		if (strlen(kinds[i].word) == n && memcmp(kinds[i].word, word, n) == 0)
			return (enum event_kind)i;
	return EVENT_UNKNOWN;
}

bool event_kind_durable(enum event_kind kind)
{
	return (unsigned)kind < EVENT_KIND_COUNT && kinds[kind].durable;
}

bool event_kind_projected(enum event_kind kind)
{
	return (unsigned)kind < EVENT_KIND_COUNT && kinds[kind].projected;
}

bool event_kind_of_worker(enum event_kind kind)
{
	return kind != EVENT_CREATED && kind != EVENT_DELETED && kind != EVENT_CONFIG &&
	       kind != EVENT_WORKER && kind != EVENT_ARCHIVE && kind != EVENT_JUDGEMENT &&
	       kind != EVENT_WINNER && kind != EVENT_WORKSPACE;
}

/* Read once: it is asked for with every event. */
static int range(bool own)
{
	static int oldest_version, own_version;

	if (own_version == 0) {
		const char *set = getenv("HUNDREDX_PROTOCOL");

		oldest_version = EVENT_VERSION_OLDEST;
		own_version = EVENT_VERSION;
		if (set && sscanf(set, "%6d-%6d", &oldest_version, &own_version) != 2)
			own_version = EVENT_VERSION;
	}
	return own ? own_version : oldest_version;
}

int event_version(void)
{
	return range(true);
}

int event_version_oldest(void)
{
	return range(false);
}

int event_version_common(int64_t oldest, int64_t own)
{
	int64_t lower = own < event_version() ? own : event_version();

	return lower >= oldest && lower >= event_version_oldest() ? (int)lower : 0;
}

size_t event_restamp(const char *frame, size_t n, int version, char *out, size_t *rest)
{
	const char *end = memchr(frame, '\n', n < EVENT_HEADER_MAX ? n : EVENT_HEADER_MAX);
	const char *v = end ? memrchr(frame, ' ', (size_t)(end - frame)) : NULL;
	int len;

	if (!v)
		return 0;
	*rest = n - (size_t)(end + 1 - frame);
	len = snprintf(out, EVENT_HEADER_MAX, "%.*s v%d\n", (int)(v - frame), frame, version);
	return len > 0 && len < EVENT_HEADER_MAX ? (size_t)len : 0;
}

size_t event_header(
	const char *stream, int64_t subject, enum event_kind kind, int64_t number, char *out)
{
	int n = snprintf(out, EVENT_HEADER_MAX, "%.31s/%" PRId64 " %s %" PRId64 " v%d\n", stream,
		subject, event_kind_word(kind), number, event_version());

	return n > 0 ? (size_t)n : 0;
}

/* What is left of the header line. */
struct cursor {
	const char *at;
	const char *end;
};

/* Takes lower-case letters and "_" up to the separator, which is taken too. */
static bool take_word(struct cursor *c, char separator, char *out, size_t cap)
{
	size_t n = 0;

	while (c->at < c->end && ((*c->at >= 'a' && *c->at <= 'z') || *c->at == '_')) {
		if (n + 1 >= cap)
			return false;
		out[n++] = *c->at++;
	}
	out[n] = '\0';
	return n > 0 && c->at < c->end && *c->at++ == separator;
}

/* Takes a decimal number without sign or leading zeros up to the separator. */
static bool take_number(struct cursor *c, char separator, int64_t *out)
{
	const char *start = c->at;
	int64_t v = 0;

	while (c->at < c->end && *c->at >= '0' && *c->at <= '9') {
		if (__builtin_mul_overflow(v, (int64_t)10, &v) ||
			__builtin_add_overflow(v, (int64_t)(*c->at - '0'), &v))
			return false;
		c->at++;
	}
	if (c->at == start || (*start == '0' && c->at - start > 1))
		return false;
	*out = v;
	return c->at < c->end && *c->at++ == separator;
}

static bool known_stream(const struct event *ev)
{
	if (strcmp(ev->stream, "system") == 0)
		return ev->subject == 0;
	return ev->subject > 0 &&
	       (strcmp(ev->stream, "agent") == 0 || strcmp(ev->stream, "task") == 0);
}

static int decode_header(struct cursor *c, struct event *ev, struct err *e)
{
	int64_t version;

	if (!take_word(c, '/', ev->stream, sizeof(ev->stream)) ||
		!take_number(c, ' ', &ev->subject))
		return err_set(e, ERR_PROTOCOL,
			"event: the header does not start with a topic "
			"such as agent/7");
	if (!known_stream(ev))
		return err_set(e, ERR_PROTOCOL, "event: no such stream: %s/%" PRId64, ev->stream,
			ev->subject);
	if (!take_word(c, ' ', ev->word, sizeof(ev->word)))
		return err_set(e, ERR_PROTOCOL, "event: the kind is missing or malformed");
	ev->kind = event_kind_parse(ev->word, strlen(ev->word));
	if (!take_number(c, ' ', &ev->number) || ev->number < 1)
		return err_set(e, ERR_PROTOCOL, "event: the number is missing or malformed");
	if (c->at == c->end || *c->at++ != 'v' || !take_number(c, '\n', &version) || version < 1 ||
		version > 1000000)
		return err_set(e, ERR_PROTOCOL, "event: the version is missing or malformed");
	ev->version = (int)version;
	return 0;
}

int event_decode(const char *frame, size_t n, struct event *ev, struct err *e)
{
	const char *newline = memchr(frame, '\n', n < EVENT_HEADER_MAX ? n : EVENT_HEADER_MAX);
	struct cursor c;

	memset(ev, 0, sizeof(*ev));
	if (!newline)
		return err_set(e, ERR_PROTOCOL, "event: no header line in the first %d bytes",
			EVENT_HEADER_MAX);
	c.at = frame;
	c.end = newline + 1;
	if (decode_header(&c, ev, e) < 0)
		return -1;
	ev->body = newline + 1;
	ev->body_len = n - (size_t)(ev->body - frame);
	if (ev->body_len > EVENT_BODY_MAX)
		return err_set(e, ERR_PROTOCOL,
			"event: the body has %zu bytes, at most %d are taken", ev->body_len,
			EVENT_BODY_MAX);
	if (ev->body_len < 2 || ev->body[0] != '{' || ev->body[ev->body_len - 1] != '}')
		return err_set(e, ERR_PROTOCOL, "event: the body is not a JSON object");
	if (!utf8_valid(ev->body, ev->body_len))
		return err_set(e, ERR_PROTOCOL, "event: the body is not valid UTF-8");
	return 0;
}
