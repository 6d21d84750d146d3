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

static bool behind(const struct checkpoint *c)
{
	return c->log.moved < c->log.pages;
}

static void in_thread(uv_work_t *work)
{
	struct checkpoint *c = work->data;

	crash_point(CRASH_CHECKPOINT_BEFORE);
	c->failure.kind = ERR_NONE;
	store_checkpoint_file(c->path, &c->log, &c->failure);
	if (c->failure.kind == ERR_NONE && behind(c) && c->log.pages >= CHECKPOINT_LIMIT)
		store_readers(c->path, c->readers, sizeof(c->readers));
	crash_point(CRASH_CHECKPOINT_AFTER);
}

const char *checkpoint_trouble(const struct checkpoint *c, char *out, size_t size)
{
	if (!c->held)
		return NULL;
	/* A frame of the log is a page of 1 KiB and its head. */
	snprintf(out, size,
		"the store's log (tasks.db-wal) has grown to %.0f MB: %s keeps it from being moved "
		"into the store by reading there all the time",
		c->log.pages * 1048.0 / 1e6, c->readers);
	return out;
}

static void start(struct checkpoint *c);

static void on_held(uv_timer_t *t)
{
	start(t->data);
}

/* Told once, and once more when it is over. */
static void tell(struct checkpoint *c, bool held)
{
	char text[512];

	if (held == c->held)
		return;
	c->held = held;
	if (held) {
		log_warn("%s; " CHECKPOINT_HINT, checkpoint_trouble(c, text, sizeof(text)));
		uv_timer_start(&c->timer, on_held, CHECKPOINT_HELD_MS, CHECKPOINT_HELD_MS);
	} else {
		log_info("the store's log is moved again");
		uv_timer_stop(&c->timer);
	}
}

static void in_loop(uv_work_t *work, int status)
{
	struct checkpoint *c = work->data;
	int pages = store_log_pages(c->store);

	(void)status;
	c->running = false;
	if (c->failure.kind != ERR_NONE) {
		log_debug("checkpoint: %s", c->failure.text);
		return;
	}
	/* Waiting for a reader that was there all the time would be in vain. */
	if (behind(c))
		tell(c, c->held || c->log.pages >= CHECKPOINT_LIMIT);
	else if (pages < CHECKPOINT_MUST || store_log_restart(c->store, pages >= CHECKPOINT_LIMIT))
		tell(c, false);
}

static void start(struct checkpoint *c)
{
	if (!c->running)
		c->running = uv_queue_work(c->loop, &c->work, in_thread, in_loop) == 0;
}

void checkpoint_consider(struct checkpoint *c, uv_loop_t *loop)
{
	int pages = store_log_pages(c->store);

	if (pages < CHECKPOINT_PAGES)
		c->due = CHECKPOINT_PAGES;
	if (c->running || pages < c->due)
		return;
	if (!c->loop) {
		c->loop = loop;
		uv_timer_init(loop, &c->timer);
		c->timer.data = c;
	}
	c->due = pages + CHECKPOINT_PAGES;
	start(c);
}
