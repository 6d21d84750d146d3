/* One question, one answer: a worker that lives for it alone (docs/protocol.md,
 * "Errands"). */
#ifndef WORKER_ERRAND_H
#define WORKER_ERRAND_H

#include "shared/paths.h"

#define ERRAND_QUESTION_MAX (1024 * 1024)

/* Reads the question from stdin, answers on stdout; returns the exit code. */
int errand_run(const struct paths *paths, const char *kind);

#endif
