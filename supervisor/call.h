/* Inside of control, for control*.c: one call, its method, and how it ends. */
#ifndef SUPERVISOR_CALL_H
#define SUPERVISOR_CALL_H

#include <cjson/cJSON.h>

#include "shared/bus.h"
#include "shared/json.h"
#include "supervisor/tx.h"

#define CALL_ASKERS_MAX 8 /* who asked the same at once; the oldest goes */
#define CALL_ID_MAX 64
#define CALL_KEY_BYTES 80

/* A handler returns CALL_DONE with *result, CALL_LATER when it keeps the call and ends
 * it with call_answer or call_fail, CALL_TAKEN when it has ended or handed on the request
 * itself; -1 with an error. */
enum { CALL_DONE, CALL_LATER, CALL_TAKEN };

struct call;
typedef int (*call_handler)(struct call *c, const cJSON *params, cJSON **result, struct err *e);

struct method {
	const char *name;
	call_handler handler;
	/* READ changes nothing. WRITE runs in one durable transaction, in which its answer is
	 * kept. LATER keeps its answer in a transaction of its own (call_keep). */
	enum { METHOD_READ, METHOD_WRITE, METHOD_LATER } type;
	const struct json_field *fields;
	size_t n;
};

struct call {
	struct supervisor *s;
	const struct method *method;
	struct call *next, **link; /* among the supervisor's calls while CALL_LATER */
	struct {
		struct bus_request *request;
		cJSON *id;
	} askers[CALL_ASKERS_MAX];
	int n;
	char key[CALL_ID_MAX + 1]; /* the id it is kept under */
	char question[17];	   /* digest of method and params */
	cJSON *params;		   /* CALL_LATER: a copy */
	int64_t agent;		   /* the one that agent.delete waits for */
};

/* Keeps the answer under the call's id, in the open transaction. */
int call_keep(struct call *c, const cJSON *result, struct err *e);
/* Each ends and frees the call. result is taken. */
void call_answer(struct call *c, cJSON *result);
void call_fail(struct call *c, const struct err *e);

/* The agent that params name. NULL with ERR_NOT_FOUND. */
struct member *call_member(struct call *c, const cJSON *params, struct err *e);

int call_status(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_backup_make(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_down(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_webui_hello(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_events_after(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_config_get(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_config_set(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_task_create(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_task_list(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_list(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_show(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_tell(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_command(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_permission(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_stop(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_retry(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_archive(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_process(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_health(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_repository_check(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_repository_issues(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_key_list(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_model_test(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_goal_split(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_task_judge(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_task_pick(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_task_unpick(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_repository_list(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_activity_list(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_costs_list(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_agent_delete(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_worker_hello(struct call *c, const cJSON *params, cJSON **result, struct err *e);
int call_worker_next(struct call *c, const cJSON *params, cJSON **result, struct err *e);

/* Puts an ended agent out of the lists, or back, in the open transaction. ERR_CONFLICT. */
int agent_archive(
	struct supervisor *s, struct member *m, enum store_archived archived, struct err *e);

/* AGENT_DO_REMOVE: the agent's worker is gone. */
void call_agent_remove(struct supervisor *s, struct member *m);

#endif
