/* Seeded random walks of what is decided by pure functions. */
#ifndef TESTS_UNIT_SUPERVISOR_WALK_H
#define TESTS_UNIT_SUPERVISOR_WALK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

static inline uint64_t random_next(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/* What fails is told with its seed; HUNDREDX_SEED=N walks that one alone. */
static inline void each_seed(void (*walk)(uint64_t seed))
{
	const char *one = getenv("HUNDREDX_SEED"), *count = getenv("HUNDREDX_TEST_SEEDS");
	uint64_t seed, seeds = count ? strtoull(count, NULL, 10) : 10000;

	if (one) {
		walk(strtoull(one, NULL, 10));
		return;
	}
	for (seed = 1; seed <= seeds; seed++)
		walk(seed);
}

#define FAIL(text) fail_msg("HUNDREDX_SEED=%llu, step %d: %s", (unsigned long long)seed, i, text)

#endif
