/* Events of one agent, packed: what an ended agent said, compressed (zstd), in pieces of
 * SEGMENT_BYTES before compression. Read in either direction, and merged by id with the
 * segments of other agents. */
#ifndef SHARED_SEGMENT_H
#define SHARED_SEGMENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/buf.h"
#include "shared/err.h"
#include "shared/event.h"

#define SEGMENT_BYTES (64 * 1024) /* before compression; one event alone may be longer */
#define SEGMENT_MAX_BYTES (SEGMENT_BYTES + EVENT_BODY_MAX + 256)

/* The kinds that are packed: what is much. The others stay as they are and tell in few
 * rows what happened. Of a packed event that is no output a row stays with what is short of
 * its body (VIEWS_ACTIVITY_BODY): who reads both takes the packed one. */
#define SEGMENT_KINDS "'output','tool','diff'"
bool segment_kind(const char *word, size_t n);

struct segment_event {
	int64_t id, seq, at; /* as in the store's events */
	const char *kind, *body;
	size_t kind_len, body_len; /* both texts are followed by a NUL */
};

/* --- packing --- */
struct segment_writer {
	struct buf raw;
	int64_t first_id, last_id, last_seq, last_at;
	int n;
};
void segment_writer_init(struct segment_writer *w);
void segment_writer_clear(struct segment_writer *w);
/* False: it is full, and ev (with a higher id than all before) begins the next one. */
bool segment_writer_add(struct segment_writer *w, const struct segment_event *ev);
/* The packed bytes, the caller's. */
char *segment_writer_pack(struct segment_writer *w, size_t *n);

/* --- reading --- */
struct segment;
/* data is borrowed for the call. ERR_SYS: it is damaged. */
struct segment *segment_open(const void *data, size_t n, struct err *e);
void segment_free(struct segment *s);
int segment_count(const struct segment *s);
const struct segment_event *segment_get(const struct segment *s, int i);

/* --- several at once, by id --- */
struct segment_ref {
	int64_t key, agent, first_id, last_id;
};

/* Where segments come from. next: those that overlap the range, by rising first_id
 * (falling: by falling last_id); 1 with *ref, 0 at the end, -1. load: NULL with e. */
struct segment_source {
	int (*next)(void *arg, struct segment_ref *ref, struct err *e);
	struct segment *(*load)(void *arg, const struct segment_ref *ref, struct err *e);
	void *arg;
};

/* Open at once is at most one segment of each agent. */
struct segment_merge {
	struct segment_source source;
	int64_t after, upto; /* ids above and up to this */
	bool falling;
	bool asked, more; /* a next one is known */
	struct segment_ref ahead;
	struct segment_cursor *open;
	int n, cap, chosen;
};
void segment_merge_init(struct segment_merge *m, const struct segment_source *source, int64_t after,
	int64_t upto, bool falling);
void segment_merge_clear(struct segment_merge *m);
/* The next event, not taken yet: 1, 0 at the end, -1. Valid until the next call. */
int segment_merge_peek(
	struct segment_merge *m, int64_t *agent, const struct segment_event **ev, struct err *e);
void segment_merge_take(struct segment_merge *m);

#endif
