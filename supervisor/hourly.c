#include "supervisor/hourly.h"

#include "supervisor/reclaim.h"
#include "supervisor/supervisor.h"

int hourly_purge(struct supervisor *s, struct err *e)
{
	int64_t newest;

	if (store_requests_newest(s->store, &newest, e) < 0)
		return -1;
	return store_requests_purge(s->store, newest - (int64_t)HOURLY_KEEP_ANSWERS * HOURLY_MS, e);
}

/* What is a day old by hours that we have seen pass: a clock that is set makes no answer
 * older, and one that somebody may still ask for again stays. */
static int purge_seen(struct supervisor *s, struct err *e)
{
	struct hourly *h = &s->hourly;
	int64_t *mark = &h->answers_ms[h->hours++ % HOURLY_KEEP_ANSWERS], old = *mark;

	if (store_requests_newest(s->store, mark, e) < 0)
		return -1;
	return store_requests_purge(s->store, old, e);
}

void hourly_do(struct supervisor *s)
{
	struct err e;

	if (!s->disk.full)
		backup_make(&s->backup, s->loop, NULL, NULL, NULL);
	reclaim_mirrors(s);
	if (store_begin(s->store, false, &e) < 0)
		return;
	if (purge_seen(s, &e) < 0 || store_commit(s->store, &e) < 0)
		store_rollback(s->store);
}

static void on_hour(uv_timer_t *t)
{
	hourly_do(t->data);
}

void hourly_start(struct supervisor *s)
{
	uv_timer_init(s->loop, &s->hourly.timer);
	s->hourly.timer.data = s;
	uv_timer_start(&s->hourly.timer, on_hour, HOURLY_MS, HOURLY_MS);
}
