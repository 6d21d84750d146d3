/* The coding agent's process: started, started again when it crashes, asked to stop
 * a turn, and what it wants to be permitted. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/child.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/acp_frame.h"
#include "worker/permission.h"
#include "worker/worker.h"

#define RESTART_DELAY_MS 500
#define TITLE_BYTES 200

static void on_ready(void *arg, const char *session, bool loaded)
{
	struct worker *w = arg;
	bool resumed = w->session.acp_session != NULL;

	if (w->quitting)
		return;
	session_set(&w->session.acp_session, session);
	if (resumed && !loaded && w->session.manager.turn > 0) {
		worker_note(w, "The coding agent was started again and does not remember the turns "
			       "before.");
		w->session.cost_total = 0;
	}
	worker_save(w, true);
	crash_point(CRASH_CODER_READY);
	worker_event(w, MANAGER_EV_READY, NULL);
}

static void on_update(void *arg, const struct acp_update *u)
{
	turn_on_update(arg, u);
}

static void on_turn_ended(void *arg, const struct acp_end *end)
{
	turn_on_end(arg, end);
}

/* Keeps the end of stderr: the reason when the process dies. */
static void remember_words(struct worker *w, const char *text, size_t n)
{
	size_t room = sizeof w->last_words;

	if (n >= room) {
		memcpy(w->last_words, text + n - room, room);
		w->last_words_len = room;
		return;
	}
	if (w->last_words_len + n > room) {
		size_t drop = w->last_words_len + n - room;

		memmove(w->last_words, w->last_words + drop, w->last_words_len - drop);
		w->last_words_len -= drop;
	}
	memcpy(w->last_words + w->last_words_len, text, n);
	w->last_words_len += n;
}

static void on_stray(void *arg, int stream, const char *text, size_t n)
{
	struct worker *w = arg;

	if (w->quitting)
		return;
	if (stream == 2)
		remember_words(w, text, n);
	turn_output(w, stream == 2 ? OUTPUT_STDERR : OUTPUT_LOG, text, n);
	if (stream != 2 && n >= ACP_STRAY_MAX)
		turn_output(w, OUTPUT_LOG, " (cut)\n", 7);
	else if (stream != 2)
		turn_output(w, OUTPUT_LOG, "\n", 1);
}

/* The last line on stderr, cleaned; "" if none. The caller frees. */
static char *last_line(const struct worker *w)
{
	size_t n = w->last_words_len, from;

	while (n && strchr("\r\n ", w->last_words[n - 1]))
		n--;
	for (from = n; from && w->last_words[from - 1] != '\n'; from--)
		;
	return utf8_clean(w->last_words + from, n - from);
}

/* False: too many within a minute. */
static bool may_restart(struct worker *w)
{
	int64_t now = clock_now_ms();

	if (w->restarts[0] && now - w->restarts[0] < WORKER_RESTART_MS)
		return false;
	memmove(w->restarts, w->restarts + 1, sizeof w->restarts - sizeof *w->restarts);
	w->restarts[WORKER_MAX_RESTARTS - 1] = now;
	return true;
}

/* How the turn that was cut off has left the workspace is known before anything is
 * sent again. */
static void on_outcome(void *arg, const struct tree_look *look, const struct err *e)
{
	struct worker *w = arg;
	char old_head[sizeof w->session.head];
	uint64_t old_fingerprint = w->session.fingerprint;

	if (w->quitting) {
		worker_maybe_exit(w);
		return;
	}
	if (e) {
		worker_trouble(w, "workspace", e->text, "", -1);
	} else {
		memcpy(old_head, w->session.head, sizeof old_head);
		worker_tell_diff(w, look);
		start_note_outcome(w, "That turn was cut off.", look, old_head, old_fingerprint);
	}
	coder_start(w);
}

static void on_tidied(void *arg, const struct err *e)
{
	struct worker *w = arg;

	(void)e;
	if (w->quitting)
		worker_maybe_exit(w);
	else if (w->cut_off)
		tree_look(w->tree, on_outcome, w);
	else
		coder_start(w);
	w->cut_off = false;
}

static void on_restart_timer(uv_timer_t *t)
{
	struct worker *w = t->data;

	tree_tidy(w->tree, on_tidied, w);
}

