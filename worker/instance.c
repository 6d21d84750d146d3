#include "worker/instance.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/model.h"

#define CHECK_ANSWER_MAX (64 * 1024)
#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

static int add_word(struct instance_plan *p, const char *word, struct err *e)
{
	if (p->words == INSTANCE_MAX_WORDS)
		return err_set(e, ERR_LIMIT, "more than %d words on the agent's command line",
			INSTANCE_MAX_WORDS);
	p->argv[p->words++] = strdup(word);
	return 0;
}

static void add_variable(struct instance_plan *p, const char *name, const char *value)
{
	if (value && p->variables < INSTANCE_MAX_ENV &&
		asprintf(&p->env[p->variables++], "%s=%s", name, value) < 0)
		err_out_of_memory();
}

static const char *path_variable(void)
{
	const char *path = getenv("PATH");

	return path && *path ? path : PATH_DEFAULT;
}

/* Full path of a program by PATH, as execvp would find it. */
static int find_program(const char *name, char *out, size_t n, struct err *e)
{
	const char *dir = path_variable();

	if (strchr(name, '/')) {
		snprintf(out, n, "%s", name);
		return access(out, X_OK) == 0 ? 0 : err_errno(e, "agent_command: %s", name);
	}
	while (*dir) {
		size_t len = strcspn(dir, ":");

		snprintf(out, n, "%.*s/%s", (int)len, dir, name);
		if (len && access(out, X_OK) == 0)
			return 0;
		dir += len + (dir[len] == ':');
	}
	return err_set(e, ERR_NOT_FOUND, "agent_command: no program \"%s\" in PATH", name);
}

static int find_python(const struct paths *paths, char *out, struct err *e)
{
	char setup[PATHS_MAX];

	if (access(paths_aider_python(paths, out), X_OK) == 0)
		return 0;
	return err_set(e, ERR_NOT_FOUND, "aider is not installed (no %s): run %s", out,
		paths_setup_aider(setup));
}

static int adapter_words(struct instance_plan *p, const struct paths *paths, struct err *e)
{
	char python[PATHS_MAX], folder[PATHS_MAX], script[PATHS_MAX + 32];

	if (find_python(paths, python, e) < 0 || paths_shipped("aider", folder, e) < 0)
		return -1;
	snprintf(script, sizeof script, "%s/acp_aider.py", folder);
	return add_word(p, python, e) < 0 || add_word(p, script, e) < 0 ? -1 : 0;
}

static int aider_words(struct instance_plan *p, const struct assignment *a,
	const struct paths *paths, const cJSON *arguments, const char *session_dir, struct err *e)
{
	char folder[PATHS_MAX + 32];
	const cJSON *word;

	snprintf(folder, sizeof folder, "%s/aider", session_dir);
	if (paths_mkdirs(folder, 0700, e) < 0 || adapter_words(p, paths, e) < 0)
		return -1;
	const char *const fixed[] = {"--session-dir", folder, "--model", a->aider_model,
		"--permission", a->ask_permission ? "ask" : "allow", "--"};
	for (size_t i = 0; i < sizeof fixed / sizeof *fixed; i++) {
		if (add_word(p, fixed[i], e) < 0)
			return -1;
	}
	cJSON_ArrayForEach (word, arguments) {
		if (cJSON_IsString(word) && add_word(p, word->valuestring, e) < 0)
			return -1;
	}
	return 0;
}

static int command_words(struct instance_plan *p, const struct assignment *a, struct err *e)
{
	char program[PATHS_MAX];

	if (find_program(a->agent_command[0], program, sizeof program, e) < 0 ||
		add_word(p, program, e) < 0)
		return -1;
	for (int i = 1; a->agent_command[i]; i++) {
		if (add_word(p, a->agent_command[i], e) < 0)
			return -1;
	}
	return 0;
}

int instance_plain_env(struct instance_plan *p, const char *session_dir, struct err *e)
{
	char home[PATHS_MAX + 32], tmp[PATHS_MAX + 32];

	snprintf(home, sizeof home, "%s/home", session_dir);
	snprintf(tmp, sizeof tmp, "%s/tmp", session_dir);
	if (paths_mkdirs(home, 0700, e) < 0 || paths_mkdirs(tmp, 0700, e) < 0)
		return -1;
	add_variable(p, "PATH", path_variable());
	add_variable(p, "HOME", home);
	add_variable(p, "LANG", "C.UTF-8");
	add_variable(p, "TMPDIR", tmp);
	/* By which the supervisor finds what outlives a killed worker. */
	add_variable(p, "HUNDREDX_AGENT", getenv("HUNDREDX_AGENT"));
	return 0;
}

static const char *key_get(void *arg, const char *name)
{
	return dotenv_get(arg, name);
}

/* The key and the base of this one provider, under the first of its names: nobody
 * else's. */
static int provider_env(struct instance_plan *p, const struct assignment *a,
	const struct dotenv *keys, struct err *e)
{
	struct model m;

	if (model_parse(a->aider_model, &m, e) < 0)
		return err_wrap(e, "model of the role Aider");
	if (m.provider->key_variable)
		add_variable(
			p, m.provider->key_variable, model_key(m.provider, key_get, (void *)keys));
	if (m.provider->base_variable)
		add_variable(p, m.provider->base_variable,
			model_base(m.provider, key_get, (void *)keys));
	return 0;
}

