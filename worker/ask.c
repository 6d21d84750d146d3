/* The manager's question to the Agent model, and what its answer sets going. */
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

#define ASK_MESSAGES 4
#define BAD_ANSWER_BYTES 2000 /* of a bad answer that is shown to the model again */

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
			.delay_ms = llm_asked_to_wait_ms(w->llm),
			.chance = backoff_chance(&w->random)};

		worker_step(w, &ev);
		worker_trouble(w, "model", failure->text, "the model of the role Agent",
			manager_hold_ms(&w->session.manager, clock_now_ms()));
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
	worker_delayed(arg, "model", reason, "it is tried again", delay_ms);
}

void ask_start(struct worker *w)
{
	struct prompt_task task = turn_task(w);
	_cleanup_free_ char *messages = turn_messages(w), *system = prompt_system(&task);
	struct prompt_view view = {.history = w->session.history,
		.log = w->have_log ? &w->log : NULL,
		.turn = w->session.manager.turn,
		.prompt = w->session.prompt,
		.stop_reason = w->stop_reason,
		.note = w->session.note,
		.messages = messages};
	_cleanup_free_ char *question = prompt_question(&view), *complaint = NULL;
	struct llm_message list[ASK_MESSAGES] = {{"system", system}, {"user", question}};
	struct llm_question q = {.model = w->task.agent_model,
		.messages = list,
		.message_count = 2,
		.json = true,
		.deadline_ms = w->task.model_ms};
	struct err e;

	if (w->bad_answer && w->complaint) {
		if (asprintf(&complaint,
			    "That answer could not be used: %s. Answer again with one JSON object "
			    "with the fields progress, thought, action and future.",
			    w->complaint) < 0)
			err_out_of_memory();
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

void ask_cancel(struct worker *w)
{
	if (w->asking)
		llm_cancel(w->asking);
	w->asking = NULL;
}
