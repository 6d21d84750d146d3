#include "worker/tree.h"

#include <limits.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/gittidy.h"
#include "worker/workspace_identity.h"

enum job_kind { JOB_OPEN, JOB_LOOK, JOB_COMMIT, JOB_PUSH, JOB_TIDY };

struct job {
	struct job *next;
	struct tree *tree;
	enum job_kind kind;
	void *cb, *arg;
	char *message; /* of a commit, or the remote branch of a push */
	/* Results. */
	bool failed;
	struct err e;
	struct tree_look look;
	char *diff;
	char hash[41];
};

struct tree {
	uv_loop_t *loop;
	struct tree_spec spec;
	struct workspace *workspace; /* of the job under way */
	struct job *first, **last;
	bool running, freed;
	atomic_bool cancel;
	uv_work_t work;
	uv_async_t async;
	uv_timer_t timer; /* throttles progress */
	int open_handles;
	uv_mutex_t lock; /* guards the four below */
	char what[16];
	int64_t done, total;
	bool news;
	tree_progress_cb progress;
	void *progress_arg;
};

static bool on_progress(void *arg, const char *what, int64_t done, int64_t total)
{
	struct tree *t = arg;

	uv_mutex_lock(&t->lock);
	snprintf(t->what, sizeof t->what, "%s", what);
	t->done = done;
	t->total = total;
	t->news = true;
	uv_mutex_unlock(&t->lock);
	uv_async_send(&t->async);
	return !atomic_load(&t->cancel);
}

static void tell_progress(struct tree *t)
{
	char what[16];
	int64_t done, total;
	bool news;

	uv_mutex_lock(&t->lock);
	news = t->news;
	t->news = false;
	memcpy(what, t->what, sizeof what);
	done = t->done;
	total = t->total;
	uv_mutex_unlock(&t->lock);
	if (news && !t->freed)
		t->progress(t->progress_arg, what, done, total);
}

static void on_timer(uv_timer_t *timer)
{
	tell_progress(timer->data);
}

static void on_async(uv_async_t *async)
{
	struct tree *t = async->data;

	if (uv_is_active((uv_handle_t *)&t->timer) || t->freed)
		return;
	tell_progress(t);
	uv_timer_start(&t->timer, on_timer, TREE_PROGRESS_MS, 0);
}

/* --- on the work thread --- */

static bool missing(const char *path)
{
	return access(path, F_OK) < 0;
}

static int open_workspace(struct tree *t, struct err *e)
{
	const struct tree_spec *s = &t->spec;
	char hash[17], mirror[1200], name[256], email[256];

	giturl_hash(s->url, hash);
	snprintf(mirror, sizeof mirror, "%s/%s.git", s->mirrors, hash);
	workspace_identity(s->auth.home, s->user_name, s->user_email, s->branch, name, email);
	/* It was reclaimed: what is needed is in the mirror. */
	if (*s->saved && missing(s->path)) {
		const struct workspace_source from = {.mirrors = s->mirrors,
			.ref = s->saved,
			.base = s->base,
			.branch = s->branch,
			.user_name = name,
			.user_email = email,
			.url = s->url};

		if (workspace_restore(s->path, &from, on_progress, t, e) < 0)
			return -1;
	}
	if ((missing(s->path) || missing(mirror)) &&
		workspace_mirror(s->mirrors, s->url, &s->auth, on_progress, t, e) < 0)
		return -1;
	return workspace_open(s->path, s->mirrors, s->url, s->base, s->branch, name, email,
		on_progress, t, &t->workspace, e);
}

static int look(struct tree *t, struct job *j, struct err *e)
{
	if (workspace_head(t->workspace, j->look.head, e) < 0)
		return -1;
	j->look.ahead = workspace_commits_ahead(t->workspace, e);
	if (j->look.ahead < 0)
		return -1;
	j->look.dirty = workspace_dirty(t->workspace);
	j->diff = workspace_diff(t->workspace, &j->look.fingerprint, e);
	j->look.diff = j->diff;
	return j->diff ? 0 : -1;
}

static int tidy(const struct tree *t)
{
	char git_dir[1200];

	snprintf(git_dir, sizeof git_dir, "%s/.git", t->spec.path);
	gittidy(git_dir, INT_MAX);
	return 0;
}

