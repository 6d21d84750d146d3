/* The conversation with the coding agent: what it is told and what comes back. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/action.h"
#include "worker/backoff.h"
#include "worker/worker.h"

struct prompt_task turn_task(const struct worker *w)
{
	return (struct prompt_task){.agent = w->agent,
		.title = w->task.title,
		.description = w->task.description,
		.base = w->task.base,
		.branch = w->task.branch,
		.test_command = w->task.test_command,
		.instructions = w->task.instructions};
}

/* --- output --- */

static void on_output_timer(uv_timer_t *t)
{
	turn_flush(t->data);
}

void turn_flush(struct worker *w)
{
	output_flush(&w->output, clock_now_ms());
	uv_timer_stop(&w->output_timer);
}

void turn_output(struct worker *w, enum output_stream stream, const char *text, size_t n)
{
	int64_t now = clock_now_ms(), due;

	output_add(&w->output, stream, text, n, now);
	due = output_deadline(&w->output);
	if (due < 0)
		uv_timer_stop(&w->output_timer);
	else if (!uv_is_active((uv_handle_t *)&w->output_timer))
		uv_timer_start(&w->output_timer, on_output_timer,
			(uint64_t)(due > now ? due - now : 0), 0);
}

static void on_commit(struct worker *w, const cJSON *commit)
{
	cJSON *body = cJSON_CreateObject();
	const char *message = json_str(commit, "message", "");
	char line[256];

	workspace_flush_commit(w->repo);
	json_add_int(body, "turn", w->session.manager.turn);
	json_add_str(body, "hash", json_str(commit, "hash", ""));
	json_add_text(
		body, "message", message, utf8_cut(message, strlen(message), ACTION_FIELD_MAX));
	json_add_str(body, "author", json_str(commit, "author", ""));
	worker_emit(w, EVENT_COMMIT, body);
	snprintf(line, sizeof line, "\n[commit %.7s %.200s]\n", json_str(commit, "hash", ""),
		message);
	prompt_log_add(&w->log, line, strlen(line));
}

static void on_usage(struct worker *w, const struct acp_usage *u)
{
	double delta;

	if (u->exact) {
		w->exact_usage = true;
		worker_emit_usage(w, "aider", *u->model ? u->model : w->task.aider_model,
			u->tokens_in, u->tokens_out, u->tokens_cached, u->dollars);
		return;
	}
	if (u->cost_total < 0)
		return;
	/* A running sum; an agent that was started again may begin at nothing. */
	delta = u->cost_total - w->session.cost_total;
	w->session.cost_total = u->cost_total;
	if (delta < 0)
		delta = u->cost_total;
	if (delta > 0)
		worker_emit_usage(w, "aider", w->task.aider_model, 0, 0, 0, delta);
}

static void on_tool(struct worker *w, const cJSON *update)
{
	struct buf said;
	cJSON *body;

	turn_flush(w);
	buf_init(&said, 64 * 1024);
	body = tool_body(&w->tools, update, w->session.manager.turn, w->repo, &said);
	if (said.len)
		prompt_log_add(&w->log, said.data, said.len);
	buf_clear(&said);
	worker_emit(w, EVENT_TOOL, body);
}

static void on_plan(struct worker *w, const cJSON *update)
{
	const cJSON *entry;

	cJSON_ArrayForEach (entry, json_get(update, "entries")) {
		char line[512];
		int n = snprintf(line, sizeof line, "[%s] %.450s\n",
			json_str(entry, "status", "pending"), json_str(entry, "content", ""));

		turn_output(w, OUTPUT_THOUGHT, line, (size_t)n);
	}
}

void turn_on_update(struct worker *w, const struct acp_update *u)
{
	size_t n = strlen(u->text);

	if (w->quitting)
		return;
	switch (u->kind) {
	case ACP_TEXT:
		prompt_log_add(&w->log, u->text, n);
		turn_output(w, OUTPUT_AGENT, u->text, n);
		return;
	case ACP_LOG:
		prompt_log_add(&w->log, u->text, n);
		turn_output(w, OUTPUT_LOG, u->text, n);
		return;
	case ACP_THOUGHT:
		turn_output(w, OUTPUT_THOUGHT, u->text, n);
		return;
	case ACP_TOOL:
		on_tool(w, u->tool);
		return;
	case ACP_COMMIT:
		turn_flush(w);
		on_commit(w, u->commit);
		return;
	case ACP_USAGE:
		on_usage(w, &u->usage);
		return;
	case ACP_PLAN:
		on_plan(w, u->tool);
		return;
	case ACP_OTHER:
		return;
	}
}

/* --- the end of a turn --- */

