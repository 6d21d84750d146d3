#include "supervisor/control.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/rpc.h"
#include "supervisor/call.h"
#include "supervisor/reclaim.h"

#define ID_MAX 9007199254740991.0 /* what a JSON number holds exactly */
#define AGENT                                                                                      \
	{                                                                                          \
		"agent", JSON_INT, true, 1, ID_MAX                                                 \
	}

static const struct json_field f_agent[] = {AGENT};
static const struct json_field f_restore[] = {AGENT, {"path", JSON_STRING, false, 1, 4000}};
static const struct json_field f_delete[] = {AGENT, {"discard", JSON_BOOL, false, 0, 0}};
static const struct json_field f_create[] = {
	{"repository", JSON_STRING, true, 1, 2047},
	{"base", JSON_STRING, false, 0, 255},
	{"tasks", JSON_ARRAY, true, 1, 100},
	{"agents_per_task", JSON_INT, false, 1, 1000},
	{"aider_arguments", JSON_STRING, false, 0, 8192},
	{"test_command", JSON_STRING, false, 0, 4096},
	{"manager", JSON_BOOL, false, 0, 0},
	{"permission", JSON_STRING, false, 1, 16},
	{"limits", JSON_OBJECT, false, 0, 0},
	{"models", JSON_OBJECT, false, 0, 0},
	{"pull_request", JSON_BOOL, false, 0, 0},
};
static const struct json_field f_task_list[] = {{"after", JSON_INT, false, 0, ID_MAX}};
static const struct json_field f_agent_list[] = {
	{"state", JSON_STRING, false, 1, 16},
	{"task", JSON_INT, false, 1, ID_MAX},
	{"after", JSON_INT, false, 0, ID_MAX},
	{"archived", JSON_BOOL, false, 0, 0},
};
static const struct json_field f_archive[] = {AGENT, {"archived", JSON_BOOL, true, 0, 0}};
static const struct json_field f_repository_check[] = {
	{"repository", JSON_STRING, true, 1, 2047},
	{"base", JSON_STRING, false, 0, 255},
};
static const struct json_field f_issues[] = {
	{"repository", JSON_STRING, true, 1, 2047},
	{"state", JSON_STRING, false, 1, 8},
	{"page", JSON_INT, false, 1, 1000},
};
static const struct json_field f_model_test[] = {{"model", JSON_STRING, true, 1, 255}};
static const struct json_field f_split[] = {
	{"repository", JSON_STRING, true, 1, 2047},
	{"base", JSON_STRING, false, 0, 255},
	{"goal", JSON_STRING, true, 1, EVENT_TEXT_MAX},
	{"tasks", JSON_INT, false, 1, 20},
};
static const struct json_field f_task[] = {{"task", JSON_INT, true, 1, ID_MAX}};
static const struct json_field f_pick[] = {{"task", JSON_INT, true, 1, ID_MAX}, AGENT};
static const struct json_field f_costs[] = {
	{"from", JSON_INT, false, 0, ID_MAX},
	{"to", JSON_INT, false, 0, ID_MAX},
};
static const struct json_field f_activity[] = {
	{"before", JSON_INT, false, 0, ID_MAX},
	{"limit", JSON_INT, false, 1, 1000},
	{"kinds", JSON_ARRAY, false, 1, 64},
	{"agent", JSON_INT, false, 1, ID_MAX},
	{"task", JSON_INT, false, 1, ID_MAX},
};
static const struct json_field f_permission[] = {
	AGENT,
	{"permission", JSON_STRING, true, 1, 256},
	{"option", JSON_STRING, true, 1, 256},
};
static const struct json_field f_events[] = {
	{"after", JSON_INT, true, 0, ID_MAX},
	{"agent", JSON_INT, false, 1, ID_MAX},
	{"kinds", JSON_ARRAY, false, 1, 64},
	{"limit", JSON_INT, false, 1, 1000},
	{"wait_ms", JSON_INT, false, 0, POLL_WAIT_MS},
};
static const struct json_field f_config[] = {
	{"models", JSON_OBJECT, false, 0, 0},
	{"general", JSON_OBJECT, false, 0, 0},
};
static const struct json_field f_down[] = {{"keep_agents", JSON_BOOL, false, 0, 0}};
static const struct json_field f_webui[] = {
	{"pid", JSON_INT, true, 1, 1 << 30},
	{"port", JSON_INT, true, 1, 65535},
};
static const struct json_field f_hello[] = {
	AGENT,
	{"epoch", JSON_INT, true, 1, ID_MAX},
	{"pid", JSON_INT, true, 1, 1 << 30},
	{"version", JSON_INT, true, 1, 1 << 30},
	{"oldest", JSON_INT, false, 1, 1 << 30},
	{"last_seq", JSON_INT, true, 0, ID_MAX},
};
static const struct json_field f_next[] = {
	AGENT,
	{"epoch", JSON_INT, true, 1, ID_MAX},
	{"after", JSON_INT, true, 0, ID_MAX},
	{"last_seq", JSON_INT, true, 0, ID_MAX},
	{"have", JSON_INT, true, 0, ID_MAX},
	{"full", JSON_BOOL, false, 0, 0},
	{"version", JSON_INT, false, 1, 1 << 30},
	{"oldest", JSON_INT, false, 1, 1 << 30},
	{"retiring", JSON_BOOL, false, 0, 0},
};

