/* A growable byte buffer with a ceiling. data is always NUL-terminated behind
 * len bytes (the NUL does not count). Out of memory aborts. */
#ifndef SHARED_BUF_H
#define SHARED_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

struct buf {
	char *data; /* NULL while empty and never filled */
	size_t len;
	size_t cap;
	size_t max;    /* 0: no ceiling of its own */
	bool overflow; /* an append was refused because of max; sticky */
};

void buf_init(struct buf *b, size_t max_bytes);
void buf_clear(struct buf *b); /* frees; the buffer may be used again */
void buf_reset(struct buf *b); /* len = 0, keeps memory, clears overflow */

/* Each returns false and sets overflow, appending nothing, past max. */
bool buf_add(struct buf *b, const void *data, size_t n);
bool buf_adds(struct buf *b, const char *text);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Drops n bytes at the front. */
void buf_consume(struct buf *b, size_t n);
/* The caller owns the (NUL-terminated, never NULL) result; b is empty after. */
char *buf_take(struct buf *b, size_t *n);

#endif