static int run(struct tree *t, struct job *j, struct err *e)
{
	if (j->kind != JOB_OPEN && !t->workspace)
		return err_set(e, ERR_CONFLICT, "the workspace is not open");
	switch (j->kind) {
	case JOB_OPEN:
		return t->workspace ? 0 : open_workspace(t, e);
	case JOB_LOOK:
		return look(t, j, e);
	case JOB_COMMIT:
		return workspace_commit_all(t->workspace, j->message, j->hash, e);
	case JOB_PUSH:
		return workspace_push(t->workspace, j->message, &t->spec.auth, on_progress, t, e);
	case JOB_TIDY:
		return tidy(t);
	}
	return -1;
}

static void on_work(uv_work_t *w)
{
	struct tree *t = w->data;
	struct job *j = t->first;

	j->failed = run(t, j, &j->e) < 0;
}

/* --- in the loop --- */

static void start(struct tree *t);

static void answer(struct job *j)
{
	const struct err *e = j->failed ? &j->e : NULL;

	switch (j->kind) {
	case JOB_OPEN:
	case JOB_PUSH:
	case JOB_TIDY:
		((tree_done_cb)j->cb)(j->arg, e);
		return;
	case JOB_LOOK:
		((tree_look_cb)j->cb)(j->arg, &j->look, e);
		return;
	case JOB_COMMIT:
		((tree_commit_cb)j->cb)(j->arg, j->hash, e);
		return;
	}
}

static void job_free(struct job *j)
{
	free(j->message);
	free(j->diff);
	free(j);
}

static void on_closed(uv_handle_t *h)
{
	struct tree *t = h->data;

	if (--t->open_handles > 0)
		return;
	uv_mutex_destroy(&t->lock);
	workspace_free(t->workspace);
	free(t);
}

static void release(struct tree *t)
{
	while (t->first) {
		struct job *j = t->first;

		t->first = j->next;
		job_free(j);
	}
	t->open_handles = 2;
	uv_close((uv_handle_t *)&t->timer, on_closed);
	uv_close((uv_handle_t *)&t->async, on_closed);
}

static void on_after_work(uv_work_t *w, int status)
{
	struct tree *t = w->data;
	struct job *j = t->first;

	(void)status;
	t->running = false;
	if (t->freed) {
		release(t);
		return;
	}
	t->first = j->next;
	if (!t->first)
		t->last = &t->first;
	atomic_store(&t->cancel, false);
	tell_progress(t);
	answer(j);
	job_free(j);
	start(t);
}

static void start(struct tree *t)
{
	if (t->running || !t->first || t->freed)
		return;
	t->running = true;
	uv_queue_work(t->loop, &t->work, on_work, on_after_work);
}

static struct job *add(struct tree *t, enum job_kind kind, void *cb, void *arg)
{
	struct job *j = calloc(1, sizeof *j);

	if (!j)
		err_out_of_memory();
	j->tree = t;
	j->kind = kind;
	j->cb = cb;
	j->arg = arg;
	*t->last = j;
	t->last = &j->next;
	return j;
}

void tree_open(struct tree *t, tree_done_cb cb, void *arg)
{
	add(t, JOB_OPEN, (void *)cb, arg);
	start(t);
}

void tree_look(struct tree *t, tree_look_cb cb, void *arg)
{
	add(t, JOB_LOOK, (void *)cb, arg);
	start(t);
}

void tree_commit(struct tree *t, const char *message, tree_commit_cb cb, void *arg)
{
	add(t, JOB_COMMIT, (void *)cb, arg)->message = strdup(message);
	start(t);
}

void tree_push(struct tree *t, const char *name, tree_done_cb cb, void *arg)
{
	add(t, JOB_PUSH, (void *)cb, arg)->message = strdup(name);
	start(t);
}

void tree_tidy(struct tree *t, tree_done_cb cb, void *arg)
{
	add(t, JOB_TIDY, (void *)cb, arg);
	start(t);
}

void tree_cancel(struct tree *t)
{
	if (t->running)
		atomic_store(&t->cancel, true);
}

bool tree_idle(const struct tree *t)
{
	return !t->running && !t->first;
}

struct tree *tree_new(
	uv_loop_t *loop, const struct tree_spec *spec, tree_progress_cb progress, void *arg)
{
	struct tree *t = calloc(1, sizeof *t);

	if (!t)
		err_out_of_memory();
	t->loop = loop;
	t->spec = *spec;
	t->last = &t->first;
	t->progress = progress;
	t->progress_arg = arg;
	t->work.data = t->async.data = t->timer.data = t;
	uv_mutex_init(&t->lock);
	uv_async_init(loop, &t->async, on_async);
	uv_timer_init(loop, &t->timer);
	return t;
}

void tree_free(struct tree *t)
{
	if (!t)
		return;
	t->freed = true;
	atomic_store(&t->cancel, true);
	if (!t->running)
		release(t);
}