#define FIELDS(f) f, sizeof(f) / sizeof((f)[0])

static const struct method methods[] = {
	/* The most frequent first. */
	{"worker.next", call_worker_next, METHOD_READ, FIELDS(f_next)},
	{"events.after", call_events_after, METHOD_READ, FIELDS(f_events)},
	{"status", call_status, METHOD_READ, NULL, 0},
	{"task.create", call_task_create, METHOD_LATER, FIELDS(f_create)},
	{"task.list", call_task_list, METHOD_READ, FIELDS(f_task_list)},
	{"agent.list", call_agent_list, METHOD_READ, FIELDS(f_agent_list)},
	{"agent.show", call_agent_show, METHOD_READ, FIELDS(f_agent)},
	/* "agent" is an id or "all": checked by the handler. */
	{"agent.tell", call_agent_tell, METHOD_WRITE, NULL, 0},
	{"agent.interrupt", call_agent_command, METHOD_WRITE, FIELDS(f_agent)},
	{"agent.pause", call_agent_command, METHOD_WRITE, FIELDS(f_agent)},
	{"agent.resume", call_agent_command, METHOD_WRITE, FIELDS(f_agent)},
	{"agent.finish", call_agent_command, METHOD_WRITE, FIELDS(f_agent)},
	{"agent.stop", call_agent_stop, METHOD_WRITE, FIELDS(f_agent)},
	{"agent.retry", call_agent_retry, METHOD_WRITE, FIELDS(f_agent)},
	{"agent.permission", call_agent_permission, METHOD_WRITE, FIELDS(f_permission)},
	{"agent.archive", call_agent_archive, METHOD_WRITE, FIELDS(f_archive)},
	{"agent.process", call_agent_process, METHOD_READ, FIELDS(f_agent)},
	{"health", call_health, METHOD_LATER, NULL, 0},
	{"repository.check", call_repository_check, METHOD_LATER, FIELDS(f_repository_check)},
	{"repository.issues", call_repository_issues, METHOD_LATER, FIELDS(f_issues)},
	{"key.list", call_key_list, METHOD_LATER, NULL, 0},
	{"model.test", call_model_test, METHOD_LATER, FIELDS(f_model_test)},
	{"goal.split", call_goal_split, METHOD_LATER, FIELDS(f_split)},
	{"task.judge", call_task_judge, METHOD_LATER, FIELDS(f_task)},
	{"task.pick", call_task_pick, METHOD_WRITE, FIELDS(f_pick)},
	{"task.unpick", call_task_unpick, METHOD_WRITE, FIELDS(f_task)},
	{"repository.list", call_repository_list, METHOD_READ, NULL, 0},
	{"activity.list", call_activity_list, METHOD_READ, FIELDS(f_activity)},
	{"costs.list", call_costs_list, METHOD_READ, FIELDS(f_costs)},
	{"agent.reclaim", call_agent_reclaim, METHOD_LATER, FIELDS(f_agent)},
	{"agent.restore", call_agent_restore, METHOD_LATER, FIELDS(f_restore)},
	{"agent.delete", call_agent_delete, METHOD_LATER, FIELDS(f_delete)},
	{"config.get", call_config_get, METHOD_READ, NULL, 0},
	{"config.set", call_config_set, METHOD_WRITE, FIELDS(f_config)},
	{"backup.make", call_backup_make, METHOD_LATER, NULL, 0},
	{"supervisor.down", call_down, METHOD_READ, FIELDS(f_down)},
	{"webui.hello", call_webui_hello, METHOD_READ, FIELDS(f_webui)},
	{"worker.hello", call_worker_hello, METHOD_READ, FIELDS(f_hello)},
};

