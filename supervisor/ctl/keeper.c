#include "supervisor/ctl/keeper.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <fcntl.h>
#include <unistd.h>

#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/lock.h"
#include "shared/log.h"
#include "shared/notify.h"
#include "supervisor/ctl/keep.h"

enum { SUPERVISOR, WEBUI, PARTS };

struct part {
	struct keep keep;
	const char *name; /* for people */
	const char *program;
	const char *const *args; /* NULL: not wanted */
	const char *once;	 /* one more, for the first start alone; may be NULL */
	char log[PATHS_MAX + 32];
	int64_t log_from; /* its bytes before this start */
	pid_t pid;	  /* 0: does not run */
	int pidfd;
	bool adopted;
};

struct keeper {
	const struct keeper_spec *spec;
	struct part parts[PARTS];
	struct notify manager;
	struct daemon_note page;
	char socket[PATHS_MAX + 16]; /* where the parts speak to us */
	int64_t watch_ms, beat_ms;
	int signals, heard;
	bool ready;	 /* all of it was up once */
	bool ending;	 /* no part is started any more */
	bool left;	 /* the parts go on without us */
	bool failed;	 /* why: in error */
	int64_t kill_ms; /* when ending turns into killing */
	struct err error;
};

static void send_signal(const struct part *p, int signal)
{
	if (p->pid > 0)
		syscall(SYS_pidfd_send_signal, p->pidfd, signal, NULL, 0);
}

static void end_all(struct keeper *k)
{
	if (k->ending)
		return;
	k->ending = true;
	k->kill_ms = clock_now_ms() + KEEPER_END_MS;
	notify_send(&k->manager, "STOPPING=1");
	for (int i = 0; i < PARTS; i++)
		send_signal(&k->parts[i], SIGTERM);
}

/* What it said last is the best reason there is. */
static void describe(const struct keeper *k, const struct part *p, const char *what, struct err *e)
{
	char tail[600] = "";

	if (!k->spec->foreground)
		daemon_log_tail(p->log, p->log_from, tail, sizeof(tail));
	err_set(e, ERR_UNAVAILABLE, "%s %s: %s", p->name, what,
		*tail ? tail : "see what it said above");
}

static void told(struct keeper *k, const char *field)
{
	char line[600];

	/* A datagram's field is one line. */
	snprintf(line, sizeof(line), "%.*s", (int)sizeof(line) - 1, k->error.text);
	for (char *c = line; *c; c++)
		if (*c == '\n')
			*c = ' ';
	notify_send(&k->manager, "%s=%s\nSTATUS=%s", field, line, line);
}

static void fail(struct keeper *k)
{
	k->failed = true;
	told(k, "X_ERROR");
	end_all(k);
}

static void watch(struct part *p, pid_t pid, bool adopted)
{
	p->pid = pid;
	p->pidfd = daemon_pidfd(pid);
	p->adopted = adopted;
}

static int spawn(struct keeper *k, struct part *p, struct err *e)
{
	_cleanup_close_ int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
	char where[sizeof(k->socket) + 32], watchdog[64];
	const char *env[] = {where, watchdog, NULL}, *args[DAEMON_ARGS_MAX + 1];
	size_t n = 0;
	/* The page prints its token on stdout: that stays between it and a terminal. */
	struct daemon_spec spec = {.program = p->program,
		.args = args,
		.log = k->spec->foreground ? NULL : p->log,
		.stdout_fd = null,
		.env = env};
	pid_t pid;

	for (const char *const *arg = p->args; *arg && n < DAEMON_ARGS_MAX - 1; arg++)
		args[n++] = *arg;
	args[n++] = p->once;
	args[n] = p->once = NULL;
	snprintf(where, sizeof(where), "NOTIFY_SOCKET=%s", k->socket);
	snprintf(watchdog, sizeof(watchdog), "WATCHDOG_USEC=%lld", (long long)k->watch_ms * 1000);
	p->log_from = daemon_log_size(p->log);
	if (daemon_start(&spec, &pid, e) < 0)
		return -1;
	watch(p, pid, false);
	if (k->ready)
		log_info("%s is started again, pid %d", p->name, (int)pid);
	return 0;
}

static void happened(struct keeper *k, struct part *p, enum keep_event event, int code);

