/* Workspaces of agents that have ended: given up, their work kept in the mirror, and made
 * again. */
#ifndef SUPERVISOR_RECLAIM_H
#define SUPERVISOR_RECLAIM_H

#include <cjson/cJSON.h>

#include "shared/err.h"

struct call;
struct member;
struct supervisor;

/* Retention's wish. What fails is told in the log and tried again later. */
void reclaim_by_itself(struct supervisor *s, struct member *m);

/* ERR_CONFLICT while m's workspace is being given up or made again. */
int reclaim_settled(const struct member *m, struct err *e);

/* Removes mirrors that nobody needs any more, in an errand. */
void reclaim_mirrors(struct supervisor *s);

int call_agent_reclaim(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_restore(struct call *c, const cJSON *params, cJSON **result, struct err *e);

#endif
