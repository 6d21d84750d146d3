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
#include "worker/finish_step.h"
#include "worker/worker.h"

#define TAIL_KEEP_BYTES (4 * FINISH_OUTPUT_BYTES)

static const char *const STEP_WORDS[] = {"test", "commit", "describe", "push", "pull_request"};

static void run_step(struct finish *f);

struct session_finish *finish_stored(struct finish *f)
{
	return &f->w->session.finish;
}

void finish_tell(struct finish *f, const char *step, const char *status, const char *reason)
{
	cJSON *body = cJSON_CreateObject();

	json_add_str(body, "step", step);
	json_add_str(body, "status", status);
	json_add_str(body, "reason", reason);
	json_add_str(body, "key", finish_stored(f)->trying);
	json_add_str(body, "branch", finish_branch(f->w));
	json_add_str(body, "url", finish_stored(f)->pull_url);
	worker_emit(f->w, EVENT_FINISH, body);
}

void finish_tell_step(struct finish *f, const char *status, const char *reason)
{
	finish_tell(f, STEP_WORDS[finish_stored(f)->step], status, reason);
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
bool finish_called_off(struct finish *f)
{
	struct worker *w = f->w;
	bool off = f->cancelled;

	f->under_way = false;
	if (off) {
		release(f);
		if (w->finish && w->finish->behind)
			finish_run_pull(w->finish);
		worker_maybe_exit(w);
	}
	return off;
}

const char *finish_branch(const struct worker *w)
{
	return *w->session.finish.remote ? w->session.finish.remote : w->task.branch;
}

void finish_other_name(const char *branch, const char *taken, char *out, size_t size)
{
	size_t n = strlen(branch);
	long number = strncmp(taken, branch, n) == 0 && taken[n] == '-'
			      ? strtol(taken + n + 1, NULL, 10)
			      : 1;

	snprintf(out, size, "%s-%ld", branch, number + 1);
}

/* open: something did not work; a person may have it tried again from there. */
static void end(struct finish *f, const char *reason, bool open)
{
	struct worker *w = f->w;

	finish_stored(f)->open = open;
	worker_save(w, true);
	crash_point(CRASH_FINISH_SAVED);
	release(f);
	worker_event(w, MANAGER_EV_FINISHED, reason);
}

void finish_fail(struct finish *f, const char *what, const struct err *e)
{
	char reason[ERR_TEXT_BYTES + 128];

	finish_tell_step(f, "failed", e->text);
	snprintf(reason, sizeof reason, "%s: %s", what, e->text);
	end(f, reason, true);
}

void finish_skip_push(struct finish *f, const struct err *e)
{
	char reason[ERR_TEXT_BYTES + 320];

	finish_tell_step(f, "skipped", e->text);
	snprintf(reason, sizeof reason, "the branch %s stays in the workspace: %s",
		f->w->task.branch, e->text);
	end(f, reason, true);
}

/* All is done; worth a word is only that the branch has another name. */
static void end_well(struct finish *f)
{
	char reason[320] = "";

	if (*finish_stored(f)->remote)
		snprintf(reason, sizeof reason,
			"pushed as %s: the repository has another branch %s",
			finish_stored(f)->remote, f->w->task.branch);
	end(f, reason, false);
}

void finish_next_step(struct finish *f)
{
	finish_stored(f)->step++;
	finish_stored(f)->trying[0] = '\0';
	worker_save(f->w, true);
	if (finish_stored(f)->step == FINISH_STEPS)
		end_well(f);
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
	if (finish_called_off(f))
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
	finish_tell_step(f, code == 0 ? "done" : "failed", code == 0 ? "" : "the tests failed");
	if (code == 0)
		finish_next_step(f);
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
		.guard = w->guard,
		.pid_namespace = w->task.pid_namespace};
	struct instance_plan plan = {0};
	struct err e;

	if (!*w->task.test_command) {
		finish_tell_step(f, "skipped", "the task has no test command");
		finish_next_step(f);
		return;
	}
	finish_tell_step(f, "started", "");
	if (instance_plain_env(&plan, w->session_dir, &e) == 0) {
		spec.env = (const char *const *)plan.env;
		f->test = child_start(w->loop, &spec, &events, f, &e);
	}
	instance_plan_clear(&plan);
	if (!f->test) {
		finish_fail(f, "the test command could not be run", &e);
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

	if (finish_called_off(f))
		return;
	if (e) {
		finish_fail(f, "the workspace could not be read", e);
		return;
	}
	worker_tell_diff(f->w, look);
	keep_patch(f, look->diff);
	memcpy(finish_stored(f)->head, look->head, sizeof finish_stored(f)->head);
	if (look->ahead > 0) {
		finish_next_step(f);
		return;
	}
	finish_stored(f)->step = FINISH_PUSH;
	finish_tell_step(f, "skipped", "nothing was changed");
	finish_stored(f)->open = false;
	worker_save(f->w, true);
	struct worker *w = f->w;
	release(f);
	worker_event(w, MANAGER_EV_FINISHED, "nothing was changed");
}

static void on_committed(void *arg, const char *hash, const struct err *e)
{
	struct finish *f = arg;

	if (finish_called_off(f))
		return;
	if (e) {
		finish_fail(f, "the changes could not be committed", e);
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
	finish_tell_step(f, *hash ? "done" : "skipped", *hash ? "" : "everything is committed");
	f->under_way = true;
	tree_look(f->w->tree, on_committed_look, f);
}

static void run_commit(struct finish *f)
{
	finish_tell_step(f, "started", "");
	f->under_way = true;
	crash_point(CRASH_COMMIT_BEFORE);
	tree_commit(f->w->tree, f->w->task.title, on_committed, f);
}

/* --- describe --- */

/* NULL: a pull request is to be opened; else why not. */
const char *finish_no_pull_because(const struct worker *w)
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

void finish_describe_plainly(struct finish *f)
{
	description_plain(
		finish_stored(f), f->w->task.title, f->w->task.description, f->w->session.history);
}

static void on_described(void *arg, const struct llm_answer *answer, const struct err *failure)
{
	struct finish *f = arg;
	struct worker *w = f->w;
	struct err e;

	f->describing = NULL;
	if (finish_called_off(f))
		return;
	crash_point(CRASH_DESCRIBED);
	if (failure)
		e = *failure;
	else
		worker_emit_usage(w, "agent", w->task.agent_model, answer->tokens_in,
			answer->tokens_out, answer->tokens_cached, answer->dollars);
	if (failure || description_read(finish_stored(f), answer->text, &e) < 0) {
		char reason[ERR_TEXT_BYTES + 64];

		finish_describe_plainly(f);
		snprintf(reason, sizeof reason, "%s; the task's own text is used", e.text);
		finish_tell_step(f, "failed", reason);
	} else {
		finish_tell_step(f, "done", "");
	}
	finish_next_step(f);
}

static void run_describe(struct finish *f)
{
	struct worker *w = f->w;
	const char *why = finish_no_pull_because(w);
	struct prompt_task task = turn_task(w);
	_cleanup_free_ char *text = NULL;
	struct llm_message message = {.role = "user"};
	struct llm_question q = {.model = w->task.agent_model,
		.messages = &message,
		.message_count = 1,
		.json = true,
		.deadline_ms = w->task.model_ms,
		.max_tries = 3};
	struct err e;

	if (why || finish_stored(f)->title) {
		finish_tell_step(f, why ? "skipped" : "done", why ? why : "");
		finish_next_step(f);
		return;
	}
	if (manager_spent(&w->session.manager)) {
		finish_describe_plainly(f);
		finish_tell_step(f, "skipped",
			"the limit of dollars is reached; the task's own text is used");
		finish_next_step(f);
		return;
	}
	finish_tell_step(f, "started", "");
	text = prompt_describe(&task, w->session.history, f->patch);
	log_redact(text);
	message.text = text;
	f->describing = llm_ask(w->llm, &q, on_described, NULL, f, &e);
	if (f->describing) {
		f->under_way = true;
		return;
	}
	finish_describe_plainly(f);
	finish_tell_step(f, "failed", e.text);
	finish_next_step(f);
}

/* --- the whole --- */

static void run_step(struct finish *f)
{
	switch (finish_stored(f)->step) {
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
		finish_run_push(f);
		return;
	case FINISH_PULL:
		finish_run_pull(f);
		return;
	case FINISH_STEPS:
		end_well(f);
		return;
	}
}

static void begin_anew(struct finish *f)
{
	struct session_finish *s = finish_stored(f);

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

	if (finish_called_off(f))
		return;
	if (e) {
		finish_stored(f)->step = FINISH_TEST;
		finish_fail(f, "the workspace could not be read", e);
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
