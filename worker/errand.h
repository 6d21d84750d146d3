/* An errand: one question to the outside world, asked on stdin, answered on stdout,
 * then the process ends (docs/protocol.md, "Errands"). It owns no agent. */
#ifndef WORKER_ERRAND_H
#define WORKER_ERRAND_H

#include "shared/err.h"
#include "shared/paths.h"

#define ERRAND_MAX_BYTES (64 * 1024) /* of question and of answer */

/* kind: "check" or "remove". Reads the question, answers {"ok":true,…} or
 * {"ok":false,"kind","error","field"?}. Blocks. Returns the exit code: 0 when an
 * answer was written, 100 for an unknown kind. */
int errand_run(const char *kind, const struct paths *paths);

#endif
