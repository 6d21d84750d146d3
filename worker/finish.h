/* Handing in: test → commit → describe → push → pull request with labels and
 * reviewers. Each step is told as an event; what has an effect outside is recorded
 * under a key before it is tried, and looked for before it is tried again. */
#ifndef WORKER_FINISH_H
#define WORKER_FINISH_H

#include <stdbool.h>

#define FINISH_OUTPUT_BYTES (16 * 1024) /* tail of the tests' output */
#define FINISH_PUSH_TRIES 3
#define FINISH_TEST_MS (30 * 60 * 1000) /* where a turn has no deadline */

struct finish;
struct worker;

/* Begins, or goes on where an earlier worker was. Ends with one of the policy's
 * events TESTS_FAILED (the output is the session's next prompt) or FINISHED. */
void finish_start(struct worker *w);
/* Calls it off; no event follows. */
void finish_cancel(struct worker *w);
/* Stops or resumes reading of the tests' output. */
void finish_pause_output(struct worker *w, bool paused);

#endif
