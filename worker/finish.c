#include "worker/finish.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/description.h"
#include "worker/worker.h"

#define TAIL_KEEP_BYTES (4 * FINISH_OUTPUT_BYTES)

/* Exactly one thing is under way at a time; its callback comes even after a cancel,
 * and then frees. */
struct finish {
	struct worker *w;
	bool cancelled;
	bool under_way;
	struct child *test;
	struct buf tail; /* of the tests' output */
	int64_t test_started_ms;
	bool test_late;
	struct llm_call *describing;
	uv_timer_t timer;
	int push_tries;
	char *patch;
};

static const char *const STEP_WORDS[] = {"test", "commit", "describe", "push", "pull_request"};

static void run_step(struct finish *f);

static struct session_finish *stored(struct finish *f)
{
	return &f->w->session.finish;
}

static void tell(struct finish *f, const char *step, const char *status, const char *reason)
{
	cJSON *body = cJSON_CreateObject();

	json_add_str(body, "step", step);
	json_add_str(body, "status", status);
	json_add_str(body, "reason", reason);
	json_add_str(body, "key", stored(f)->trying);
	json_add_str(body, "branch", f->w->task.branch);
	json_add_str(body, "url", stored(f)->pull_url);
	worker_emit(f->w, EVENT_FINISH, body);
}

static void tell_step(struct finish *f, const char *status, const char *reason)
{
	tell(f, STEP_WORDS[stored(f)->step], status, reason);
}

static void on_closed(uv_handle_t *h)
{
	struct finish *f = h->data;

	buf_clear(&f->tail);
	free(f->patch);
	free(f);
}

static void release(struct finish *f)
{
	if (f->w->finish == f)
		f->w->finish = NULL;
	uv_close((uv_handle_t *)&f->timer, on_closed);
}

/* At the start of every callback. True: called off, f is gone. */
static bool called_off(struct finish *f)
{
	struct worker *w = f->w;
	bool off = f->cancelled;

	f->under_way = false;
	if (off) {
		release(f);
		worker_maybe_exit(w);
	}
	return off;
}

static void end(struct finish *f, const char *reason)
{
	struct worker *w = f->w;

	stored(f)->open = *reason != '\0';
	worker_save(w, true);
	crash_point(CRASH_FINISH_SAVED);
	release(f);
	worker_event(w, MANAGER_EV_FINISHED, reason);
}

static void fail(struct finish *f, const char *what, const struct err *e)
{
	char reason[ERR_TEXT_BYTES + 128];

	tell_step(f, "failed", e->text);
	snprintf(reason, sizeof reason, "%s: %s", what, e->text);
	end(f, reason);
}

static void next_step(struct finish *f)
{
	stored(f)->step++;
	stored(f)->trying[0] = '\0';
	worker_save(f->w, true);
	if (stored(f)->step == FINISH_STEPS)
		end(f, "");
	else
		run_step(f);
}

/* --- test --- */

static void on_test_output(void *arg, int stream, const char *data, size_t n)
{
	struct finish *f = arg;

	(void)stream;
	if (f->cancelled)
		return;
	if (f->tail.len + n > TAIL_KEEP_BYTES && f->tail.len > FINISH_OUTPUT_BYTES)
		buf_consume(&f->tail, f->tail.len - FINISH_OUTPUT_BYTES);
	buf_add(&f->tail, data, n);
	turn_output(f->w, OUTPUT_TOOL, data, n);
}

static void send_back(struct finish *f, int code, const char *output)
{
	struct worker *w = f->w;
	char *text;

	if (asprintf(&text,
		    "The tests failed. The command `%s` %s %d. The end of its output:\n\n%s\n\n"
		    "Find the cause and fix it.",
		    w->task.test_command, code < 0 ? "was ended by signal" : "ended with exit code",
		    code < 0 ? -code : code, output) < 0)
		err_out_of_memory();
	free(w->session.next_prompt);
	w->session.next_prompt = text;
	worker_save(w, true);
	release(f);
	worker_event(w, MANAGER_EV_TESTS_FAILED, NULL);
}

