/* Inside of the spool, for spool*.c alone: what is kept of a file, its records, mending. */
#ifndef SHARED_SPOOL_INSIDE_H
#define SHARED_SPOOL_INSIDE_H

#include <sys/types.h>

#include "shared/buf.h"
#include "shared/paths.h"
#include "shared/spool.h"

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
	bool damaged; /* why the last look failed: spool_mend() can help */
	char topic[EVENT_HEADER_MAX];
	struct buf record;
	char path[PATHS_MAX];
	char path_new[PATHS_MAX];
};

/* --- records (spool_record.c) --- */

/* Little-endian numbers of records and of the header. */
uint32_t spool_get32(const unsigned char *p);
int64_t spool_get64(const unsigned char *p);
/* Reads up to n bytes; the count falls short only at the end of the file. -1: errno. */
ssize_t spool_read_at(int fd, void *out, size_t n, int64_t offset);
/* Writes all n bytes. -1: errno. */
int spool_write_at(int fd, const void *data, size_t n, int64_t offset);
int spool_write_header(const struct spool *s, int fd, int64_t base, struct err *e);
/* True if the frame is one of ours, as far as its topic tells. */
bool spool_our_topic(const struct spool *s, const char *frame, size_t n);
/* True if data starts with a whole record; *seq is its number, *n its length on disk. */
bool spool_whole_record(
	const struct spool *s, const char *data, size_t have, int64_t *seq, size_t *n);
/* Builds the record of this seq in s->record. */
int spool_build(struct spool *s, int64_t seq, enum event_kind kind, const char *body, size_t n,
	struct err *e);

/* A walk over all whole records of a file, past what is none. */
struct spool_walk {
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

/* The window is the caller's to free. */
void spool_walk_init(struct spool_walk *w, const struct spool *s);
/* 1: a record; 0: there is none any more; -1: the file cannot be read. */
int spool_walk_next(struct spool_walk *w, struct err *e);

/* --- the file (spool.c) --- */

/* Remembers where the record seq starts, if it is one of those remembered. */
void spool_mark(struct spool *s, int64_t seq, int64_t offset);

/* --- mending (spool_mend.c) --- */

/* Records are damaged: what is whole behind acked moves to a new file, with a placeholder for
 * each event that is not, and their number in words behind all of them. to_last: up to
 * s->last, which was appended, whatever the file holds. Nothing changes if that fails. */
int spool_mend(struct spool *s, int64_t acked, bool to_last, struct err *e);

#endif
