/* The three clocks, read at the edges only. */
#include "shared/clock.h"

#include <stdlib.h>
#include <time.h>

#define MINUTE_MS 60000

static int64_t read_ns(clockid_t id)
{
	struct timespec now;

	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

int64_t clock_now_ms(void)
{
	return read_ns(CLOCK_MONOTONIC) / 1000000;
}

int64_t clock_now_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_ns(CLOCK_REALTIME) / 1000000;
}

int64_t clock_minute_ms(void)
{
	const char *set = getenv("HUNDREDX_MINUTE_MS");
	long long ms = set ? atoll(set) : 0;

	return ms > 0 && ms < MINUTE_MS ? ms : MINUTE_MS;
}
