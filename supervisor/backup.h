/* When copies of the store are made, and what becomes of a damaged one: an hourly copy in
 * a thread of libuv's pool, a check at start, the newest good copy offered, never put in
 * place by itself. */
#ifndef SUPERVISOR_BACKUP_H
#define SUPERVISOR_BACKUP_H

#include <stdbool.h>
#include <uv.h>

#include "shared/err.h"
#include "shared/paths.h"

/* e == NULL: the copy is at path. */
typedef void (*backup_cb)(void *arg, const char *path, const struct err *e);

struct backup {
	uv_work_t work;
	char path[PATHS_MAX], made[PATHS_MAX];
	struct err failure;
	bool running;
	backup_cb cb;
	void *arg;
};

/* path: the store's. */
void backup_init(struct backup *b, const char *path);
/* Starts a copy; a failure is logged, and told to cb (may be NULL) like a success.
 * ERR_CONFLICT: one is under way. ERR_SYS: no thread. cb is not called then. */
int backup_make(struct backup *b, uv_loop_t *loop, backup_cb cb, void *arg, struct err *e);

/* Before the store at path is opened: nothing if there is no file. ERR_CONFLICT: it is
 * damaged; the text names the newest good copy and how to put it in place. */
int backup_check(const char *path, struct err *e);

#endif
