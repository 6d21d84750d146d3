/* A text in an agent's output: blocks whose filter says no are not read. The lock is
 * given back now and then, so that a long search keeps nobody waiting. */
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/clock.h"
#include "shared/grams.h"
#include "shared/jsonscan.h"
#include "webui/store_output.h"

#define BLOCKS_AT_ONCE 512
#define EVENTS_AT_ONCE 512
#define HIT_BYTES 512		/* of a line's text that is answered */
#define HIT_BEFORE 128		/* of them before the text found */
#define CARRY_MAX (1024 * 1024) /* of a line that goes on over events */

struct block {
	int64_t line, first, last; /* last 0: the one that grows */
	bool candidate;
};

struct searching {
	const struct store_search *want;
	struct store_found *found;
	char needle[STORE_SEARCH_MAX]; /* folded */
	size_t needle_len;
	int64_t deadline_ms;
	int count;
	bool full;

	/* In a block: the text not looked through yet, which begins with line `at`. */
	struct buf text, folded;
	int64_t at, last_id;
	bool hit; /* the open line is told already */
	int events;

	struct block blocks[BLOCKS_AT_ONCE]; /* not on a thread's small stack */
};

/* Tells the line of text[from, to) in which the needle is at `where`. */
static void tell(struct searching *s, size_t from, size_t to, size_t where)
{
	size_t begin = where - from > HIT_BEFORE ? where - HIT_BEFORE : from;
	size_t end = to - begin > HIT_BYTES ? begin + HIT_BYTES : to;

	if (s->at <= s->want->after_line)
		return;
	if (s->count == s->want->limit) {
		s->full = true;
		return;
	}
	while (begin < where && ((unsigned char)s->text.data[begin] & 0xc0) == 0x80)
		begin++;
	while (end > where && end < to && ((unsigned char)s->text.data[end] & 0xc0) == 0x80)
		end--;
	if (end > begin && s->text.data[end - 1] == '\r')
		end--;
	s->count++;
	s->want->cb(s->want->arg, s->at, s->last_id, s->text.data + begin, end - begin);
}

/* Looks through the lines that are complete, and all the rest if `last`. */
static void look(struct searching *s, bool last)
{
	const char *text = s->folded.data;
	size_t from = 0, n = s->folded.len, to;
	const char *hit = n ? memmem(text, n, s->needle, s->needle_len) : NULL;

	while (from < n && !s->full) {
		const char *end = memchr(text + from, '\n', n - from);

		to = end ? (size_t)(end - text) : n;
		if (hit && (size_t)(hit - text) + s->needle_len <= to && !s->hit) {
			tell(s, from, to, (size_t)(hit - text));
			s->hit = !s->full;
		}
		if (!end && !last)
			break;
		if (!end)
			to--; /* nothing follows it */
		s->hit = false;
		s->at++;
		from = to + 1;
		if (hit && hit < text + from)
			hit = from < n ? memmem(text + from, n - from, s->needle, s->needle_len)
				       : NULL;
	}
	/* What is open is looked at again with what follows; a long line only its end. */
	if (n - from > CARRY_MAX)
		from = n - s->needle_len;
	buf_consume(&s->text, from);
	buf_consume(&s->folded, from);
}

static bool on_output(void *arg, const struct store_output *o)
{
	struct searching *s = arg;
	char *text, *folded;
	size_t n;

	s->events++;
	s->last_id = o->event.id;
	if (o->raw_len) {
		text = malloc(2 * o->raw_len);
		if (!text)
			abort();
		folded = text + o->raw_len;
		n = jsonscan_decode(o->raw, o->raw_len, text);
		for (size_t i = 0; i < n; i++)
			folded[i] = (char)grams_fold((unsigned char)text[i]);
		buf_add(&s->text, text, n);
		buf_add(&s->folded, folded, n);
		free(text);
		look(s, false);
	}
	return !s->full;
}

static bool late(struct searching *s)
{
	return clock_now_ms() >= s->deadline_ms;
}

/* Reads one block, a slice at a time. */
static int search_block(struct store *db, struct searching *s, const struct block *b, struct err *e)
{
	int64_t from = b->first;

	do {
		s->events = 0;
		if (store_outputs(
			    db, s->want->agent, from, b->last, EVENTS_AT_ONCE, on_output, s, e) < 0)
			return -1;
		from = s->last_id + 1;
	} while (s->events == EVENTS_AT_ONCE && !s->full && !late(s));
	return 0;
}

