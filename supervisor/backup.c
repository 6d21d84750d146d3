#include "supervisor/backup.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/log.h"
#include "supervisor/store_backup.h"

void backup_init(struct backup *b, const char *path)
{
	memset(b, 0, sizeof(*b));
	snprintf(b->path, sizeof(b->path), "%s", path);
	b->work.data = b;
}

static void in_thread(uv_work_t *work)
{
	struct backup *b = work->data;

	b->failure.kind = ERR_NONE;
	store_backup(b->path, b->made, &b->failure);
}

static void in_loop(uv_work_t *work, int status)
{
	struct backup *b = work->data;

	(void)status;
	b->running = false;
	if (b->failure.kind != ERR_NONE)
		log_warn("no copy of the store was made: %s", b->failure.text);
	if (b->cb)
		b->cb(b->arg, b->made, b->failure.kind == ERR_NONE ? NULL : &b->failure);
}

int backup_make(struct backup *b, uv_loop_t *loop, backup_cb cb, void *arg, struct err *e)
{
	if (b->running)
		return err_set(e, ERR_CONFLICT, "a copy of the store is being made already");
	b->cb = cb;
	b->arg = arg;
	if (uv_queue_work(loop, &b->work, in_thread, in_loop) != 0)
		return err_set(e, ERR_SYS, "no thread to copy the store");
	b->running = true;
	return 0;
}

int backup_check(const char *path, struct err *e)
{
	char copy[PATHS_MAX];
	bool damaged;

	if (access(path, F_OK) < 0 || store_check(path, &damaged, e) == 0)
		return 0;
	if (!damaged)
		return -1;
	if (store_backup_newest(path, copy, NULL) < 0)
		return err_set(e, ERR_CONFLICT,
			"%s; it was left as it is, and there is no good copy of it: move it away "
			"to "
			"begin afresh",
			e->text);
	return err_set(e, ERR_CONFLICT,
		"%s; it was left as it is. The newest good copy is %s: `100x-supervisor "
		"--restore-backup` (or `100x up --restore-backup`) puts it in place and keeps the "
		"damaged file beside it",
		e->text, copy);
}
