/* Handing in: test → commit → describe → push → pull request with labels and
 * reviewers. Each step is told as an event; what has an effect outside is recorded
 * under a key before it is tried, and looked for before it is tried again. */
#ifndef WORKER_FINISH_H
#define WORKER_FINISH_H

#include <stdbool.h>
#include <stddef.h>

#define FINISH_OUTPUT_BYTES (16 * 1024) /* tail of the tests' output */
#define FINISH_PUSH_TRIES 10		/* some four minutes */
#define FINISH_PUSH_FIRST_MS 2000
#define FINISH_PUSH_MAX_MS 60000
#define FINISH_PUSH_NAMES 20		/* that are tried while the remote has foreign branches */
#define FINISH_TEST_MS (30 * 60 * 1000) /* where a turn has no deadline */

struct finish;
struct worker;

/* Begins, or goes on where an earlier worker was. Ends with one of the policy's
 * events TESTS_FAILED (the output is the session's next prompt) or FINISHED. */
void finish_start(struct worker *w);
/* Calls it off; no event follows. */
void finish_cancel(struct worker *w);
/* The branch's name at the remote: the agent's own, or agent-7-2 where that is taken. */
const char *finish_branch(const struct worker *w);
/* Pure: the name to try after `taken`: branch-2, branch-3, … */
void finish_other_name(const char *branch, const char *taken, char *out, size_t size);
/* Stops or resumes reading of the tests' output. */
void finish_pause_output(struct worker *w, bool paused);

#endif
