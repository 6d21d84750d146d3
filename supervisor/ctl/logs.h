/* Following several agents until they have ended. */
#ifndef CTL_LOGS_H
#define CTL_LOGS_H

#include "supervisor/ctl/ctl.h"

/* Prints what the agents do, a line an event, from the store's event `after` on, until
 * all have ended or wait for a person. CTL_OK if all are done, CTL_UNDONE if not. */
int logs_wait(struct ctl *c, const int64_t *agents, size_t count, int64_t after);

/* Prints one event on a line: "12:34:56  1042  agent/7   state    working". */
void logs_event(struct ctl *c, const cJSON *event);

#endif