static void on_test_done(void *arg, int code)
{
	struct finish *f = arg;
	struct worker *w = f->w;
	_cleanup_free_ char *output = NULL;
	cJSON *body;
	size_t from;

	f->test = NULL;
	uv_timer_stop(&f->timer);
	if (called_off(f))
		return;
	crash_point(CRASH_TEST_DONE);
	turn_flush(w);
	if (f->test_late)
		buf_adds(&f->tail, "\n[ended: the tests took too long]\n");
	from = f->tail.len > FINISH_OUTPUT_BYTES ? f->tail.len - FINISH_OUTPUT_BYTES : 0;
	output = utf8_clean(f->tail.data ? f->tail.data + from : "", f->tail.len - from);
	body = cJSON_CreateObject();
	json_add_int(body, "turn", w->session.manager.turn);
	json_add_str(body, "command", w->task.test_command);
	json_add_int(body, "exit_code", code);
	cJSON_AddBoolToObject(body, "passed", code == 0);
	json_add_str(body, "output", output);
	json_add_int(body, "duration_ms", clock_now_ms() - f->test_started_ms);
	worker_emit(w, EVENT_TEST, body);
	tell_step(f, code == 0 ? "done" : "failed", code == 0 ? "" : "the tests failed");
	if (code == 0)
		next_step(f);
	else
		send_back(f, code, output);
}

static void on_test_late(uv_timer_t *t)
{
	struct finish *f = t->data;

	f->test_late = true;
	if (f->test)
		child_end(f->test, WORKER_GRACE_MS);
}

static void run_test(struct finish *f)
{
	static const struct child_events events = {.output = on_test_output, .done = on_test_done};
	struct worker *w = f->w;
	const char *const argv[] = {"/bin/sh", "-c", w->task.test_command, NULL};
	struct child_spec spec = {.argv = argv,
		.cwd = w->repo,
		.pipe_stdout = true,
		.pipe_stderr = true,
		.die_with_us = true};
	struct instance_plan plan = {0};
	struct err e;

	if (!*w->task.test_command) {
		tell_step(f, "skipped", "the task has no test command");
		next_step(f);
		return;
	}
	tell_step(f, "started", "");
	if (instance_plain_env(&plan, w->session_dir, &e) == 0) {
		spec.env = (const char *const *)plan.env;
		f->test = child_start(w->loop, &spec, &events, f, &e);
	}
	instance_plan_clear(&plan);
	if (!f->test) {
		fail(f, "the test command could not be run", &e);
		return;
	}
	f->under_way = true;
	f->test_started_ms = clock_now_ms();
	uv_timer_start(&f->timer, on_test_late,
		(uint64_t)(w->task.turn_ms > 0 ? w->task.turn_ms : FINISH_TEST_MS), 0);
}

/* --- commit --- */

static void keep_patch(struct finish *f, const char *diff)
{
	_cleanup_json_ cJSON *j = json_parse(diff, strlen(diff), EVENT_BODY_MAX, NULL);

	session_set(&f->patch, json_str(j, "patch", ""));
}

static void on_committed_look(void *arg, const struct tree_look *look, const struct err *e)
{
	struct finish *f = arg;

	if (called_off(f))
		return;
	if (e) {
		fail(f, "the workspace could not be read", e);
		return;
	}
	worker_tell_diff(f->w, look);
	keep_patch(f, look->diff);
	memcpy(stored(f)->head, look->head, sizeof stored(f)->head);
	if (look->ahead > 0) {
		next_step(f);
		return;
	}
	stored(f)->step = FINISH_PUSH;
	tell_step(f, "skipped", "nothing was changed");
	stored(f)->open = false;
	worker_save(f->w, true);
	struct worker *w = f->w;
	release(f);
	worker_event(w, MANAGER_EV_FINISHED, "nothing was changed");
}

static void on_committed(void *arg, const char *hash, const struct err *e)
{
	struct finish *f = arg;

	if (called_off(f))
		return;
	if (e) {
		fail(f, "the changes could not be committed", e);
		return;
	}
	crash_point(CRASH_COMMIT_AFTER);
	if (*hash) {
		cJSON *body = cJSON_CreateObject();

		json_add_int(body, "turn", f->w->session.manager.turn);
		json_add_str(body, "hash", hash);
		json_add_str(body, "message", f->w->task.title);
		json_add_str(body, "author", "");
		worker_emit(f->w, EVENT_COMMIT, body);
	}
	tell_step(f, *hash ? "done" : "skipped", *hash ? "" : "everything is committed");
	f->under_way = true;
	tree_look(f->w->tree, on_committed_look, f);
}

static void run_commit(struct finish *f)
{
	tell_step(f, "started", "");
	f->under_way = true;
	crash_point(CRASH_COMMIT_BEFORE);
	tree_commit(f->w->tree, f->w->task.title, on_committed, f);
}

/* --- describe --- */