int instance_plan_make(struct instance_plan *p, const struct assignment *a,
	const struct paths *paths, const struct dotenv *keys, const cJSON *arguments,
	const char *session_dir, struct err *e)
{
	static const char *const switches[][2] = {{"PYTHONUNBUFFERED", "1"}, {"PYTHONUTF8", "1"},
		{"PYTHONDONTWRITEBYTECODE", "1"}, {"BROWSER", "/bin/true"}, {"TERM", "dumb"},
		{"NO_COLOR", "1"}, {"COLUMNS", "10000"}, {"GIT_TERMINAL_PROMPT", "0"},
		{"LITELLM_LOCAL_MODEL_COST_MAP", "True"}, {"AIDER_ANALYTICS", "false"},
		{"AIDER_CHECK_UPDATE", "false"}};
	int r;

	memset(p, 0, sizeof *p);
	r = instance_plain_env(p, session_dir, e);
	if (r == 0)
		r = provider_env(p, a, keys, e);
	if (r == 0 && a->agent_command[0])
		r = command_words(p, a, e);
	else if (r == 0)
		r = aider_words(p, a, paths, arguments, session_dir, e);
	for (size_t i = 0; r == 0 && i < sizeof switches / sizeof *switches; i++)
		add_variable(p, switches[i][0], switches[i][1]);
	if (r < 0)
		instance_plan_clear(p);
	return r;
}

void instance_plan_clear(struct instance_plan *p)
{
	for (int i = 0; i < p->words; i++)
		free(p->argv[i]);
	for (int i = 0; i < p->variables; i++)
		free(p->env[i]);
	memset(p, 0, sizeof *p);
}

struct check {
	struct child *child;
	struct buf answer, complaint;
	uv_timer_t timer;
	bool late;
	instance_check_cb cb;
	void *arg;
};

static void on_check_output(void *arg, int stream, const char *data, size_t n)
{
	struct check *c = arg;

	buf_add(stream == 1 ? &c->answer : &c->complaint, data, n);
}

static void on_check_closed(uv_handle_t *h)
{
	free(h->data);
}

static void on_check_done(void *arg, int code)
{
	struct check *c = arg;
	_cleanup_json_ cJSON *j = NULL;
	struct err e;

	if (c->late) {
		err_set(&e, ERR_UNAVAILABLE, "aider's adapter did not answer within %d s",
			INSTANCE_CHECK_MS / 1000);
	} else if (code != 0) {
		err_set(&e, code == 100 ? ERR_NOT_FOUND : ERR_UNAVAILABLE,
			"aider's adapter ended with code %d: %.500s", code,
			c->complaint.data ? c->complaint.data : "");
	} else {
		j = json_parse(
			c->answer.data ? c->answer.data : "", c->answer.len, CHECK_ANSWER_MAX, &e);
		if (j && !json_bool(j, "ok", false)) {
			err_set(&e, ERR_INVALID, "%s", json_str(j, "error", "not accepted"));
			cJSON_Delete(j);
			j = NULL;
		}
	}
	c->cb(c->arg, json_get(j, "arguments"), j ? NULL : &e);
	buf_clear(&c->answer);
	buf_clear(&c->complaint);
	uv_close((uv_handle_t *)&c->timer, on_check_closed);
}

static void on_check_late(uv_timer_t *t)
{
	struct check *c = t->data;

	c->late = true;
	child_end(c->child, 0);
}

int instance_check(uv_loop_t *loop, const struct paths *paths, const char *text,
	instance_check_cb cb, void *arg, struct err *e)
{
	static const struct child_events events = {
		.output = on_check_output, .done = on_check_done};
	struct instance_plan p = {0};
	char path[PATHS_MAX + 8], home[PATHS_MAX + 8];
	const char *env[] = {
		path, home, "LANG=C.UTF-8", "PYTHONUTF8=1", "PYTHONDONTWRITEBYTECODE=1", NULL};
	struct child_spec spec = {
		.env = env, .pipe_stdout = true, .pipe_stderr = true, .die_with_us = true};
	struct check *c;
	int r;

	snprintf(path, sizeof path, "PATH=%s", path_variable());
	snprintf(home, sizeof home, "HOME=%s", paths->state_dir);
	r = adapter_words(&p, paths, e);
	if (r == 0)
		r = add_word(&p, "--check-arguments", e) < 0 || add_word(&p, text, e) < 0 ? -1 : 0;
	if (r < 0) {
		instance_plan_clear(&p);
		return -1;
	}
	c = calloc(1, sizeof *c);
	if (!c)
		err_out_of_memory();
	c->cb = cb;
	c->arg = arg;
	buf_init(&c->answer, CHECK_ANSWER_MAX);
	buf_init(&c->complaint, 4096);
	spec.argv = (const char *const *)p.argv;
	c->child = child_start(loop, &spec, &events, c, e);
	instance_plan_clear(&p);
	if (!c->child) {
		free(c);
		return -1;
	}
	c->timer.data = c;
	uv_timer_init(loop, &c->timer);
	uv_timer_start(&c->timer, on_check_late, INSTANCE_CHECK_MS, 0);
	return 0;
}
