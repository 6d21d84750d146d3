/* Children: started, fed, read, ended, swept. */
#include "shared/child.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/child_list.h"
#include "shared/cleanup.h"

#define CHILD_READ_BYTES (64 * 1024)
#define CHILD_ARGS_MAX 4096
#define CHILD_DRAIN_MS 1000 /* output silent for two of these behind the end is given up */
#define SETPRIV "/usr/bin/setpriv"

struct child {
	struct child_link link;
	uv_loop_t *loop;
	uv_poll_t end;
	int pidfd;
	uv_pipe_t in;
	uv_pipe_t out[2]; /* stdout, stderr */
	uv_timer_t timer; /* grace of child_end, then the wait for output's end */
	bool in_open;
	bool in_ending; /* closes when what is queued has gone out */
	bool out_open[2];
	bool end_open;
	bool timer_open;
	bool exited;
	bool quiet; /* no output since the timer last rang */
	bool paused;
	bool ending; /* our handles are being closed */
	int handles; /* that have not been closed yet */
	int pid;
	int code;
	struct child_events events;
	void *arg;
	char buffer[CHILD_READ_BYTES];
};

struct child_write {
	uv_write_t req;
	char data[];
};

/* --- the end --- */

static void handle_closed(uv_handle_t *h)
{
	struct child *c = h->data;

	if (--c->handles > 0 || !c->ending)
		return;
	cleanup_close(&c->pidfd);
	if (c->events.done)
		c->events.done(c->arg, c->code);
	free(c);
}

static void close_handle(bool *open, uv_handle_t *h)
{
	if (!*open)
		return;
	*open = false;
	uv_close(h, handle_closed);
}

/* Reaped and all output at EOF: now the rest may go. */
static void finish_if_done(struct child *c)
{
	if (!c->exited || c->out_open[0] || c->out_open[1] || c->ending)
		return;
	c->ending = true;
	close_handle(&c->in_open, (uv_handle_t *)&c->in);
	close_handle(&c->timer_open, (uv_handle_t *)&c->timer);
	close_handle(&c->end_open, (uv_handle_t *)&c->end);
}

static void close_output(struct child *c, int i)
{
	close_handle(&c->out_open[i], (uv_handle_t *)&c->out[i]);
}

static void drain_over(uv_timer_t *t)
{
	struct child *c = t->data;

	/* A holder that cannot be killed must not keep a dead child alive; but what
	 * still comes, or waits because we paused, is read. */
	if (c->quiet && !c->paused) {
		close_output(c, 0);
		close_output(c, 1);
		finish_if_done(c);
		return;
	}
	c->quiet = true;
}

static void process_ended(uv_poll_t *end, int poll_status, int events)
{
	struct child *c = end->data;
	int subreaper = 0, status = SIGKILL; /* if somebody else has reaped it */

	(void)poll_status;
	(void)events;
	if (waitpid(c->pid, &status, WNOHANG) == 0)
		return; /* woken for nothing */
	uv_poll_stop(end);
	c->exited = true;
	c->code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	child_list_remove(&c->link);
	if (c->events.exited)
		c->events.exited(c->arg, c->code);
	/* The group outlives its leader: background jobs, and holders of our pipes. */
	kill(-c->pid, SIGKILL);
	if (prctl(PR_GET_CHILD_SUBREAPER, &subreaper) == 0 && subreaper)
		child_sweep();
	c->quiet = false;
	uv_timer_start(&c->timer, drain_over, CHILD_DRAIN_MS, CHILD_DRAIN_MS);
	finish_if_done(c);
}

/* --- output --- */

static void give_buffer(uv_handle_t *h, size_t suggested, uv_buf_t *buf)
{
	struct child *c = h->data;

	(void)suggested;
	*buf = uv_buf_init(c->buffer, sizeof(c->buffer));
}

static void output_came(uv_stream_t *stream, ssize_t n, const uv_buf_t *buf)
{
	struct child *c = stream->data;
	int i = stream == (uv_stream_t *)&c->out[1];

	if (n > 0) {
		c->quiet = false;
		if (c->events.output)
			c->events.output(c->arg, i + 1, buf->base, (size_t)n);
	} else if (n < 0) {
		close_output(c, i);
		if (!c->exited && c->events.closed)
			c->events.closed(c->arg, i + 1);
		finish_if_done(c);
	}
}

