#include "worker/acp.h"

#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/rpc.h"
#include "worker/acp_frame.h"

#define ACP_KILL_MS 5000
#define ACP_CLOSED_MS 2000    /* from its last output to its end */
#define ACP_MAX_BAD_LINES 100 /* of one process; then it is no agent */

enum acp_waiting { WAIT_NOTHING, WAIT_INITIALIZE, WAIT_NEW, WAIT_LOAD, WAIT_PROMPT };

/* Of all agents of this process: an answer to one that has crashed meanwhile must not
 * fit a question of the next. */
static int64_t last_permission;

struct open_permission {
	int64_t key; /* 0: free */
	cJSON *id;
};

struct acp {
	struct child *child;
	struct acp_frame frame;
	const struct acp_handler *handler;
	void *arg;
	uv_timer_t ready_timer;
	char *cwd;
	char *session; /* the one to load, then the one open */
	enum acp_waiting waiting;
	int64_t next_id, waiting_id;
	bool ready, loading, ending;
	int closed_stream;
	int bad_lines;
	struct open_permission permissions[ACP_MAX_PERMISSIONS];
	struct err why; /* of the end */
};

static void fail(struct acp *a, const struct err *why)
{
	acp_end(a, ACP_KILL_MS, why);
}

/* Takes text. */
static int send_text(struct acp *a, char *text, struct err *e)
{
	_cleanup_free_ char *line = text;
	size_t n = strlen(text);

	if (a->ending || !a->child)
		return err_set(e, ERR_UNAVAILABLE, "the agent process is ending");
	line[n] = '\n'; /* over the NUL, so that one write carries the line */
	return child_write(a->child, line, n + 1, e);
}

/* Takes params. */
static int request(
	struct acp *a, enum acp_waiting what, const char *method, cJSON *params, struct err *e)
{
	_cleanup_json_ cJSON *owned = params;

	a->waiting = what;
	a->waiting_id = ++a->next_id;
	return send_text(a, rpc_request_int(a->waiting_id, method, owned), e);
}

static void send_initialize(struct acp *a)
{
	cJSON *p = cJSON_CreateObject(), *c, *f;
	struct err e;

	json_add_int(p, "protocolVersion", 1);
	c = cJSON_AddObjectToObject(p, "clientCapabilities");
	f = cJSON_AddObjectToObject(c, "fs");
	cJSON_AddBoolToObject(f, "readTextFile", false);
	cJSON_AddBoolToObject(f, "writeTextFile", false);
	cJSON_AddBoolToObject(c, "terminal", false);
	c = cJSON_AddObjectToObject(p, "clientInfo");
	json_add_str(c, "name", "100x-worker");
	json_add_str(c, "title", "100x-orchestrator");
	json_add_str(c, "version", VERSION_STRING);
	if (request(a, WAIT_INITIALIZE, "initialize", p, &e) < 0)
		fail(a, &e);
}

static void open_session(struct acp *a, bool load)
{
	cJSON *p = cJSON_CreateObject();
	struct err e;
	int r;

	json_add_str(p, "cwd", a->cwd);
	cJSON_AddArrayToObject(p, "mcpServers");
	if (load)
		json_add_str(p, "sessionId", a->session);
	a->loading = load;
	r = load ? request(a, WAIT_LOAD, "session/load", p, &e)
		 : request(a, WAIT_NEW, "session/new", p, &e);
	if (r < 0)
		fail(a, &e);
}

static void session_ready(struct acp *a, const char *session, bool loaded)
{
	if (session) {
		free(a->session);
		a->session = strdup(session);
	}
	a->ready = true;
	a->loading = false;
	uv_timer_stop(&a->ready_timer);
	a->handler->ready(a->arg, a->session, loaded);
}

static void on_initialized(struct acp *a, const struct rpc *m)
{
	const cJSON *capabilities = json_get(m->result, "agentCapabilities");
	int64_t version = json_int(m->result, "protocolVersion", 0);
	struct err e;

	if (version != 1) {
		err_set(&e, ERR_PROTOCOL, "the agent speaks version %lld of the protocol, not 1",
			(long long)version);
		fail(a, &e);
		return;
	}
	open_session(a, a->session && json_bool(capabilities, "loadSession", false));
}

static void on_prompt_answer(struct acp *a, const struct rpc *m)
{
	struct acp_end end = {.stop_reason = "error", .retry_after_ms = -1};

	if (m->type == RPC_RESULT) {
		end.result = m->result;
		end.stop_reason = json_str(m->result, "stopReason", "end_turn");
	} else {
		const cJSON *x = json_get(m->error_data, "100x");

		end.failure = m->error_message ? m->error_message : "no reason given";
		end.failure_kind = json_str(x, "kind", "other");
		end.retry_after_ms = json_int(x, "retry_after_ms", -1);
	}
	a->handler->turn_ended(a->arg, &end);
}

