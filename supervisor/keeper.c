#include "supervisor/keeper.h"

#include <stdio.h>
#include <stdlib.h>

#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "supervisor/reclaim.h"
#include "supervisor/supervisor.h"

#define MINUTE_MS (60LL * 1000)
#define HOUR_MS (60 * MINUTE_MS)
#define DAY_MS (24 * HOUR_MS)
#define GB 1e9

static void on_time(uv_timer_t *t);

static void wait(struct supervisor *s, int64_t ms)
{
	uv_timer_start(&s->keeper.timer, on_time, ms > 0 ? (uint64_t)ms : 0, 0);
}

void keeper_init(struct supervisor *s)
{
	s->keeper.rows = KEEPER_ROWS_MAX / 4;
	uv_timer_init(s->loop, &s->keeper.timer);
	s->keeper.timer.data = s;
	s->keeper.started = true;
	keeper_forget(s); /* of one that was killed at it */
}

void keeper_kick(struct supervisor *s)
{
	if (s->keeper.started && s->keeper.step.what == RETENTION_NOTHING)
		wait(s, KEEPER_PAUSE_MS);
}

void keeper_forget(struct supervisor *s)
{
	s->keeper.forgets = true;
	keeper_kick(s);
}

void keeper_configure(struct supervisor *s)
{
	s->keeper.policy = (struct retention_policy){
		.pack_after_ms = json_int(s->general, "compress_after_minutes", 60) * MINUTE_MS,
		.keep_ms = json_int(s->general, "keep_days", 0) * DAY_MS,
		.keep_bytes = (int64_t)(json_num(s->general, "keep_gigabytes", 0) * GB),
		.reclaim_after_ms = json_int(s->general, "reclaim_after_hours", 0) * HOUR_MS,
	};
	keeper_kick(s);
}

static bool busy(const struct member *m)
{
	return m->agent.process != PROCESS_NONE || m->agent.deleting || m->moving || m->unsaved ||
	       !agent_state_ended(m->agent.state);
}

static struct retention_step decide(struct supervisor *s, int64_t used)
{
	struct retention_agent *agents = calloc(s->fleet.n + 1, sizeof(*agents));
	struct retention_step step;
	size_t i;

	if (!agents)
		err_out_of_memory();
	for (i = 0; i < s->fleet.n; i++) {
		const struct member *m = s->fleet.members[i];

		agents[i] = (struct retention_agent){.id = m->id,
			.ended_ms = m->ended_ms,
			.not_before_ms = m->reclaim_not_before_ms,
			.busy = busy(m),
			.packed = m->packed,
			.segments = m->segments,
			/* One at a time. */
			.workspace = m->workspace && !s->keeper.reclaiming};
	}
	step = retention_decide(&s->keeper.policy, agents, s->fleet.n, used, clock_wall_ms());
	free(agents);
	return step;
}

/* As many rows next time as keep a step short. */
static void pace(struct keeper *k, uint64_t began)
{
	uint64_t us = (uv_hrtime() - began) / 1000;

	if (us > KEEPER_STEP_US && k->rows > KEEPER_ROWS_MIN)
		k->rows /= 2;
	else if (us < KEEPER_STEP_US / 4 && k->rows < KEEPER_ROWS_MAX)
		k->rows *= 2;
}

static int pack(struct supervisor *s, struct member *m, bool *done, struct err *e)
{
	struct keeper *k = &s->keeper;
	uint64_t began = uv_hrtime();

	if (store_begin(s->store, false, e) < 0)
		return -1;
	if (store_pack(s->store, m->id, k->rows, done, e) < 0) {
		store_rollback(s->store);
		return -1;
	}
	crash_point(CRASH_PACK_COMMIT_BEFORE);
	if (store_commit(s->store, e) < 0)
		return -1;
	crash_point(CRASH_PACK_COMMIT_AFTER);
	pace(k, began);
	if (*done)
		log_info("agent=%lld its output is packed", (long long)m->id);
	m->packed = *done;
	m->segments = m->segments || !*done;
	return 0;
}

static const char *why(const struct supervisor *s, enum retention_what what, char *out, size_t size)
{
	if (what == RETENTION_DROP_AGE)
		snprintf(out, size, "older than %lld days (keep_days)",
			(long long)(s->keeper.policy.keep_ms / DAY_MS));
	else
		snprintf(out, size, "to keep the store below %g GB (keep_gigabytes)",
			(double)s->keeper.policy.keep_bytes / GB);
	return out;
}

