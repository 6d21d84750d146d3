/* up: starts the keeper in the background and waits until all of it runs, or is it. */
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/json.h"
#include "shared/notify.h"
#include "shared/rpc.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/daemon.h"
#include "supervisor/ctl/keeper.h"

#define READY_MS (6 * 60 * 1000) /* more than the keeper gives its programs */
#define LEAVE_MS 5000
#define DEFAULT_PORT 5000
#define URL_MAX 512

struct up {
	struct ctl *ctl;
	const struct args *args;
	bool foreground;
	int port;
	char port_text[16];
	char url[URL_MAX]; /* to sign in; "" without a page */
	const char *supervisor[8];
	const char *webui[DAEMON_ARGS_MAX];
};

/* Options of `up` that are the page's own. */
static size_t page_options(const struct args *a, const char **out, size_t max)
{
	static const char *const options[][2] = {{"bind", "--bind"}, {"allow-host", "--allow-host"},
		{"behind-proxy", "--behind-proxy"}};
	size_t n = 0;

	for (size_t i = 0; i < a->given_count && n + 2 < max; i++) {
		for (size_t o = 0; o < sizeof(options) / sizeof(options[0]); o++) {
			if (strcmp(a->given[i].option->name, options[o][0]) != 0)
				continue;
			out[n++] = options[o][1];
			if (a->given[i].value)
				out[n++] = a->given[i].value;
		}
	}
	return n;
}

static void arguments(struct up *u)
{
	const struct paths *p = &u->ctl->paths;
	size_t n = 0;

	u->supervisor[n++] = "--state-dir";
	u->supervisor[n++] = p->state_dir;
	u->supervisor[n++] = "--run-dir";
	u->supervisor[n++] = p->run_dir;
	memcpy(u->webui, u->supervisor, n * sizeof(*u->webui));
	snprintf(u->port_text, sizeof(u->port_text), "%d", u->port);
	u->webui[n++] = "--port";
	u->webui[n++] = u->port_text;
	n += page_options(u->args, u->webui + n, DAEMON_ARGS_MAX - n - 1);
	u->webui[n] = NULL;
}

/* The page wrote its token at its start. */
static void sign_in_url(struct up *u, const struct daemon_note *page)
{
	char path[PATHS_MAX + 16], base[sizeof(page->base) + 32], token[128];
	_cleanup_fclose_ FILE *f = NULL;

	u->port = page->port;
	snprintf(base, sizeof(base), "%s", page->base);
	if (!*base)
		snprintf(base, sizeof(base), "http://localhost:%d/", page->port);
	snprintf(path, sizeof(path), "%.*s/webui.token", PATHS_MAX - 1, u->ctl->paths.state_dir);
	f = fopen(path, "re");
	if (f && fscanf(f, "%127s", token) == 1)
		snprintf(u->url, sizeof(u->url), "%ssign-in?token=%s", base, token);
	else
		snprintf(u->url, sizeof(u->url), "%s", base);
}

static void tell_up(const struct up *u)
{
	if (u->ctl->json) {
		cJSON *j = cJSON_CreateObject();

		json_add_str(j, "state_dir", u->ctl->paths.state_dir);
		json_add_str(j, "run_dir", u->ctl->paths.run_dir);
		json_add_str(j, "url", *u->url ? u->url : NULL);
		if (*u->url)
			json_add_int(j, "port", u->port);
		ctl_print(j);
		cJSON_Delete(j);
	} else {
		printf("100x is up. State: %s\n", u->ctl->paths.state_dir);
		if (*u->url && u->foreground && getenv("JOURNAL_STREAM"))
			puts("`100x up` prints the URL to sign in.");
		else if (*u->url)
			printf("The page, signed in: %s\n", u->url);
	}
	fflush(stdout);
}

/* --- in the foreground --- */

static void on_ready(void *arg, const struct daemon_note *page)
{
	struct up *u = arg;

	if (page->port)
		sign_in_url(u, page);
	tell_up(u);
}

/* In the background it tells nobody but who started it. */
static int keep(struct up *u)
{
	bool told = getenv("HUNDREDX_KEEPER") != NULL;
	struct keeper_spec spec = {.paths = &u->ctl->paths,
		.supervisor = u->supervisor,
		.once = args_has(u->args, "restore-backup") ? "--restore-backup" : NULL,
		.webui = args_has(u->args, "no-webui") ? NULL : u->webui,
		.foreground = !told,
		.ready = told ? NULL : on_ready,
		.arg = u};
	struct err e;

	unsetenv("HUNDREDX_KEEPER");
	if (keeper_run(&spec, &e) == 0)
		return CTL_OK;
	u->ctl->away = e.kind == ERR_UNAVAILABLE; /* a service manager tries it again */
	return ctl_fail(u->ctl, &e);
}

/* --- in the background --- */

