#include "supervisor/ctl/keep.h"

#define CODE_FOR_GOOD 100
#define CODE_USAGE 2

static const int64_t delay_ms[] = {0, 100, 500, 2000, 10000, 30000, 60000};

#define DELAYS ((int)(sizeof(delay_ms) / sizeof(delay_ms[0])))

static enum keep_todo spawn(struct keep *k, int64_t now_ms)
{
	k->state = KEEP_STARTING;
	k->stopping = k->excused = false;
	k->started_ms = now_ms;
	k->deadline_ms = now_ms + KEEP_START_MS;
	return KEEP_SPAWN;
}

static enum keep_todo heard(struct keep *k, int64_t now_ms)
{
	k->state = KEEP_UP;
	k->excused = false;
	if (!k->stopping)
		k->deadline_ms = now_ms + k->watch_ms;
	return KEEP_NOTHING;
}

static enum keep_todo ended(struct keep *k, int code, int64_t now_ms)
{
	bool wanted = k->stopping || code == 0;

	if (k->state != KEEP_STARTING && k->state != KEEP_UP)
		return KEEP_NOTHING;
	k->deadline_ms = 0;
	if (wanted || code == CODE_FOR_GOOD || code == CODE_USAGE) {
		k->state = KEEP_DOWN;
		return wanted ? KEEP_LEFT : KEEP_LOST;
	}
	if (now_ms - k->started_ms >= KEEP_WELL_MS)
		k->failures = 0;
	k->state = KEEP_WAITING;
	k->deadline_ms = now_ms + delay_ms[k->failures < DELAYS ? k->failures : DELAYS - 1];
	k->failures++;
	return KEEP_NOTHING;
}

static enum keep_todo time_is_up(struct keep *k, int64_t now_ms)
{
	if (k->deadline_ms == 0 || now_ms < k->deadline_ms)
		return KEEP_NOTHING;
	if (k->state == KEEP_WAITING)
		return spawn(k, now_ms);
	if (!k->excused && now_ms - k->deadline_ms > KEEP_LATE_MS) {
		k->excused = true;
		k->deadline_ms = now_ms + k->watch_ms;
		return KEEP_NOTHING;
	}
	k->deadline_ms = 0;
	return KEEP_KILL;
}

enum keep_todo keep_step(struct keep *k, enum keep_event event, int code, int64_t now_ms)
{
	bool runs = k->state == KEEP_STARTING || k->state == KEEP_UP;

	switch (event) {
	case KEEP_START:
		return runs ? KEEP_NOTHING : spawn(k, now_ms);
	case KEEP_ADOPTED:
		k->state = KEEP_UP;
		k->started_ms = now_ms;
		k->deadline_ms = code ? now_ms + k->watch_ms : 0;
		return KEEP_NOTHING;
	case KEEP_READY:
		return runs ? heard(k, now_ms) : KEEP_NOTHING;
	case KEEP_BEAT:
		return k->state == KEEP_UP ? heard(k, now_ms) : KEEP_NOTHING;
	case KEEP_STOPPING:
		k->stopping = runs;
		k->deadline_ms = runs ? 0 : k->deadline_ms;
		return KEEP_NOTHING;
	case KEEP_ENDED:
		return ended(k, code, now_ms);
	case KEEP_TIME:
		return time_is_up(k, now_ms);
	}
	return KEEP_NOTHING;
}