/* It could not even be started: as if it had ended at once. */
static void act(struct keeper *k, struct part *p, enum keep_todo todo)
{
	struct err e;

	switch (todo) {
	case KEEP_NOTHING:
		break;
	case KEEP_SPAWN:
		if (spawn(k, p, &e) < 0) {
			log_error("%s: %s", p->name, e.text);
			k->error = e;
			happened(k, p, KEEP_ENDED, EXIT_FAILURE);
		}
		break;
	case KEEP_KILL:
		log_error("%s, pid %d, has given no sign of life for %lld s: it is killed and "
			  "started again",
			p->name, (int)p->pid, (long long)k->watch_ms / 1000);
		send_signal(p, SIGKILL);
		break;
	case KEEP_LEFT:
		log_info("%s has ended", p->name);
		if (p == &k->parts[SUPERVISOR])
			end_all(k);
		break;
	case KEEP_LOST:
		describe(k, p, "cannot run", &k->error);
		k->error.kind = ERR_CONFLICT;
		log_error("%s", k->error.text);
		if (p == &k->parts[SUPERVISOR])
			fail(k);
		break;
	}
}

static void all_ready(struct keeper *k)
{
	k->ready = true;
	notify_send(&k->manager, "READY=1");
	if (k->spec->ready)
		k->spec->ready(k->spec->arg, &k->page);
}

/* The first start: what fails now is told to who started us. */
static void first_failure(struct keeper *k, struct part *p, int code)
{
	if (p->pid == 0 && code == EXIT_FAILURE && k->error.kind != ERR_NONE)
		err_wrap(&k->error, "%s did not start", p->name);
	else
		describe(k, p, p == &k->parts[WEBUI] ? "did not start" : "ended", &k->error);
	if (p->keep.state == KEEP_DOWN)
		k->error.kind = ERR_CONFLICT;
	/* What ran before us is kept, even without a page. */
	if (p == &k->parts[WEBUI] && k->parts[SUPERVISOR].adopted) {
		told(k, "X_ERROR");
		all_ready(k);
		return;
	}
	fail(k);
}

static void happened(struct keeper *k, struct part *p, enum keep_event event, int code)
{
	int64_t now = clock_now_ms();
	enum keep_state before = p->keep.state;
	enum keep_todo todo;

	if (event == KEEP_ENDED && k->ending)
		return;
	todo = keep_step(&p->keep, event, code, now);
	if (event == KEEP_ENDED && !k->ready && todo != KEEP_LEFT) {
		first_failure(k, p, code);
		return;
	}
	if (event == KEEP_ENDED && todo == KEEP_NOTHING && before != p->keep.state) {
		char how[32] = "";

		if (code != KEEP_CODE_UNKNOWN)
			snprintf(how, sizeof(how), ", %s %d", code < 0 ? "signal" : "code",
				abs(code));
		log_error("%s has ended unasked%s: it is started again in %lld ms", p->name, how,
			(long long)(p->keep.deadline_ms - now));
		notify_send(&k->manager, "STATUS=%s has crashed and is started again", p->name);
	}
	act(k, p, todo);
	if (k->ready || k->ending || event != KEEP_READY)
		return;
	if (p == &k->parts[SUPERVISOR] && k->parts[WEBUI].args)
		happened(k, &k->parts[WEBUI], KEEP_START, 0);
	else
		all_ready(k);
}

/* --- what comes in --- */

static void page_ready(struct keeper *k, const struct part *p, const char *text)
{
	char port[16];
	struct err e;

	k->page.pid = p->pid;
	k->page.started = process_started(p->pid);
	k->page.port =
		notify_value(text, "X_PORT", port, sizeof(port)) ? (int)strtol(port, NULL, 10) : 0;
	if (!notify_value(text, "X_BASE", k->page.base, sizeof(k->page.base)))
		k->page.base[0] = '\0';
	if (daemon_note_write(k->spec->paths, DAEMON_PAGE, &k->page, &e) < 0)
		log_warn("%s", e.text);
}