static void on_answer(struct acp *a, const struct rpc *m)
{
	enum acp_waiting what = a->waiting;
	struct err e;

	if (what == WAIT_NOTHING || !cJSON_IsNumber(m->id) ||
		m->id->valuedouble != (double)a->waiting_id)
		return; /* an answer to nothing we asked */
	a->waiting = WAIT_NOTHING;
	if (what == WAIT_PROMPT) {
		on_prompt_answer(a, m);
		return;
	}
	if (m->type == RPC_ERROR && what == WAIT_LOAD) {
		log_info("session/load: %s; a new session is opened", m->error_message);
		open_session(a, false);
		return;
	}
	if (m->type == RPC_ERROR) {
		err_set(&e, ERR_UNAVAILABLE, "%s: %s",
			what == WAIT_INITIALIZE ? "initialize" : "session/new", m->error_message);
		fail(a, &e);
		return;
	}
	if (what == WAIT_INITIALIZE) {
		on_initialized(a, m);
	} else if (what == WAIT_LOAD) {
		session_ready(a, NULL, true);
	} else {
		const char *id = json_str(m->result, "sessionId", NULL);

		if (id) {
			session_ready(a, id, false);
			return;
		}
		err_set(&e, ERR_PROTOCOL, "session/new was answered without a sessionId");
		fail(a, &e);
	}
}

static void answer_permission(struct acp *a, const cJSON *id, const char *option)
{
	_cleanup_json_ cJSON *result = cJSON_CreateObject();
	cJSON *outcome = cJSON_AddObjectToObject(result, "outcome");
	struct err e;

	json_add_str(outcome, "outcome", option ? "selected" : "cancelled");
	if (option)
		json_add_str(outcome, "optionId", option);
	if (send_text(a, rpc_result(id, result), &e) < 0)
		log_warn("permission: %s", e.text);
}

static void on_permission(struct acp *a, const struct rpc *m)
{
	if (a->waiting != WAIT_PROMPT) {
		answer_permission(a, m->id, NULL);
		return;
	}
	for (size_t i = 0; i < ACP_MAX_PERMISSIONS; i++) {
		struct open_permission *p = &a->permissions[i];

		if (p->key)
			continue;
		p->key = ++last_permission;
		p->id = cJSON_Duplicate(m->id, true);
		a->handler->permission(a->arg, p->key, m->params);
		return;
	}
	answer_permission(a, m->id, NULL);
}

static void on_line(void *arg, const char *line, size_t n, bool stray)
{
	struct acp *a = arg;
	struct acp_update u;
	struct rpc m;
	struct err e;

	if (a->ending)
		return;
	if (stray) {
		a->handler->stray(a->arg, 1, line, n);
		return;
	}
	if (rpc_parse(line, n, ACP_LINE_MAX, &m, &e) < 0) {
		if (++a->bad_lines == ACP_MAX_BAD_LINES)
			fail(a, &e);
		else
			log_warn("agent: a line that is no JSON-RPC message: %s", e.text);
		return;
	}
	if (m.type == RPC_RESULT || m.type == RPC_ERROR) {
		on_answer(a, &m);
	} else if (m.type == RPC_NOTIFICATION) {
		if (!strcmp(m.method, "session/update") && !a->loading) {
			if (acp_update_parse(m.params, &u, &e) < 0)
				log_warn("agent: %s", e.text);
			else
				a->handler->update(a->arg, &u);
		}
	} else if (!strcmp(m.method, "session/request_permission")) {
		on_permission(a, &m);
	} else {
		char *text = rpc_error(m.id, -32601, "method not found", NULL);

		if (send_text(a, text, &e) < 0)
			log_warn("agent: %s", e.text);
	}
	rpc_clear(&m);
}

static void on_output(void *arg, int stream, const char *data, size_t n)
{
	struct acp *a = arg;
	struct err e;

	if (stream == 2)
		a->handler->stray(a->arg, 2, data, n);
	else if (!a->ending && acp_frame_feed(&a->frame, data, n, on_line, a, &e) < 0)
		fail(a, &e);
}

static void on_closed_late(uv_timer_t *t)
{
	struct acp *a = t->data;
	struct err e;

	err_set(&e, ERR_UNAVAILABLE, "the agent closed its %s, but its process goes on",
		a->closed_stream == 0 ? "input" : "output");
	fail(a, &e);
}

/* Most often the end of the process is right behind. */
static void on_closed(void *arg, int stream)
{
	struct acp *a = arg;

	if (a->ending || stream == 2)
		return;
	a->closed_stream = stream;
	uv_timer_start(&a->ready_timer, on_closed_late, ACP_CLOSED_MS, 0);
}

