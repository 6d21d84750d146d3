/* When copies of the store are made, and what becomes of a damaged one: an hourly copy in
 * a thread of libuv's pool, a check at start, the newest good copy offered, never put in
 * place by itself. */
#ifndef SUPERVISOR_BACKUP_H
#define SUPERVISOR_BACKUP_H

#include <stdbool.h>
#include <uv.h>

#include "shared/err.h"
#include "shared/paths.h"

struct backup {
	uv_work_t work;
	char path[PATHS_MAX];
	struct err failure;
	bool running;
};

/* path: the store's. */
void backup_init(struct backup *b, const char *path);
/* Starts a copy if none is under way; a failure is logged. */
void backup_make(struct backup *b, uv_loop_t *loop);

/* Before the store at path is opened: nothing if there is no file. ERR_SYS: it is
 * damaged; the text names the newest good copy and how to put it in place. */
int backup_check(const char *path, struct err *e);

#endif
