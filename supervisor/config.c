#include "supervisor/config.h"

#include <sched.h>
#include <stdio.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/model.h"

#define WORKING_MAX 1000
#define PROCESSES_MAX 4194304 /* the kernel has no more */
#define COMMAND_WORD_MAX 4096
#define WORKING_BYTES (400LL * 1024 * 1024) /* what an agent with aider takes */

static const struct json_field fields[] = {
	{"max_working", JSON_INT, false, 1, WORKING_MAX},
	{"limit_turns", JSON_INT, false, 1, 100000},
	{"limit_minutes", JSON_INT, false, 1, 1000000},
	{"limit_dollars", JSON_NUMBER, false, 0.01, 1000000},
	{"instructions", JSON_STRING, false, 0, 16384},
	{"permission", JSON_STRING, false, 0, 16},
	{"pid_namespace", JSON_STRING, false, 0, 16},
	{"agent_processes", JSON_INT, false, 0, PROCESSES_MAX},
	{"agent_command", JSON_ARRAY, false, 0, 64},
	{"local_repositories", JSON_BOOL, false, 0, 0},
	{"git_name", JSON_STRING, false, 0, 200},
	{"git_email", JSON_STRING, false, 0, 200},
	{"turn_minutes", JSON_INT, false, 1, 1440},
	{"alone_minutes", JSON_INT, false, 1, 1440},
	{"model_seconds", JSON_INT, false, 1, 3600},
	{"compress_after_minutes", JSON_INT, false, 0, 5256000},
	{"keep_days", JSON_INT, false, 0, 36500},
	{"reclaim_after_hours", JSON_INT, false, 0, 876000},
	{"keep_gigabytes", JSON_NUMBER, false, 0, 1000000},
};

const struct json_field *config_fields(size_t *n)
{
	*n = sizeof(fields) / sizeof(fields[0]);
	return fields;
}

cJSON *config_defaults(int cores, int64_t memory_bytes)
{
	cJSON *j = cJSON_CreateObject();
	int64_t working = 2 * (int64_t)cores + 2;

	if (working > memory_bytes / WORKING_BYTES)
		working = memory_bytes / WORKING_BYTES;
	if (working < 1)
		working = 1;
	if (working > WORKING_MAX)
		working = WORKING_MAX;
	json_add_int(j, "max_working", working);
	json_add_int(j, "limit_turns", 50);
	json_add_int(j, "limit_minutes", 120);
	cJSON_AddNumberToObject(j, "limit_dollars", 5);
	json_add_str(j, "instructions", "");
	json_add_str(j, "permission", "allow");
	json_add_str(j, "pid_namespace", "auto");
	json_add_int(j, "agent_processes", 2048);
	cJSON_AddArrayToObject(j, "agent_command");
	cJSON_AddBoolToObject(j, "local_repositories", true);
	json_add_str(j, "git_name", "");
	json_add_str(j, "git_email", "");
	json_add_int(j, "turn_minutes", 30);
	json_add_int(j, "alone_minutes", 10);
	json_add_int(j, "model_seconds", 120);
	json_add_int(j, "compress_after_minutes", 60);
	json_add_int(j, "keep_days", 0);
	json_add_int(j, "reclaim_after_hours", 72);
	cJSON_AddNumberToObject(j, "keep_gigabytes", 20);
	return j;
}

int config_check(const cJSON *general, struct err *e)
{
	const cJSON *command = json_get(general, "agent_command"), *part;
	const char *permission = json_str(general, "permission", "allow");
	const char *space = json_str(general, "pid_namespace", "auto");

	if (json_check(general, fields, sizeof(fields) / sizeof(fields[0]), e) < 0)
		return -1;
	if (strcmp(permission, "allow") != 0 && strcmp(permission, "ask") != 0)
		return err_set(e, ERR_INVALID, "permission: is \"%s\", should be allow or ask",
			permission);
	if (strcmp(space, "auto") != 0 && strcmp(space, "user") != 0 && strcmp(space, "off") != 0)
		return err_set(e, ERR_INVALID,
			"pid_namespace: is \"%s\", should be auto, user or off", space);
	cJSON_ArrayForEach (part, command) {
		if (!cJSON_IsString(part))
			return err_set(e, ERR_INVALID,
				"agent_command: should be a list of strings (program and "
				"arguments)");
		if (strlen(part->valuestring) > COMMAND_WORD_MAX)
			return err_set(e, ERR_INVALID,
				"agent_command: an argument has %zu bytes, at most %d; what is "
				"long belongs into a file",
				strlen(part->valuestring), COMMAND_WORD_MAX);
	}
	if (command && command->child && command->child->valuestring[0] != '/')
		return err_set(e, ERR_INVALID,
			"agent_command: the program should be a full path, is \"%s\"",
			command->child->valuestring);
	return 0;
}

int config_check_models(const cJSON *models, struct err *e)
{
	static const struct json_field roles[] = {
		{"orchestrator", JSON_STRING, false, 1, MODEL_MAX - 1},
		{"agent", JSON_STRING, false, 1, MODEL_MAX - 1},
		{"aider", JSON_STRING, false, 1, MODEL_MAX - 1},
	};
	const cJSON *role;
	struct model m;

	if (json_check(models, roles, sizeof(roles) / sizeof(roles[0]), e) < 0)
		return err_wrap(e, "models");
	cJSON_ArrayForEach (role, models) {
		if (cJSON_IsString(role) && model_parse(role->valuestring, &m, e) < 0)
			return err_wrap(e, "models.%s", role->string);
	}
	return 0;
}

void config_machine(int *cores, int64_t *memory_bytes)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/meminfo", "re");
	char line[128];
	long long kib;
	cpu_set_t set;

	*cores = sched_getaffinity(0, sizeof(set), &set) == 0 ? CPU_COUNT(&set) : 1;
	*memory_bytes = 1024LL * 1024 * 1024;
	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "MemAvailable: %lld kB", &kib) == 1)
			*memory_bytes = kib * 1024;
	}
}
