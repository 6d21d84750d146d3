/* What is done every hour: a copy of the store, mirrors that nobody needs, answers that
 * nobody asks for again. */
#ifndef SUPERVISOR_HOURLY_H
#define SUPERVISOR_HOURLY_H

#include <stdint.h>
#include <uv.h>

#include "shared/err.h"

#define HOURLY_MS (3600 * 1000)
#define HOURLY_KEEP_ANSWERS 24

struct supervisor;

struct hourly {
	uv_timer_t timer;
	/* The newest answer's date at each of the last hours: those before are purged. */
	int64_t answers_ms[HOURLY_KEEP_ANSWERS];
	unsigned hours;
};

void hourly_start(struct supervisor *s);
/* One hour's work. What cannot be done now is done in an hour. */
void hourly_do(struct supervisor *s);
/* At the start, in the open transaction: answers of more than a day before the newest. */
int hourly_purge(struct supervisor *s, struct err *e);

#endif
