/* One supervisor for a state directory, and for a run directory. */
#ifndef SUPERVISOR_LOCK_H
#define SUPERVISOR_LOCK_H

#include "shared/err.h"
#include "shared/paths.h"

/* Makes the directories and takes supervisor.lock in each until we end; our pid is in it.
 * ERR_CONFLICT names who holds it. */
int lock_take(const struct paths *p, struct err *e);

#endif