static void on_lost(void *arg, const struct err *why)
{
	struct worker *w = arg;
	char *words = last_line(w), reason[ERR_TEXT_BYTES + WORKER_STDERR_BYTES];
	struct manager_event lost = {.kind = MANAGER_EV_LOST, .delay_ms = -1};

	w->acp = NULL;
	uv_timer_stop(&w->watch_timer);
	child_sweep();
	if (w->quitting) {
		free(words);
		worker_maybe_exit(w);
		return;
	}
	snprintf(reason, sizeof reason, "%s%s%s", why->text, *words ? ": " : "", words);
	free(words);
	coder_expire_permissions(w);
	if (why->kind == ERR_INVALID) {
		worker_event(w, MANAGER_EV_FATAL, reason);
		return;
	}
	if (w->session.prompt_open) {
		worker_note(w, "The coding agent's process ended in the middle of the last turn; "
			       "files may be half edited.");
		turn_lost(w, w->turn_late ? "the turn took too long" : reason);
		w->cut_off = true;
	}
	lost.reason = reason;
	lost.late = w->turn_late;
	worker_step(w, &lost);
	if (!w->turn_late && !may_restart(w)) {
		char text[sizeof reason + 64];

		snprintf(text, sizeof text, "the coding agent ended %d times within a minute; %s",
			WORKER_MAX_RESTARTS + 1, reason);
		worker_event(w, MANAGER_EV_FATAL, text);
		return;
	}
	worker_trouble(w, "coding agent", reason, "it is started again", RESTART_DELAY_MS);
	w->turn_late = false;
	uv_timer_start(&w->restart_timer, on_restart_timer,
		w->restarts[WORKER_MAX_RESTARTS - 2] ? RESTART_DELAY_MS : 0, 0);
}

/* --- permissions --- */

static void permission_id(const struct worker *w, int64_t key, char *out, size_t n)
{
	snprintf(out, n, "%lld-%lld", (long long)w->epoch, (long long)key);
}

static void tell_permission(struct worker *w, int64_t key, const char *status, const cJSON *params,
	const char *option, const char *by, const char *text)
{
	const cJSON *call = json_get(params, "toolCall"), *o;
	cJSON *body = cJSON_CreateObject(), *options;
	char id[48];

	permission_id(w, key, id, sizeof id);
	json_add_str(body, "id", id);
	json_add_str(body, "status", status);
	if (params) {
		json_add_str(body, "title", json_str(call, "title", ""));
		json_add_str(body, "tool_kind", json_str(call, "kind", "other"));
		json_add_str(body, "text", text);
		options = cJSON_AddArrayToObject(body, "options");
		cJSON_ArrayForEach (o, json_get(params, "options")) {
			cJSON *copy = cJSON_CreateObject();

			json_add_str(copy, "id", json_str(o, "optionId", ""));
			json_add_str(copy, "name", json_str(o, "name", ""));
			json_add_str(copy, "kind", json_str(o, "kind", ""));
			cJSON_AddItemToArray(options, copy);
		}
	}
	if (option)
		json_add_str(body, "option", option);
	if (by)
		json_add_str(body, "by", by);
	worker_emit(w, EVENT_PERMISSION, body);
}

/* What the request is about, in words: the first text of its content. */
static const char *permission_text(const cJSON *params)
{
	const cJSON *c;

	cJSON_ArrayForEach (c, json_get(json_get(params, "toolCall"), "content")) {
		const char *text = json_str(json_get(c, "content"), "text", NULL);

		if (text)
			return text;
	}
	return "";
}

/* The agent waits; what for, and which answers there are, is its reason. */
static void ask_person(struct worker *w, int64_t key, const cJSON *params)
{
	const char *title = json_str(json_get(params, "toolCall"), "title", "");
	const cJSON *o;
	char id[48], reason[MANAGER_REASON_BYTES];
	size_t n;

	permission_id(w, key, id, sizeof id);
	n = (size_t)snprintf(reason, sizeof reason,
		"asks: %.*s (permission %s:", (int)utf8_cut(title, strlen(title), TITLE_BYTES),
		title, id);
	cJSON_ArrayForEach (o, json_get(params, "options")) {
		if (n < sizeof reason)
			n += (size_t)snprintf(reason + n, sizeof reason - n, " %.32s",
				json_str(o, "optionId", ""));
	}
	if (n < sizeof reason)
		snprintf(reason + n, sizeof reason - n, ")");
	worker_event(w, MANAGER_EV_ASKED, reason);
}

static void on_permission(void *arg, int64_t key, const cJSON *params)
{
	struct worker *w = arg;
	const cJSON *options = json_get(params, "options");
	char why[256] = "";

	turn_flush(w);
	if (!w->task.ask_permission) {
		bool leaves =
			permission_leaves(json_get(params, "toolCall"), w->repo, why, sizeof why);
		const char *option = permission_option(options, !leaves);

		tell_permission(w, key, "answered", params, option, "policy",
			leaves ? why : permission_text(params));
		acp_permit(w->acp, key, option);
		return;
	}
	for (size_t i = 0; i < WORKER_MAX_PERMISSIONS; i++) {
		struct worker_permission *p = &w->permissions[i];

		if (p->key)
			continue;
		p->key = key;
		p->options = cJSON_Duplicate(options, true);
		tell_permission(w, key, "asked", params, NULL, NULL, permission_text(params));
		ask_person(w, key, params);
		return;
	}
	acp_permit(w->acp, key, NULL);
}

