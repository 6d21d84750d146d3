/* What a worker was told by worker.hello: its agent, the task, the configuration. */
#ifndef WORKER_ASSIGNMENT_H
#define WORKER_ASSIGNMENT_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/err.h"
#include "shared/giturl.h"
#include "worker/manager.h"

#define ASSIGNMENT_MAX_COMMAND 64

/* Strings borrow from root. */
struct assignment {
	cJSON *root;
	int64_t agent, committed;
	const char *branch, *base, *title, *description, *aider_arguments, *test_command;
	const char *saved; /* ref in the mirror that keeps a reclaimed workspace; "" */
	const char *agent_model, *aider_model, *instructions, *git_name, *git_email;
	struct giturl url;
	bool managed, ask_permission, pull_request;
	struct manager_limits limits;
	int64_t turn_ms;	   /* deadline of one turn; 0: none */
	int64_t model_ms;	   /* deadline of one question to a model */
	const char *pid_namespace; /* "auto", "user", "off" */
	double dollars;		   /* spent so far, as the supervisor knows */
	int64_t alone_ms;	   /* without a supervisor: holds */
	const char *agent_command[ASSIGNMENT_MAX_COMMAND + 1]; /* [0] NULL: the aider adapter */
};

/* Copies result. ERR_PROTOCOL, ERR_INVALID: what is missing or wrong. */
int assignment_read(const cJSON *result, int64_t agent, struct assignment *a, struct err *e);
void assignment_clear(struct assignment *a);

#endif