static void say(struct bus_request *r, char *text)
{
	bus_reply(r, text, strlen(text));
	free(text);
}

static char *error_text(const cJSON *id, int code, const struct err *e)
{
	_cleanup_json_ cJSON *data = cJSON_CreateObject();

	json_add_str(data, "kind", err_kind_name(e->kind));
	return rpc_error(id, code, e->text, data);
}

static void say_error(struct bus_request *r, const cJSON *id, int code, const struct err *e)
{
	say(r, error_text(id, code, e));
}

/* What is no request costs its sender the connection, but not without a word. */
static void say_malformed(struct bus_request *r, int code, const struct err *e)
{
	_cleanup_free_ char *text = error_text(NULL, code, e);

	bus_reply_last(r, text, strlen(text));
}

static void call_free(struct call *c)
{
	int i;

	if (c->link) {
		*c->link = c->next;
		if (c->next)
			c->next->link = c->link;
		c->s->call_count--;
	}
	for (i = 0; i < c->n; i++)
		cJSON_Delete(c->askers[i].id);
	cJSON_Delete(c->params);
	free(c);
}

void call_answer(struct call *c, cJSON *result)
{
	int i;

	for (i = 0; i < c->n; i++)
		say(c->askers[i].request, rpc_result(c->askers[i].id, result));
	crash_point(CRASH_CONTROL_REPLY_AFTER);
	cJSON_Delete(result);
	call_free(c);
}

void call_fail(struct call *c, const struct err *e)
{
	int i;

	for (i = 0; i < c->n; i++)
		say(c->askers[i].request, rpc_error_from(c->askers[i].id, e));
	call_free(c);
}

static void call_join(struct call *c, struct bus_request *r, const cJSON *id)
{
	if (c->n == CALL_ASKERS_MAX) {
		bus_request_drop(c->askers[0].request);
		cJSON_Delete(c->askers[0].id);
		memmove(c->askers, c->askers + 1, sizeof(c->askers) - sizeof(c->askers[0]));
		c->n--;
	}
	c->askers[c->n].request = r;
	c->askers[c->n++].id = cJSON_Duplicate(id, true);
}

/* FNV-1a, the closing NUL included. */
static uint64_t fold(uint64_t h, const char *text)
{
	do
		h = (h ^ (unsigned char)*text) * 0x100000001b3u;
	while (*text++);
	return h;
}

/* Of method and params: the same question has the same digest. */
static void digest(const char *method, const cJSON *params, char out[17])
{
	_cleanup_free_ char *text = params ? json_print(params) : NULL;

	snprintf(out, 17, "%016" PRIx64, fold(fold(0xcbf29ce484222325u, method), text ? text : ""));
}

int call_keep(struct call *c, const cJSON *result, struct err *e)
{
	_cleanup_free_ char *text = json_print(result);
	struct buf answer;
	int done;

	buf_init(&answer, 0);
	buf_addf(&answer, "%s ", c->question);
	buf_adds(&answer, text);
	done = store_request_save(c->s->store, c->key, answer.data, clock_wall_ms(), e);
	buf_clear(&answer);
	return done;
}

static int other_question(struct err *e)
{
	return err_set(e, ERR_CONFLICT,
		"this id was used for another request: choose a fresh one for each (32 random hex "
		"digits)");
}

/* Has the same been asked before? 1: yes, and r is taken care of. */
static int known(struct call *fresh, struct bus_request *r, const cJSON *id, struct err *e)
{
	_cleanup_free_ char *answer = NULL;
	_cleanup_json_ cJSON *result = NULL;
	struct call *c;

	for (c = fresh->s->calls; c; c = c->next) {
		if (strcmp(c->key, fresh->key) != 0)
			continue;
		if (strcmp(c->question, fresh->question) != 0)
			return other_question(e);
		call_join(c, r, id);
		return 1;
	}
	if (store_request_find(fresh->s->store, fresh->key, &answer, e) < 0)
		return -1;
	if (!answer)
		return 0;
	if (strncmp(answer, fresh->question, 16) != 0)
		return other_question(e);
	result = cJSON_Parse(answer + 17);
	say(r, rpc_result(id, result));
	return 1;
}

