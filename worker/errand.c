#include "worker/errand.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>
#include <uv.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/dotenv.h"
#include "shared/giturl.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/instance.h"
#include "worker/workspace.h"

#define EXIT_PERMANENT 100

struct errand {
	const struct paths *paths;
	const cJSON *question;
	cJSON *answer;
	const char *field; /* of the question that is to blame */
};

static cJSON *read_question(struct err *e)
{
	struct buf text;
	char piece[4096];
	cJSON *question;
	ssize_t n;

	buf_init(&text, ERRAND_MAX_BYTES);
	while ((n = read(STDIN_FILENO, piece, sizeof piece)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || !buf_add(&text, piece, (size_t)n))
			break;
	}
	question = json_parse(text.data ? text.data : "", text.len, ERRAND_MAX_BYTES, e);
	buf_clear(&text);
	return question;
}

static int check_repository(struct errand *r, struct err *e)
{
	static const struct json_field FIELDS[] = {
		{.name = "repository", .type = JSON_STRING, .required = true, .max = GITURL_MAX},
		{.name = "base", .type = JSON_STRING},
		{.name = "aider_arguments", .type = JSON_STRING, .max = ERRAND_MAX_BYTES},
		{.name = "local_repositories", .type = JSON_BOOL},
		{.name = "agent_command", .type = JSON_ARRAY},
	};
	char env_path[PATHS_MAX + 8], branch[256], head[41];
	struct workspace_auth auth = {.home = r->paths->home};
	struct dotenv *keys;
	struct giturl url;
	int result;

	if (json_check(r->question, FIELDS, sizeof FIELDS / sizeof *FIELDS, e) < 0)
		return -1;
	r->field = "repository";
	if (giturl_parse(json_str(r->question, "repository", ""),
		    json_bool(r->question, "local_repositories", false), &url, e) < 0)
		return -1;
	snprintf(env_path, sizeof env_path, "%s/.env", r->paths->home);
	keys = dotenv_load(env_path, e);
	if (!keys)
		return -1;
	auth.token = dotenv_get(keys, "GITHUB_TOKEN");
	auth.token_host = dotenv_get(keys, "HUNDREDX_TOKEN_HOST");
	result = workspace_library_init(e);
	if (result == 0)
		result = workspace_check_remote(
			&url, &auth, json_str(r->question, "base", ""), branch, head, e);
	dotenv_free(keys);
	if (result < 0) {
		if (e->kind == ERR_NOT_FOUND && *json_str(r->question, "base", ""))
			r->field = "base";
		return -1;
	}
	json_add_str(r->answer, "base", branch);
	json_add_str(r->answer, "head", head);
	return 0;
}

struct arguments_check {
	bool failed;
	struct err *e;
};

static void arguments_checked(void *arg, const cJSON *arguments, const struct err *e)
{
	struct arguments_check *check = arg;

	(void)arguments;
	check->failed = e != NULL;
	if (e)
		*check->e = *e;
}

/* Only aider's own arguments can be checked; another agent gets none. */
static int check_arguments(struct errand *r, struct err *e)
{
	const char *text = json_str(r->question, "aider_arguments", "");
	const cJSON *command = json_get(r->question, "agent_command");
	struct arguments_check check = {.e = e};
	uv_loop_t loop;
	int result;

	r->field = "aider_arguments";
	if (cJSON_GetArraySize(command) > 0) {
		if (*text)
			return err_set(e, ERR_INVALID,
				"another agent than aider is configured (agent_command): leave "
				"aider's arguments empty");
		return 0;
	}
	if (uv_loop_init(&loop) != 0)
		return err_set(e, ERR_SYS, "no event loop");
	result = instance_check(&loop, r->paths, text, arguments_checked, &check, e);
	if (result == 0)
		uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	if (result == 0 && check.failed)
		result = -1;
	/* A missing or foreign aider is not the arguments' fault. */
	if (result < 0 && e->kind != ERR_INVALID)
		r->field = NULL;
	return result;
}

static int check(struct errand *r, struct err *e)
{
	return check_repository(r, e) < 0 || check_arguments(r, e) < 0 ? -1 : 0;
}

static int remove_agent(struct errand *r, struct err *e)
{
	static const struct json_field FIELDS[] = {
		{.name = "agent", .type = JSON_INT, .required = true, .min = 1, .max = 1e15},
	};
	char path[PATHS_MAX];

	if (json_check(r->question, FIELDS, 1, e) < 0)
		return -1;
	paths_agent(r->paths, json_int(r->question, "agent", 0), "", path);
	return access(path, F_OK) < 0 && errno == ENOENT ? 0 : workspace_remove(path, e);
}

static void add_failure(const struct errand *r, const struct err *e)
{
	cJSON_AddBoolToObject(r->answer, "ok", false);
	json_add_str(r->answer, "kind", err_kind_name(e->kind));
	json_add_str(r->answer, "error", e->text);
	if (r->field)
		json_add_str(r->answer, "field", r->field);
}

int errand_run(const char *kind, const struct paths *paths)
{
	int (*run)(struct errand *, struct err *) = !strcmp(kind, "check")    ? check
						    : !strcmp(kind, "remove") ? remove_agent
									      : NULL;
	_cleanup_json_ cJSON *question = NULL;
	_cleanup_free_ char *text = NULL;
	struct errand r = {.paths = paths};
	struct err e = {0};

	if (!run) {
		log_error("no errand \"%s\": there are check and remove", kind);
		return EXIT_PERMANENT;
	}
	r.answer = cJSON_CreateObject();
	question = read_question(&e);
	r.question = question;
	if (question && run(&r, &e) == 0)
		cJSON_AddBoolToObject(r.answer, "ok", true);
	else
		add_failure(&r, &e);
	text = json_print(r.answer);
	log_redact(text);
	cJSON_Delete(r.answer);
	return printf("%s\n", text) > 0 && fflush(stdout) == 0 ? 0 : 111;
}
