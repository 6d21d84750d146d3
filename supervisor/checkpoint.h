/* Moves the store's write-ahead log into its file beside the loop, in a thread of
 * libuv's pool with a connection of its own: on a busy disk the flushes take up to
 * hundreds of milliseconds, which no event should wait for. */
#ifndef SUPERVISOR_CHECKPOINT_H
#define SUPERVISOR_CHECKPOINT_H

#include <stdbool.h>
#include <uv.h>

#include "shared/paths.h"
#include "supervisor/store.h"

#define CHECKPOINT_PAGES 8000 /* 8 MiB: a thread moves them */
#define CHECKPOINT_MUST                                                                            \
	32000 /* 32 MiB: the rest is moved in the loop, so that the log can begin                  \
		 afresh although new pages never cease to come */

struct checkpoint {
	uv_work_t work;
	char path[PATHS_MAX];
	struct store *store;
	int due; /* pages; a log that could not begin afresh is long already */
	bool running;
};

void checkpoint_init(struct checkpoint *c, const char *path, struct store *store);
/* After a commit: starts one if it is due. */
void checkpoint_consider(struct checkpoint *c, uv_loop_t *loop);

#endif