/* The next blocks behind (line, first). */
static int next_blocks(struct store *db, const struct searching *s, const struct block *after,
	struct block *blocks, int *n, struct err *e)
{
	sqlite3_stmt *st = store_begin(db, e,
		"SELECT line, first_id, last_id, grams FROM output_blocks WHERE agent_id = ? "
		"AND (line, first_id) > (?, ?) ORDER BY line, first_id LIMIT ?",
		"iiii", s->want->agent, after->line, after->first, (int64_t)BLOCKS_AT_ONCE);
	int row;

	*n = 0;
	if (!st)
		return -1;
	while ((row = store_next(db, st, e)) > 0) {
		const void *grams = sqlite3_column_blob(st, 3);

		blocks[(*n)++] = (struct block){.line = sqlite3_column_int64(st, 0),
			.first = sqlite3_column_int64(st, 1),
			.last = sqlite3_column_int64(st, 2),
			.candidate = !grams || sqlite3_column_bytes(st, 3) != GRAMS_BYTES ||
				     grams_may_have(grams, s->needle, s->needle_len)};
	}
	store_end(db, st);
	return row < 0 ? -1 : 0;
}

/* The block before the one in which the first line wanted lies, so that next_blocks
 * begins there. */
static int before_first(struct store *db, const struct searching *s, struct block *b, struct err *e)
{
	sqlite3_stmt *st = store_begin(db, e,
		"SELECT line, first_id FROM output_blocks WHERE agent_id = ? AND line <= ? "
		"ORDER BY line DESC, first_id DESC LIMIT 1 OFFSET 1",
		"ii", s->want->agent, s->want->after_line);
	int row;

	*b = (struct block){.line = -1};
	if (!st)
		return -1;
	row = store_next(db, st, e);
	if (row > 0) {
		b->line = sqlite3_column_int64(st, 0);
		b->first = sqlite3_column_int64(st, 1);
	}
	store_end(db, st);
	return row < 0 ? -1 : 0;
}

/* Only what directly follows goes on with the line that was open. */
static int enter(
	struct store *db, struct searching *s, const struct block *b, bool follows, struct err *e)
{
	if (!follows) {
		look(s, true);
		buf_reset(&s->text);
		buf_reset(&s->folded);
		s->hit = false;
		s->at = b->line;
	}
	return s->full ? 0 : search_block(db, s, b, e);
}

static int search_all(struct store *db, struct searching *s, struct err *e)
{
	struct block *blocks = s->blocks, at, grows = {0};
	struct store_lines lines;
	bool follows = false;
	int n;

	if (store_lines(db, s->want->agent, &lines, e) < 0 || before_first(db, s, &at, e) < 0)
		return -1;
	do {
		if (next_blocks(db, s, &at, blocks, &n, e) < 0)
			return -1;
		for (int i = 0; i < n && !s->full && !late(s); i++) {
			if (blocks[i].candidate && enter(db, s, &blocks[i], follows, e) < 0)
				return -1;
			follows = blocks[i].candidate;
			s->found->line = blocks[i].line - 1;
			at = blocks[i];
		}
	} while (n == BLOCKS_AT_ONCE && !s->full && !late(s));
	if (s->full || late(s)) {
		s->found->more = true;
		return 0;
	}
	/* Blocks that ended meanwhile are read as if they still grew. */
	grows.line = lines.block_line;
	grows.first = lines.block_first;
	if (grows.first && grows.first > at.first && enter(db, s, &grows, follows, e) < 0)
		return -1;
	look(s, true);
	s->found->more = s->full || late(s);
	if (!s->found->more)
		s->found->line = lines.newlines + lines.open - 1;
	return 0;
}

int store_search(
	struct store *db, const struct store_search *want, struct store_found *found, struct err *e)
{
	struct searching *s = calloc(1, sizeof(*s));
	int done;

	if (!s)
		abort();
	s->want = want;
	s->found = found;
	found->more = false;
	found->line = want->after_line;
	s->deadline_ms = clock_now_ms() + STORE_SEARCH_MS;
	s->needle_len = strlen(want->text);
	for (size_t i = 0; i < s->needle_len; i++)
		s->needle[i] = (char)grams_fold((unsigned char)want->text[i]);
	buf_init(&s->text, 0);
	buf_init(&s->folded, 0);
	done = search_all(db, s, e);
	buf_clear(&s->text);
	buf_clear(&s->folded);
	free(s);
	return done;
}
