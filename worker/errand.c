#include "worker/errand.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>
#include <uv.h>

#include "shared/buf.h"
#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/crash.h"
#include "shared/dotenv.h"
#include "shared/giturl.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/model.h"
#include "worker/errand_github.h"
#include "worker/errand_keep.h"
#include "worker/errand_parts.h"
#include "worker/instance.h"
#include "worker/workspace.h"

#define PERMANENT 100
#define BRANCHES_BYTES (128 * 1024) /* of names of branches answered */

struct dotenv *errand_keys(const struct paths *paths, struct err *e)
{
	char env_file[PATHS_MAX + 8];

	snprintf(env_file, sizeof env_file, "%s/.env", paths->home);
	return dotenv_load(env_file, e);
}

struct workspace_auth errand_auth(const struct paths *paths, const struct dotenv *keys)
{
	return (struct workspace_auth){
		.token = dotenv_get(keys, "GITHUB_TOKEN"),
		.api_url = dotenv_get(keys, "GITHUB_API_URL"),
		.token_host = dotenv_get(keys, "HUNDREDX_TOKEN_HOST"),
		.home = paths->home,
	};
}

static cJSON *read_question(struct err *e)
{
	struct buf text;
	char block[16384];
	cJSON *j = NULL;
	ssize_t n;

	buf_init(&text, ERRAND_QUESTION_MAX);
	while ((n = read(STDIN_FILENO, block, sizeof block)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 || !buf_add(&text, block, (size_t)n))
			break;
	}
	if (text.overflow)
		err_set(e, ERR_LIMIT, "the question is longer than %d bytes", ERRAND_QUESTION_MAX);
	else
		j = json_parse(text.data ? text.data : "", text.len, ERRAND_QUESTION_MAX, e);
	buf_clear(&text);
	return j;
}

struct checked {
	bool done, failed;
	struct err e;
};

static void on_checked(void *arg, const cJSON *arguments, const struct err *e)
{
	struct checked *c = arg;

	(void)arguments;
	c->done = true;
	c->failed = e != NULL;
	if (e)
		c->e = *e;
}

/* With aider in its place, even no arguments: whether it is there and of the right
 * version shows too. Another agent gets none. */
static int check_arguments(const struct paths *paths, const cJSON *question, struct err *e)
{
	const char *text = json_str(question, "aider_arguments", "");
	bool foreign = cJSON_GetArraySize(json_get(question, "agent_command")) > 0;
	struct checked c = {0};
	uv_loop_t loop;
	int r;

	if (foreign && *text)
		return err_set(e, ERR_INVALID,
			"another agent than aider is configured (agent_command): leave aider's "
			"arguments empty");
	if (foreign)
		return 0;
	uv_loop_init(&loop);
	r = instance_check(&loop, paths, text, on_checked, &c, e);
	if (r == 0) {
		uv_run(&loop, UV_RUN_DEFAULT);
		if (c.failed) {
			*e = c.e;
			r = -1;
		}
	}
	uv_loop_close(&loop);
	return r;
}

