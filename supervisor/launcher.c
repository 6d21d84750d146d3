#include "supervisor/launcher.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/model.h"
#include "supervisor/sweep.h"

#define ENVIRONMENT_MAX 256 /* variables handed on */
#define TAIL_BYTES 4096

struct launcher {
	uv_loop_t *loop;
	const struct paths *paths;
	char program[PATHS_MAX];
	char *environment[ENVIRONMENT_MAX + 2]; /* room for the mark of one worker */
	int n;
};

/* What a worker needs of our environment; keys it also finds in ~/.env by itself. A
 * name that ends in "_" stands for all that begin so. */
static const char *const handed_on[] = {"HOME", "USER", "LOGNAME", "PATH", "LANG", "LC_", "TZ",
	"TMPDIR", "XDG_", "HUNDREDX_", "SSH_AUTH_SOCK", "SSL_CERT_FILE", "SSL_CERT_DIR",
	"HTTPS_PROXY", "https_proxy", "http_proxy", "NO_PROXY", "no_proxy", "GITHUB_TOKEN",
	"GITHUB_API_URL"};

static bool named(const char *entry, const char *name)
{
	size_t n = strlen(name);

	return strncmp(entry, name, n) == 0 && (entry[n] == '=' || (n > 0 && name[n - 1] == '_'));
}

static bool wanted(const char *entry)
{
	if (named(entry, SWEEP_MARK)) /* ours, if an agent started us: theirs is another */
		return false;
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(handed_on[0]); i++) {
		if (named(entry, handed_on[i]))
			return true;
	}
	return model_variable(entry, strcspn(entry, "="));
}

struct launcher *launcher_new(uv_loop_t *loop, const struct paths *p, struct err *e)
{
	struct launcher *l = calloc(1, sizeof(*l));
	int i;

	if (!l)
		err_out_of_memory();
	l->loop = loop;
	l->paths = p;
	if (paths_program("100x-worker", l->program, e) < 0) {
		free(l);
		return NULL;
	}
	for (i = 0; environ[i] && l->n < ENVIRONMENT_MAX; i++) {
		if (wanted(environ[i]) && !(l->environment[l->n++] = strdup(environ[i])))
			err_out_of_memory();
	}
	return l;
}

void launcher_free(struct launcher *l)
{
	int i;

	if (!l)
		return;
	for (i = 0; l->environment[i]; i++)
		free(l->environment[i]);
	free(l);
}

static int open_log(const struct paths *p, int64_t agent, struct err *e)
{
	char folder[PATHS_MAX], path[PATHS_MAX], old[PATHS_MAX];
	struct stat st;
	int fd;

	paths_agent(p, agent, "worker.log", path);
	paths_agent(p, agent, "worker.log.1", old);
	if (paths_mkdirs(paths_agent(p, agent, "", folder), 0700, e) < 0)
		return -1;
	if (stat(path, &st) == 0 && st.st_size > LAUNCHER_LOG_MAX && rename(path, old) < 0)
		return err_errno(e, "rename %s", path);
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	return fd < 0 ? err_errno(e, "open %s", path) : fd;
}

struct child *launcher_start(struct launcher *l, int64_t agent, int64_t epoch,
	const struct child_events *on, void *arg, struct err *e)
{
	char agent_text[24], epoch_text[24], mark[PATHS_MAX + 48];
	struct child *child;
	const char *argv[] = {l->program, "--agent", agent_text, "--epoch", epoch_text, "--gate",
		"--state-dir", l->paths->state_dir, "--run-dir", l->paths->run_dir, NULL};
	struct child_spec spec = {
		.argv = argv, .env = (const char *const *)l->environment, .pipe_stdin = true};
	_cleanup_close_ int fd = open_log(l->paths, agent, e);

	if (fd < 0)
		return NULL;
	snprintf(agent_text, sizeof(agent_text), "%lld", (long long)agent);
	snprintf(epoch_text, sizeof(epoch_text), "%lld", (long long)epoch);
	snprintf(mark, sizeof(mark), SWEEP_MARK "=%s/%s", l->paths->state_dir, agent_text);
	l->environment[l->n] = mark;
	spec.stdout_fd = spec.stderr_fd = fd;
	child = child_start(l->loop, &spec, on, arg, e);
	l->environment[l->n] = NULL;
	return child;
}

void launcher_go(struct child *worker)
{
	struct err e;

	/* One that is dead already is noticed by its end. */
	if (child_write(worker, "\n", 1, &e) == 0)
		child_close_stdin(worker);
}

struct child *launcher_errand(struct launcher *l, const char *kind, const struct child_events *on,
	void *arg, struct err *e)
{
	const char *argv[] = {l->program, "--errand", kind, "--state-dir", l->paths->state_dir,
		"--run-dir", l->paths->run_dir, NULL};
	struct child_spec spec = {.argv = argv,
		.env = (const char *const *)l->environment,
		.pipe_stdin = true,
		.pipe_stdout = true,
		.stdout_fd = -1,
		.stderr_fd = STDERR_FILENO,
		.die_with_us = true};

	return child_start(l->loop, &spec, on, arg, e);
}

bool launcher_last_line(const struct paths *p, int64_t agent, char *out)
{
	char path[PATHS_MAX], tail[TAIL_BYTES + 1];
	_cleanup_close_ int fd =
		open(paths_agent(p, agent, "worker.log", path), O_RDONLY | O_CLOEXEC);
	_cleanup_free_ char *clean = NULL;
	char *line, *text;
	off_t size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	ssize_t n;

	if (size == 0) { /* just begun, by the next worker */
		cleanup_close(&fd);
		fd = open(paths_agent(p, agent, "worker.log.1", path), O_RDONLY | O_CLOEXEC);
		size = fd < 0 ? 0 : lseek(fd, 0, SEEK_END);
	}
	if (fd < 0)
		return false;
	n = pread(fd, tail, TAIL_BYTES, size > TAIL_BYTES ? size - TAIL_BYTES : 0);
	while (n > 0 && (tail[n - 1] == '\n' || tail[n - 1] == '\r' || tail[n - 1] == ' '))
		n--;
	if (n <= 0)
		return false;
	tail[n] = '\0';
	line = memrchr(tail, '\n', (size_t)n);
	line = line ? line + 1 : tail;
	/* Our own lines read "time level program[pid] text". */
	text = strstr(line, "] ");
	if (text && strncmp(line, "20", 2) == 0)
		line = text + 2;
	clean = utf8_clean(line, strlen(line));
	snprintf(out, LAUNCHER_REASON_BYTES, "%.*s",
		(int)utf8_cut(clean, strlen(clean), LAUNCHER_REASON_BYTES - 1), clean);
	return *out != '\0';
}
