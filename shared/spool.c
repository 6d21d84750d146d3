/* A worker's file of events that the supervisor has not committed yet. Records
 * are appended; an acknowledged beginning is dropped in large pieces. Offsets are
 * remembered for every 64th record only, so memory stays small when the file
 * does not. */
#include "shared/crash.h"
#include "shared/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crc32c.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/paths.h"

#define SPOOL_MAGIC "100xspl1"
#define SPOOL_HEADER 32
#define SPOOL_RECORD 8
#define SPOOL_SEQ_MAX (INT64_MAX / 2)	      /* far from overflow */
#define SPOOL_STRIDE 64			      /* records per remembered offset */
#define SPOOL_STAMP_MAX 64		      /* {"seq":N,"at":MS, */
#define SPOOL_READ_AHEAD 4096		      /* most records come with one read */
#define SPOOL_TRUNCATE_BYTES (64 * 1024)      /* all acknowledged: larger files are emptied */
#define SPOOL_COMPACT_BYTES (4 * 1024 * 1024) /* acknowledged beginning worth a copy */
#define SPOOL_COPY_BYTES (16 * 1024)
#define SPOOL_FRAME_MAX (EVENT_HEADER_MAX + EVENT_BODY_MAX)
#define SPOOL_RECORD_MIN 32 /* no record is smaller: header line, seq, at */
#define SPOOL_SECTOR 4096   /* a disk that gives an error gives it for about as much */

/* What stands in the place of an event that was damaged: says nothing, keeps the number. */
#define SPOOL_PLACEHOLDER "{\"stream\":\"log\",\"text\":\"\",\"broken\":true}"

struct spool {
	int fd;
	int64_t agent;
	int64_t base;  /* seq before the file's first record */
	int64_t last;  /* seq of the file's last record, or base */
	int64_t acked; /* base <= acked <= last */
	int64_t size;
	int64_t acked_end;   /* offset behind the last acknowledged record */
	int64_t next_seq;    /* sequential reading: this seq ... */
	int64_t next_offset; /* ... starts here */
	int64_t *marks;	     /* offset of the record first_mark + 64 k */
	int64_t first_mark;
	size_t n_marks;
	size_t marks_cap;
	int64_t held; /* seq whose frame is in record, 0: none */
	int64_t lost; /* events that were damaged */
	bool damaged; /* why the last look failed: mend() can help */
	char topic[EVENT_HEADER_MAX];
	struct buf record;
	char path[PATHS_MAX];
	char path_new[PATHS_MAX];
};

static void put32(unsigned char *p, uint32_t v)
{
	for (int i = 0; i < 4; i++)
		p[i] = (unsigned char)(v >> (8 * i));
}

static uint32_t get32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static void put64(unsigned char *p, int64_t v)
{
	put32(p, (uint32_t)v);
	put32(p + 4, (uint32_t)((uint64_t)v >> 32));
}

static int64_t get64(const unsigned char *p)
{
	return (int64_t)((uint64_t)get32(p) | (uint64_t)get32(p + 4) << 32);
}

/* Reads up to n bytes; the count falls short only at the end of the file. */
static ssize_t read_at(int fd, void *out, size_t n, int64_t offset)
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

static int write_at(int fd, const void *data, size_t n, int64_t offset)
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

static int write_header(const struct spool *s, int fd, int64_t base, struct err *e)
{
	unsigned char h[SPOOL_HEADER] = {0};

	memcpy(h, SPOOL_MAGIC, 8);
	put64(h + 8, base);
	put64(h + 16, s->agent);
	put32(h + 24, crc32c(h, 24));
	if (write_at(fd, h, sizeof(h), 0) < 0)
		return err_errno(e, "write the header of %s", s->path);
	return 0;
}

/* Remembers where the record seq starts, if it is one of those remembered. */
static void mark(struct spool *s, int64_t seq, int64_t offset)
{
	if (s->n_marks == 0)
		s->first_mark = seq;
	else if ((seq - s->first_mark) % SPOOL_STRIDE != 0)
		return;
	if (s->n_marks == s->marks_cap) {
		s->marks_cap = s->marks_cap ? 2 * s->marks_cap : 64;
		s->marks = reallocarray(s->marks, s->marks_cap, sizeof(*s->marks));
		if (!s->marks)
			err_out_of_memory();
	}
	s->marks[s->n_marks++] = offset;
}

