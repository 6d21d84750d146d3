#include "supervisor/checkpoint.h"

#include <stdio.h>
#include <string.h>

#include "shared/crash.h"
#include "shared/log.h"

void checkpoint_init(struct checkpoint *c, const char *path, struct store *store)
{
	memset(c, 0, sizeof(*c));
	snprintf(c->path, sizeof(c->path), "%s", path);
	c->store = store;
	c->work.data = c;
	c->due = CHECKPOINT_PAGES;
}

static void in_thread(uv_work_t *work)
{
	const struct checkpoint *c = work->data;
	struct err e;

	crash_point(CRASH_CHECKPOINT_BEFORE);
	if (store_checkpoint_file(c->path, &e) < 0)
		log_debug("checkpoint: %s", e.text);
	crash_point(CRASH_CHECKPOINT_AFTER);
}

static void in_loop(uv_work_t *work, int status)
{
	struct checkpoint *c = work->data;

	(void)status;
	c->running = false;
	if (store_log_pages(c->store) >= CHECKPOINT_MUST)
		store_checkpoint(c->store);
}

void checkpoint_consider(struct checkpoint *c, uv_loop_t *loop)
{
	int pages = store_log_pages(c->store);

	if (pages < CHECKPOINT_PAGES)
		c->due = CHECKPOINT_PAGES;
	if (c->running || pages < c->due)
		return;
	c->due = pages + CHECKPOINT_PAGES;
	c->running = uv_queue_work(loop, &c->work, in_thread, in_loop) == 0;
}