static int check(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	static const struct json_field fields[] = {
		{.name = "repository", .type = JSON_STRING, .required = true, .max = GITURL_MAX},
		{.name = "base", .type = JSON_STRING},
		{.name = "aider_arguments", .type = JSON_STRING, .max = ERRAND_QUESTION_MAX},
		{.name = "local_repositories", .type = JSON_BOOL},
		{.name = "agent_command", .type = JSON_ARRAY},
		{.name = "branches", .type = JSON_BOOL},
	};
	char branch[256], head[41], own[256];
	bool list = json_bool(question, "branches", false);
	cJSON *branches = NULL;
	struct dotenv *keys;
	struct giturl url;
	int r;

	if (json_check(question, fields, sizeof fields / sizeof *fields, e) < 0)
		return -1;
	*field = "repository";
	if (giturl_parse(json_str(question, "repository", ""),
		    json_bool(question, "local_repositories", false), &url, e) < 0)
		return -1;
	*field = "aider_arguments";
	if (!list && check_arguments(paths, question, e) < 0) {
		if (e->kind != ERR_INVALID)
			*field = NULL; /* aider itself is missing or of another version */
		return -1;
	}
	*field = NULL;
	keys = errand_keys(paths, e);
	if (!keys)
		return -1;
	if (workspace_library_init(e) < 0) {
		dotenv_free(keys);
		return -1;
	}
	struct workspace_auth auth = errand_auth(paths, keys);
	r = workspace_list_remote(&url, &auth, json_str(question, "base", ""), BRANCHES_BYTES,
		branch, head, own, list ? &branches : NULL, e);
	dotenv_free(keys);
	if (r < 0) {
		bool base = e->kind == ERR_NOT_FOUND && *json_str(question, "base", "");

		*field = base ? "base" : "repository";
		return -1;
	}
	json_add_str(answer, "base", branch);
	json_add_str(answer, "head", head);
	if (branches) {
		json_add_str(answer, "default", own);
		cJSON_AddItemToObject(answer, "branches", branches);
	}
	return 0;
}

/* What is only in the workspace is kept in the mirror, unless it is to be discarded. */
static int save_work(const struct paths *paths, int64_t agent, const cJSON *question, cJSON *answer,
	struct err *e)
{
	const char *repository = json_str(question, "repository", "");
	char repo[PATHS_MAX], mirrors[PATHS_MAX], mirror[1024], ref[64];
	struct giturl url;
	bool saved;

	if (!*repository || json_bool(question, "discard", false))
		return 0;
	snprintf(ref, sizeof ref, "refs/100x/agent-%lld", (long long)agent);
	if (giturl_parse(repository, true, &url, e) < 0 || workspace_library_init(e) < 0)
		return -1;
	if (workspace_save(paths_agent(paths, agent, "repo", repo), paths_mirrors(paths, mirrors),
		    &url, ref, false, &saved, mirror, e) < 0) {
		if (e->kind == ERR_NOT_FOUND) /* the agent is there */
			e->kind = ERR_CONFLICT;
		return err_wrap(e, "its work could not be saved (deleting with discard removes it "
				   "all the same)");
	}
	if (saved) {
		json_add_str(answer, "saved", ref);
		json_add_str(answer, "mirror", mirror);
	}
	return 0;
}

/* The agent's lock, so that no worker works in its folder meanwhile. */
static int hold(const struct paths *paths, int64_t agent, int *fd, struct err *e)
{
	char path[PATHS_MAX];

	*fd = open(paths_agent(paths, agent, "lock", path), O_RDWR | O_CLOEXEC | O_NOFOLLOW);
	if (*fd >= 0 && flock(*fd, LOCK_EX | LOCK_NB) < 0)
		return err_set(e, ERR_CONFLICT, "a worker still holds %s", path);
	return 0;
}

static int remove_agent(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	int64_t agent = json_int(question, "agent", 0);
	char folder[PATHS_MAX];
	_cleanup_close_ int fd = -1;
	struct stat st;

	*field = "agent";
	if (agent <= 0)
		return err_set(e, ERR_INVALID, "agent is not a number of an agent");
	paths_agent(paths, agent, "", folder);
	if (lstat(folder, &st) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "look at %s", folder);
	if (hold(paths, agent, &fd, e) < 0)
		return -1;
	*field = NULL;
	if (save_work(paths, agent, question, answer, e) < 0)
		return -1;
	crash_point(CRASH_REMOVE_BEGIN);
	if (workspace_remove(folder, e) < 0)
		return -1;
	crash_point(CRASH_REMOVE_DONE);
	return 0;
}

