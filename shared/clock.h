/* Time. Deciders get it as an argument; only edges call these. */
#ifndef SHARED_CLOCK_H
#define SHARED_CLOCK_H

#include <stdint.h>

/* Monotonic milliseconds: for every timer and deadline. */
int64_t clock_now_ms(void);
/* Monotonic nanoseconds: for measuring. */
int64_t clock_now_ns(void);
/* Wall-clock milliseconds since 1970: for people only, never for order. */
int64_t clock_wall_ms(void);
/* A minute of what is configured in minutes, in ms: 60000. For tests,
 * HUNDREDX_MINUTE_MS makes it shorter. */
int64_t clock_minute_ms(void);

#endif
