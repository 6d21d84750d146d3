/* Background processes. */
#include "supervisor/ctl/daemon.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/clock.h"

extern char **environ;

static int open_log(const char *path, struct err *e)
{
	char old[PATHS_MAX + 8];
	struct stat st;
	int fd;

	if (stat(path, &st) == 0 && st.st_size > DAEMON_LOG_MAX) {
		snprintf(old, sizeof(old), "%s.1", path);
		rename(path, old);
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	return fd;
}

/* Our environment with the given entries over it; the caller frees the list alone. */
static char **environment(const char *const *over)
{
	size_t n = 0, own = 0, i, len;
	char **all;

	while (over && over[n])
		n++;
	while (environ[own])
		own++;
	all = calloc(n + own + 1, sizeof(*all));
	if (!all)
		abort();
	for (i = 0; i < n; i++)
		all[i] = (char *)over[i];
	for (own = 0; environ[own]; own++) {
		len = strcspn(environ[own], "=") + 1;
		for (i = 0; over && over[i] && strncmp(over[i], environ[own], len) != 0; i++)
			continue;
		if (!over || !over[i])
			all[n++] = environ[own];
	}
	return all;
}

static int start(
	const struct daemon_spec *spec, const char *path, int log_fd, pid_t *pid, struct err *e)
{
	_cleanup_free_ char **envp = environment(spec->env);
	char *argv[DAEMON_ARGS_MAX + 2];
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attributes;
	sigset_t none, all;
	size_t n = 0;
	int failed;

	argv[n++] = (char *)path;
	for (const char *const *arg = spec->args; *arg; arg++) {
		if (n > DAEMON_ARGS_MAX)
			return err_set(e, ERR_INVALID, "more than %d arguments", DAEMON_ARGS_MAX);
		argv[n++] = (char *)*arg;
	}
	argv[n] = NULL;
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attributes);
	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(&attributes, &none);
	posix_spawnattr_setsigdefault(&attributes, &all);
	posix_spawnattr_setflags(
		&attributes, (short)(POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
				     (spec->log ? POSIX_SPAWN_SETSID : 0)));
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(
		&files, spec->stdout_fd >= 0 ? spec->stdout_fd : log_fd, 1);
	posix_spawn_file_actions_adddup2(&files, log_fd, 2);
	/* Descriptors above 2 that we were started with are nobody's business there. */
	posix_spawn_file_actions_addclosefrom_np(&files, 3);
	failed = posix_spawn(pid, path, &files, &attributes, argv, envp);
	posix_spawn_file_actions_destroy(&files);
	posix_spawnattr_destroy(&attributes);
	if (failed) {
		errno = failed;
		return err_errno(e, "start %s", path);
	}
	return 0;
}

int daemon_start(const struct daemon_spec *spec, pid_t *pid, struct err *e)
{
	_cleanup_close_ int log_fd = -1;
	char path[PATHS_MAX];

	if (paths_program(spec->program, path, e) < 0)
		return -1;
	if (spec->log) {
		log_fd = open_log(spec->log, e);
	} else {
		log_fd = fcntl(2, F_DUPFD_CLOEXEC, 3);
		if (log_fd < 0)
			return err_errno(e, "stderr");
	}
	if (log_fd < 0)
		return -1;
	return start(spec, path, log_fd, pid, e);
}

static const char *note_path(const struct paths *p, const char *name, char *out, size_t size)
{
	snprintf(out, size, "%.*s/%s.pid", PATHS_MAX - 1, p->state_dir, name);
	return out;
}

/* Put in place whole: who reads it meanwhile sees the old one or the new. */
int daemon_note_write(
	const struct paths *p, const char *name, const struct daemon_note *note, struct err *e)
{
	char path[PATHS_MAX + 32], fresh[PATHS_MAX + 40];
	_cleanup_fclose_ FILE *f = NULL;

	note_path(p, name, path, sizeof(path));
	snprintf(fresh, sizeof(fresh), "%s.new", path);
	f = fopen(fresh, "we");
	if (!f ||
		fprintf(f, "%d %lld %d %s\n", (int)note->pid, (long long)note->started, note->port,
			note->base) < 0 ||
		fflush(f) != 0 || rename(fresh, path) < 0)
		return err_errno(e, "write %s", path);
	return 0;
}

bool daemon_note_read(const struct paths *p, const char *name, struct daemon_note *note)
{
	char path[PATHS_MAX + 32];
	_cleanup_fclose_ FILE *f = NULL;
	_cleanup_close_ int pidfd = -1;
	long long started;
	int pid;

	note->base[0] = '\0';
	f = fopen(note_path(p, name, path, sizeof(path)), "re");
	if (!f || fscanf(f, "%d %lld %d %255s", &pid, &started, &note->port, note->base) < 3 ||
		pid <= 1)
		return false;
	note->pid = pid;
	note->started = started;
	pidfd = daemon_pidfd(pid);
	/* One that is dead but not reaped yet has gone, too. */
	return pidfd >= 0 && started > 0 && process_started(pid) == started &&
	       !daemon_wait_end(pidfd, 0);
}

void daemon_note_remove(const struct paths *p, const char *name)
{
	char path[PATHS_MAX + 32];

	unlink(note_path(p, name, path, sizeof(path)));
}

int daemon_pidfd(pid_t pid)
{
	return (int)syscall(SYS_pidfd_open, pid, 0);
}

bool daemon_wait_end(int pidfd, int timeout_ms)
{
	int64_t deadline = clock_now_ms() + timeout_ms;
	struct pollfd p = {.fd = pidfd, .events = POLLIN};

	for (;;) {
		int64_t left = deadline - clock_now_ms();
		int got = poll(&p, 1, left > 0 ? (int)left : 0);

		if (got > 0)
			return true;
		if (got == 0 || errno != EINTR)
			return false;
	}
}

int64_t daemon_log_size(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && st.st_size <= DAEMON_LOG_MAX ? st.st_size : 0;
}

void daemon_log_tail(const char *path, int64_t from, char *out, size_t size)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	int64_t start;
	struct stat st;
	ssize_t n;

	*out = 0;
	if (fd < 0 || fstat(fd, &st) < 0)
		return;
	start = st.st_size > (off_t)size - 1 ? st.st_size - (off_t)(size - 1) : 0;
	n = pread(fd, out, size - 1, start > from ? start : from);
	out[n > 0 ? n : 0] = 0;
	/* A line cut at its front is left out. */
	if (start > from && strchr(out, '\n')) {
		char *line = strchr(out, '\n') + 1;

		memmove(out, line, strlen(line) + 1);
	}
}
