/* How long to wait before the next try of what may pass by itself. Pure. */
#ifndef WORKER_BACKOFF_H
#define WORKER_BACKOFF_H

#include <stdint.h>

/* first_ms, doubled with each try made (from 1) up to max_ms; half of it random. */
int64_t backoff_ms(int64_t first_ms, int64_t max_ms, int tries_made, double chance);
/* As the other side asked (Retry-After): never less, and 10 % more at most. */
int64_t backoff_asked_ms(int64_t asked_ms, double chance);
/* A number in [0,1) that spreads retries, no more. state: seeded with anything. */
double backoff_chance(uint64_t *state);

#endif