static void tell_ended(struct worker *w, const char *stop_reason, const char *reason)
{
	cJSON *body = cJSON_CreateObject();

	uv_timer_stop(&w->turn_timer);
	w->session.prompt_open = false;
	session_set(&w->stop_reason, stop_reason);
	json_add_int(body, "turn", w->session.manager.turn);
	json_add_str(body, "phase", "ended");
	json_add_str(body, "stop_reason", stop_reason);
	if (w->turn_started_ms)
		json_add_int(body, "duration_ms", clock_now_ms() - w->turn_started_ms);
	if (w->idle_ms >= 0)
		cJSON_AddNumberToObject(body, "idle_ms", w->idle_ms);
	if (reason)
		json_add_text(body, "reason", reason, strlen(reason));
	worker_emit(w, EVENT_TURN, body);
	if (!w->task.managed) {
		_cleanup_free_ char *line = prompt_history_line(w->session.manager.turn,
			w->session.prompt ? w->session.prompt : "", stop_reason, NULL);

		session_append(&w->session.history, line, SESSION_MAX_HISTORY);
	}
}

void turn_lost(struct worker *w, const char *reason)
{
	turn_flush(w);
	tell_ended(w, "error", reason);
}

static enum manager_trouble trouble_of(const char *kind)
{
	if (!strcmp(kind, "authentication") || !strcmp(kind, "budget") ||
		!strcmp(kind, "not_found"))
		return TROUBLE_DENIED;
	if (!strcmp(kind, "rate_limit") || !strcmp(kind, "unavailable"))
		return TROUBLE_BUSY;
	return !strcmp(kind, "context") ? TROUBLE_CONTEXT : TROUBLE_OTHER;
}

static const char *trouble_hint(enum manager_trouble t)
{
	switch (t) {
	case TROUBLE_DENIED:
		return "look at the key in ~/.env and at the model of the role Aider";
	case TROUBLE_BUSY:
		return "it is tried again";
	case TROUBLE_CONTEXT:
		return "the model's context is full: drop files or choose another model";
	case TROUBLE_OTHER:
		return "";
	}
	return "";
}

static void on_failure(struct worker *w, const struct acp_end *end)
{
	struct manager_event ev = {.kind = MANAGER_EV_ERROR,
		.reason = end->failure,
		.trouble = trouble_of(end->failure_kind),
		.chance = backoff_chance(&w->random),
		.delay_ms = end->retry_after_ms};
	char note[1024];

	tell_ended(w, "error", end->failure);
	if (ev.trouble == TROUBLE_OTHER || ev.trouble == TROUBLE_CONTEXT) {
		snprintf(note, sizeof note, "The last turn ended with an error: %.900s",
			end->failure);
		worker_note(w, note);
	}
	worker_step(w, &ev);
	worker_trouble(w, "turn", end->failure, trouble_hint(ev.trouble),
		manager_hold_ms(&w->session.manager, clock_now_ms()));
}

static void on_late_end(struct worker *w)
{
	char reason[128];
	struct manager_event ev = {.kind = MANAGER_EV_ERROR, .reason = reason, .delay_ms = -1};

	snprintf(reason, sizeof reason, "the turn took longer than %lld minutes and was ended",
		(long long)(w->task.turn_ms / clock_minute_ms()));
	w->turn_late = false;
	tell_ended(w, "error", reason);
	worker_trouble(w, "turn", reason, "raise turn_minutes if turns need longer", -1);
	worker_note(w, reason);
	worker_step(w, &ev);
}

static void on_stop(struct worker *w, const struct acp_end *end)
{
	struct manager_event ev = {.kind = MANAGER_EV_ENDED, .delay_ms = -1};
	const char *stop = end->stop_reason;
	struct acp_usage usage;
	char reason[128];

	crash_point(CRASH_TURN_ENDED);
	tell_ended(w, stop, NULL);
	crash_point(CRASH_TURN_END_TOLD);
	if (!w->exact_usage && acp_usage_of_result(end->result, &usage))
		worker_emit_usage(w, "aider", w->task.aider_model, usage.tokens_in,
			usage.tokens_out, usage.tokens_cached, usage.dollars);
	if (!strcmp(stop, "cancelled")) {
		ev.kind = MANAGER_EV_CANCELLED;
		worker_note(w, "The last turn was cancelled before its end; its instruction may be "
			       "done in part only.");
	} else if (strcmp(stop, "end_turn") != 0) {
		ev.kind = MANAGER_EV_CUT;
		snprintf(reason, sizeof reason, "the coding agent ended its turn early: %.80s",
			stop);
		ev.reason = reason;
	}
	worker_step(w, &ev);
}

void turn_on_end(struct worker *w, const struct acp_end *end)
{
	w->ready_ns = clock_now_ns();
	w->llm_ns = 0;
	if (w->quitting)
		return;
	turn_flush(w);
	coder_expire_permissions(w);
	if (w->turn_late)
		on_late_end(w);
	else if (end->failure)
		on_failure(w, end);
	else
		on_stop(w, end);
	if (!w->quitting)
		worker_look(w);
}

