/* From the supervisor's hello to the first turn: what to do, where, with what, and
 * what was going on when an earlier worker ended. */
#include <malloc.h>
#include <stdio.h>
#include <string.h>

#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/backoff.h"
#include "worker/worker.h"

#define OPEN_TRIES 12 /* of a repository: some five minutes */
#define OPEN_FIRST_MS 2000
#define OPEN_MAX_MS 60000

static void on_progress(void *arg, const char *what, int64_t done, int64_t total)
{
	struct worker *w = arg;
	cJSON *body = cJSON_CreateObject();

	json_add_str(body, "what", what);
	json_add_int(body, "done", done);
	json_add_int(body, "total", total);
	json_add_str(body, "text", "");
	worker_emit(w, EVENT_PROGRESS, body);
}

static void fatal(struct worker *w, const struct err *e)
{
	bool passing = e->kind == ERR_UNAVAILABLE || e->kind == ERR_SYS || e->kind == ERR_CANCELLED;

	if (w->quitting) {
		worker_maybe_exit(w);
		return;
	}
	if (passing) {
		worker_trouble(w, "start", e->text, "it is tried again", -1);
		worker_quit(w, WORKER_EXIT_TEMPORARY);
		return;
	}
	worker_event(w, MANAGER_EV_FATAL, e->text);
}

static void on_arguments(void *arg, const cJSON *arguments, const struct err *e)
{
	struct worker *w = arg;

	if (w->quitting)
		return;
	if (e) {
		fatal(w, e);
		return;
	}
	cJSON_Delete(w->session.arguments);
	w->session.arguments = cJSON_Duplicate(arguments, true);
	coder_start(w);
}

static void start_coder(struct worker *w)
{
	struct err e;

	if (w->task.agent_command[0] || !*w->task.aider_arguments || w->session.arguments) {
		coder_start(w);
		return;
	}
	if (instance_check(w->loop, &w->paths, w->task.aider_arguments, on_arguments, w, &e) < 0)
		fatal(w, &e);
}

void start_note_outcome(struct worker *w, const char *what, const struct tree_look *look,
	const char *old_head, uint64_t old_fingerprint)
{
	char text[512];

	if (strcmp(look->head, old_head) != 0)
		snprintf(text, sizeof text,
			"%s Since it began the branch moved from commit %.12s to %.12s%s.", what,
			*old_head ? old_head : "(unknown)", look->head,
			look->dirty ? ", and files have uncommitted changes" : "");
	else
		snprintf(text, sizeof text, "%s %s", what,
			look->dirty || look->fingerprint != old_fingerprint
				? "Files were changed but not committed; they may be half edited."
				: "It changed nothing in the repository.");
	worker_note(w, text);
}

/* What changed while nobody watched, for the next prompt. */
static void note_interruption(struct worker *w, const struct tree_look *look, const char *old_head,
	uint64_t old_fingerprint)
{
	if (!w->session.prompt_open)
		return;
	start_note_outcome(
		w, "The last turn was cut off by a restart.", look, old_head, old_fingerprint);
	turn_lost(w, "the worker was restarted");
}

static void on_first_look(void *arg, const struct tree_look *look, const struct err *e)
{
	struct worker *w = arg;
	char old_head[41];
	uint64_t old_fingerprint = w->session.fingerprint;

	if (e || w->quitting) {
		if (e)
			fatal(w, e);
		else
			worker_maybe_exit(w);
		return;
	}
	memcpy(old_head, w->session.head, sizeof old_head);
	w->told_fingerprint = w->session.fresh ? look->fingerprint : w->session.fingerprint;
	worker_tell_diff(w, look);
	note_interruption(w, look, old_head, old_fingerprint);
	malloc_trim(0); /* a clone needs much more than what follows */
	start_coder(w);
}

static void on_opened(void *arg, const struct err *e);