/* Forgets all records: the file holds only its header, behind seq base. */
static int start_over(struct spool *s, int64_t base, struct err *e)
{
	/* Header first: killed in between, the old records carry wrong numbers and are cut. */
	if (write_header(s, s->fd, base, e) < 0)
		return -1;
	crash_point(CRASH_SPOOL_EMPTY_HEADER);
	if (ftruncate(s->fd, SPOOL_HEADER) < 0) {
		err_errno(e, "empty %s", s->path);
		/* Else what is appended behind the old records would be cut with them. */
		write_header(s, s->fd, s->base, NULL);
		return -1;
	}
	crash_point(CRASH_SPOOL_EMPTIED);
	s->base = s->last = s->acked = base;
	s->size = s->acked_end = s->next_offset = SPOOL_HEADER;
	s->next_seq = base + 1;
	s->n_marks = 0;
	s->held = 0;
	return 0;
}

/* True if the frame is one of ours, as far as its topic tells. */
static bool our_topic(const struct spool *s, const char *frame, size_t n)
{
	size_t len = strlen(s->topic);

	return n > len && memcmp(frame, s->topic, len) == 0;
}

/* True if data starts with a whole record; *seq is its number, *n its length on disk. */
static bool whole_record(
	const struct spool *s, const char *data, size_t have, int64_t *seq, size_t *n)
{
	const unsigned char *p = (const unsigned char *)data;
	struct event ev;
	size_t len;

	if (have < SPOOL_RECORD || !our_topic(s, data + SPOOL_RECORD, have - SPOOL_RECORD))
		return false;
	len = get32(p);
	if (len > SPOOL_FRAME_MAX || len > have - SPOOL_RECORD)
		return false;
	if (crc32c(data + SPOOL_RECORD, len) != get32(p + 4))
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
	ssize_t got = read_at(fd, out, n, offset);
	size_t used = 0;

	if (got >= 0 || errno != EIO)
		return got;
	while (used < n) {
		size_t want = n - used < SPOOL_SECTOR ? n - used : SPOOL_SECTOR;

		got = read_at(fd, out + used, want, offset + (int64_t)used);
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

/* A walk over all whole records of a file, past what is none. */
struct walk {
	const struct spool *s;
	char *window;
	size_t have, used;
	int64_t offset; /* of window + used */
	bool end;	/* the window holds the rest of the file */
	/* The record found. */
	const char *record;
	size_t n;
	int64_t seq;
	int64_t skipped; /* bytes that are no record, between the one before and this one */
};

static void walk_init(struct walk *w, const struct spool *s)
{
	*w = (struct walk){.s = s, .offset = SPOOL_HEADER};
	w->window = malloc((size_t)2 * (SPOOL_RECORD + SPOOL_FRAME_MAX));
	if (!w->window)
		err_out_of_memory();
}

/* 1: a record; 0: there is none any more; -1: the file cannot be read. */
static int walk_next(struct walk *w, struct err *e)
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
		if (whole_record(w->s, w->record, w->have - w->used, &w->seq, &w->n))
			return 1;
	}
}

static int mend(struct spool *s, int64_t acked, bool to_last, struct err *e);

/* Walks the records to the first that is torn or damaged. Are there whole ones behind it,
 * it is mended, else all from there on is cut. */
static int recover(struct spool *s, int64_t file_size, struct err *e)
{
	struct walk w;
	int more;

	walk_init(&w, s);
	_cleanup_free_ char *window = w.window;

	s->size = SPOOL_HEADER;
	while ((more = walk_next(&w, e)) == 1 && w.skipped == 0 && w.seq == s->last + 1) {
		s->last++;
		mark(s, s->last, s->size);
		s->size += (int64_t)w.n;
	}
	if (more < 0)
		return -1;
	for (int64_t hole = w.skipped; more == 1; hole += (int64_t)w.n + w.skipped) {
		/* No more are missing than there was room for. */
		if (w.seq > s->last + 1 && w.seq - s->last - 1 <= hole / SPOOL_RECORD_MIN)
			return mend(s, s->acked, false, e);
		more = walk_next(&w, e);
		if (more < 0)
			return -1;
	}
	if (s->size == file_size)
		return 0;
	log_warn("%s: cut off %" PRId64 " bytes of a torn or damaged end behind event %" PRId64,
		s->path, file_size - s->size, s->last);
	if (ftruncate(s->fd, s->size) < 0)
		return err_errno(e, "cut %s", s->path);
	return 0;
}

