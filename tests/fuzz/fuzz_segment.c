/* Packed events: any bytes are refused or read within bounds; what is read is whole (ids
 * rise, texts end with a NUL) and packs and reads the same again. */
// needs: shared/segment.c shared/buf.c shared/err.c
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "shared/segment.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void same(const struct segment *a, const struct segment *b, int from)
{
	for (int i = 0; i < segment_count(b); i++) {
		const struct segment_event *x = segment_get(a, from + i), *y = segment_get(b, i);

		if (x->id != y->id || x->seq != y->seq || x->at != y->at ||
			x->body_len != y->body_len || memcmp(x->body, y->body, x->body_len) != 0 ||
			x->kind_len != y->kind_len || memcmp(x->kind, y->kind, x->kind_len) != 0)
			abort();
	}
}

static void pack_again(const struct segment *s)
{
	struct segment_writer w;
	struct segment *again;
	int from = 0;

	for (int i = 0; i <= segment_count(s); i++) {
		struct err e;
		size_t len;
		char *packed;

		if (i == from)
			segment_writer_init(&w);
		if (i < segment_count(s) && segment_writer_add(&w, segment_get(s, i)))
			continue;
		packed = segment_writer_pack(&w, &len);
		again = segment_open(packed, len, &e);
		if (!again)
			abort();
		same(s, again, from);
		segment_free(again);
		free(packed);
		segment_writer_clear(&w);
		if (i < segment_count(s))
			from = i--;
	}
}

static void try_out(const void *data, size_t n)
{
	struct err e;
	struct segment *s = segment_open(data, n, &e);
	int64_t before = 0;

	if (!s)
		return;
	for (int i = 0; i < segment_count(s); i++) {
		const struct segment_event *ev = segment_get(s, i);

		if (ev->id <= before || ev->body[ev->body_len] != '\0' ||
			ev->kind[ev->kind_len] != '\0')
			abort();
		before = ev->id;
	}
	pack_again(s);
	segment_free(s);
}

/* As a segment, and as what is inside of one, which the checksum would keep it from. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	size_t room = ZSTD_compressBound(n) + 1;
	char *frame = malloc(room);

	if (!frame)
		abort();
	try_out(data, n);
	frame[0] = 1;
	n = ZSTD_compress(frame + 1, room - 1, data, n, 1);
	try_out(frame, n + 1);
	free(frame);
	return 0;
}