static void on_timer_closed(uv_handle_t *h)
{
	struct acp *a = h->data;

	acp_frame_clear(&a->frame);
	free(a->cwd);
	free(a->session);
	free(a);
}

static void on_done(void *arg, int code)
{
	struct acp *a = arg;

	a->child = NULL;
	a->ending = true;
	if (a->why.kind == ERR_NONE) {
		if (code < 0)
			err_set(&a->why, ERR_UNAVAILABLE,
				"the agent process was killed by signal %d", -code);
		else
			err_set(&a->why, code == 100 ? ERR_INVALID : ERR_UNAVAILABLE,
				"the agent process ended with exit code %d", code);
	}
	for (size_t i = 0; i < ACP_MAX_PERMISSIONS; i++)
		cJSON_Delete(a->permissions[i].id);
	a->handler->lost(a->arg, &a->why);
	uv_close((uv_handle_t *)&a->ready_timer, on_timer_closed);
}

static void on_ready_timeout(uv_timer_t *t)
{
	struct acp *a = t->data;
	struct err e;

	err_set(&e, ERR_UNAVAILABLE, "the agent was not ready within %d s", ACP_READY_MS / 1000);
	fail(a, &e);
}

struct acp *acp_start(uv_loop_t *loop, const struct child_spec *spec, const char *cwd,
	const char *session, const struct acp_handler *handler, void *arg, struct err *e)
{
	static const struct child_events events = {
		.output = on_output, .closed = on_closed, .done = on_done};
	struct acp *a = calloc(1, sizeof *a);
	struct child_spec piped = *spec;

	if (!a)
		err_out_of_memory();
	piped.pipe_stdin = piped.pipe_stdout = piped.pipe_stderr = true;
	a->child = child_start(loop, &piped, &events, a, e);
	if (!a->child) {
		free(a);
		return NULL;
	}
	a->handler = handler;
	a->arg = arg;
	a->cwd = strdup(cwd);
	a->session = session && *session ? strdup(session) : NULL;
	acp_frame_init(&a->frame, ACP_LINE_MAX);
	uv_timer_init(loop, &a->ready_timer);
	a->ready_timer.data = a;
	uv_timer_start(&a->ready_timer, on_ready_timeout, ACP_READY_MS, 0);
	send_initialize(a);
	return a;
}

int acp_prompt(struct acp *a, const char *text, struct err *e)
{
	cJSON *p, *block;

	if (!a->ready || a->ending || a->waiting != WAIT_NOTHING)
		return err_set(e, ERR_CONFLICT, "the agent is not ready for a prompt");
	p = cJSON_CreateObject();
	json_add_str(p, "sessionId", a->session);
	block = cJSON_CreateObject();
	cJSON_AddItemToArray(cJSON_AddArrayToObject(p, "prompt"), block);
	json_add_str(block, "type", "text");
	json_add_str(block, "text", text);
	return request(a, WAIT_PROMPT, "session/prompt", p, e);
}

bool acp_busy(const struct acp *a)
{
	return a->waiting == WAIT_PROMPT;
}

bool acp_idle(const struct acp *a)
{
	return a->ready && a->waiting == WAIT_NOTHING;
}

static void cancel_permissions(struct acp *a)
{
	for (size_t i = 0; i < ACP_MAX_PERMISSIONS; i++) {
		if (a->permissions[i].key)
			acp_permit(a, a->permissions[i].key, NULL);
	}
}

void acp_cancel(struct acp *a)
{
	_cleanup_json_ cJSON *p = NULL;
	struct err e;

	if (a->waiting != WAIT_PROMPT)
		return;
	p = cJSON_CreateObject();
	json_add_str(p, "sessionId", a->session);
	if (send_text(a, rpc_notification("session/cancel", p), &e) < 0)
		log_warn("session/cancel: %s", e.text);
	cancel_permissions(a);
}

bool acp_permit(struct acp *a, int64_t key, const char *option)
{
	for (size_t i = 0; key && i < ACP_MAX_PERMISSIONS; i++) {
		struct open_permission *p = &a->permissions[i];

		if (p->key != key)
			continue;
		answer_permission(a, p->id, option);
		cJSON_Delete(p->id);
		memset(p, 0, sizeof *p);
		return true;
	}
	return false;
}

void acp_pause_output(struct acp *a, bool paused)
{
	if (a->child)
		child_pause_output(a->child, paused);
}

void acp_end(struct acp *a, int grace_ms, const struct err *why)
{
	if (a->ending)
		return;
	a->ending = true;
	if (why)
		a->why = *why;
	uv_timer_stop(&a->ready_timer);
	/* A paused pipe would never come to its end. */
	child_pause_output(a->child, false);
	child_end(a->child, grace_ms);
}

int acp_pid(const struct acp *a)
{
	return a->child ? child_pid(a->child) : 0;
}
