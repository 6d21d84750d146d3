/* A spool whose file is damaged is made anew, from all that is whole. */
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/log.h"
#include "shared/spool_inside.h"

/* What stands in the place of an event that was damaged: says nothing, keeps the number. */
#define SPOOL_PLACEHOLDER "{\"stream\":\"log\",\"text\":\"\",\"broken\":true}"

/* A file that is made anew, record by record. */
struct copy {
	int fd;
	int64_t last, size;
	int64_t lost, first_lost, last_lost;
};

static int copy_record(struct spool *s, struct copy *c, const char *data, size_t n, struct err *e)
{
	if (spool_write_at(c->fd, data, n, c->size) < 0)
		return err_errno(e, "write %s", s->path_new);
	c->last++;
	spool_mark(s, c->last, c->size);
	c->size += (int64_t)n;
	return 0;
}

/* Placeholders for the events up to and with seq. */
static int copy_holes(struct spool *s, struct copy *c, int64_t seq, struct err *e)
{
	while (c->last < seq) {
		if (spool_build(s, c->last + 1, EVENT_OUTPUT, SPOOL_PLACEHOLDER,
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
	if (spool_build(s, c->last + 1, EVENT_TROUBLE, body, (size_t)n, e) < 0)
		return -1;
	return copy_record(s, c, s->record.data, s->record.len, e);
}

static int copy_whole(struct spool *s, struct copy *c, bool to_last, struct err *e)
{
	int64_t hole = 0;
	struct spool_walk w;
	int more;

	spool_walk_init(&w, s);
	_cleanup_free_ char *window = w.window;

	if (spool_write_header(s, c->fd, c->last, e) < 0)
		return -1;
	while ((more = spool_walk_next(&w, e)) == 1) {
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

int spool_mend(struct spool *s, int64_t acked, bool to_last, struct err *e)
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
