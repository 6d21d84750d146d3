/* Handing in: the branch is pushed, the pull request opened. */
#include <stdio.h>
#include <string.h>

#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "worker/backoff.h"
#include "worker/finish.h"
#include "worker/finish_step.h"
#include "worker/worker.h"

/* --- push --- */

static void try_push(struct finish *f);

static void on_push_timer(uv_timer_t *t)
{
	struct finish *f = t->data;

	if (!finish_called_off(f))
		try_push(f);
}

static void try_later(struct finish *f, const struct err *e)
{
	int64_t delay_ms = backoff_ms(FINISH_PUSH_FIRST_MS, FINISH_PUSH_MAX_MS, f->push_tries,
		backoff_chance(&f->w->random));

	worker_delayed(f->w, "push", e->text, "it is tried again", delay_ms);
	f->under_way = true;
	uv_timer_start(&f->timer, on_push_timer, (uint64_t)delay_ms, 0);
}

/* The remote has a branch of that name with other commits in it (another installation's
 * agent, a person's): it stays as it is, ours gets the next free name. */
static void take_other_name(struct finish *f, const struct err *e)
{
	struct session_finish *s = finish_stored(f);
	const char *taken = finish_branch(f->w);
	char next[sizeof s->remote], hint[sizeof next + 64];

	finish_other_name(f->w->task.branch, taken, next, sizeof next);
	snprintf(hint, sizeof hint, "the branch is pushed as %s", next);
	worker_trouble(f->w, "push", e->text, hint, -1);
	snprintf(s->remote, sizeof s->remote, "%s", next);
	f->push_tries = 0;
	finish_run_push(f);
}

static void on_pushed(void *arg, const struct err *e)
{
	struct finish *f = arg;
	struct session_finish *s = finish_stored(f);

	if (finish_called_off(f))
		return;
	worker_goes_on(f->w);
	if (!e) {
		memcpy(s->pushed, s->head, sizeof s->pushed);
		finish_tell_step(f, "done", "");
		finish_next_step(f);
		crash_point(CRASH_PUSH_RECORDED);
		return;
	}
	if (e->kind == ERR_UNAVAILABLE && ++f->push_tries < FINISH_PUSH_TRIES) {
		try_later(f, e);
		return;
	}
	if (e->kind == ERR_CONFLICT && ++f->push_names < FINISH_PUSH_NAMES) {
		take_other_name(f, e);
		return;
	}
	if (finish_no_pull_because(f->w))
		/* Nobody promised a push: the branch in the workspace is the result. */
		finish_skip_push(f, e);
	else
		finish_fail(f, "the branch could not be pushed", e);
}

static void try_push(struct finish *f)
{
	f->under_way = true;
	tree_push(f->w->tree, finish_branch(f->w), on_pushed, f);
}

void finish_run_push(struct finish *f)
{
	struct session_finish *s = finish_stored(f);

	snprintf(s->trying, sizeof s->trying, "push:%s:%s", finish_branch(f->w), s->head);
	if (*s->head && !strcmp(s->pushed, s->head)) {
		finish_tell_step(f, "done", "it was pushed before");
		finish_next_step(f);
		return;
	}
	worker_save(f->w, true);
	finish_tell_step(f, "started", "");
	f->push_tries = 0;
	try_push(f);
}

/* --- pull request --- */

static void on_pull_step(void *arg, const char *step, const char *status, const char *reason)
{
	struct finish *f = arg;

	/* The pull request's own end is told by on_pull. */
	if (!f->cancelled && strcmp(step, "pull_request") != 0)
		finish_tell(f, step, status, reason ? reason : "");
}

static void on_pull_waiting(void *arg, const char *reason, int64_t delay_ms)
{
	struct finish *f = arg;

	if (!f->cancelled)
		worker_delayed(f->w, "pull_request", reason, "it is tried again", delay_ms);
}

static void on_pull(void *arg, const struct forge_pull *pull, const struct err *e)
{
	struct finish *f = arg;
	cJSON *body;

	if (finish_called_off(f))
		return;
	worker_goes_on(f->w);
	if (!pull) {
		finish_fail(f, "the branch is pushed, but no pull request could be opened", e);
		return;
	}
	crash_point(CRASH_PULL_DONE);
	snprintf(finish_stored(f)->pull_url, sizeof finish_stored(f)->pull_url, "%s", pull->url);
	body = cJSON_CreateObject();
	json_add_str(body, "url", pull->url);
	json_add_int(body, "number", pull->number);
	json_add_str(body, "title", pull->title);
	json_add_str(body, "base", pull->base);
	json_add_str(body, "branch", finish_branch(f->w));
	cJSON_AddBoolToObject(body, "existed", pull->existed);
	worker_emit(f->w, EVENT_PULL_REQUEST, body);
	finish_tell_step(f, "done", pull->existed ? "it was open already" : "");
	crash_point(CRASH_PULL_RECORDED);
	finish_next_step(f);
}

static size_t borrow_names(const cJSON *list, const char **names)
{
	const cJSON *n;
	size_t count = 0;

	cJSON_ArrayForEach (n, list) {
		if (cJSON_IsString(n) && count < FORGE_MAX_NAMES)
			names[count++] = n->valuestring;
	}
	return count;
}

void finish_run_pull(struct finish *f)
{
	struct worker *w = f->w;
	struct session_finish *s = finish_stored(f);
	const char *why = finish_no_pull_because(w);
	struct forge_spec spec = {.url = &w->task.url, .branch = finish_branch(w)};
	struct err e;

	if (why) {
		finish_tell_step(f, "skipped", why);
		finish_next_step(f);
		return;
	}
	f->behind = forge_busy(w->forge);
	if (f->behind)
		return;
	if (!s->title)
		finish_describe_plainly(f);
	spec.title = s->title;
	spec.body = s->body;
	spec.label_count = borrow_names(s->labels, spec.labels);
	spec.reviewer_count = borrow_names(s->reviewers, spec.reviewers);
	snprintf(s->trying, sizeof s->trying, "pull:%s:%s", finish_branch(w), s->head);
	worker_save(w, true);
	finish_tell_step(f, "started", "");
	f->under_way = true;
	crash_point(CRASH_PULL_BEFORE);
	if (forge_open_pull(w->forge, &spec, on_pull_step, on_pull_waiting, on_pull, f, &e) < 0) {
		f->under_way = false;
		finish_fail(f, "the branch is pushed, but no pull request could be opened", &e);
	}
}