static void forget(struct worker_permission *p)
{
	cJSON_Delete(p->options);
	memset(p, 0, sizeof *p);
}

void coder_expire_permissions(struct worker *w)
{
	for (size_t i = 0; i < WORKER_MAX_PERMISSIONS; i++) {
		struct worker_permission *p = &w->permissions[i];

		if (!p->key)
			continue;
		if (!w->quitting)
			tell_permission(w, p->key, "expired", NULL, NULL, NULL, NULL);
		forget(p);
	}
}

static bool offered(const cJSON *options, const char *option)
{
	const cJSON *o;

	cJSON_ArrayForEach (o, options) {
		if (!strcmp(json_str(o, "optionId", ""), option))
			return true;
	}
	return false;
}

void coder_permit(struct worker *w, const char *permission, const char *option)
{
	bool open = false;

	for (size_t i = 0; i < WORKER_MAX_PERMISSIONS; i++) {
		struct worker_permission *p = &w->permissions[i];
		char id[48];

		if (!p->key)
			continue;
		permission_id(w, p->key, id, sizeof id);
		if (strcmp(id, permission) != 0) {
			open = true;
			continue;
		}
		if (!offered(p->options, option)) {
			worker_trouble(w, "permission", "the chosen option was not offered",
				"choose one of those shown", -1);
			return;
		}
		if (w->acp && acp_permit(w->acp, p->key, option))
			tell_permission(w, p->key, "answered", NULL, option, "person", NULL);
		forget(p);
	}
	if (!open)
		worker_event(w, MANAGER_EV_PERMITTED, NULL);
}

/* --- start, watch, cancel --- */

static void on_watch(uv_timer_t *t)
{
	struct worker *w = t->data;
	bool stopped;
	struct err e;

	if (!w->acp || acp_idle(w->acp)) {
		uv_timer_stop(t); /* the next prompt starts it again */
		w->seen_stopped = false;
		return;
	}
	stopped = process_state(process_guarded(acp_pid(w->acp))) == 'T';
	if (stopped && w->seen_stopped) {
		err_set(&e, ERR_UNAVAILABLE,
			"the coding agent's process is stopped (by a signal such as SIGSTOP)");
		acp_end(w->acp, WORKER_GRACE_MS, &e);
	}
	w->seen_stopped = stopped;
}

void coder_watch(struct worker *w)
{
	if (!uv_is_active((uv_handle_t *)&w->watch_timer))
		uv_timer_start(&w->watch_timer, on_watch, WORKER_WATCH_MS, WORKER_WATCH_MS);
}

void coder_start(struct worker *w)
{
	static const struct acp_handler handler = {.ready = on_ready,
		.update = on_update,
		.permission = on_permission,
		.turn_ended = on_turn_ended,
		.stray = on_stray,
		.lost = on_lost};
	struct instance_plan plan;
	struct child_spec spec = {
		.cwd = w->repo, .guard = w->guard, .pid_namespace = w->task.pid_namespace};
	struct err e;

	if (w->quitting || w->acp)
		return;
	w->last_words_len = 0;
	if (instance_plan_make(&plan, &w->task, &w->paths, w->keys, w->session.arguments,
		    w->session_dir, &e) < 0) {
		worker_event(w, MANAGER_EV_FATAL, e.text);
		return;
	}
	spec.argv = (const char *const *)plan.argv;
	spec.env = (const char *const *)plan.env;
	crash_point(CRASH_CODER_START_BEFORE);
	w->acp = acp_start(w->loop, &spec, w->repo, w->session.acp_session, &handler, w, &e);
	instance_plan_clear(&plan);
	if (w->acp) {
		crash_point(CRASH_CODER_STARTED);
		acp_pause_output(w->acp, w->blocked);
		coder_watch(w);
		return;
	}
	err_wrap(&e, "start the coding agent");
	if (e.kind == ERR_NOT_FOUND || e.kind == ERR_DENIED) {
		worker_event(w, MANAGER_EV_FATAL, e.text);
		return;
	}
	worker_trouble(w, "coding agent", e.text, "it is tried again", -1);
	worker_quit(w, WORKER_EXIT_TEMPORARY);
}

static void on_cancel_late(uv_timer_t *t)
{
	struct worker *w = t->data;
	struct err e;

	err_set(&e, ERR_UNAVAILABLE, "the coding agent did not stop its turn within %d s",
		WORKER_CANCEL_MS / 1000);
	if (w->acp)
		acp_end(w->acp, WORKER_GRACE_MS, &e);
}

void coder_cancel_turn(struct worker *w)
{
	if (!w->acp || !acp_busy(w->acp))
		return;
	turn_flush(w);
	coder_expire_permissions(w);
	acp_cancel(w->acp);
	uv_timer_start(&w->turn_timer, on_cancel_late, WORKER_CANCEL_MS, 0);
}