static void hear(struct keeper *k)
{
	char text[NOTIFY_MAX], value[256];
	pid_t pid;

	while (notify_read(k->heard, text, &pid) > 0) {
		struct part *p = NULL;

		for (int i = 0; i < PARTS; i++)
			if (k->parts[i].pid == pid)
				p = &k->parts[i];
		if (!p)
			continue;
		if (notify_value(text, "STATUS", value, sizeof(value)) && p == k->parts)
			notify_send(&k->manager, "STATUS=%s", value);
		if (notify_value(text, "STOPPING", value, sizeof(value)))
			happened(k, p, KEEP_STOPPING, 0);
		if (notify_value(text, "READY", value, sizeof(value))) {
			if (p == &k->parts[WEBUI])
				page_ready(k, p, text);
			happened(k, p, KEEP_READY, 0);
		} else if (notify_value(text, "WATCHDOG", value, sizeof(value))) {
			happened(k, p, KEEP_BEAT, 0);
		}
	}
}

static void reap(struct keeper *k, struct part *p)
{
	int status, code = KEEP_CODE_UNKNOWN;

	if (!p->adopted && waitpid(p->pid, &status, WNOHANG) == p->pid)
		code = WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
	close(p->pidfd);
	p->pidfd = -1;
	p->pid = 0;
	if (p == &k->parts[WEBUI])
		daemon_note_remove(k->spec->paths, DAEMON_PAGE);
	happened(k, p, KEEP_ENDED, code);
}

static void hear_signals(struct keeper *k)
{
	struct signalfd_siginfo info;

	while (read(k->signals, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		if (info.ssi_signo == SIGUSR1)
			k->left = !k->spec->foreground;
		else
			end_all(k);
	}
}

/* --- time --- */

static void on_time(struct keeper *k)
{
	int64_t now = clock_now_ms();

	for (int i = 0; i < PARTS; i++) {
		if (!k->ending)
			happened(k, &k->parts[i], KEEP_TIME, 0);
		else if (now >= k->kill_ms)
			send_signal(&k->parts[i], SIGKILL);
	}
	if (k->manager.watchdog_ms && now >= k->beat_ms) {
		notify_send(&k->manager, "WATCHDOG=1");
		k->beat_ms = now + k->manager.watchdog_ms / 2;
	}
}

static int sooner(int64_t deadline_ms, int wait_ms)
{
	int64_t left = deadline_ms - clock_now_ms();

	if (deadline_ms == 0)
		return wait_ms;
	if (left < 0)
		left = 0;
	return wait_ms < 0 || left < wait_ms ? (int)left : wait_ms;
}

static int time_left(const struct keeper *k)
{
	int wait_ms = k->manager.watchdog_ms ? sooner(k->beat_ms, -1) : -1;

	if (k->ending)
		return sooner(k->kill_ms > clock_now_ms() ? k->kill_ms : 0, wait_ms);
	for (int i = 0; i < PARTS; i++)
		wait_ms = sooner(k->parts[i].keep.deadline_ms, wait_ms);
	return wait_ms;
}

static bool going_on(const struct keeper *k)
{
	return !k->left && (!k->ending || k->parts[SUPERVISOR].pid || k->parts[WEBUI].pid);
}

static void go_on(struct keeper *k)
{
	while (going_on(k)) {
		struct pollfd fds[] = {{.fd = k->signals, .events = POLLIN},
			{.fd = k->heard, .events = POLLIN},
			{.fd = k->parts[SUPERVISOR].pidfd, .events = POLLIN},
			{.fd = k->parts[WEBUI].pidfd, .events = POLLIN}};

		poll(fds, sizeof(fds) / sizeof(fds[0]), time_left(k));
		hear_signals(k);
		/* First what they said, then that they are gone, then that time is up. */
		hear(k);
		for (int i = 0; i < PARTS; i++)
			if (fds[2 + i].revents && k->parts[i].pid)
				reap(k, &k->parts[i]);
		on_time(k);
	}
}

/* --- start --- */

/* The supervisor that holds the lock, or 0. */
static pid_t running_supervisor(const struct paths *p)
{
	char path[PATHS_MAX + 32];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof(path), "%.*s/supervisor.lock", PATHS_MAX - 1, p->state_dir);
	fd = open(path, O_RDWR | O_CLOEXEC);
	return fd < 0 ? 0 : lock_holder(fd);
}

