/* The conversation: what the Agent model is asked, what the coding agent is told,
 * and what comes back of both. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/action.h"
#include "worker/worker.h"

#define ASK_MESSAGES 4
#define BAD_ANSWER_BYTES 2000 /* of a bad answer that is shown to the model again */

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
		.delay_ms = end->retry_after_ms};
	char note[1024];

	tell_ended(w, "error", end->failure);
	worker_trouble(w, "turn", end->failure, trouble_hint(ev.trouble), end->retry_after_ms);
	if (ev.trouble == TROUBLE_OTHER || ev.trouble == TROUBLE_CONTEXT) {
		snprintf(note, sizeof note, "The last turn ended with an error: %.900s",
			end->failure);
		worker_note(w, note);
	}
	worker_step(w, &ev);
}

static void on_late_end(struct worker *w)
{
	char reason[128];
	struct manager_event ev = {.kind = MANAGER_EV_ERROR, .reason = reason, .delay_ms = -1};

	snprintf(reason, sizeof reason, "the turn took longer than %lld minutes and was ended",
		(long long)(w->task.turn_ms / 60000));
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

/* --- asking the Agent model --- */

static char *message_text(const struct worker *w)
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

static void add_history(struct worker *w, const char *progress)
{
	_cleanup_free_ char *line = NULL;

	if (!w->last_action)
		return;
	line = prompt_history_line(
		w->session.manager.turn, w->last_action, w->stop_reason, progress);
	session_append(&w->session.history, line, SESSION_MAX_HISTORY);
	session_set(&w->last_action, NULL);
}

static void tell_decision(struct worker *w, const struct decision *d, const struct err *e)
{
	cJSON *body = cJSON_CreateObject();

	json_add_int(body, "turn", w->session.manager.turn);
	json_add_str(body, "progress", d->progress);
	json_add_str(body, "thought", d->thought);
	json_add_str(body, "action", d->line);
	json_add_str(body, "future", d->future);
	cJSON_AddBoolToObject(body, "accepted", e == NULL);
	if (e)
		json_add_str(body, "reason", e->text);
	worker_emit(w, EVENT_DECISION, body);
}

static void on_told(void *arg, const cJSON *result, const struct err *e)
{
	struct worker *w = arg;
	char note[512];

	(void)result;
	if (!e || w->quitting)
		return;
	worker_trouble(w, "message", e->text, "", -1);
	snprintf(note, sizeof note, "Your message could not be delivered: %.400s", e->text);
	worker_note(w, note);
}

/* FNV-1a of a message and to whom it goes. */
static uint64_t hash_of(const struct action *a)
{
	const char *const parts[] = {a->target, " ", a->text};
	uint64_t hash = 0xcbf29ce484222325u;

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		for (const char *c = parts[i]; *c; c++)
			hash = (hash ^ (unsigned char)*c) * 0x100000001b3u;
	}
	return hash;
}

static void tell_others(struct worker *w, const struct action *a)
{
	_cleanup_json_ cJSON *params = cJSON_CreateObject();
	cJSON *body = cJSON_CreateObject();
	bool all = !strcmp(a->target, "all");
	char self[32], to[40], id[96];

	snprintf(self, sizeof self, "agent/%lld", (long long)w->agent);
	snprintf(to, sizeof to, "%s%s", all ? "" : "agent/", a->target);
	json_add_str(body, "direction", "out");
	json_add_str(body, "from", self);
	json_add_str(body, "to", to);
	json_add_str(body, "text", a->text);
	json_add_int(body, "turn", w->session.manager.turn);
	worker_emit(w, EVENT_MESSAGE, body);
	if (all)
		json_add_str(params, "agent", "all");
	else
		json_add_int(params, "agent", strtoll(a->target, NULL, 10));
	json_add_str(params, "text", a->text);
	json_add_str(params, "from", self);
	/* The same message after a restart has the same id, so it is sent once. */
	snprintf(id, sizeof id, "agent-%lld-turn-%lld-tell-%016llx", (long long)w->agent,
		(long long)w->session.manager.turn, (unsigned long long)hash_of(a));
	link_ask(w->link, id, "agent.tell", params, on_told, w);
	worker_note(w, "Your message was sent. Now choose an action for the coding agent.");
}

static void refuse(struct worker *w, const char *answer, struct err *e)
{
	size_t n = utf8_cut(answer, strlen(answer), BAD_ANSWER_BYTES);

	free(w->bad_answer);
	w->bad_answer = strndup(answer, n);
	session_set(&w->complaint, e->text);
	worker_event(w, MANAGER_EV_BAD, e->text);
}