static void on_open_timer(uv_timer_t *t)
{
	struct worker *w = t->data;

	if (!w->quitting)
		tree_open(w->tree, on_opened, w);
}

/* False: tried often enough. */
static bool open_later(struct worker *w, const struct err *e)
{
	int64_t delay_ms;

	if (e->kind != ERR_UNAVAILABLE || ++w->open_tries >= OPEN_TRIES)
		return false;
	delay_ms =
		backoff_ms(OPEN_FIRST_MS, OPEN_MAX_MS, w->open_tries, backoff_chance(&w->random));
	worker_delayed(w, "repository", e->text, "it is tried again", delay_ms);
	uv_timer_start(&w->restart_timer, on_open_timer, (uint64_t)delay_ms, 0);
	return true;
}

static void on_opened(void *arg, const struct err *e)
{
	struct worker *w = arg;

	if (e && !w->quitting && open_later(w, e))
		return;
	if (e || w->quitting) {
		if (e)
			fatal(w, e);
		else
			worker_maybe_exit(w);
		return;
	}
	worker_goes_on(w);
	tree_look(w->tree, on_first_look, w);
}

static void open_tree(struct worker *w)
{
	struct tree_spec spec = {.path = w->repo,
		.mirrors = w->mirrors,
		.url = &w->task.url,
		.base = w->task.base,
		.branch = w->task.branch,
		.saved = w->task.saved,
		.user_name = w->task.git_name,
		.user_email = w->task.git_email,
		.auth = {
			.token = dotenv_get(w->keys, "GITHUB_TOKEN"),
			.api_url = dotenv_get(w->keys, "GITHUB_API_URL"),
			.token_host = dotenv_get(w->keys, "HUNDREDX_TOKEN_HOST"),
			.home = w->paths.home,
		}};

	w->tree = tree_new(w->loop, &spec, on_progress, w);
	tree_open(w->tree, on_opened, w);
}

static void raise_limits(struct manager *m, const struct manager_limits *l)
{
	int64_t ms = l->minutes * l->minute_ms;

	m->limits = *l;
	if (l->turns <= 0 || m->granted_turns < l->turns)
		m->granted_turns = l->turns;
	if (l->minutes <= 0 || m->granted_ms < ms)
		m->granted_ms = ms;
	if (l->dollars <= 0 || m->granted_dollars < l->dollars)
		m->granted_dollars = l->dollars;
}

/* False: the agent had ended and only its last events were missing. */
static bool take_up(struct worker *w)
{
	struct session *s = &w->session;

	if (s->fresh) {
		manager_init(&s->manager, w->task.managed, &w->task.limits);
		return true;
	}
	s->manager.managed = w->task.managed;
	raise_limits(&s->manager, &w->task.limits);
	if (s->manager.dollars <
		w->task.dollars) /* told, but not kept by a worker that was killed */
		s->manager.dollars = w->task.dollars;
	if (s->ended_seq > w->task.committed)
		return false;
	s->ended_seq = 0;
	manager_resume(&s->manager);
	return true;
}

void start_on_hello(void *arg, const cJSON *result)
{
	struct worker *w = arg;
	struct err e;

	w->started = true;
	crash_point(CRASH_HELLO_ANSWERED);
	if (assignment_read(result, w->agent, &w->task, &e) < 0) {
		log_error("agent=%lld %s", (long long)w->agent, e.text);
		fatal(w, &e);
		return;
	}
	link_alone_after(w->link, w->task.alone_ms);
	if (link_last(w->link) < w->session.telling_seq)
		w->session.telling = 0; /* cut off before its event was written */
	if (!take_up(w)) {
		/* A power cut leaves the session, which was flushed, and not the spool. */
		if (link_last(w->link) < w->session.ended_seq)
			ending_tell_again(w);
		worker_quit(w, 0);
		return;
	}
	worker_tell_state(w);
	worker_save(w, true);
	crash_point(CRASH_HELLO_SAVED);
	open_tree(w);
}