/* Waits for one of READY, X_ERROR and its end. */
static int wait_ready(int heard, pid_t pid, struct err *e)
{
	_cleanup_close_ int pidfd = daemon_pidfd(pid);
	int64_t deadline = clock_now_ms() + READY_MS;
	struct pollfd fds[] = {{.fd = heard, .events = POLLIN}, {.fd = pidfd, .events = POLLIN}};
	char text[NOTIFY_MAX], value[600];
	bool ended = false;
	pid_t from;

	while (!ended && clock_now_ms() < deadline) {
		poll(fds, 2, (int)(deadline - clock_now_ms()));
		ended = pidfd < 0 || fds[1].revents;
		while (notify_read(heard, text, &from) > 0) {
			if (from != pid)
				continue;
			if (notify_value(text, "X_ERROR", value, sizeof(value))) {
				err_set(e, ERR_UNAVAILABLE, "%s", value);
				/* What it had started has ended when it has; but it may go on. */
				daemon_wait_end(pidfd, KEEPER_END_MS);
				return -1;
			}
			if (notify_value(text, "READY", value, sizeof(value)))
				return 0;
		}
	}
	return err_set(e, ERR_UNAVAILABLE, "%s: see <state>/logs/keeper.log",
		ended ? "it has ended while it started" : "it is not ready yet");
}

/* This same command line again, in the background. */
static int start_keeper(struct up *u, struct err *e)
{
	const char *args[DAEMON_ARGS_MAX] = {"up", "--foreground", "--state-dir",
		u->ctl->paths.state_dir, "--run-dir", u->ctl->paths.run_dir, "--port",
		u->port_text};
	char id[33], name[64], where[96], log[PATHS_MAX + 32];
	const char *env[] = {where, "HUNDREDX_KEEPER=1", NULL};
	struct daemon_spec spec = {
		.program = "100x", .args = args, .log = log, .stdout_fd = -1, .env = env};
	_cleanup_close_ int heard = -1;
	size_t n = 8;
	pid_t pid;

	if (args_has(u->args, "no-webui"))
		args[n++] = "--no-webui";
	if (args_has(u->args, "restore-backup"))
		args[n++] = "--restore-backup";
	page_options(u->args, args + n, DAEMON_ARGS_MAX - n - 1);
	rpc_new_id(id);
	snprintf(name, sizeof(name), "@100x-up-%s", id);
	snprintf(where, sizeof(where), "NOTIFY_SOCKET=%s", name);
	snprintf(log, sizeof(log), "%.*s/logs/keeper.log", PATHS_MAX - 1, u->ctl->paths.state_dir);
	heard = notify_listen(name, e);
	if (heard < 0 || daemon_start(&spec, &pid, e) < 0)
		return -1;
	return wait_ready(heard, pid, e);
}

/* Only one `up` at a time; the others then find everything in place. */
static int take_turn(const struct paths *p, struct err *e)
{
	char path[PATHS_MAX + 16];
	int fd;

	snprintf(path, sizeof(path), "%.*s/up.lock", PATHS_MAX - 1, p->run_dir);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	if (flock(fd, LOCK_EX) < 0) {
		err_errno(e, "lock %s", path);
		close(fd);
		return -1;
	}
	return fd;
}

/* One that keeps no page makes way for one that does; the supervisor does not notice. */
static int replace_keeper(struct up *u, const struct daemon_note *keeper, struct err *e)
{
	_cleanup_close_ int pidfd = daemon_pidfd(keeper->pid);

	if (keeper->port)
		return err_set(e, ERR_CONFLICT,
			"`100x up --foreground` (pid %d) runs without a page: end that first",
			(int)keeper->pid);
	kill(keeper->pid, SIGUSR1);
	if (pidfd >= 0 && !daemon_wait_end(pidfd, LEAVE_MS))
		return err_set(e, ERR_UNAVAILABLE, "pid %d does not end", (int)keeper->pid);
	return start_keeper(u, e);
}

static int bring_up(struct up *u, struct err *e)
{
	const struct paths *p = &u->ctl->paths;
	_cleanup_close_ int turn = take_turn(p, e);
	bool page = !args_has(u->args, "no-webui");
	struct daemon_note keeper, note;

	if (turn < 0)
		return -1;
	if (!daemon_note_read(p, DAEMON_KEEPER, &keeper)) {
		if (start_keeper(u, e) < 0)
			return -1;
	} else if (page && !daemon_note_read(p, DAEMON_PAGE, &note)) {
		if (replace_keeper(u, &keeper, e) < 0)
			return -1;
	} else if (ctl_ask(u->ctl, "status", NULL, CTL_ASK_MS, NULL, e) < 0) {
		return -1;
	}
	if (page && daemon_note_read(p, DAEMON_PAGE, &note))
		sign_in_url(u, &note);
	return 0;
}

int ctl_up(struct ctl *c, const struct args *a)
{
	struct up u = {.ctl = c, .args = a, .foreground = args_has(a, "foreground")};
	int64_t port = DEFAULT_PORT;
	char logs[PATHS_MAX + 16];
	struct err e;

	if (a->word_count)
		return ctl_usage("up", "up takes no words");
	if (args_int(a, "port", 1, 65535, &port, &e) < 0)
		return ctl_usage("up", "%s", e.text);
	u.port = (int)port;
	arguments(&u);
	snprintf(logs, sizeof(logs), "%.*s/logs", PATHS_MAX - 1, c->paths.state_dir);
	if (paths_make(&c->paths, &e) < 0 || paths_mkdirs(logs, 0700, &e) < 0)
		return ctl_fail(c, &e);
	if (u.foreground)
		return keep(&u);
	if (bring_up(&u, &e) < 0)
		return ctl_fail(c, &e);
	tell_up(&u);
	return CTL_OK;
}