/* NULL: a pull request is to be opened; else why not. */
static const char *no_pull_because(const struct worker *w)
{
	if (!w->task.pull_request)
		return "the task wants no pull request";
	if (w->task.url.scheme == GITURL_LOCAL)
		return "the repository is a local one";
	if (!w->forge)
		return "there is no GITHUB_TOKEN in ~/.env or the environment";
	if (!forge_serves(w->forge, &w->task.url))
		return "the repository is not on GitHub";
	return NULL;
}

static void describe_plainly(struct finish *f)
{
	description_plain(
		stored(f), f->w->task.title, f->w->task.description, f->w->session.history);
}

static void on_described(void *arg, const struct llm_answer *answer, const struct err *failure)
{
	struct finish *f = arg;
	struct worker *w = f->w;
	struct err e;

	f->describing = NULL;
	if (called_off(f))
		return;
	crash_point(CRASH_DESCRIBED);
	if (failure)
		e = *failure;
	else
		worker_emit_usage(w, "agent", w->task.agent_model, answer->tokens_in,
			answer->tokens_out, answer->tokens_cached, answer->dollars);
	if (failure || description_read(stored(f), answer->text, &e) < 0) {
		char reason[ERR_TEXT_BYTES + 64];

		describe_plainly(f);
		snprintf(reason, sizeof reason, "%s; the task's own text is used", e.text);
		tell_step(f, "failed", reason);
	} else {
		tell_step(f, "done", "");
	}
	next_step(f);
}

static void run_describe(struct finish *f)
{
	struct worker *w = f->w;
	const char *why = no_pull_because(w);
	struct prompt_task task = turn_task(w);
	_cleanup_free_ char *text = NULL;
	struct llm_message message = {.role = "user"};
	struct llm_question q = {.model = w->task.agent_model,
		.messages = &message,
		.message_count = 1,
		.json = true,
		.max_tries = 3};
	struct err e;

	if (why || stored(f)->title) {
		tell_step(f, why ? "skipped" : "done", why ? why : "");
		next_step(f);
		return;
	}
	tell_step(f, "started", "");
	text = prompt_describe(&task, w->session.history, f->patch);
	log_redact(text);
	message.text = text;
	f->describing = llm_ask(w->llm, &q, on_described, NULL, f, &e);
	if (f->describing) {
		f->under_way = true;
		return;
	}
	describe_plainly(f);
	tell_step(f, "failed", e.text);
	next_step(f);
}

/* --- push --- */

static void try_push(struct finish *f);

static void on_push_timer(uv_timer_t *t)
{
	struct finish *f = t->data;

	if (!called_off(f))
		try_push(f);
}

static void on_pushed(void *arg, const struct err *e)
{
	struct finish *f = arg;
	if (called_off(f))
		return;
	if (!e) {
		memcpy(stored(f)->pushed, stored(f)->head, sizeof stored(f)->pushed);
		tell_step(f, "done", "");
		next_step(f);
		crash_point(CRASH_PUSH_RECORDED);
		return;
	}
	if (e->kind == ERR_UNAVAILABLE && ++f->push_tries < FINISH_PUSH_TRIES) {
		int64_t delay_ms = f->push_tries == 1 ? 1000 : 5000;

		worker_trouble(f->w, "push", e->text, "it is tried again", delay_ms);
		f->under_way = true;
		uv_timer_start(&f->timer, on_push_timer, (uint64_t)delay_ms, 0);
		return;
	}
	if (no_pull_because(f->w)) {
		/* Nobody promised a push: the branch in the workspace is the result. */
		tell_step(f, "skipped", e->text);
		stored(f)->step = FINISH_PULL;
		next_step(f);
		return;
	}
	fail(f, "the branch could not be pushed", e);
}

static void try_push(struct finish *f)
{
	f->under_way = true;
	tree_push(f->w->tree, on_pushed, f);
}

static void run_push(struct finish *f)
{
	struct session_finish *s = stored(f);

	snprintf(s->trying, sizeof s->trying, "push:%s:%s", f->w->task.branch, s->head);
	if (*s->head && !strcmp(s->pushed, s->head)) {
		tell_step(f, "done", "it was pushed before");
		next_step(f);
		return;
	}
	worker_save(f->w, true);
	tell_step(f, "started", "");
	f->push_tries = 0;
	try_push(f);
}

/* --- pull request --- */

static void on_pull_step(void *arg, const char *step, const char *status, const char *reason)
{
	struct finish *f = arg;

	/* The pull request's own end is told by on_pull. */
	if (!f->cancelled && strcmp(step, "pull_request") != 0)
		tell(f, step, status, reason ? reason : "");
}