static int run(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	int done;

	if (c->method->type != METHOD_WRITE)
		return c->method->handler(c, params, result, e);
	if (tx_begin(c->s, true, e) < 0)
		return -1;
	done = c->method->handler(c, params, result, e);
	if (done < 0 || call_keep(c, *result, e) < 0) {
		tx_rollback(c->s);
		return -1;
	}
	done = tx_commit(c->s, e);
	crash_point(CRASH_CONTROL_REPLY_BEFORE);
	return done;
}

static int refuse(struct call *c, const struct rpc *m, const cJSON *params, struct err *e)
{
	struct supervisor *s = c->s;

	/* A worker may be newer than we, and say more than we know. */
	if (strncmp(c->method->name, "worker.", 7) == 0) {
		if (json_check_known(params, c->method->fields, c->method->n, e) < 0)
			return -1;
	} else if (c->method->fields || c->method->handler != call_agent_tell) {
		if (json_check(params, c->method->fields, c->method->n, e) < 0)
			return -1;
	}
	if (c->method->type == METHOD_READ)
		return 0;
	if (s->going_down)
		return err_set(e, ERR_UNAVAILABLE, "the supervisor is going down");
	if (!cJSON_IsString(m->id) || !*m->id->valuestring ||
		strlen(m->id->valuestring) > CALL_ID_MAX)
		return err_set(e, ERR_INVALID,
			"id: should be a string of 1 to %d characters, since %s is done once for "
			"each id",
			CALL_ID_MAX, c->method->name);
	if (c->method->type == METHOD_LATER && s->call_count >= CONTROL_CALLS_MAX)
		return err_set(e, ERR_LIMIT, "%d requests are under way: try again later",
			CONTROL_CALLS_MAX);
	snprintf(c->key, sizeof(c->key), "%s", m->id->valuestring);
	digest(c->method->name, m->params, c->question);
	return 0;
}

static void dispatch(struct call *c, struct bus_request *r, const struct rpc *m)
{
	_cleanup_json_ cJSON *none = cJSON_CreateObject();
	const cJSON *params = m->params ? m->params : none;
	cJSON *result = NULL;
	struct err e;
	int done = refuse(c, m, params, &e);

	if (done == 0 && c->method->type != METHOD_READ)
		done = known(c, r, m->id, &e);
	if (done == 1) {
		call_free(c);
		return;
	}
	call_join(c, r, m->id);
	if (done == 0)
		done = run(c, params, &result, &e);
	if (done == CALL_TAKEN) {
		call_free(c);
	} else if (done == CALL_LATER) {
		c->params = cJSON_Duplicate(params, true);
		c->link = &c->s->calls;
		c->next = c->s->calls;
		if (c->next)
			c->next->link = &c->next;
		c->s->calls = c;
		c->s->call_count++;
	} else if (done < 0) {
		cJSON_Delete(result);
		call_fail(c, &e);
	} else {
		call_answer(c, result);
	}
}

void control_request(void *arg, struct bus_request *r, const char *data, size_t n)
{
	struct supervisor *s = arg;
	struct rpc m = {0};
	struct call *c;
	struct err e;
	size_t i = 0;

	if (rpc_parse(data, n, RPC_MAX_BYTES, &m, &e) < 0) {
		say_malformed(r, e.kind == ERR_INVALID ? -32600 : -32700, &e);
		return;
	}
	while (i < sizeof(methods) / sizeof(methods[0]) && m.method &&
		strcmp(methods[i].name, m.method) != 0)
		i++;
	if (m.type != RPC_REQUEST) {
		err_set(&e, ERR_INVALID, "a request with an id and a method is wanted");
		say_error(r, m.id, -32600, &e);
	} else if (i == sizeof(methods) / sizeof(methods[0])) {
		err_set(&e, ERR_NOT_FOUND, "no such method: %.64s", m.method);
		say_error(r, m.id, -32601, &e);
	} else {
		c = calloc(1, sizeof(*c));
		if (!c)
			err_out_of_memory();
		c->s = s;
		c->method = &methods[i];
		dispatch(c, r, &m);
	}
	rpc_clear(&m);
}
