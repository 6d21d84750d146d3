/* status, supervisor.down, webui.hello, events.after, config.*. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/model.h"
#include "supervisor/call.h"
#include "supervisor/config.h"

int call_status(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct supervisor *s = c->s;
	cJSON *j = cJSON_CreateObject(), *part;
	int i;

	(void)params;
	(void)e;
	json_add_str(j, "version", VERSION_STRING);
	json_add_int(j, "pid", getpid());
	json_add_int(j, "protocol", event_version());
	json_add_int(j, "uptime_ms", clock_now_ms() - s->started_ms);
	json_add_str(j, "state_dir", s->paths.state_dir);
	part = cJSON_AddObjectToObject(j, "agents");
	for (i = 0; i < AGENT_STATE_COUNT; i++)
		json_add_int(part, agent_state_word((enum agent_state)i), s->fleet.count[i]);
	json_add_int(j, "working", s->queue.busy);
	json_add_int(j, "max_working", s->queue.limit);
	json_add_int(j, "last_event", s->last_event);
	cJSON_AddBoolToObject(j, "cgroup", *sweeper_cgroup(s->sweeper)->folder != '\0');
	cJSON_AddBoolToObject(j, "process_limits", sweeper_cgroup(s->sweeper)->bounds);
	json_add_str(j, "disk_full", s->disk.full ? s->disk.reason : "");
	if (s->webui_pid && process_started(s->webui_pid) == s->webui_started) {
		part = cJSON_AddObjectToObject(j, "webui");
		json_add_int(part, "pid", s->webui_pid);
		json_add_int(part, "port", s->webui_port);
	} else {
		cJSON_AddNullToObject(j, "webui");
	}
	*result = j;
	return CALL_DONE;
}

static void copied(void *arg, const char *path, const struct err *failure)
{
	struct call *c = arg;
	cJSON *result;

	if (failure) {
		call_fail(c, failure);
		return;
	}
	result = cJSON_CreateObject();
	json_add_str(result, "path", path);
	call_answer(c, result);
}

int call_backup_make(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	(void)params;
	(void)result;
	return backup_make(&c->s->backup, c->s->loop, copied, c, e) < 0 ? -1 : CALL_LATER;
}

int call_down(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	(void)e;
	supervisor_down(c->s, json_bool(params, "keep_agents", false));
	*result = cJSON_CreateObject();
	return CALL_DONE;
}

int call_webui_hello(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	int pid = (int)json_int(params, "pid", 0);
	int64_t started = process_started(pid);

	if (started == 0)
		return err_set(e, ERR_INVALID, "pid: there is no process %d", pid);
	c->s->webui_pid = pid;
	c->s->webui_port = (int)json_int(params, "port", 0);
	c->s->webui_started = started;
	*result = cJSON_CreateObject();
	return CALL_DONE;
}

int call_events_after(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	struct poll_question q = {
		.after = json_int(params, "after", 0),
		.agent = json_int(params, "agent", 0),
		.limit = (int)json_int(params, "limit", 200),
		.wait_ms = (int)json_int(params, "wait_ms", 0),
	};
	const cJSON *kind;
	enum event_kind k;

	_Static_assert(EVENT_KIND_COUNT <= 32, "kinds are bits");
	(void)result;
	cJSON_ArrayForEach (kind, json_get(params, "kinds")) {
		k = cJSON_IsString(kind)
			    ? event_kind_parse(kind->valuestring, strlen(kind->valuestring))
			    : EVENT_UNKNOWN;
		if (k == EVENT_UNKNOWN)
			return err_set(e, ERR_INVALID, "kinds: \"%.64s\" is no kind of event",
				cJSON_IsString(kind) ? kind->valuestring : "");
		q.kinds |= 1u << k;
	}
	poll_events_open(c->s, &q, c->askers[0].request, c->askers[0].id);
	return CALL_TAKEN;
}

/* What is set, over the defaults. */
static cJSON *configuration(struct supervisor *s, struct err *e)
{
	cJSON *set = store_config(s->store, e), *all;
	const char *part[] = {"models", "general"}, *role[] = {"orchestrator", "agent", "aider"};
	const cJSON *value;
	int64_t memory;
	int cores, i;

	if (!set)
		return NULL;
	all = cJSON_CreateObject();
	cJSON_AddObjectToObject(all, "models");
	for (i = 0; i < 3; i++)
		json_add_str(cJSON_GetObjectItem(all, "models"), role[i], MODEL_DEFAULT);
	config_machine(&cores, &memory);
	cJSON_AddItemToObject(all, "general", config_defaults(cores, memory));
	for (i = 0; i < 2; i++) {
		cJSON *to = cJSON_GetObjectItem(all, part[i]);

		cJSON_ArrayForEach (value, json_get(set, part[i])) {
			/* A key of a newer or older program is left alone. */
			if (cJSON_GetObjectItemCaseSensitive(to, value->string))
				cJSON_ReplaceItemInObjectCaseSensitive(
					to, value->string, cJSON_Duplicate(value, true));
		}
	}
	cJSON_Delete(set);
	return all;
}