static void follow(struct worker *w, struct decision *d)
{
	enum manager_event_kind kind = MANAGER_EV_ACTION;

	free(w->bad_answer);
	w->bad_answer = NULL;
	session_set(&w->complaint, NULL);
	session_set(&w->session.note, NULL);
	session_drop_messages(&w->session, w->shown);
	add_history(w, d->progress);
	if (d->action.kind == ACTION_TELL) {
		tell_others(w, &d->action);
		kind = MANAGER_EV_TOLD_OTHER;
	} else if (d->action.kind == ACTION_FINISH) {
		kind = MANAGER_EV_DONE;
	} else {
		session_set(&w->session.next_prompt, d->action.text);
		session_set(&w->last_action, d->line);
	}
	worker_event(w, kind, NULL);
}

static void on_answer(void *arg, const struct llm_answer *answer, const struct err *failure)
{
	struct worker *w = arg;
	struct decision d;
	struct err e;
	bool good;

	w->llm_ns += clock_now_ns() - w->asked_ns;
	w->asking = NULL;
	if (w->quitting)
		return;
	if (failure) {
		struct manager_event ev = {.kind = MANAGER_EV_UNANSWERED,
			.reason = failure->text,
			.error = failure->kind,
			.delay_ms = -1};

		worker_trouble(w, "model", failure->text, "the model of the role Agent", -1);
		worker_step(w, &ev);
		return;
	}
	crash_point(CRASH_DECISION_CAME);
	worker_emit_usage(w, "agent", w->task.agent_model, answer->tokens_in, answer->tokens_out,
		answer->tokens_cached, answer->dollars);
	good = decision_parse(answer->text, strlen(answer->text), &d, &e) == 0;
	tell_decision(w, &d, good ? NULL : &e);
	crash_point(CRASH_DECISION_TOLD);
	if (good)
		follow(w, &d);
	else
		refuse(w, answer->text, &e);
	decision_clear(&d);
}

static void on_waiting(void *arg, const char *reason, int64_t delay_ms)
{
	worker_trouble(arg, "model", reason, "it is tried again", delay_ms);
}

void turn_ask(struct worker *w)
{
	struct prompt_task task = turn_task(w);
	_cleanup_free_ char *messages = message_text(w), *system = prompt_system(&task);
	struct prompt_view view = {.history = w->session.history,
		.log = w->have_log ? &w->log : NULL,
		.turn = w->session.manager.turn,
		.prompt = w->session.prompt,
		.stop_reason = w->stop_reason,
		.note = w->session.note,
		.messages = messages};
	_cleanup_free_ char *question = prompt_question(&view), *complaint = NULL;
	struct llm_message list[ASK_MESSAGES] = {{"system", system}, {"user", question}};
	struct llm_question q = {
		.model = w->task.agent_model, .messages = list, .message_count = 2, .json = true};
	struct err e;

	if (w->bad_answer && w->complaint) {
		if (asprintf(&complaint,
			    "That answer could not be used: %s. Answer again with one JSON object "
			    "with the fields progress, thought, action and future.",
			    w->complaint) < 0)
			abort();
		list[2] = (struct llm_message){
			"assistant", *w->bad_answer ? w->bad_answer : "(empty)"};
		list[3] = (struct llm_message){"user", complaint};
		q.message_count = 4;
	}
	log_redact(question);
	log_redact(system);
	w->shown = w->session.message_count;
	w->asked_ns = clock_now_ns();
	w->asking = llm_ask(w->llm, &q, on_answer, on_waiting, w, &e);
	crash_point(CRASH_MODEL_ASKED);
	if (!w->asking) {
		struct manager_event ev = {.kind = MANAGER_EV_UNANSWERED,
			.reason = e.text,
			.error = e.kind,
			.delay_ms = -1};

		worker_trouble(w, "model", e.text, "the model of the role Agent", -1);
		worker_step(w, &ev);
	}
}

void turn_cancel_ask(struct worker *w)
{
	if (w->asking)
		llm_cancel(w->asking);
	w->asking = NULL;
}

/* --- prompting the coding agent --- */

static char *person_prompt(struct worker *w)
{
	_cleanup_free_ char *messages = message_text(w);
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
		abort();
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
	if (w->task.turn_ms > 0)
		uv_timer_start(&w->turn_timer, on_turn_late, (uint64_t)w->task.turn_ms, 0);
	tell_started(w);
}