/* -1 and the word that a record is damaged. */
static int damage(struct spool *s, int64_t seq, struct err *e)
{
	s->damaged = true;
	return err_set(e, ERR_SYS, "%s: event %" PRId64 " is damaged on disk", s->path, seq);
}

static int unreadable(struct spool *s, struct err *e)
{
	s->damaged = errno == EIO;
	return err_errno(e, "read %s", s->path);
}

/* Length of the record seq at offset on disk, or -1: what is there is not that record, as
 * far as its first line tells. */
static int64_t record_length(struct spool *s, int64_t seq, int64_t offset, struct err *e)
{
	char head[SPOOL_RECORD + EVENT_HEADER_MAX];
	char number[32];
	ssize_t got = read_at(s->fd, head, sizeof(head), offset);
	size_t have = got > SPOOL_RECORD ? (size_t)got - SPOOL_RECORD : 0;
	const char *end = memchr(head + SPOOL_RECORD, '\n', have);
	int64_t len = have ? get32((unsigned char *)head) : 0;

	if (got < 0)
		return unreadable(s, e);
	snprintf(number, sizeof(number), " %" PRId64 " v", seq);
	if (!end || !our_topic(s, head + SPOOL_RECORD, have) ||
		!memmem(head + SPOOL_RECORD, (size_t)(end - head) - SPOOL_RECORD, number,
			strlen(number)) ||
		len > SPOOL_FRAME_MAX || offset + SPOOL_RECORD + len > s->size)
		return damage(s, seq, e);
	return SPOOL_RECORD + len;
}

/* Offset where the record seq starts (last + 1: the end), or -1. */
static int64_t locate(struct spool *s, int64_t seq, struct err *e)
{
	int64_t at = s->next_seq;
	int64_t offset = s->next_offset;

	if (seq == s->last + 1)
		return s->size;
	if (seq < at || seq - at >= SPOOL_STRIDE) {
		at = s->base + 1;
		offset = SPOOL_HEADER;
		if (s->n_marks > 0 && seq >= s->first_mark) {
			int64_t k = (seq - s->first_mark) / SPOOL_STRIDE;

			at = s->first_mark + k * SPOOL_STRIDE;
			offset = s->marks[k];
		}
	}
	for (; at < seq; at++) {
		int64_t n = record_length(s, at, offset, e);

		if (n < 0)
			return -1;
		offset += n;
	}
	return offset;
}

static int read_header(struct spool *s, int64_t committed, struct err *e)
{
	unsigned char h[SPOOL_HEADER];
	ssize_t n = read_at(s->fd, h, sizeof(h), 0);
	struct stat st;

	if (n < 0 || fstat(s->fd, &st) < 0)
		return err_errno(e, "read %s", s->path);
	if (n < SPOOL_HEADER || memcmp(h, SPOOL_MAGIC, 8) != 0 || get32(h + 24) != crc32c(h, 24) ||
		get64(h + 8) < 0 || get64(h + 8) > SPOOL_SEQ_MAX) {
		if (n > 0)
			log_warn("%s: the header is damaged; starting behind event %" PRId64,
				s->path, committed);
		return start_over(s, committed, e);
	}
	if (get64(h + 16) != s->agent)
		return err_set(e, ERR_CONFLICT, "%s: belongs to agent %" PRId64 ", not %" PRId64,
			s->path, get64(h + 16), s->agent);
	s->base = s->last = s->acked = get64(h + 8);
	s->next_seq = s->base + 1;
	s->next_offset = s->acked_end = SPOOL_HEADER;
	return recover(s, st.st_size, e);
}

static int settle(struct spool *s, int64_t committed, struct err *e)
{
	if (read_header(s, committed, e) < 0)
		return -1;
	if (committed > s->last)
		return start_over(s, committed, e);
	if (committed < s->base)
		log_warn("%s: events up to %" PRId64 " were dropped as committed, the supervisor "
			 "has them up to %" PRId64,
			s->path, s->base, committed);
	return committed > s->acked ? spool_acknowledge(s, committed, e) : 0;
}