int supervisor_configure(struct supervisor *s, struct err *e)
{
	cJSON *all = configuration(s, e);

	if (!all)
		return -1;
	cJSON_Delete(s->general);
	cJSON_Delete(s->models);
	s->general = cJSON_DetachItemFromObject(all, "general");
	s->models = cJSON_DetachItemFromObject(all, "models");
	cJSON_Delete(all);
	s->queue.limit = (int)json_int(s->general, "max_working", 1);
	keeper_configure(s);
	supervisor_kick(s, 0);
	return 0;
}

struct store_defaults supervisor_defaults(const struct supervisor *s)
{
	return (struct store_defaults){
		.agent_model = json_str(s->models, "agent", MODEL_DEFAULT),
		.aider_model = json_str(s->models, "aider", MODEL_DEFAULT),
		.limit_turns = json_int(s->general, "limit_turns", 50),
		.limit_minutes = json_int(s->general, "limit_minutes", 120),
		.limit_dollars = json_num(s->general, "limit_dollars", 5),
	};
}

int call_config_get(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	(void)params;
	*result = configuration(c->s, e);
	return *result ? CALL_DONE : -1;
}

static int set_part(
	struct supervisor *s, const cJSON *part, bool models, cJSON *changed, struct err *e)
{
	const cJSON *value, *old;
	char name[64];
	int done;

	cJSON_ArrayForEach (value, part) {
		_cleanup_free_ char *text = cJSON_IsNull(value) ? NULL : json_print(value);

		done = models ? store_config_model(
					s->store, value->string, cJSON_GetStringValue(value), e)
			      : store_config_general(s->store, value->string, text, e);
		if (done < 0)
			return -1;
		old = json_get(models ? s->models : s->general, value->string);
		if (cJSON_Compare(old, value, true))
			continue;
		snprintf(name, sizeof(name), "%s%s", models ? "models." : "", value->string);
		cJSON_AddItemToArray(changed, cJSON_CreateString(name));
	}
	return 0;
}

int call_config_set(struct call *c, const cJSON *params, cJSON **result, struct err *e)
{
	const cJSON *models = json_get(params, "models"), *general = json_get(params, "general");
	struct supervisor *s = c->s;
	cJSON *body = cJSON_CreateObject();
	cJSON *changed = cJSON_AddArrayToObject(body, "changed");

	if ((models && config_check_models(models, e) < 0) ||
		(general && config_check(general, e) < 0) ||
		set_part(s, models, true, changed, e) < 0 ||
		set_part(s, general, false, changed, e) < 0) {
		cJSON_Delete(body);
		return -1;
	}
	if (!changed->child)
		cJSON_Delete(body);
	else if (tx_event(s, "system", 0, EVENT_CONFIG, body, e) < 0)
		return -1;
	s->config_touched = true;
	*result = configuration(s, e);
	return *result ? CALL_DONE : -1;
}