void child_pause_output(struct child *c, bool paused)
{
	if (c->paused == paused)
		return;
	c->paused = paused;
	for (int i = 0; i < 2; i++) {
		if (!c->out_open[i])
			continue;
		if (paused)
			uv_read_stop((uv_stream_t *)&c->out[i]);
		else
			uv_read_start((uv_stream_t *)&c->out[i], give_buffer, output_came);
	}
	c->quiet = false;
}

/* --- start --- */

/* Whatever a library opened without O_CLOEXEC stays with us. */
static void seal_descriptors(void)
{
	if (close_range(3, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
	/* Kernels before 5.11. */
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/fd");
	struct dirent *entry;

	while (dir && (entry = readdir(dir))) {
		int fd = atoi(entry->d_name);
		if (fd > 2)
			fcntl(fd, F_SETFD, FD_CLOEXEC);
	}
}

/* A pipe of which *ours is non-blocking and *theirs blocking. reading: we read. */
static int open_pipe(bool reading, int *ours, int *theirs)
{
	uv_file fds[2];
	int code = uv_pipe(fds, reading ? UV_NONBLOCK_PIPE : 0, reading ? 0 : UV_NONBLOCK_PIPE);

	if (code != 0)
		return code;
	*ours = fds[reading ? 0 : 1];
	*theirs = fds[reading ? 1 : 0];
	return 0;
}

/* The child's three descriptors: ours[i] is our end of a pipe or -1. */
struct stdio {
	int ours[3];
	int theirs[3];
};

static void stdio_close(struct stdio *s)
{
	for (int i = 0; i < 3; i++) {
		cleanup_close(&s->ours[i]);
		cleanup_close(&s->theirs[i]);
	}
}

static int stdio_open(struct stdio *s, const struct child_spec *spec)
{
	bool piped[3] = {spec->pipe_stdin, spec->pipe_stdout, spec->pipe_stderr};

	for (int i = 0; i < 3; i++)
		s->ours[i] = s->theirs[i] = -1;
	for (int i = 0; i < 3; i++) {
		int code = piped[i] ? open_pipe(i > 0, &s->ours[i], &s->theirs[i]) : 0;

		if (code != 0)
			return code;
	}
	return 0;
}

/* argv, behind the guard or setpriv if the child shall die with us. NULL: too many. */
static char **build_argv(const struct child_spec *spec, const char *us)
{
	static const char *const with_us[] = {SETPRIV, "--pdeathsig", "KILL", "--"};
	const char *const guarded[] = {spec->guard, spec->pid_namespace, us};
	const char *const *prefix = spec->guard ? guarded : with_us;
	size_t n = 0;
	size_t skip = 0;
	const char **argv;

	while (spec->argv[n])
		if (++n > CHILD_ARGS_MAX)
			return NULL;
	if (spec->guard)
		skip = sizeof(guarded) / sizeof(guarded[0]);
	else if (spec->die_with_us && access(SETPRIV, X_OK) == 0)
		skip = sizeof(with_us) / sizeof(with_us[0]);
	argv = calloc(n + skip + 1, sizeof(*argv));
	if (!argv)
		err_out_of_memory();
	memcpy(argv, prefix, skip * sizeof(*argv));
	memcpy(argv + skip, spec->argv, n * sizeof(*argv));
	return (char **)argv;
}

static struct child *child_new(uv_loop_t *loop, const struct child_events *events, void *arg)
{
	struct child *c = calloc(1, sizeof(*c));

	if (!c)
		err_out_of_memory();
	c->loop = loop;
	c->events = *events;
	c->arg = arg;
	c->pidfd = -1;
	c->end.data = c->timer.data = c->in.data = c->out[0].data = c->out[1].data = c;
	uv_timer_init(loop, &c->timer);
	c->timer_open = true;
	c->handles++;
	return c;
}

/* Our ends become streams; the descriptors are theirs then. */
static void attach_pipes(struct child *c, struct stdio *s)
{
	if (s->ours[0] >= 0) {
		uv_pipe_init(c->loop, &c->in, 0);
		uv_pipe_open(&c->in, take_fd(&s->ours[0]));
		c->in_open = true;
		c->handles++;
	}
	for (int i = 0; i < 2; i++) {
		if (s->ours[i + 1] < 0)
			continue;
		uv_pipe_init(c->loop, &c->out[i], 0);
		uv_pipe_open(&c->out[i], take_fd(&s->ours[i + 1]));
		uv_read_start((uv_stream_t *)&c->out[i], give_buffer, output_came);
		c->out_open[i] = true;
		c->handles++;
	}
}

static int start_error(struct err *e, int code, const struct child_spec *spec)
{
	enum err_kind kind = ERR_SYS;

	if (code == UV_ENOENT || code == UV_ENOTDIR)
		kind = ERR_NOT_FOUND;
	else if (code == UV_EACCES || code == UV_EPERM)
		kind = ERR_DENIED;
	return err_set(e, kind, "start %s%s%s: %s", spec->argv[0], spec->cwd ? " in " : "",
		spec->cwd ? spec->cwd : "", uv_strerror(code));
}

/* Sources below 3 are copied out of the way, so that no dup2 overwrites a later one's. */
static int plan_stdio(posix_spawn_file_actions_t *actions, const struct child_spec *spec,
	const struct stdio *s, int copies[3])
{
	int named[3] = {-1, spec->stdout_fd, spec->stderr_fd};
	int code = 0;

	for (int i = 0; i < 3 && code == 0; i++) {
		int fd = s->theirs[i] >= 0 ? s->theirs[i] : named[i];

		if (fd >= 0 && fd < 3 && fd != i) {
			fd = copies[i] = fcntl(fd, F_DUPFD_CLOEXEC, 3);
			if (fd < 0)
				return errno;
		}
		code = fd < 0 ? posix_spawn_file_actions_addopen(
					actions, i, "/dev/null", i == 0 ? O_RDONLY : O_RDWR, 0)
			      : posix_spawn_file_actions_adddup2(actions, fd, i);
	}
	if (code == 0 && spec->cwd)
		code = posix_spawn_file_actions_addchdir_np(actions, spec->cwd);
	return code;
}

/* A session and group of its own; no signal blocked or ignored. */
static int plan_signals(posix_spawnattr_t *attributes)
{
	sigset_t none, all;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawnattr_setsigmask(attributes, &none);
	posix_spawnattr_setsigdefault(attributes, &all);
	return posix_spawnattr_setflags(
		attributes, POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
}

/* An errno; 0: c->pid runs. The child shares our memory until its exec, so nothing of ours
 * is copied for it. */
static int launch(
	struct child *c, const struct child_spec *spec, const struct stdio *s, char *const *argv)
{
	static char *no_env[] = {NULL};
	char **env = spec->env ? (char **)(uintptr_t)spec->env : no_env;
	int copies[3] = {-1, -1, -1};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attributes;
	int code;

	posix_spawn_file_actions_init(&actions);
	posix_spawnattr_init(&attributes);
	code = plan_stdio(&actions, spec, s, copies);
	if (code == 0)
		code = plan_signals(&attributes);
	if (code == 0)
		code = posix_spawn(&c->pid, argv[0], &actions, &attributes, argv, env);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attributes);
	for (int i = 0; i < 3; i++)
		cleanup_close(&copies[i]);
	return code;
}

/* Its end is heard of through a pidfd. */
static int watch_end(struct child *c)
{
	int code;

	c->pidfd = (int)syscall(SYS_pidfd_open, c->pid, 0);
	code = c->pidfd < 0 ? -errno : uv_poll_init(c->loop, &c->end, c->pidfd);
	if (code == 0) {
		c->end_open = true;
		c->handles++;
		code = uv_poll_start(&c->end, UV_READABLE, process_ended);
	}
	if (code == 0)
		return 0;
	kill(c->pid, SIGKILL); /* one that we could not hear of */
	waitpid(c->pid, NULL, 0);
	return code;
}

static int spawn(struct child *c, const struct child_spec *spec, struct stdio *s)
{
	char us[16];
	char **argv;
	int code;

	/* Behind another program a missing program would only show as an exit code. */
	if (spec->argv[0][0] != '/')
		return UV_ENOENT;
	if (access(spec->argv[0], X_OK) < 0)
		return -errno;
	snprintf(us, sizeof(us), "%d", getpid());
	argv = build_argv(spec, us);
	if (!argv)
		return UV_E2BIG;
	seal_descriptors();
	code = -launch(c, spec, s, argv);
	free(argv);
	return code == 0 ? watch_end(c) : code;
}

struct child *child_start(uv_loop_t *loop, const struct child_spec *spec,
	const struct child_events *events, void *arg, struct err *e)
{
	struct child *c = child_new(loop, events, arg);
	struct sigaction ignore = {.sa_handler = SIG_IGN};
	struct stdio s;
	int code = stdio_open(&s, spec);

	/* A write to a child that has closed its stdin is an error, not our death. */
	sigaction(SIGPIPE, &ignore, NULL);
	if (code == 0)
		code = spawn(c, spec, &s);
	if (code == 0) {
		c->link.pid = c->pid;
		child_list_add(&c->link);
		attach_pipes(c, &s);
		stdio_close(&s);
		return c;
	}
	stdio_close(&s);
	start_error(e, code, spec);
	memset(&c->events, 0, sizeof(c->events));
	c->exited = true;
	finish_if_done(c);
	return NULL;
}

int child_pid(const struct child *c)
{
	return c->pid;
}

/* --- stdin --- */

static void written(uv_write_t *req, int status)
{
	struct child *c = req->handle->data;

	if (status < 0 && status != UV_ECANCELED && !c->exited && !c->ending && c->events.closed)
		c->events.closed(c->arg, 0);
	free(req->data);
}

int child_write(struct child *c, const void *data, size_t n, struct err *e)
{
	struct child_write *w;
	uv_buf_t buf;
	int code;

	if (!c->in_open || c->in_ending)
		return err_set(e, ERR_CONFLICT, "write to process %d: its input is closed", c->pid);
	if (n > CHILD_STDIN_MAX ||
		uv_stream_get_write_queue_size((uv_stream_t *)&c->in) > CHILD_STDIN_MAX - n)
		return err_set(
			e, ERR_LIMIT, "write to process %d: it does not read its input", c->pid);
	w = malloc(sizeof(*w) + n);
	if (!w)
		err_out_of_memory();
	if (n > 0)
		memcpy(w->data, data, n);
	w->req.data = w;
	buf = uv_buf_init(w->data, (unsigned)n);
	code = uv_write(&w->req, (uv_stream_t *)&c->in, &buf, 1, written);
	if (code == 0)
		return 0;
	free(w);
	return err_set(e, ERR_SYS, "write to process %d: %s", c->pid, uv_strerror(code));
}

static void shut_down(uv_shutdown_t *req, int status)
{
	struct child *c = req->handle->data;

	free(req);
	if (status != UV_ECANCELED)
		close_handle(&c->in_open, (uv_handle_t *)&c->in);
}

void child_close_stdin(struct child *c)
{
	uv_shutdown_t *req;

	if (!c->in_open || c->in_ending)
		return;
	c->in_ending = true;
	req = calloc(1, sizeof(*req));
	if (!req)
		err_out_of_memory();
	if (uv_shutdown(req, (uv_stream_t *)&c->in, shut_down) != 0) {
		free(req);
		close_handle(&c->in_open, (uv_handle_t *)&c->in);
	}
}

/* --- signals --- */

void child_signal(struct child *c, int signal)
{
	if (!c->exited)
		kill(-c->pid, signal);
}

static void grace_over(uv_timer_t *t)
{
	child_signal(t->data, SIGKILL);
}

void child_end(struct child *c, int grace_ms)
{
	if (c->exited)
		return;
	if (grace_ms <= 0) {
		child_signal(c, SIGKILL);
		return;
	}
	child_signal(c, SIGTERM);
	/* A stopped process takes TERM only when it goes on. */
	child_signal(c, SIGCONT);
	if (!uv_is_active((uv_handle_t *)&c->timer) ||
		uv_timer_get_due_in(&c->timer) > (uint64_t)grace_ms)
		uv_timer_start(&c->timer, grace_over, (uint64_t)grace_ms, 0);
}

void child_end_all(int grace_ms)
{
	/* Signals only: the list changes when the loop hears of an end. The link is the
	 * first member. */
	for (struct child_link *l = child_list_first(); l; l = l->next)
		child_end((struct child *)l, grace_ms);
}

void child_abandon(struct child *c)
{
	memset(&c->events, 0, sizeof(c->events));
	uv_unref((uv_handle_t *)&c->end);
	uv_unref((uv_handle_t *)&c->timer);
	for (int i = 0; i < 2; i++)
		if (c->out_open[i])
			uv_unref((uv_handle_t *)&c->out[i]);
	if (c->in_open)
		uv_unref((uv_handle_t *)&c->in);
}

int child_die_with_parent(int parent, struct err *e)
{
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
		return err_errno(e, "ask to be killed with the parent process");
	if (getppid() == 1 || (parent > 0 && getppid() != parent))
		return err_set(e, ERR_CANCELLED, "the parent process is dead already");
	return 0;
}
