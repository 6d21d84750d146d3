#include "webui/feed.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/clock.h"
#include "webui/sse.h"

#define BATCH 64	    /* items taken from the ring at once */
#define CATCH_UP_EVENTS 500 /* and from the store */
#define CATCH_UP_BYTES (1 << 20)
#define WRITE_BYTES (256 * 1024) /* gathered before a write */
#define CHECK_MS 1000		 /* whether the peer is there and still allowed */

struct feed {
	pthread_mutex_t lock;
	pthread_cond_t none;
	int streams;
	struct hub *hub;
	struct store *store;
};

struct stream {
	struct feed *feed;
	struct http_exchange *x;
	const struct feed_request *request;
	struct hub_position at;
	int64_t told; /* the position the browser knows */
	int64_t written_ms, checked_ms;
	struct buf out;
};

struct feed *feed_new(struct hub *h, struct store *s)
{
	struct feed *f = calloc(1, sizeof *f);

	if (!f)
		err_out_of_memory();
	pthread_mutex_init(&f->lock, NULL);
	pthread_cond_init(&f->none, NULL);
	f->hub = h;
	f->store = s;
	return f;
}

void feed_free(struct feed *f)
{
	if (!f)
		return;
	pthread_mutex_lock(&f->lock);
	while (f->streams)
		pthread_cond_wait(&f->none, &f->lock);
	pthread_mutex_unlock(&f->lock);
	pthread_cond_destroy(&f->none);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

static int enter(struct feed *f, struct err *e)
{
	int result = 0;

	pthread_mutex_lock(&f->lock);
	if (f->streams == FEED_STREAMS_MAX)
		result = err_set(e, ERR_LIMIT,
			"%d event streams are open, as many as there may be: close some pages",
			FEED_STREAMS_MAX);
	else
		f->streams++;
	pthread_mutex_unlock(&f->lock);
	return result;
}

static void leave(struct feed *f)
{
	pthread_mutex_lock(&f->lock);
	if (--f->streams == 0)
		pthread_cond_broadcast(&f->none);
	pthread_mutex_unlock(&f->lock);
}

static bool wanted(const struct feed_request *r, int64_t agent, const char *kind)
{
	if (r->agent && r->agent != agent)
		return false;
	for (int i = 0; i < r->kinds.count; i++) {
		if (!strcmp(r->kinds.word[i], kind))
			return true;
	}
	return r->kinds.count == 0;
}

static int flush(struct stream *s)
{
	if (s->out.len == 0)
		return 0;
	if (http_stream_write(s->x, s->out.data, s->out.len) < 0)
		return -1;
	buf_reset(&s->out);
	s->written_ms = clock_now_ms();
	return 0;
}

static void on_stored(void *arg, const struct store_event *ev)
{
	struct stream *s = arg;

	sse_event(&s->out, ev->id, ev->stream, ev->subject, ev->kind, ev->body, ev->body_len);
	s->told = ev->id;
}

/* One piece from the store. -1 ends the stream: the browser comes back and goes on
 * where it was. */
static int catch_up(struct stream *s)
{
	struct store_range range = {.after = s->at.id,
		.agent = s->request->agent,
		.kinds = s->request->kinds,
		.limit = CATCH_UP_EVENTS,
		.max_bytes = CATCH_UP_BYTES};
	struct store_looked looked;
	struct err e;

	if (store_events(s->feed->store, &range, on_stored, s, &looked, &e) < 0 ||
		looked.last <= s->at.id)
		return -1;
	s->at.id = looked.last;
	return flush(s);
}

static int send_items(struct stream *s, struct hub_item **items, int n)
{
	int result = 0;

	for (int i = 0; i < n; i++) {
		if (result == 0 && wanted(s->request, items[i]->agent, items[i]->kind)) {
			buf_add(&s->out, items[i]->text, items[i]->len);
			s->told = items[i]->id;
		}
		s->at.id = items[i]->id;
		if (result == 0 && s->out.len > WRITE_BYTES)
			result = flush(s);
		hub_release(items[i]);
	}
	return result < 0 ? -1 : flush(s);
}

/* Once a second: is the peer still there and allowed? A ping when it was quiet. */
static int check(struct stream *s)
{
	int64_t now = clock_now_ms();

	if (now - s->checked_ms < CHECK_MS)
		return 0;
	s->checked_ms = now;
	if (http_peer_gone(s->x) || !s->request->allowed(s->request->arg))
		return -1;
	if (now - s->written_ms < FEED_PING_MS)
		return 0;
	buf_adds(&s->out, ": ping\n");
	/* A filtered stream moves on too, so that resuming it stays cheap. */
	if (s->at.id > s->told)
		sse_position(&s->out, s->told = s->at.id);
	else
		buf_adds(&s->out, "\n");
	return flush(s);
}

static void begin_at(struct stream *s)
{
	struct err e;
	int64_t last, generation;

	s->at = hub_now(s->feed->hub);
	/* A position from another store's time means nothing here. */
	if (s->request->after >= 0 && store_last(s->feed->store, &last, &generation, &e) == 0 &&
		s->request->after <= last)
		s->at.id = s->request->after;
	s->told = s->at.id;
}

int feed_serve(struct feed *f, struct http_exchange *x, const struct feed_request *r, struct err *e)
{
	struct stream s = {.feed = f, .x = x, .request = r, .checked_ms = clock_now_ms()};
	struct hub_item *items[BATCH];
	int result;

	if (enter(f, e) < 0)
		return -1;
	buf_init(&s.out, 0);
	begin_at(&s);
	http_add_header(x, "Cache-Control: no-store");
	http_add_header(x, "X-Accel-Buffering: no");
	result = http_stream_begin(x, "text/event-stream");
	buf_addf(&s.out, "retry: %d\n", FEED_RETRY_MS);
	sse_position(&s.out, s.at.id);
	if (result == 0)
		result = flush(&s);
	while (result == 0) {
		int n = hub_read(f->hub, &s.at, items, BATCH, CHECK_MS);

		if (n > 0) {
			result = send_items(&s, items, n);
		} else if (n == HUB_BEHIND) {
			result = catch_up(&s);
		} else if (n == HUB_REPLACED) {
			s.at = hub_now(f->hub);
			sse_position(&s.out, s.told = s.at.id);
			result = flush(&s);
		} else if (n == HUB_CLOSED) {
			result = -1;
		}
		if (result == 0)
			result = check(&s);
	}
	buf_clear(&s.out);
	leave(f);
	return 0;
}
