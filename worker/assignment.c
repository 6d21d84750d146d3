#include "worker/assignment.h"

#include <stdio.h>
#include <string.h>

#include "shared/clock.h"
#include "shared/json.h"
#include "shared/model.h"

#define TURN_MINUTES_DEFAULT 30
#define MODEL_SECONDS_DEFAULT 120
#define ALONE_MINUTES_DEFAULT 10

static int read_command(const cJSON *list, struct assignment *a, struct err *e)
{
	const cJSON *word;
	int n = 0;

	cJSON_ArrayForEach (word, list) {
		if (!cJSON_IsString(word) || n == ASSIGNMENT_MAX_COMMAND)
			return err_set(e, ERR_INVALID,
				"agent_command is not an array of at most %d strings",
				ASSIGNMENT_MAX_COMMAND);
		a->agent_command[n++] = word->valuestring;
	}
	return 0;
}

static const char *model_or_default(const cJSON *models, const char *role)
{
	const char *m = json_str(models, role, "");

	return *m ? m : MODEL_DEFAULT;
}

static const char *namespace_or_default(const cJSON *config)
{
	static const char *const known[] = {"auto", "user", "off"};
	const char *word = json_str(config, "pid_namespace", known[0]);

	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		if (!strcmp(word, known[i]))
			return known[i];
	}
	return known[0];
}

int assignment_read(const cJSON *result, int64_t agent, struct assignment *a, struct err *e)
{
	const cJSON *task, *self, *config, *limits, *models;

	memset(a, 0, sizeof *a);
	a->root = cJSON_Duplicate(result, true);
	task = json_get(a->root, "task");
	self = json_get(a->root, "agent");
	config = json_get(a->root, "config");
	limits = json_get(task, "limits");
	models = json_get(task, "models");
	if (!task || !self)
		return err_set(e, ERR_PROTOCOL, "worker.hello was answered without task or agent");
	a->agent = agent;
	a->committed = json_int(a->root, "committed", 0);
	a->branch = json_str(self, "branch", "");
	a->base = json_str(task, "base", "");
	a->saved = json_str(self, "saved", "");
	a->title = json_str(task, "title", "");
	a->description = json_str(task, "description", "");
	a->aider_arguments = json_str(task, "aider_arguments", "");
	a->test_command = json_str(task, "test_command", "");
	a->managed = json_bool(task, "manager", true);
	a->ask_permission = !strcmp(json_str(task, "permission", "allow"), "ask");
	a->pull_request = json_bool(task, "pull_request", true);
	a->limits.turns = json_int(limits, "turns", 0);
	a->limits.minutes = json_int(limits, "minutes", 0);
	a->limits.minute_ms = clock_minute_ms();
	a->limits.dollars = json_num(limits, "dollars", 0);
	a->agent_model = model_or_default(models, "agent");
	a->aider_model = model_or_default(models, "aider");
	a->instructions = json_str(config, "instructions", "");
	a->git_name = json_str(config, "git_name", "");
	a->git_email = json_str(config, "git_email", "");
	a->turn_ms = json_int(config, "turn_minutes", TURN_MINUTES_DEFAULT) * clock_minute_ms();
	a->model_ms = json_int(config, "model_seconds", MODEL_SECONDS_DEFAULT) * 1000;
	a->pid_namespace = namespace_or_default(config);
	a->dollars = json_num(self, "dollars", 0);
	a->alone_ms = json_int(config, "alone_minutes", ALONE_MINUTES_DEFAULT) * clock_minute_ms();
	if (!*a->branch)
		return err_set(e, ERR_PROTOCOL, "worker.hello was answered without a branch");
	if (read_command(json_get(config, "agent_command"), a, e) < 0)
		return -1;
	/* Whether local paths are allowed was decided when the task was made. */
	return giturl_parse(json_str(task, "repository", ""), true, &a->url, e);
}

void assignment_clear(struct assignment *a)
{
	cJSON_Delete(a->root);
	memset(a, 0, sizeof *a);
}