static int reclaim(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	int64_t agent = json_int(question, "agent", 0);
	_cleanup_close_ int fd = -1;

	*field = "agent";
	if (agent <= 0)
		return err_set(e, ERR_INVALID, "agent is not a number of an agent");
	*field = NULL;
	if (hold(paths, agent, &fd, e) < 0)
		return -1;
	return errand_reclaim(paths, agent, json_str(question, "repository", ""), answer, e);
}

static int restore(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	int64_t agent = json_int(question, "agent", 0);
	_cleanup_close_ int fd = -1;

	*field = "agent";
	if (agent <= 0)
		return err_set(e, ERR_INVALID, "agent is not a number of an agent");
	*field = NULL;
	if (!*json_str(question, "path", "") && hold(paths, agent, &fd, e) < 0)
		return -1;
	return errand_restore(paths, agent, question, answer, e);
}

static int tidy_mirrors(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	(void)field;
	return errand_mirrors(paths, question, answer, e);
}

static int github(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	struct dotenv *keys;
	int r;

	(void)question;
	(void)field;
	keys = errand_keys(paths, e);
	if (!keys)
		return -1;
	r = errand_github(keys, answer, e);
	dotenv_free(keys);
	return r;
}

static const char *key_of(void *arg, const char *name)
{
	return dotenv_get(arg, name);
}

static bool is_listed(const cJSON *keys, const char *name)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, keys)
		if (strcmp(json_str(one, "name", ""), name) == 0)
			return true;
	return false;
}

/* Which of the keys that we know what to do with there are; never a value. */
static int keys_present(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	struct dotenv *keys = errand_keys(paths, e);
	const struct model_provider *p;
	cJSON *all, *one;
	size_t n;

	(void)question;
	(void)field;
	if (!keys)
		return -1;
	all = cJSON_AddArrayToObject(answer, "keys");
	p = model_providers(&n);
	for (size_t i = 0; i <= n; i++) {
		/* Some providers share theirs. */
		if (i < n && (!p[i].key_variable || is_listed(all, p[i].key_variable)))
			continue;
		one = cJSON_CreateObject();
		cJSON_AddItemToArray(all, one);
		json_add_str(one, "name", i < n ? p[i].key_variable : "GITHUB_TOKEN");
		cJSON_AddBoolToObject(one, "present",
			i < n ? model_key(&p[i], key_of, keys) != NULL
			      : dotenv_get(keys, "GITHUB_TOKEN") != NULL);
	}
	dotenv_free(keys);
	return 0;
}

static void print_answer(cJSON *answer, const char *field, const struct err *e)
{
	_cleanup_free_ char *text = NULL;

	if (e) {
		cJSON_AddBoolToObject(answer, "ok", false);
		json_add_str(answer, "kind", err_kind_name(e->kind));
		json_add_str(answer, "error", e->text);
		if (field)
			json_add_str(answer, "field", field);
	} else {
		cJSON_AddBoolToObject(answer, "ok", true);
	}
	text = json_print(answer);
	log_redact(text);
	printf("%s\n", text);
}

int errand_run(const struct paths *paths, const char *kind)
{
	static const struct {
		const char *kind;
		errand_fn run;
	} errands[] = {{"check", check}, {"remove", remove_agent}, {"github", github},
		{"keys", keys_present}, {"issues", errand_issues}, {"model", errand_model},
		{"split", errand_split}, {"judge", errand_judge}, {"health", errand_health},
		{"reclaim", reclaim}, {"restore", restore}, {"mirrors", tidy_mirrors}};
	_cleanup_json_ cJSON *answer = cJSON_CreateObject(), *question = NULL;
	const char *field = NULL;
	struct err e;

	for (size_t i = 0; i < sizeof errands / sizeof *errands; i++) {
		bool ok;

		if (strcmp(kind, errands[i].kind) != 0)
			continue;
		question = read_question(&e);
		ok = question && errands[i].run(paths, question, answer, &field, &e) == 0;
		print_answer(answer, field, ok ? NULL : &e);
		return 0;
	}
	log_error("no errand \"%s\"", kind);
	return PERMANENT;
}
