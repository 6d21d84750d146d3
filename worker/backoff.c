#include "worker/backoff.h"

int64_t backoff_ms(int64_t first_ms, int64_t max_ms, int tries_made, double chance)
{
	int64_t step_ms = first_ms;

	for (int i = 1; i < tries_made && step_ms < max_ms; i++)
		step_ms *= 2;
	if (step_ms > max_ms)
		step_ms = max_ms;
	return step_ms / 2 + (int64_t)((double)step_ms / 2 * chance);
}

int64_t backoff_asked_ms(int64_t asked_ms, double chance)
{
	return asked_ms + (int64_t)((double)asked_ms * 0.1 * chance);
}

/* splitmix64 */
double backoff_chance(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15ULL;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
	z ^= z >> 31;
	return (double)(z >> 11) / 9007199254740992.0;
}
