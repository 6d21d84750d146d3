/* Records of a spool: made, recognised, and found again in a file that is damaged. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/clock.h"
#include "shared/crc32c.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/spool_inside.h"

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

uint32_t spool_get32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put64(unsigned char *p, int64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)((uint64_t)v >> 32));
}

int64_t spool_get64(const unsigned char *p)
{
	return (int64_t)((uint64_t)spool_get32(p) | (uint64_t)spool_get32(p + 4) << 32);
}

ssize_t spool_read_at(int fd, void *out, size_t n, int64_t offset)
{
	size_t used = 0;

	while (used < n) {
		ssize_t got = pread(fd, (char *)out + used, n - used, offset + (off_t)used);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return -1;
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

int spool_write_at(int fd, const void *data, size_t n, int64_t offset)
{
	while (n > 0) {
		ssize_t put = pwrite(fd, data, n, offset);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return -1;
		data = (const char *)data + put;
		n -= (size_t)put;
		offset += put;
	}
	return 0;
}

int spool_write_header(const struct spool *s, int fd, int64_t base, struct err *e)
{
	unsigned char h[SPOOL_HEADER] = {0};

	memcpy(h, SPOOL_MAGIC, 8);
	put64(h + 8, base);
	put64(h + 16, s->agent);
	put32(h + 24, crc32c(h, 24));
	if (spool_write_at(fd, h, sizeof(h), 0) < 0)
		return err_errno(e, "write the header of %s", s->path);
	return 0;
}

bool spool_our_topic(const struct spool *s, const char *frame, size_t n)
{
	size_t len = strlen(s->topic);

	return n > len && memcmp(frame, s->topic, len) == 0;
}

bool spool_whole_record(
	const struct spool *s, const char *data, size_t have, int64_t *seq, size_t *n)
{
	const unsigned char *p = (const unsigned char *)data;
	struct event ev;
	size_t len;

	if (have < SPOOL_RECORD || !spool_our_topic(s, data + SPOOL_RECORD, have - SPOOL_RECORD))
		return false;
	len = spool_get32(p);
	if (len > SPOOL_FRAME_MAX || len > have - SPOOL_RECORD)
		return false;
	if (crc32c(data + SPOOL_RECORD, len) != spool_get32(p + 4))
		return false;
	if (event_decode(data + SPOOL_RECORD, len, &ev, NULL) < 0 || ev.subject != s->agent)
		return false;
	*seq = ev.number;
	*n = SPOOL_RECORD + len;
	return true;
}

/* Like read_at; what the disk cannot give is zeros. */
static ssize_t read_rough(int fd, char *out, size_t n, int64_t offset)
{
	ssize_t got = spool_read_at(fd, out, n, offset);
	size_t used = 0;

	if (got >= 0 || errno != EIO)
		return got;
	while (used < n) {
		size_t want = n - used < SPOOL_SECTOR ? n - used : SPOOL_SECTOR;

		got = spool_read_at(fd, out + used, want, offset + (int64_t)used);
		if (got < 0 && errno != EIO)
			return -1;
		if (got < 0) {
			memset(out + used, 0, want);
			got = (ssize_t)want;
		}
		if (got == 0)
			break;
		used += (size_t)got;
	}
	return (ssize_t)used;
}

void spool_walk_init(struct spool_walk *w, const struct spool *s)
{
	*w = (struct spool_walk){.s = s, .offset = SPOOL_HEADER};
	w->window = malloc((size_t)2 * (SPOOL_RECORD + SPOOL_FRAME_MAX));
	if (!w->window)
		err_out_of_memory();
}

int spool_walk_next(struct spool_walk *w, struct err *e)
{
	size_t cap = SPOOL_RECORD + SPOOL_FRAME_MAX;

	w->used += w->n;
	w->offset += (int64_t)w->n;
	w->n = 0;
	for (w->skipped = 0;; w->skipped++, w->used++, w->offset++) {
		if (!w->end && w->have - w->used < cap) {
			ssize_t got;

			memmove(w->window, w->window + w->used, w->have - w->used);
			w->have -= w->used;
			w->used = 0;
			got = read_rough(w->s->fd, w->window + w->have, 2 * cap - w->have,
				w->offset + (int64_t)w->have);
			if (got < 0)
				return err_errno(e, "read %s", w->s->path);
			w->end = (size_t)got < 2 * cap - w->have;
			w->have += (size_t)got;
		}
		w->record = w->window + w->used;
		if (w->have - w->used < SPOOL_RECORD_MIN)
			return 0;
		if (spool_whole_record(w->s, w->record, w->have - w->used, &w->seq, &w->n))
			return 1;
	}
}

/* Blots out secrets in the strings of a JSON text, never in numbers or escapes:
 * it stays JSON. before: the same text untouched. */
static void redact(char *body, const char *before, size_t n)
{
	bool in_string = false;

	log_redact_bytes(body, n);
	if (memcmp(body, before, n) == 0)
		return;
	memcpy(body, before, n);
	for (size_t i = 0; i < n; i++) {
		size_t run = i;

		if (body[i] == '"') {
			in_string = !in_string;
			continue;
		}
		if (!in_string)
			continue;
		if (body[i] == '\\') {
			i += i + 1 < n && body[i + 1] == 'u' ? 5 : 1;
			continue;
		}
		while (run < n && body[run] != '"' && body[run] != '\\')
			run++;
		log_redact_bytes(body + i, run - i);
		i = run - 1;
	}
}

int spool_build(struct spool *s, int64_t seq, enum event_kind kind, const char *body, size_t n,
	struct err *e)
{
	char header[EVENT_HEADER_MAX];
	unsigned char head[SPOOL_RECORD] = {0};
	size_t header_len = event_header("agent", s->agent, kind, seq, header);
	size_t skip = 1;
	size_t len;

	if (n < 2 || body[0] != '{' || body[n - 1] != '}' || !utf8_valid(body, n))
		return err_set(e, ERR_INVALID, "event %s: the body is not a JSON object in UTF-8",
			event_kind_word(kind));
	if (n > EVENT_BODY_MAX - SPOOL_STAMP_MAX)
		return err_set(e, ERR_LIMIT,
			"event %s: the body has %zu bytes, at most %d are taken",
			event_kind_word(kind), n, EVENT_BODY_MAX - SPOOL_STAMP_MAX);
	while (strchr(" \t\r\n", body[skip]))
		skip++;
	s->held = 0;
	buf_reset(&s->record);
	buf_add(&s->record, head, sizeof(head));
	buf_add(&s->record, header, header_len);
	buf_addf(&s->record, "{\"seq\":%" PRId64 ",\"at\":%" PRId64 "%s", seq, clock_wall_ms(),
		skip == n - 1 ? "" : ",");
	buf_add(&s->record, body + skip, n - skip);
	redact(s->record.data + s->record.len - (n - skip), body + skip, n - skip);
	len = s->record.len - SPOOL_RECORD;
	put32((unsigned char *)s->record.data, (uint32_t)len);
	put32((unsigned char *)s->record.data + 4, crc32c(s->record.data + SPOOL_RECORD, len));
	return 0;
}
