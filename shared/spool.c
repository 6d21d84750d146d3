/* A worker's file of events that the supervisor has not committed yet. Records
 * are appended; an acknowledged beginning is dropped in large pieces. Offsets are
 * remembered for every 64th record only, so memory stays small when the file
 * does not. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/crash.h"
#include "shared/crc32c.h"
#include "shared/log.h"
#include "shared/spool_inside.h"

void spool_mark(struct spool *s, int64_t seq, int64_t offset)
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
	if (spool_write_header(s, s->fd, base, e) < 0)
		return -1;
	crash_point(CRASH_SPOOL_EMPTY_HEADER);
	if (ftruncate(s->fd, SPOOL_HEADER) < 0) {
		err_errno(e, "empty %s", s->path);
		/* Else what is appended behind the old records would be cut with them. */
		spool_write_header(s, s->fd, s->base, NULL);
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

/* Walks the records to the first that is torn or damaged. Are there whole ones behind it,
 * it is mended, else all from there on is cut. */
static int recover(struct spool *s, int64_t file_size, struct err *e)
{
	struct spool_walk w;
	int more;

	spool_walk_init(&w, s);
	_cleanup_free_ char *window = w.window;

	s->size = SPOOL_HEADER;
	while ((more = spool_walk_next(&w, e)) == 1 && w.skipped == 0 && w.seq == s->last + 1) {
		s->last++;
		spool_mark(s, s->last, s->size);
		s->size += (int64_t)w.n;
	}
	if (more < 0)
		return -1;
	for (int64_t hole = w.skipped; more == 1; hole += (int64_t)w.n + w.skipped) {
		/* No more are missing than there was room for. */
		if (w.seq > s->last + 1 && w.seq - s->last - 1 <= hole / SPOOL_RECORD_MIN)
			return spool_mend(s, s->acked, false, e);
		more = spool_walk_next(&w, e);
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
	ssize_t got = spool_read_at(s->fd, head, sizeof(head), offset);
	size_t have = got > SPOOL_RECORD ? (size_t)got - SPOOL_RECORD : 0;
	const char *end = memchr(head + SPOOL_RECORD, '\n', have);
	int64_t len = have ? spool_get32((unsigned char *)head) : 0;

	if (got < 0)
		return unreadable(s, e);
	snprintf(number, sizeof(number), " %" PRId64 " v", seq);
	if (!end || !spool_our_topic(s, head + SPOOL_RECORD, have) ||
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
	ssize_t n = spool_read_at(s->fd, h, sizeof(h), 0);
	struct stat st;

	if (n < 0 || fstat(s->fd, &st) < 0)
		return err_errno(e, "read %s", s->path);
	if (n < SPOOL_HEADER || memcmp(h, SPOOL_MAGIC, 8) != 0 ||
		spool_get32(h + 24) != crc32c(h, 24) || spool_get64(h + 8) < 0 ||
		spool_get64(h + 8) > SPOOL_SEQ_MAX) {
		if (n > 0)
			log_warn("%s: the header is damaged; starting behind event %" PRId64,
				s->path, committed);
		return start_over(s, committed, e);
	}
	if (spool_get64(h + 16) != s->agent)
		return err_set(e, ERR_CONFLICT, "%s: belongs to agent %" PRId64 ", not %" PRId64,
			s->path, spool_get64(h + 16), s->agent);
	s->base = s->last = s->acked = spool_get64(h + 8);
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

int spool_append(struct spool *s, enum event_kind kind, const char *body, size_t n, int64_t *seq,
	struct err *e)
{
	if ((unsigned)kind >= EVENT_KIND_COUNT)
		return err_set(e, ERR_INTERNAL, "event of unknown kind %d", (int)kind);
	if (spool_build(s, s->last + 1, kind, body, n, e) < 0)
		return -1;
	if (s->size - s->acked_end + (int64_t)s->record.len > SPOOL_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "%s: full, %lld MiB of events wait for the supervisor",
			s->path, SPOOL_MAX_BYTES / (1024 * 1024));
	crash_point(CRASH_SPOOL_APPEND_BEFORE);
	if (spool_write_at(s->fd, s->record.data, s->record.len, s->size) < 0) {
		err_errno(e, "append to %s", s->path);
		/* What was written of it would be cut at the next open anyway. */
		if (ftruncate(s->fd, s->size) < 0)
			log_warn("%s: a torn record could not be cut off", s->path);
		return -1;
	}
	s->last++;
	spool_mark(s, s->last, s->size);
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
	ssize_t got = spool_read_at(s->fd, ahead, sizeof(ahead), offset);
	size_t have = got > 0 ? (size_t)got : 0;
	int64_t found = 0;
	size_t n = 0;
	size_t want;

	if (got < 0)
		return unreadable(s, e);
	want = have >= SPOOL_RECORD ? SPOOL_RECORD + spool_get32((unsigned char *)ahead) : 0;
	buf_reset(&s->record);
	s->held = 0;
	if (want >= SPOOL_RECORD && want <= SPOOL_RECORD + SPOOL_FRAME_MAX) {
		buf_add(&s->record, ahead, want < have ? want : have);
		if (want > have) {
			_cleanup_free_ char *rest = malloc(want - have);

			if (!rest)
				err_out_of_memory();
			got = spool_read_at(s->fd, rest, want - have, offset + (int64_t)have);
			buf_add(&s->record, rest, got > 0 ? (size_t)got : 0);
		}
	}
	if (!spool_whole_record(s, s->record.data, s->record.len, &found, &n) || found != seq)
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
		(!s->damaged || spool_mend(s, s->acked, true, e) < 0 || look_up(s, seq, e) < 0))
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
		ssize_t got = spool_read_at(s->fd, block, sizeof(block), from);

		if (got <= 0)
			return err_errno(e, "read %s", s->path);
		if (spool_write_at(fd, block, (size_t)got, to) < 0)
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
	if (spool_write_header(s, fd, s->acked, e) < 0 || copy_rest(s, fd, e) < 0) {
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
		return s->damaged ? spool_mend(s, seq, true, e) : -1;
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
