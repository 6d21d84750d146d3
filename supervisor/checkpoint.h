/* Moves the store's write-ahead log into its file beside the loop, in a thread of
 * libuv's pool with a connection of its own: on a busy disk the flushes take up to
 * hundreds of milliseconds, which no event should wait for. */
#ifndef SUPERVISOR_CHECKPOINT_H
#define SUPERVISOR_CHECKPOINT_H

#include <stdbool.h>
#include <uv.h>

#include "shared/paths.h"
#include "supervisor/store.h"

/* Pages of 1 KiB in the log: from so many on a thread moves them, it begins afresh although
 * new ones never cease to come, and a reader who keeps it from that is told of. */
#define CHECKPOINT_PAGES 8000
#define CHECKPOINT_MUST 32000
#define CHECKPOINT_LIMIT 56000
#define CHECKPOINT_HELD_MS 2000 /* between two looks whether that reader is gone */

struct checkpoint {
	uv_work_t work;
	uv_loop_t *loop;  /* NULL until the first one */
	uv_timer_t timer; /* while it is held */
	char path[PATHS_MAX];
	struct store *store;
	struct store_log log; /* as the last one found and left it */
	struct err failure;
	int due; /* pages; a log that could not begin afresh is long already */
	bool running;
	bool held; /* too long, for somebody's sake */
	char readers[256];
};

void checkpoint_init(struct checkpoint *c, const char *path, struct store *store);
/* After a commit: starts one if it is due. */
void checkpoint_consider(struct checkpoint *c, uv_loop_t *loop);
/* What is amiss, as a sentence; NULL: nothing. The hint is one for a person. */
const char *checkpoint_trouble(const struct checkpoint *c, char *out, size_t size);
#define CHECKPOINT_HINT "end that program: then the log is shortened within seconds"

#endif
