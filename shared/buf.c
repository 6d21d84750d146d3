/* A growable byte buffer with a ceiling. */
#include "shared/buf.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/err.h"

#define BUF_FIRST_BYTES 256

void buf_init(struct buf *b, size_t max_bytes)
{
	memset(b, 0, sizeof(*b));
	b->max = max_bytes;
}

void buf_clear(struct buf *b)
{
	size_t max = b->max;

	free(b->data);
	buf_init(b, max);
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->overflow = false;
	if (b->data)
		b->data[0] = '\0';
}

/* Makes room for n more bytes and the NUL. */
static bool reserve(struct buf *b, size_t n)
{
	size_t need;
	size_t cap = b->cap ? b->cap : BUF_FIRST_BYTES;

	if (__builtin_add_overflow(b->len, n, &need) || need == SIZE_MAX ||
		(b->max > 0 && need > b->max)) {
		b->overflow = true;
		return false;
	}
	need++;
	if (need <= b->cap)
		return true;
	while (cap < need)
		if (__builtin_mul_overflow(cap, (size_t)2, &cap))
			cap = need;
	b->data = realloc(b->data, cap);
	if (!b->data)
		err_out_of_memory();
	b->cap = cap;
	return true;
}

bool buf_add(struct buf *b, const void *data, size_t n)
{
	if (!reserve(b, n))
		return false;
	if (n > 0)
		memcpy(b->data + b->len, data, n);
	b->len += n;
	b->data[b->len] = '\0';
	return true;
}

bool buf_adds(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	va_list again;
	int n;
	bool added = false;

	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	if (n >= 0 && reserve(b, (size_t)n)) {
		vsnprintf(b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
		added = true;
	}
	va_end(again);
	va_end(ap);
	return added;
}

void buf_consume(struct buf *b, size_t n)
{
	if (n > b->len)
		n = b->len;
	if (n == 0)
		return;
	b->len -= n;
	memmove(b->data, b->data + n, b->len);
	b->data[b->len] = '\0';
}

char *buf_take(struct buf *b, size_t *n)
{
	char *data = b->data;
	size_t max = b->max;

	if (n)
		*n = b->len;
	if (!data) {
		data = calloc(1, 1);
		if (!data)
			err_out_of_memory();
	}
	buf_init(b, max);
	return data;
}
