#include "supervisor/retention.h"

/* The one that ended first of those that pass. */
struct choice {
	const struct retention_agent *pack, *age, *size, *reclaim;
	int64_t next_ms;
};

static void earlier(const struct retention_agent **best, const struct retention_agent *a)
{
	if (!*best || a->ended_ms < (*best)->ended_ms ||
		(a->ended_ms == (*best)->ended_ms && a->id < (*best)->id))
		*best = a;
}

/* True if it is due; else it will be then. */
static bool due(struct choice *c, int64_t at_ms, int64_t now_ms)
{
	if (at_ms <= now_ms)
		return true;
	if (c->next_ms == 0 || at_ms < c->next_ms)
		c->next_ms = at_ms;
	return false;
}

static void consider(struct choice *c, const struct retention_policy *p,
	const struct retention_agent *a, int64_t now_ms)
{
	bool output = !a->packed || a->segments;
	int64_t reclaim_ms = a->ended_ms + p->reclaim_after_ms;

	if (output)
		earlier(&c->size, a);
	if (output && p->keep_ms && due(c, a->ended_ms + p->keep_ms, now_ms))
		earlier(&c->age, a);
	if (!a->packed && due(c, a->ended_ms + p->pack_after_ms, now_ms))
		earlier(&c->pack, a);
	if (reclaim_ms < a->not_before_ms)
		reclaim_ms = a->not_before_ms;
	if (a->workspace && p->reclaim_after_ms && due(c, reclaim_ms, now_ms))
		earlier(&c->reclaim, a);
}

/* What goes is packed before: then it goes piece by piece. */
static struct retention_step drop(const struct retention_agent *a, enum retention_what what)
{
	return (struct retention_step){.what = a->packed ? what : RETENTION_PACK, .agent = a->id};
}

struct retention_step retention_decide(const struct retention_policy *p,
	const struct retention_agent *agents, size_t n, int64_t used_bytes, int64_t now_ms)
{
	struct choice c = {0};

	for (size_t i = 0; i < n; i++) {
		if (agents[i].ended_ms && !agents[i].busy)
			consider(&c, p, &agents[i], now_ms);
	}
	if (c.size && p->keep_bytes && used_bytes > p->keep_bytes)
		return drop(c.size, RETENTION_DROP_SIZE);
	if (c.age)
		return drop(c.age, RETENTION_DROP_AGE);
	if (c.pack)
		return (struct retention_step){.what = RETENTION_PACK, .agent = c.pack->id};
	if (c.reclaim)
		return (struct retention_step){.what = RETENTION_RECLAIM, .agent = c.reclaim->id};
	return (struct retention_step){.next_ms = c.next_ms};
}