/* One that an earlier keeper started speaks to the same socket. */
static bool speaks_to_us(const struct keeper *k, pid_t pid)
{
	char path[64], want[sizeof(k->socket) + 16], entry[sizeof(want)];
	_cleanup_fclose_ FILE *f = NULL;
	size_t n = 0;
	int c;

	snprintf(path, sizeof(path), "/proc/%d/environ", (int)pid);
	snprintf(want, sizeof(want), "NOTIFY_SOCKET=%s", k->socket);
	f = fopen(path, "re");
	while (f && (c = getc(f)) != EOF) {
		if (n < sizeof(entry))
			entry[n++] = (char)c;
		if (c)
			continue;
		if (n == strlen(want) + 1 && memcmp(entry, want, n) == 0)
			return true;
		n = 0;
	}
	return false;
}

static void adopt(const struct keeper *k, struct part *p, pid_t pid)
{
	watch(p, pid, true);
	if (p->pidfd < 0) {
		p->pid = 0;
		return;
	}
	log_info("%s runs already, pid %d", p->name, (int)pid);
	keep_step(&p->keep, KEEP_ADOPTED, speaks_to_us(k, pid), clock_now_ms());
}

static void begin(struct keeper *k)
{
	struct part *supervisor = &k->parts[SUPERVISOR], *webui = &k->parts[WEBUI];
	pid_t pid = running_supervisor(k->spec->paths);

	if (pid > 1)
		adopt(k, supervisor, pid);
	if (webui->args && daemon_note_read(k->spec->paths, DAEMON_PAGE, &k->page))
		adopt(k, webui, k->page.pid);
	if (!supervisor->pid)
		happened(k, supervisor, KEEP_START, 0);
	else if (webui->args && !webui->pid)
		happened(k, webui, KEEP_START, 0);
	else
		all_ready(k);
}

static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGUSR1);
	sigprocmask(SIG_BLOCK, &set, NULL);
	signal(SIGPIPE, SIG_IGN);
	return signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static void set_part(
	struct keeper *k, int i, const char *name, const char *program, const char *const *args)
{
	struct part *p = &k->parts[i];

	p->name = name;
	p->program = program;
	p->args = args;
	p->pidfd = -1;
	p->keep.watch_ms = k->watch_ms;
	snprintf(p->log, sizeof(p->log), "%.*s/logs/%s.log", PATHS_MAX - 1,
		k->spec->paths->state_dir, program + strlen("100x-"));
}

/* Held, open, until we end: two keepers would fight over who starts what. */
static int lock(const struct paths *p, struct err *e)
{
	char path[PATHS_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%.*s/keeper.lock", PATHS_MAX - 1, p->run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	if (lock_file(fd) == 0)
		return fd;
	close(fd);
	return err_set(e, ERR_CONFLICT, "it is up already: `100x down` first");
}

static int prepare(struct keeper *k, struct err *e)
{
	struct daemon_note own = {
		.pid = getpid(), .started = process_started(getpid()), .port = k->spec->foreground};

	k->signals = block_signals();
	k->watch_ms = k->manager.watchdog_ms ? k->manager.watchdog_ms : KEEPER_WATCH_MS;
	set_part(k, SUPERVISOR, "the supervisor", "100x-supervisor", k->spec->supervisor);
	k->parts[SUPERVISOR].once = k->spec->once;
	set_part(k, WEBUI, "the page", "100x-webui", k->spec->webui);
	snprintf(k->socket, sizeof(k->socket), "%.*s/notify", PATHS_MAX - 1,
		k->spec->paths->run_dir);
	k->heard = notify_listen(k->socket, e);
	return k->heard < 0 ? -1 : daemon_note_write(k->spec->paths, DAEMON_KEEPER, &own, e);
}

int keeper_run(const struct keeper_spec *spec, struct err *e)
{
	struct keeper k = {.spec = spec, .signals = -1, .heard = -1};
	_cleanup_close_ int held = -1;

	notify_init(&k.manager);
	held = lock(spec->paths, e);
	if (held < 0 || prepare(&k, e) < 0)
		return -1;
	begin(&k);
	go_on(&k);
	if (!k.left)
		unlink(k.socket);
	daemon_note_remove(spec->paths, DAEMON_KEEPER);
	notify_clear(&k.manager);
	close(k.heard);
	close(k.signals);
	if (!k.failed)
		return 0;
	*e = k.error;
	return -1;
}