struct spool *spool_open(const char *dir, int64_t agent, int64_t committed, struct err *e)
{
	struct spool *s = calloc(1, sizeof(*s));

	if (!s)
		err_out_of_memory();
	s->fd = -1;
	s->agent = agent;
	snprintf(s->topic, sizeof(s->topic), "agent/%" PRId64 " ", agent);
	buf_init(&s->record, 0);
	if (snprintf(s->path, sizeof(s->path), "%s/events", dir) >= (int)sizeof(s->path) ||
		snprintf(s->path_new, sizeof(s->path_new), "%s/events.new", dir) >=
			(int)sizeof(s->path_new)) {
		err_set(e, ERR_INVALID, "spool: the path is too long: %.64s…", dir);
	} else if (agent < 1 || committed < 0 || committed > SPOOL_SEQ_MAX) {
		err_set(e, ERR_INVALID, "spool: no such agent or number");
	} else if (paths_mkdirs(dir, 0700, e) == 0) {
		s->fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
		if (s->fd < 0) {
			err_errno(e, "open %s", s->path);
		} else if (settle(s, committed, e) == 0) {
			crash_point(CRASH_SPOOL_OPENED);
			return s;
		}
	}
	spool_free(s);
	return NULL;
}

void spool_free(struct spool *s)
{
	if (!s)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->marks);
	buf_clear(&s->record);
	free(s);
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

