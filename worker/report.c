/* What an agent tells of itself, as events: its state, troubles, what was spent, and what
 * changed in its workspace. */
#include <stdio.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/worker.h"

void worker_emit(struct worker *w, enum event_kind kind, cJSON *body)
{
	link_send(w->link, kind, body);
}

void worker_trouble(struct worker *w, const char *what, const char *reason, const char *hint,
	int64_t retry_in_ms)
{
	cJSON *body = cJSON_CreateObject();

	log_warn("agent=%lld %s: %s", (long long)w->agent, what, reason);
	json_add_str(body, "what", what);
	json_add_str(body, "reason", reason);
	json_add_str(body, "hint", hint);
	if (retry_in_ms >= 0)
		json_add_int(body, "retry_in_ms", retry_in_ms);
	worker_emit(w, EVENT_TROUBLE, body);
}

void worker_delayed(
	struct worker *w, const char *what, const char *reason, const char *hint, int64_t delay_ms)
{
	struct manager_event ev = {
		.kind = MANAGER_EV_DELAYED, .reason = reason, .delay_ms = delay_ms};

	worker_trouble(w, what, reason, hint, delay_ms);
	worker_step(w, &ev);
}

void worker_goes_on(struct worker *w)
{
	if (!w->quitting && *w->session.manager.reason)
		worker_event(w, MANAGER_EV_DELAYED, NULL);
}

void worker_emit_usage(struct worker *w, const char *role, const char *model, int64_t tokens_in,
	int64_t tokens_out, int64_t tokens_cached, double dollars)
{
	cJSON *body = cJSON_CreateObject();
	struct manager_event ev = {.kind = MANAGER_EV_USAGE, .dollars = dollars};

	json_add_int(body, "turn", w->session.manager.turn);
	json_add_str(body, "role", role);
	json_add_str(body, "model", model);
	json_add_int(body, "tokens_in", tokens_in);
	json_add_int(body, "tokens_out", tokens_out);
	json_add_int(body, "tokens_cached", tokens_cached);
	if (dollars >= 0)
		cJSON_AddNumberToObject(body, "dollars", dollars);
	else
		cJSON_AddNullToObject(body, "dollars");
	worker_emit(w, EVENT_USAGE, body);
	if (dollars < 0 && w->session.manager.granted_dollars > 0 && !w->told_no_price) {
		w->told_no_price = true;
		worker_trouble(w, "price",
			"the price of the model is not known: what it costs "
			"does not count towards the limit of dollars",
			model, -1);
	}
	if (w->session.manager.phase == MANAGER_TURN)
		worker_step(w, &ev); /* a limit may end the turn */
	else
		manager_step(&w->session.manager, &ev, clock_now_ms());
	worker_save(w, false); /* what was spent counts, whatever happens next */
}

void worker_note(struct worker *w, const char *text)
{
	session_append(&w->session.note, text, PROMPT_NOTE_BYTES);
	session_append(&w->session.note, "\n", PROMPT_NOTE_BYTES);
}

void worker_tell_state(struct worker *w)
{
	const struct manager *m = &w->session.manager;
	const char *state = manager_state(m);
	cJSON *body;

	if (!strcmp(state, w->state) && !strcmp(m->reason, w->reason))
		return;
	snprintf(w->state, sizeof w->state, "%s", state);
	snprintf(w->reason, sizeof w->reason, "%s", m->reason);
	body = cJSON_CreateObject();
	json_add_str(body, "state", state);
	json_add_text(body, "reason", m->reason, strlen(m->reason));
	json_add_int(body, "turn", m->turn);
	worker_emit(w, EVENT_STATE, body);
	log_info(
		"agent=%lld %s%s%s", (long long)w->agent, state, *m->reason ? ": " : "", m->reason);
}

void worker_tell_diff(struct worker *w, const struct tree_look *look)
{
	_cleanup_json_ cJSON *body = NULL;
	struct err e;

	snprintf(w->session.head, sizeof w->session.head, "%s", look->head);
	w->session.fingerprint = look->fingerprint;
	if (look->fingerprint == w->told_fingerprint)
		return;
	body = json_parse(look->diff, strlen(look->diff), EVENT_BODY_MAX, &e);
	if (!body) {
		log_warn("agent=%lld diff: %s", (long long)w->agent, e.text);
		return;
	}
	w->told_fingerprint = look->fingerprint;
	worker_emit(w, EVENT_DIFF, take_ptr(body));
}

static void on_looked(void *arg, const struct tree_look *look, const struct err *e)
{
	struct worker *w = arg;
	bool again = w->look_again;

	w->looking = w->look_again = false;
	if (w->quitting) {
		worker_maybe_exit(w);
		return;
	}
	if (e)
		worker_trouble(w, "workspace", e->text, "", -1);
	else
		worker_tell_diff(w, look);
	if (again)
		worker_look(w);
}

void worker_look(struct worker *w)
{
	if (w->looking) {
		w->look_again = true;
		return;
	}
	w->looking = true;
	tree_look(w->tree, on_looked, w);
}
