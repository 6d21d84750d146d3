#include "webui/hub.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/buf.h"
#include "shared/bus.h"
#include "shared/event.h"
#include "shared/log.h"
#include "webui/sse.h"

struct hub {
	pthread_mutex_t lock;
	pthread_cond_t more;
	pthread_t thread;
	struct bus_feed *feed;
	struct store *store;
	bool closed;
	struct hub_item *ring[HUB_RING]; /* rising ids, from first on */
	int first, count;
	size_t bytes;
	int64_t floor; /* everything above it, up to last, is in the ring */
	int64_t last;
	int64_t generation; /* of the store; 0: there was none yet */
};

void hub_release(struct hub_item *item)
{
	if (__atomic_sub_fetch(&item->references, 1, __ATOMIC_ACQ_REL) == 0)
		free(item);
}

static void drop_oldest(struct hub *h)
{
	struct hub_item *item = h->ring[h->first];

	h->floor = item->id;
	h->bytes -= item->len;
	h->first = (h->first + 1) % HUB_RING;
	h->count--;
	hub_release(item);
}

/* Forgets the ring: who lacks something up to floor reads the store. */
static void restart_at(struct hub *h, int64_t floor)
{
	while (h->count)
		drop_oldest(h);
	h->floor = h->last = floor;
}

static struct hub_item *make_item(const struct event *ev)
{
	struct buf text;

	buf_init(&text, 0);
	sse_event(&text, ev->number, ev->stream, ev->subject, ev->word, ev->body, ev->body_len);
	struct hub_item *item = malloc(sizeof *item + text.len);
	if (!item)
		err_out_of_memory();
	item->references = 1;
	item->id = ev->number;
	item->agent = !strcmp(ev->stream, "agent") ? ev->subject : 0;
	memcpy(item->kind, ev->word, sizeof item->kind);
	item->len = text.len;
	memcpy(item->text, text.data, text.len);
	buf_clear(&text);
	return item;
}

/* Something was lost at the end of a burst, or the store is another one: only the
 * store itself can tell. */
static void compare_with_store(struct hub *h)
{
	struct err e;
	int64_t last, generation;

	if (store_last(h->store, &last, &generation, &e) < 0)
		return;
	pthread_mutex_lock(&h->lock);
	if (generation != h->generation || last > h->last) {
		restart_at(h, last);
		h->generation = generation;
		pthread_cond_broadcast(&h->more);
	}
	pthread_mutex_unlock(&h->lock);
}

static void take_frame(struct hub *h, const char *frame, size_t n)
{
	struct event ev;
	struct err e;

	if (event_decode(frame, n, &ev, &e) < 0) {
		log_warn("events: a frame was skipped: %s", e.text);
		return;
	}
	if (ev.number <= h->last) { /* only this thread writes it */
		compare_with_store(h);
		return;
	}
	struct hub_item *item = make_item(&ev);
	pthread_mutex_lock(&h->lock);
	if (item->id != h->last + 1)
		restart_at(h, item->id - 1);
	while (h->count && (h->count == HUB_RING || h->bytes + item->len > HUB_RING_BYTES))
		drop_oldest(h);
	h->ring[(h->first + h->count++) % HUB_RING] = item;
	h->bytes += item->len;
	h->last = item->id;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
}

static void *run(void *arg)
{
	struct hub *h = arg;
	const char *frame;
	struct err e;
	size_t n;
	int got;

	while ((got = bus_feed_next(h->feed, HUB_IDLE_MS, &frame, &n, &e)) >= 0) {
		if (got > 0)
			take_frame(h, frame, n);
		else
			compare_with_store(h);
	}
	pthread_mutex_lock(&h->lock);
	if (!h->closed)
		log_error("events: %s", e.text);
	h->closed = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	return NULL;
}

struct hub *hub_new(const char *events_url, struct store *store, struct err *e)
{
	struct hub *h = calloc(1, sizeof *h);
	pthread_condattr_t attr;

	if (!h)
		err_out_of_memory();
	h->store = store;
	h->feed = bus_feed_dial(events_url, "", e);
	if (!h->feed) {
		free(h);
		return NULL;
	}
	pthread_mutex_init(&h->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&h->more, &attr);
	pthread_condattr_destroy(&attr);
	compare_with_store(h);
	if (pthread_create(&h->thread, NULL, run, h) != 0) {
		err_set(e, ERR_SYS, "no thread for the event feed");
		bus_feed_free(h->feed);
		free(h);
		return NULL;
	}
	return h;
}

void hub_close(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
	h->closed = true;
	pthread_cond_broadcast(&h->more);
	pthread_mutex_unlock(&h->lock);
	bus_feed_close(h->feed);
}

void hub_free(struct hub *h)
{
	if (!h)
		return;
	hub_close(h);
	pthread_join(h->thread, NULL);
	bus_feed_free(h->feed);
	restart_at(h, 0);
	pthread_cond_destroy(&h->more);
	pthread_mutex_destroy(&h->lock);
	free(h);
}

struct hub_position hub_now(struct hub *h)
{
	pthread_mutex_lock(&h->lock);
	struct hub_position now = {.id = h->last, .generation = h->generation};
	pthread_mutex_unlock(&h->lock);
	return now;
}

/* Where the first item after id lies in the ring (count: nowhere). */
static int find_after(const struct hub *h, int64_t id)
{
	int low = 0, high = h->count;

	while (low < high) {
		int middle = (low + high) / 2;

		if (h->ring[(h->first + middle) % HUB_RING]->id <= id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

int hub_read(struct hub *h, const struct hub_position *at, struct hub_item **items, int max,
	int timeout_ms)
{
	struct timespec until;
	int n = 0, rc = 0;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec += timeout_ms / 1000;
	until.tv_nsec += timeout_ms % 1000 * 1000000L;
	if (until.tv_nsec >= 1000000000) {
		until.tv_sec++;
		until.tv_nsec -= 1000000000;
	}
	pthread_mutex_lock(&h->lock);
	for (;;) {
		if (h->closed)
			n = HUB_CLOSED;
		else if (at->generation && at->generation != h->generation)
			n = HUB_REPLACED;
		else if (at->id < h->floor)
			n = HUB_BEHIND;
		if (n < 0 || rc != 0)
			break;
		for (int i = find_after(h, at->id); i < h->count && n < max; i++) {
			items[n] = h->ring[(h->first + i) % HUB_RING];
			__atomic_add_fetch(&items[n++]->references, 1, __ATOMIC_RELAXED);
		}
		if (n > 0)
			break;
		rc = pthread_cond_timedwait(&h->more, &h->lock, &until);
	}
	pthread_mutex_unlock(&h->lock);
	return n;
}