/* Builds the record of this seq in s->record. */
static int build(struct spool *s, int64_t seq, enum event_kind kind, const char *body, size_t n,
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

int spool_append(struct spool *s, enum event_kind kind, const char *body, size_t n, int64_t *seq,
	struct err *e)
{
	if ((unsigned)kind >= EVENT_KIND_COUNT)
		return err_set(e, ERR_INTERNAL, "event of unknown kind %d", (int)kind);
	if (build(s, s->last + 1, kind, body, n, e) < 0)
		return -1;
	if (s->size - s->acked_end + (int64_t)s->record.len > SPOOL_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "%s: full, %lld MiB of events wait for the supervisor",
			s->path, SPOOL_MAX_BYTES / (1024 * 1024));
	crash_point(CRASH_SPOOL_APPEND_BEFORE);
	if (write_at(s->fd, s->record.data, s->record.len, s->size) < 0) {
		err_errno(e, "append to %s", s->path);
		/* What was written of it would be cut at the next open anyway. */
		if (ftruncate(s->fd, s->size) < 0)
			log_warn("%s: a torn record could not be cut off", s->path);
		return -1;
	}
	s->last++;
	mark(s, s->last, s->size);
	s->size += (int64_t)s->record.len;
	crash_point(CRASH_SPOOL_APPEND_AFTER);
	s->held = s->last;
	*seq = s->last;
	return 0;
}

/* Fills s->record from offset; one read does for most records. */
static int fetch(struct spool *s, int64_t seq, int64_t offset, struct err *e)
{
	char ahead[SPOOL_READ_AHEAD];
	ssize_t got = read_at(s->fd, ahead, sizeof(ahead), offset);
	size_t have = got > 0 ? (size_t)got : 0;
	int64_t found = 0;
	size_t n = 0;
	size_t want;

	if (got < 0)
		return unreadable(s, e);
	want = have >= SPOOL_RECORD ? SPOOL_RECORD + get32((unsigned char *)ahead) : 0;
	buf_reset(&s->record);
	s->held = 0;
	if (want >= SPOOL_RECORD && want <= SPOOL_RECORD + SPOOL_FRAME_MAX) {
		buf_add(&s->record, ahead, want < have ? want : have);
		if (want > have) {
			_cleanup_free_ char *rest = malloc(want - have);

			if (!rest)
				err_out_of_memory();
			got = read_at(s->fd, rest, want - have, offset + (int64_t)have);
			buf_add(&s->record, rest, got > 0 ? (size_t)got : 0);
		}
	}
	if (!whole_record(s, s->record.data, s->record.len, &found, &n) || found != seq)
		return damage(s, seq, e);
	s->held = seq;
	s->next_seq = seq + 1;
	s->next_offset = offset + (int64_t)n;
	return 0;
}

static int look_up(struct spool *s, int64_t seq, struct err *e)
{
	int64_t offset;

	s->damaged = false;
	offset = locate(s, seq, e);
	return offset < 0 ? -1 : fetch(s, seq, offset, e);
}

int spool_read(struct spool *s, int64_t seq, const char **frame, size_t *n, struct err *e)
{
	if (seq <= s->acked || seq > s->last)
		return err_set(e, ERR_NOT_FOUND,
			"%s: no event %" PRId64 ", there are %" PRId64 " to %" PRId64, s->path, seq,
			s->acked + 1, s->last);
	if (seq != s->held && look_up(s, seq, e) < 0 &&
		(!s->damaged || mend(s, s->acked, true, e) < 0 || look_up(s, seq, e) < 0))
		return -1;
	*frame = s->record.data + SPOOL_RECORD;
	*n = s->record.len - SPOOL_RECORD;
	return 0;
}

static int copy_rest(struct spool *s, int fd, struct err *e)
{
	char block[SPOOL_COPY_BYTES];
	int64_t from = s->acked_end;
	int64_t to = SPOOL_HEADER;

	while (from < s->size) {
		ssize_t got = read_at(s->fd, block, sizeof(block), from);

		if (got <= 0)
			return err_errno(e, "read %s", s->path);
		if (write_at(fd, block, (size_t)got, to) < 0)
			return err_errno(e, "write %s", s->path_new);
		from += got;
		to += got;
	}
	return 0;
}

/* Forgets the offsets that were dropped; the others move forward. */
static void shift_marks(struct spool *s, int64_t dropped)
{
	size_t gone = 0;

	while (gone < s->n_marks && s->first_mark <= s->base) {
		s->first_mark += SPOOL_STRIDE;
		gone++;
	}
	s->n_marks -= gone;
	for (size_t i = 0; i < s->n_marks; i++)
		s->marks[i] = s->marks[i + gone] - dropped;
}

/* The unacknowledged rest moves to a new file, which takes the old one's place. */
static int compact(struct spool *s, struct err *e)
{
	_cleanup_close_ int fd =
		open(s->path_new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int64_t dropped = s->acked_end - SPOOL_HEADER;

	if (fd < 0)
		return err_errno(e, "make %s", s->path_new);
	if (write_header(s, fd, s->acked, e) < 0 || copy_rest(s, fd, e) < 0) {
		unlink(s->path_new);
		return -1;
	}
	crash_point(CRASH_SPOOL_COMPACT_COPIED);
	if (rename(s->path_new, s->path) < 0)
		return err_errno(e, "rename %s", s->path_new);
	crash_point(CRASH_SPOOL_COMPACT_RENAMED);
	close(s->fd);
	s->fd = take_fd(&fd);
	s->base = s->acked;
	s->size -= dropped;
	s->acked_end = s->next_offset = SPOOL_HEADER;
	s->next_seq = s->base + 1;
	shift_marks(s, dropped);
	return 0;
}

/* A file that is made anew, record by record. */
struct copy {
	int fd;
	int64_t last, size;
	int64_t lost, first_lost, last_lost;
};

static int copy_record(struct spool *s, struct copy *c, const char *data, size_t n, struct err *e)
{
	if (write_at(c->fd, data, n, c->size) < 0)
		return err_errno(e, "write %s", s->path_new);
	c->last++;
	mark(s, c->last, c->size);
	c->size += (int64_t)n;
	return 0;
}

/* Placeholders for the events up to and with seq. */
static int copy_holes(struct spool *s, struct copy *c, int64_t seq, struct err *e)
{
	while (c->last < seq) {
		if (build(s, c->last + 1, EVENT_OUTPUT, SPOOL_PLACEHOLDER,
			    strlen(SPOOL_PLACEHOLDER), e) < 0 ||
			copy_record(s, c, s->record.data, s->record.len, e) < 0)
			return -1;
		c->first_lost = c->lost++ ? c->first_lost : c->last;
		c->last_lost = c->last;
	}
	return 0;
}

/* The next event says what is lost. */
static int copy_words(struct spool *s, struct copy *c, struct err *e)
{
	char range[64] = "", body[512];
	int n;

	if (c->lost > 1)
		snprintf(range, sizeof(range), " to %" PRId64, c->last_lost);
	log_warn("%s: %" PRId64 " event%s (%" PRId64 "%s) damaged on disk and lost", s->path,
		c->lost, c->lost == 1 ? "" : "s", c->first_lost, range);
	n = snprintf(body, sizeof(body),
		"{\"what\":\"events lost\",\"lost_events\":%" PRId64 ",\"reason\":\"%" PRId64
		" event%s (number %" PRId64 "%s) could not be read back: the agent's spool was "
		"damaged on disk, and what the supervisor did not have yet is lost\",\"hint\":"
		"\"check the disk that holds the state directory\"}",
		c->lost, c->lost, c->lost == 1 ? "" : "s", c->first_lost, range);
	if (build(s, c->last + 1, EVENT_TROUBLE, body, (size_t)n, e) < 0)
		return -1;
	return copy_record(s, c, s->record.data, s->record.len, e);
}

static int copy_whole(struct spool *s, struct copy *c, bool to_last, struct err *e)
{
	int64_t hole = 0;
	struct walk w;
	int more;

	walk_init(&w, s);
	_cleanup_free_ char *window = w.window;

	if (write_header(s, c->fd, c->last, e) < 0)
		return -1;
	while ((more = walk_next(&w, e)) == 1) {
		hole += w.skipped;
		if (w.seq <= c->last)
			continue;
		if (to_last ? w.seq > s->last : w.seq - c->last - 1 > hole / SPOOL_RECORD_MIN) {
			hole += (int64_t)w.n;
			continue;
		}
		if (copy_holes(s, c, w.seq - 1, e) < 0 || copy_record(s, c, w.record, w.n, e) < 0)
			return -1;
		hole = 0;
	}
	if (more < 0 || (to_last && copy_holes(s, c, s->last, e) < 0))
		return -1;
	return c->lost ? copy_words(s, c, e) : 0;
}

/* Records are damaged: what is whole behind acked moves to a new file, with a placeholder for
 * each event that is not, and their number in words behind all of them. to_last: up to
 * s->last, which was appended, whatever the file holds. Nothing changes if that fails. */
static int mend(struct spool *s, int64_t acked, bool to_last, struct err *e)
{
	_cleanup_close_ int fd =
		open(s->path_new, O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	struct copy c = {.fd = fd, .last = acked, .size = SPOOL_HEADER};

	if (fd < 0)
		return err_errno(e, "make %s", s->path_new);
	s->n_marks = 0;
	if (copy_whole(s, &c, to_last, e) < 0 ||
		(rename(s->path_new, s->path) < 0 && err_errno(e, "rename %s", s->path_new) < 0)) {
		unlink(s->path_new);
		s->n_marks = 0;
		return -1;
	}
	close(s->fd);
	s->fd = take_fd(&fd);
	s->base = s->acked = acked;
	s->last = c.last;
	s->size = c.size;
	s->acked_end = s->next_offset = SPOOL_HEADER;
	s->next_seq = acked + 1;
	s->held = 0;
	s->lost += c.lost;
	return 0;
}

int spool_acknowledge(struct spool *s, int64_t seq, struct err *e)
{
	int64_t offset;

	if (seq > s->last)
		return err_set(e, ERR_PROTOCOL,
			"%s: event %" PRId64 " was acknowledged, the last one is %" PRId64, s->path,
			seq, s->last);
	if (seq <= s->acked)
		return 0;
	s->damaged = false;
	offset = locate(s, seq + 1, e);
	if (offset < 0 || (seq < s->last && record_length(s, seq + 1, offset, e) < 0))
		return s->damaged ? mend(s, seq, true, e) : -1;
	crash_point(CRASH_SPOOL_ACKNOWLEDGE);
	s->acked = seq;
	s->acked_end = offset;
	if (s->acked == s->last && s->size > SPOOL_TRUNCATE_BYTES)
		return start_over(s, s->last, e);
	/* Copying no more than was dropped keeps the cost per event constant. */
	if (s->acked_end > SPOOL_COMPACT_BYTES && s->acked_end > s->size - s->acked_end)
		return compact(s, e);
	return 0;
}

int64_t spool_last(const struct spool *s)
{
	return s->last;
}

int64_t spool_acknowledged(const struct spool *s)
{
	return s->acked;
}

int64_t spool_bytes(const struct spool *s)
{
	return s->size;
}

int64_t spool_lost(const struct spool *s)
{
	return s->lost;
}