static int drop(struct supervisor *s, struct member *m, bool *done, struct err *e)
{
	enum retention_what what = s->keeper.step.what;
	bool all = false;
	char text[96];

	if (store_begin(s->store, false, e) < 0)
		return -1;
	if (store_drop(s->store, m->id, KEEPER_SEGMENTS, why(s, what, text, sizeof(text)),
		    clock_wall_ms(), &all, e) < 0) {
		store_rollback(s->store);
		return -1;
	}
	crash_point(CRASH_DROP_COMMIT_BEFORE);
	if (store_commit(s->store, e) < 0)
		return -1;
	crash_point(CRASH_DROP_COMMIT_AFTER);
	m->segments = !all;
	free(m->lines); /* they are read again when needed */
	m->lines = NULL;
	if (all)
		log_info("agent=%lld its output was removed, %s", (long long)m->id, text);
	*done = all;
	return 0;
}

/* One piece of a deleted agent's log; k->forgets is false when there is none left. */
static int forget(struct supervisor *s, struct err *e)
{
	struct keeper *k = &s->keeper;
	uint64_t began = uv_hrtime();
	bool done = false;

	if (!k->forgetting && store_forgotten(s->store, &k->forgetting, e) < 0)
		return -1;
	k->forgets = k->forgetting != 0;
	if (!k->forgets)
		return 0;
	if (store_begin(s->store, false, e) < 0)
		return -1;
	if (store_forget(s->store, k->forgetting, k->rows, &done, e) < 0) {
		store_rollback(s->store);
		return -1;
	}
	crash_point(CRASH_FORGET_COMMIT_BEFORE);
	if (store_commit(s->store, e) < 0)
		return -1;
	crash_point(CRASH_FORGET_COMMIT_AFTER);
	pace(k, began);
	if (done)
		k->forgetting = 0;
	return 0;
}

static int step(struct supervisor *s, struct err *e)
{
	struct retention_step *now = &s->keeper.step;
	struct member *m = fleet_find(&s->fleet, now->agent);
	bool done = true;
	int did = 0;

	if (m && !busy(m)) {
		switch (now->what) {
		case RETENTION_NOTHING:
			break;
		case RETENTION_PACK:
			did = pack(s, m, &done, e);
			break;
		case RETENTION_DROP_SIZE:
		case RETENTION_DROP_AGE:
			did = drop(s, m, &done, e);
			break;
		case RETENTION_RECLAIM:
			reclaim_by_itself(s, m);
			break;
		}
	}
	if (done || did < 0)
		now->what = RETENTION_NOTHING;
	return did;
}

/* Nothing else is to be done: room in the file that is not soon needed is given back. True:
 * there is more of it. */
static bool shrink(struct supervisor *s, int64_t used, int64_t spare, struct err *e)
{
	bool given = false;
	int64_t wanted = used / 8 > KEEPER_SPARE_BYTES ? used / 8 : KEEPER_SPARE_BYTES;

	if (spare <= wanted || s->keeper.cannot_shrink)
		return false;
	if (store_shrink(s->store, KEEPER_SHRINK_PAGES, &given, e) < 0) {
		log_debug("room in the store not given back: %s", e->text);
		return false;
	}
	s->keeper.cannot_shrink = !given;
	return given;
}

static void on_time(uv_timer_t *t)
{
	struct supervisor *s = t->data;
	struct keeper *k = &s->keeper;
	int64_t used, spare, left;
	struct err e;

	if (s->going_down)
		return;
	if (s->disk.full || store_bytes(s->store, &used, &spare, &e) < 0) {
		wait(s, KEEPER_LATER_MS);
		return;
	}
	if (k->forgets) {
		if (forget(s, &e) < 0) {
			log_warn("the log of a deleted agent is not removed yet: %s", e.text);
			wait(s, KEEPER_LATER_MS);
			return;
		}
		checkpoint_consider(&s->checkpoint, s->loop);
		wait(s, KEEPER_PAUSE_MS);
		return;
	}
	if (k->step.what == RETENTION_NOTHING)
		k->step = decide(s, used);
	if (k->step.what != RETENTION_NOTHING) {
		if (step(s, &e) < 0) {
			log_warn("agent=%lld its output is not packed or removed yet: %s",
				(long long)k->step.agent, e.text);
			wait(s, KEEPER_LATER_MS);
			return;
		}
		checkpoint_consider(&s->checkpoint, s->loop);
		wait(s, KEEPER_PAUSE_MS);
		return;
	}
	if (shrink(s, used, spare, &e)) {
		checkpoint_consider(&s->checkpoint, s->loop);
		wait(s, KEEPER_PAUSE_MS);
		return;
	}
	left = k->step.next_ms ? k->step.next_ms - clock_wall_ms() : KEEPER_LONGEST_MS;
	if (left < KEEPER_PAUSE_MS)
		left = KEEPER_PAUSE_MS;
	wait(s, left < KEEPER_LONGEST_MS ? left : KEEPER_LONGEST_MS);
}