/* --- prompting the coding agent --- */

char *turn_messages(const struct worker *w)
{
	struct buf b;

	buf_init(&b, 0);
	for (int i = 0; i < w->session.message_count; i++) {
		const struct session_message *m = &w->session.messages[i];

		if (!strncmp(m->from, "agent/", 6))
			buf_addf(&b, "From agent %s: %s\n\n", m->from + 6, m->text);
		else if (w->task.managed)
			buf_addf(&b, "From a person: %s\n\n", m->text);
		else
			buf_addf(&b, "%s\n\n", m->text);
	}
	while (b.len && b.data[b.len - 1] == '\n')
		b.data[--b.len] = '\0';
	return buf_take(&b, NULL);
}

static char *person_prompt(struct worker *w)
{
	_cleanup_free_ char *messages = turn_messages(w);
	struct buf b;
	char *plain;

	buf_init(&b, 0);
	if (w->session.note && *w->session.note)
		buf_addf(&b, "(%s)\n", w->session.note);
	buf_adds(&b, messages);
	plain = action_plain(b.data);
	buf_clear(&b);
	return plain;
}

static char *redo_prompt(const struct worker *w)
{
	const char *last = w->session.prompt ? w->session.prompt : "";
	char *text;

	if (*last == '/' || !w->session.note || !*w->session.note)
		return strdup(last);
	if (asprintf(&text, "%s\nGo on with the last instruction, which was:\n\n%s",
		    w->session.note, last) < 0)
		err_out_of_memory();
	return text;
}

static char *prompt_text(struct worker *w)
{
	struct prompt_task task = turn_task(w);
	_cleanup_free_ char *first = NULL;

	switch (w->session.manager.source) {
	case SOURCE_TASK:
		first = prompt_first(&task);
		return action_plain(first);
	case SOURCE_MANAGER:
	case SOURCE_TEST:
		return strdup(w->session.next_prompt ? w->session.next_prompt : "");
	case SOURCE_PERSON:
		return person_prompt(w);
	case SOURCE_REDO:
		return redo_prompt(w);
	}
	return strdup("");
}

static void on_turn_late(uv_timer_t *t)
{
	struct worker *w = t->data;

	w->turn_late = true;
	coder_cancel_turn(w);
}

static void tell_started(struct worker *w)
{
	const char *prompt = w->session.prompt;
	cJSON *body = cJSON_CreateObject();

	json_add_int(body, "turn", w->session.manager.turn);
	json_add_str(body, "phase", "started");
	json_add_str(body, "source", manager_source_word(w->session.manager.source));
	json_add_text(body, "prompt", prompt, utf8_cut(prompt, strlen(prompt), EVENT_TEXT_MAX));
	if (w->idle_ms >= 0)
		cJSON_AddNumberToObject(body, "idle_ms", w->idle_ms);
	worker_emit(w, EVENT_TURN, body);
}

static void measure_idle(struct worker *w)
{
	/* In whole microseconds, so that the number stays short in events. */
	int64_t idle_us = (clock_now_ns() - w->ready_ns - w->llm_ns) / 1000;

	w->idle_ms = w->ready_ns ? (double)idle_us / 1000 : -1;
	w->ready_ns = 0;
}

void turn_prompt(struct worker *w)
{
	enum manager_source source = w->session.manager.source;
	char *text = prompt_text(w);
	struct err e;

	log_redact(text);
	free(w->session.prompt);
	w->session.prompt = text;
	w->session.prompt_open = true;
	if (source == SOURCE_PERSON || source == SOURCE_REDO)
		session_set(&w->session.note, NULL);
	if (source == SOURCE_PERSON)
		session_drop_messages(&w->session, w->session.message_count);
	session_set(&w->session.next_prompt, NULL);
	if (!w->last_action)
		session_set(&w->last_action, text);
	w->exact_usage = w->turn_late = false;
	prompt_log_reset(&w->log);
	w->have_log = true;
	w->turn_started_ms = clock_now_ms();
	worker_save(w, false);
	crash_point(CRASH_PROMPT_SAVED);
	if (acp_prompt(w->acp, text, &e) < 0) {
		struct acp_end end = {
			.failure = e.text, .failure_kind = "other", .retry_after_ms = -1};

		w->idle_ms = -1;
		tell_started(w);
		on_failure(w, &end);
		return;
	}
	crash_point(CRASH_PROMPT_SENT);
	measure_idle(w);
	coder_watch(w);
	if (w->task.turn_ms > 0)
		uv_timer_start(&w->turn_timer, on_turn_late, (uint64_t)w->task.turn_ms, 0);
	tell_started(w);
}
