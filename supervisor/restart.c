#include "supervisor/restart.h"

#include <string.h>

static const int64_t crash_delay_ms[] = {0, 100, 500, 2000, 10000};
static const int64_t temporary_delay_ms[] = {1000, 5000, 15000, 60000};

#define COUNT(a) ((int)(sizeof(a) / sizeof((a)[0])))

static int64_t pick(const int64_t *delays, int n, int in_a_row)
{
	return delays[in_a_row < n ? in_a_row - 1 : n - 1];
}

int64_t restart_crashed(struct restart *r, int64_t started_ms, int64_t now_ms)
{
	if (now_ms - started_ms >= RESTART_WINDOW_MS)
		r->in_a_row = 0;
	if (r->in_a_row < COUNT(crash_delay_ms))
		r->in_a_row++;
	if (r->crashes == RESTART_CRASHES) {
		memmove(r->crashed_ms, r->crashed_ms + 1, sizeof(r->crashed_ms) - sizeof(int64_t));
		r->crashes--;
	}
	r->crashed_ms[r->crashes++] = now_ms;
	if (r->crashes == RESTART_CRASHES && now_ms - r->crashed_ms[0] <= RESTART_WINDOW_MS) {
		memset(r, 0, sizeof(*r));
		return RESTART_GIVE_UP;
	}
	return pick(crash_delay_ms, COUNT(crash_delay_ms), r->in_a_row);
}

int64_t restart_temporary(struct restart *r, int64_t started_ms, int64_t now_ms)
{
	/* A run long enough to be useful ends the row, whatever the waits before it were. */
	if (now_ms - started_ms >= RESTART_WINDOW_MS)
		r->temporary = 0;
	if (++r->temporary > RESTART_TEMPORARY_MAX) {
		memset(r, 0, sizeof(*r));
		return RESTART_GIVE_UP;
	}
	return pick(temporary_delay_ms, COUNT(temporary_delay_ms), r->temporary);
}