static void on_pull(void *arg, const struct forge_pull *pull, const struct err *e)
{
	struct finish *f = arg;
	cJSON *body;

	if (called_off(f))
		return;
	if (!pull) {
		fail(f, "the branch is pushed, but no pull request could be opened", e);
		return;
	}
	crash_point(CRASH_PULL_DONE);
	snprintf(stored(f)->pull_url, sizeof stored(f)->pull_url, "%s", pull->url);
	body = cJSON_CreateObject();
	json_add_str(body, "url", pull->url);
	json_add_int(body, "number", pull->number);
	json_add_str(body, "title", pull->title);
	json_add_str(body, "base", pull->base);
	json_add_str(body, "branch", f->w->task.branch);
	cJSON_AddBoolToObject(body, "existed", pull->existed);
	worker_emit(f->w, EVENT_PULL_REQUEST, body);
	tell_step(f, "done", pull->existed ? "it was open already" : "");
	crash_point(CRASH_PULL_RECORDED);
	next_step(f);
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

static void run_pull(struct finish *f)
{
	struct worker *w = f->w;
	struct session_finish *s = stored(f);
	const char *why = no_pull_because(w);
	struct forge_spec spec = {.url = &w->task.url, .branch = w->task.branch};
	struct err e;

	if (why) {
		tell_step(f, "skipped", why);
		next_step(f);
		return;
	}
	if (!s->title)
		describe_plainly(f);
	spec.title = s->title;
	spec.body = s->body;
	spec.label_count = borrow_names(s->labels, spec.labels);
	spec.reviewer_count = borrow_names(s->reviewers, spec.reviewers);
	snprintf(s->trying, sizeof s->trying, "pull:%s:%s", w->task.branch, s->head);
	worker_save(w, true);
	tell_step(f, "started", "");
	f->under_way = true;
	crash_point(CRASH_PULL_BEFORE);
	if (forge_open_pull(w->forge, &spec, on_pull_step, on_pull, f, &e) < 0) {
		f->under_way = false;
		fail(f, "the branch is pushed, but no pull request could be opened", &e);
	}
}

/* --- the whole --- */

static void run_step(struct finish *f)
{
	switch (stored(f)->step) {
	case FINISH_TEST:
		run_test(f);
		return;
	case FINISH_COMMIT:
		run_commit(f);
		return;
	case FINISH_DESCRIBE:
		run_describe(f);
		return;
	case FINISH_PUSH:
		run_push(f);
		return;
	case FINISH_PULL:
		run_pull(f);
		return;
	case FINISH_STEPS:
		end(f, "");
		return;
	}
}

static void begin_anew(struct finish *f)
{
	struct session_finish *s = stored(f);

	s->open = true;
	s->step = FINISH_TEST;
	s->trying[0] = s->head[0] = '\0';
	session_set(&s->title, NULL);
	session_set(&s->body, NULL);
	cJSON_Delete(s->labels);
	cJSON_Delete(s->reviewers);
	s->labels = s->reviewers = NULL;
}

static void on_start_look(void *arg, const struct tree_look *look, const struct err *e)
{
	struct finish *f = arg;
	const struct session_finish *s = &f->w->session.finish;

	if (called_off(f))
		return;
	if (e) {
		stored(f)->step = FINISH_TEST;
		fail(f, "the workspace could not be read", e);
		return;
	}
	keep_patch(f, look->diff);
	/* What was handed in before is still what is there: go on at that step. */
	if (!s->open || s->step <= FINISH_COMMIT || look->dirty || strcmp(s->head, look->head) != 0)
		begin_anew(f);
	worker_save(f->w, true);
	run_step(f);
}

void finish_start(struct worker *w)
{
	struct finish *f = calloc(1, sizeof *f);

	if (!f)
		err_out_of_memory();
	f->w = w;
	buf_init(&f->tail, 0);
	uv_timer_init(w->loop, &f->timer);
	f->timer.data = f;
	w->finish = f;
	f->under_way = true;
	tree_look(w->tree, on_start_look, f);
}

void finish_cancel(struct worker *w)
{
	struct finish *f = w->finish;

	if (!f)
		return;
	w->finish = NULL;
	f->cancelled = true;
	if (f->describing) {
		llm_cancel(f->describing);
		f->describing = NULL;
		f->under_way = false;
	}
	if (f->test)
		child_end(f->test, WORKER_GRACE_MS);
	if (uv_is_active((uv_handle_t *)&f->timer) && !f->test) {
		uv_timer_stop(&f->timer);
		f->under_way = false;
	}
	if (!f->under_way)
		release(f);
}

void finish_pause_output(struct worker *w, bool paused)
{
	if (w->finish && w->finish->test)
		child_pause_output(w->finish->test, paused);
}
