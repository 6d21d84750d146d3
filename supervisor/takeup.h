/* What an earlier supervisor left: agents' rows, workers that live, processes of dead ones. */
#ifndef SUPERVISOR_TAKEUP_H
#define SUPERVISOR_TAKEUP_H

#include "shared/err.h"

struct supervisor;

/* Once, at the start, with the store open: loads every agent, adopts its worker or starts
 * what goes on, and ends what else was left behind. */
int takeup(struct supervisor *s, struct err *e);

#endif
