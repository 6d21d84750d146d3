/* A segment: one byte of version, then a zstd frame (with its checksum) of records:
 *
 *   id - id before, seq, at - at before (zigzag), length of kind, of body   (varints)
 *   kind NUL body NUL
 */
#include "shared/segment.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "shared/cleanup.h"

#define VERSION 1
#define LEVEL 3
#define RECORD_MAX 64 /* bytes of a record without its texts */
#define VARINT_MAX 10

bool segment_kind(const char *word, size_t n)
{
	static const char kinds[] = SEGMENT_KINDS;
	const char *at = memmem(kinds, sizeof(kinds) - 1, word, n);

	return at && n > 0 && at > kinds && at[-1] == '\'' && at[n] == '\'';
}

static void put_number(struct buf *b, uint64_t v)
{
	unsigned char bytes[VARINT_MAX];
	size_t n = 0;

	while (v >= 0x80) {
		bytes[n++] = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	bytes[n++] = (unsigned char)v;
	buf_add(b, bytes, n);
}

static uint64_t zigzag(int64_t v)
{
	return ((uint64_t)v << 1) ^ (v < 0 ? UINT64_MAX : 0);
}

static int64_t unzigzag(uint64_t v)
{
	return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

void segment_writer_init(struct segment_writer *w)
{
	memset(w, 0, sizeof(*w));
	buf_init(&w->raw, SEGMENT_MAX_BYTES);
}

void segment_writer_clear(struct segment_writer *w)
{
	buf_clear(&w->raw);
}

bool segment_writer_add(struct segment_writer *w, const struct segment_event *ev)
{
	if (w->n > 0 &&
		w->raw.len + ev->kind_len + ev->body_len + RECORD_MAX > (size_t)SEGMENT_BYTES)
		return false;
	if (w->n == 0)
		w->first_id = ev->id;
	put_number(&w->raw, (uint64_t)ev->id - (uint64_t)w->last_id);
	put_number(&w->raw, (uint64_t)ev->seq);
	put_number(&w->raw, zigzag((int64_t)((uint64_t)ev->at - (uint64_t)w->last_at)));
	put_number(&w->raw, ev->kind_len);
	put_number(&w->raw, ev->body_len);
	buf_add(&w->raw, ev->kind, ev->kind_len);
	buf_add(&w->raw, "", 1);
	buf_add(&w->raw, ev->body, ev->body_len);
	buf_add(&w->raw, "", 1);
	w->last_id = ev->id;
	w->last_at = ev->at;
	if (ev->seq > w->last_seq)
		w->last_seq = ev->seq;
	w->n++;
	return true;
}

char *segment_writer_pack(struct segment_writer *w, size_t *n)
{
	size_t room = ZSTD_compressBound(w->raw.len), got;
	ZSTD_CCtx *z = ZSTD_createCCtx();
	char *out = malloc(room + 1);

	if (!z || !out || w->raw.overflow)
		err_out_of_memory();
	ZSTD_CCtx_setParameter(z, ZSTD_c_compressionLevel, LEVEL);
	ZSTD_CCtx_setParameter(z, ZSTD_c_checksumFlag, 1);
	out[0] = VERSION;
	got = ZSTD_compress2(z, out + 1, room, w->raw.data, w->raw.len);
	if (ZSTD_isError(got)) /* with enough room only for want of memory */
		err_out_of_memory();
	ZSTD_freeCCtx(z);
	*n = got + 1;
	return out;
}

struct segment {
	char *raw;
	struct segment_event *events;
	int n;
};

struct reader {
	const unsigned char *at, *end;
	bool bad;
};

static uint64_t get_number(struct reader *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		unsigned char c;

		if (r->at == r->end)
			break;
		c = *r->at++;
		v |= (uint64_t)(c & 0x7f) << shift;
		if (c < 0x80)
			return v;
	}
	r->bad = true;
	return 0;
}

/* n bytes and the NUL behind them. */
static const char *get_text(struct reader *r, size_t n)
{
	const char *text = (const char *)r->at;

	if (r->bad || n >= (size_t)(r->end - r->at) || r->at[n] != '\0') {
		r->bad = true;
		return "";
	}
	r->at += n + 1;
	return text;
}

static bool get_events(struct segment *s, size_t len)
{
	struct reader r = {
		(const unsigned char *)s->raw, (const unsigned char *)s->raw + len, false};
	uint64_t id = 0, at = 0;
	int cap = 0;

	while (r.at < r.end && !r.bad) {
		struct segment_event ev;
		uint64_t step = get_number(&r);

		id += step;
		ev.seq = (int64_t)get_number(&r);
		at += (uint64_t)unzigzag(get_number(&r));
		ev.id = (int64_t)id;
		ev.at = (int64_t)at;
		ev.kind_len = (size_t)get_number(&r);
		ev.body_len = (size_t)get_number(&r);
		ev.kind = get_text(&r, ev.kind_len);
		ev.body = get_text(&r, ev.body_len);
		/* Ids rise: what is not so is no segment of ours. */
		if (r.bad || step == 0 || ev.id <= 0 || step > INT64_MAX || ev.seq < 0)
			return false;
		if (s->n == cap) {
			cap = cap ? cap * 2 : 64;
			s->events = reallocarray(s->events, (size_t)cap, sizeof(*s->events));
			if (!s->events)
				err_out_of_memory();
		}
		s->events[s->n++] = ev;
	}
	return !r.bad && s->n > 0;
}

struct segment *segment_open(const void *data, size_t n, struct err *e)
{
	const char *bytes = data;
	struct segment *s = calloc(1, sizeof(*s));
	unsigned long long len =
		n > 1 && bytes[0] == VERSION ? ZSTD_getFrameContentSize(bytes + 1, n - 1) : 0;
	size_t got = 0;

	if (!s)
		err_out_of_memory();
	if (len > 0 && len <= SEGMENT_MAX_BYTES) { /* what is no size is larger */
		s->raw = malloc((size_t)len);
		if (!s->raw)
			err_out_of_memory();
		got = ZSTD_decompress(s->raw, (size_t)len, bytes + 1, n - 1);
	}
	if (s->raw && !ZSTD_isError(got) && got == len && get_events(s, got))
		return s;
	segment_free(s);
	err_set(e, ERR_SYS,
		n > 1 && bytes[0] > VERSION ? "packed events of a newer version"
					    : "packed events are damaged");
	return NULL;
}

void segment_free(struct segment *s)
{
	if (!s)
		return;
	free(s->raw);
	free(s->events);
	free(s);
}

int segment_count(const struct segment *s)
{
	return s->n;
}

const struct segment_event *segment_get(const struct segment *s, int i)
{
	return &s->events[i];
}

struct segment_cursor {
	struct segment *segment;
	int64_t agent;
	int at;
};

void segment_merge_init(struct segment_merge *m, const struct segment_source *source, int64_t after,
	int64_t upto, bool falling)
{
	memset(m, 0, sizeof(*m));
	m->source = *source;
	m->after = after;
	m->upto = upto;
	m->falling = falling;
}

void segment_merge_clear(struct segment_merge *m)
{
	for (int i = 0; i < m->n; i++)
		segment_free(m->open[i].segment);
	free(m->open);
	m->open = NULL;
	m->n = m->cap = 0;
}

static const struct segment_event *here(const struct segment_cursor *c)
{
	return &c->segment->events[c->at];
}

static bool ended(const struct segment_merge *m, const struct segment_cursor *c)
{
	if (m->falling)
		return c->at < 0 || here(c)->id <= m->after;
	return c->at == c->segment->n || here(c)->id > m->upto;
}

/* Opens the one that is ahead, at its first event within the range. */
static int open_ahead(struct segment_merge *m, struct err *e)
{
	struct segment_cursor c = {.agent = m->ahead.agent};

	c.segment = m->source.load(m->source.arg, &m->ahead, e);
	if (!c.segment)
		return -1;
	m->asked = false;
	if (m->falling) {
		c.at = c.segment->n - 1;
		while (c.at >= 0 && here(&c)->id > m->upto)
			c.at--;
	} else {
		while (c.at < c.segment->n && here(&c)->id <= m->after)
			c.at++;
	}
	if (ended(m, &c)) {
		segment_free(c.segment);
		return 0;
	}
	if (m->n == m->cap) {
		m->cap = m->cap ? m->cap * 2 : 8;
		m->open = reallocarray(m->open, (size_t)m->cap, sizeof(*m->open));
		if (!m->open)
			err_out_of_memory();
	}
	m->open[m->n++] = c;
	return 0;
}

/* Index of the open one whose event comes first; -1: none is open. */
static int choose(const struct segment_merge *m)
{
	int best = -1;

	for (int i = 0; i < m->n; i++) {
		if (best < 0 || (here(&m->open[i])->id < here(&m->open[best])->id) != m->falling)
			best = i;
	}
	return best;
}

/* Might the one ahead hold an event that comes before all of the open ones? */
static bool ahead_first(const struct segment_merge *m, int best)
{
	if (best < 0)
		return true;
	return m->falling ? m->ahead.last_id > here(&m->open[best])->id
			  : m->ahead.first_id < here(&m->open[best])->id;
}

int segment_merge_peek(
	struct segment_merge *m, int64_t *agent, const struct segment_event **ev, struct err *e)
{
	int got;

	for (;;) {
		m->chosen = choose(m);
		if (!m->asked) {
			got = m->source.next(m->source.arg, &m->ahead, e);
			if (got < 0)
				return -1;
			m->asked = true;
			m->more = got == 1;
		}
		if (!m->more || !ahead_first(m, m->chosen))
			break;
		if (open_ahead(m, e) < 0)
			return -1;
	}
	if (m->chosen < 0)
		return 0;
	*agent = m->open[m->chosen].agent;
	*ev = here(&m->open[m->chosen]);
	return 1;
}

void segment_merge_take(struct segment_merge *m)
{
	struct segment_cursor *c = &m->open[m->chosen];

	c->at += m->falling ? -1 : 1;
	if (!ended(m, c))
		return;
	segment_free(c->segment);
	*c = m->open[--m->n];
}
