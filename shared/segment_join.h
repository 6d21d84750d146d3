/* Rows of events and segments together, by id. What is both packed and, shortened, a row is
 * given once, whole. Who asks brings the rows: reading the store is not done here. */
#ifndef SHARED_SEGMENT_JOIN_H
#define SHARED_SEGMENT_JOIN_H

#include "shared/segment.h"

/* A row, or a packed event; both texts are followed by a NUL. */
struct joined_event {
	int64_t id, subject, at;
	const char *stream, *kind, *body;
	size_t kind_len, body_len;
};

struct segment_join {
	/* The next row, in the order of the segments: 1 with *row, valid until the next call,
	 * 0 at the end, -1. */
	int (*next_row)(void *arg, struct joined_event *row, struct err *e);
	/* Whether a packed event is given; NULL: all are. */
	bool (*wanted)(void *arg, const struct segment_event *ev);
	void *arg;
	struct segment_merge segments; /* made by segment_merge_init, cleared by the owner */
	bool packed;		       /* segments are read at all */

	struct joined_event row;
	int row_got; /* as of next_row */
	bool row_known, took_row, took_both;
};

/* The next of both, not taken yet: 1 with *ev, valid until it is taken, 0 at the end, -1. */
int segment_join_peek(struct segment_join *j, struct joined_event *ev, struct err *e);
void segment_join_take(struct segment_join *j);

#endif
