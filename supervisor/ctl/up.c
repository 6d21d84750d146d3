/* up and down. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>
#include <uv.h>

#include "shared/child.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/rpc.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/daemon.h"

#define READY_MS 15000
#define DOWN_MS 20000
#define ENDING_MS 5000
#define WEBUI_MS 5000
#define DEFAULT_PORT 5000
#define URL_MAX 1024

struct up {
	struct ctl *ctl;
	const struct args *args;
	bool foreground;
	pid_t supervisor; /* 0: not started by us */
	pid_t webui;
	int port;
	char url[URL_MAX]; /* to sign in; "" without a page */
	char log[PATHS_MAX + 32];
	int64_t log_from; /* its bytes before our start */
};

/* Waiting for the first answer of a supervisor that was just started. */
struct ready {
	uv_loop_t loop;
	uv_poll_t ended;
	struct bus_req *req;
	bool answered, gone;
};

static void on_answer(void *arg, const char *data, size_t n, const struct err *e)
{
	struct ready *r = arg;

	(void)data;
	(void)n;
	r->answered = e == NULL;
	r->gone = e != NULL;
	uv_stop(&r->loop);
}

static void on_ended(uv_poll_t *handle, int status, int events)
{
	struct ready *r = handle->data;

	(void)status;
	(void)events;
	r->gone = true;
	uv_stop(&r->loop);
}

/* Runs the loop until the supervisor has answered or ended. The loop lives on until
 * this short-lived program ends. */
static int wait_ready(struct up *u, struct err *e)
{
	static struct ready r;
	_cleanup_close_ int pidfd = daemon_pidfd(u->supervisor);
	_cleanup_free_ char *question = NULL;
	char id[33], url[PATHS_MAX], tail[600];

	rpc_new_id(id);
	question = rpc_request(id, "status", NULL);
	uv_loop_init(&r.loop);
	r.req = bus_req_dial(&r.loop, paths_control_url(&u->ctl->paths, url), e);
	if (!r.req)
		return -1;
	if (pidfd >= 0) {
		uv_poll_init(&r.loop, &r.ended, pidfd);
		r.ended.data = &r;
		uv_poll_start(&r.ended, UV_READABLE, on_ended);
	}
	bus_req_ask(r.req, question, strlen(question), READY_MS, 1000, on_answer, &r);
	uv_run(&r.loop, UV_RUN_DEFAULT);
	if (pidfd >= 0)
		uv_close((uv_handle_t *)&r.ended, NULL);
	bus_req_free(r.req);
	uv_run(&r.loop, UV_RUN_NOWAIT);
	if (r.answered)
		return 0;
	/* Two `up` at once: the other one's supervisor serves as well. */
	if (ctl_running(u->ctl) && ctl_ask(u->ctl, "status", NULL, CTL_ASK_MS, NULL, e) == 0) {
		u->supervisor = 0;
		return 0;
	}
	daemon_log_tail(u->log, u->log_from, tail, sizeof(tail));
	return err_set(e, ERR_UNAVAILABLE, "the supervisor %s: %s",
		daemon_pidfd(u->supervisor) < 0 || waitpid(u->supervisor, NULL, WNOHANG) > 0
			? "ended"
			: "does not answer",
		u->foreground || !*tail ? "see its log" : tail);
}

static int start_supervisor(struct up *u, struct err *e)
{
	const struct paths *p = &u->ctl->paths;
	const char *args[] = {"--state-dir", p->state_dir, "--run-dir", p->run_dir,
		args_has(u->args, "restore-backup") ? "--restore-backup" : NULL, NULL};
	struct daemon_spec spec = {.program = "100x-supervisor", .args = args, .stdout_fd = -1};

	snprintf(u->log, sizeof(u->log), "%.*s/logs/supervisor.log", PATHS_MAX - 1, p->state_dir);
	u->log_from = daemon_log_size(u->log);
	if (!u->foreground)
		spec.log = u->log;
	if (daemon_start(&spec, &u->supervisor, e) < 0)
		return -1;
	return wait_ready(u, e);
}

/* Where the page's sign-in token lies: webui writes it at its start. */
static void sign_in_url(const struct up *u, int port, char *out, size_t size)
{
	char path[PATHS_MAX + 16], token[128];
	_cleanup_fclose_ FILE *f = NULL;

	snprintf(path, sizeof(path), "%.*s/webui.token", PATHS_MAX - 1, u->ctl->paths.state_dir);
	f = fopen(path, "re");
	if (f && fscanf(f, "%127s", token) == 1)
		snprintf(out, size, "http://localhost:%d/sign-in?token=%s", port, token);
	else
		snprintf(out, size, "http://localhost:%d/", port);
}

static size_t webui_args(const struct up *u, char *port, const char **args)
{
	const struct paths *p = &u->ctl->paths;
	size_t n = 0;

	args[n++] = "--port";
	args[n++] = port;
	args[n++] = "--state-dir";
	args[n++] = p->state_dir;
	args[n++] = "--run-dir";
	args[n++] = p->run_dir;
	for (size_t i = 0; i < u->args->given_count && n < DAEMON_ARGS_MAX - 4; i++) {
		const char *name = u->args->given[i].option->name;

		if (strcmp(name, "bind") == 0)
			args[n++] = "--bind";
		else if (strcmp(name, "allow-host") == 0)
			args[n++] = "--allow-host";
		else if (strcmp(name, "behind-proxy") == 0)
			args[n++] = "--behind-proxy";
		else
			continue;
		if (u->args->given[i].value)
			args[n++] = u->args->given[i].value;
	}
	args[n] = NULL;
	return n;
}

/* webui prints its URL on stdout once it listens: that line is our event. */
static int start_webui(struct up *u, struct err *e)
{
	const char *args[DAEMON_ARGS_MAX];
	struct daemon_spec spec = {.program = "100x-webui", .args = args};
	struct daemon_note note;
	char port[16], log[PATHS_MAX + 32], line[URL_MAX], tail[600];
	_cleanup_close_ int from = -1;
	_cleanup_close_ int to = -1;
	int64_t log_from;
	int ends[2];
	char *found;

	snprintf(port, sizeof(port), "%d", u->port);
	webui_args(u, port, args);
	snprintf(log, sizeof(log), "%.*s/logs/webui.log", PATHS_MAX - 1, u->ctl->paths.state_dir);
	log_from = daemon_log_size(log);
	if (!u->foreground)
		spec.log = log;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return err_errno(e, "pipe");
	from = ends[0];
	to = ends[1];
	spec.stdout_fd = to;
	if (daemon_start(&spec, &u->webui, e) < 0)
		return -1;
	close(take_fd(&to));
	if (daemon_read_line(from, "/sign-in?token=", READY_MS, line, sizeof(line), e) < 0) {
		kill(u->webui, SIGTERM);
		waitpid(u->webui, NULL, 0);
		daemon_log_tail(log, log_from, tail, sizeof(tail));
		return u->foreground || !*tail
			       ? err_wrap(e, "the page did not start")
			       : err_set(e, ERR_UNAVAILABLE, "the page did not start: %s", tail);
	}
	found = strstr(line, "http");
	snprintf(u->url, sizeof(u->url), "%s", found ? found : line);
	found = strstr(u->url, "://");
	found = found ? strchr(found + 3, ':') : NULL;
	note.pid = u->webui;
	note.started = process_started(u->webui);
	note.port = found ? (int)strtol(found + 1, NULL, 10) : u->port;
	u->port = note.port;
	return daemon_note_write(&u->ctl->paths, &note, e);
}

static int bring_up(struct up *u, struct err *e)
{
	struct daemon_note note;
	char logs[PATHS_MAX + 16];

	if (paths_make(&u->ctl->paths, e) < 0)
		return -1;
	snprintf(logs, sizeof(logs), "%.*s/logs", PATHS_MAX - 1, u->ctl->paths.state_dir);
	if (paths_mkdirs(logs, 0700, e) < 0)
		return -1;
	if (!ctl_running(u->ctl) && start_supervisor(u, e) < 0)
		return -1;
	if (args_has(u->args, "no-webui"))
		return 0;
	if (daemon_note_read(&u->ctl->paths, &note)) {
		u->port = note.port;
		sign_in_url(u, note.port, u->url, sizeof(u->url));
		return 0;
	}
	return start_webui(u, e);
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
		if (*u->url)
			printf("The page, signed in: %s\n", u->url);
	}
	fflush(stdout);
}

/* From here on Ctrl-C, SIGTERM and the end of a child are read, not suffered. */
static int block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGCHLD);
	sigprocmask(SIG_BLOCK, &set, NULL);
	return signalfd(-1, &set, SFD_CLOEXEC);
}

/* Stays until Ctrl-C, SIGTERM or the end of either child; then ends both. */
static int stay(struct up *u, int fd)
{
	pid_t children[2] = {u->supervisor, u->webui};
	bool asked = false;
	int code = CTL_OK, left = 0;

	for (int i = 0; i < 2; i++)
		left += children[i] > 0;
	while (left > 0) {
		struct signalfd_siginfo info;
		bool end = false;

		if (read(fd, &info, sizeof(info)) != (ssize_t)sizeof(info))
			continue;
		end = info.ssi_signo != SIGCHLD;
		for (int i = 0; i < 2; i++) {
			if (children[i] <= 0 || waitpid(children[i], NULL, WNOHANG) <= 0)
				continue;
			if (!asked)
				code = CTL_FAILED;
			children[i] = 0;
			left--;
			end = true;
		}
		if (!end)
			continue;
		for (int i = 0; i < 2; i++)
			if (children[i] > 0 && !asked)
				kill(children[i], SIGTERM);
		asked = true;
	}
	daemon_note_remove(&u->ctl->paths);
	return code;
}

/* The supervisor this command started, and waits for its end: what is asked next finds
 * either all of it or nothing. */
static void end_own_supervisor(const struct up *u)
{
	_cleanup_close_ int pidfd = u->supervisor > 0 ? daemon_pidfd(u->supervisor) : -1;

	if (pidfd < 0)
		return;
	kill(u->supervisor, SIGTERM);
	daemon_wait_end(pidfd, DOWN_MS);
}

int ctl_up(struct ctl *c, const struct args *a)
{
	struct up u = {.ctl = c, .args = a, .foreground = args_has(a, "foreground")};
	int64_t port = DEFAULT_PORT;
	_cleanup_close_ int signals = -1;
	struct err e;

	if (a->word_count)
		return ctl_usage("up", "up takes no words");
	if (args_int(a, "port", 1, 65535, &port, &e) < 0)
		return ctl_usage("up", "%s", e.text);
	u.port = (int)port;
	if (u.foreground && ctl_running(c))
		return ctl_usage("up", "it is up already: `100x down` first");
	if (u.foreground)
		signals = block_signals();
	if (bring_up(&u, &e) < 0) {
		/* Half of it is of no use; what ran before stays. */
		end_own_supervisor(&u);
		return ctl_fail(c, &e);
	}
	tell_up(&u);
	return u.foreground ? stay(&u, signals) : CTL_OK;
}

/* Asks the page to end, if it runs; the descriptor to wait on, or -1. */
static int end_webui(struct ctl *c, struct daemon_note *note)
{
	int pidfd;

	if (!daemon_note_read(&c->paths, note))
		return -1;
	pidfd = daemon_pidfd(note->pid);
	if (pidfd >= 0)
		kill(note->pid, SIGTERM);
	return pidfd;
}

static void wait_webui(struct ctl *c, const struct daemon_note *note, int pidfd)
{
	if (!daemon_wait_end(pidfd, WEBUI_MS)) {
		kill(note->pid, SIGKILL);
		daemon_wait_end(pidfd, WEBUI_MS);
	}
	daemon_note_remove(&c->paths);
}

static int end_supervisor(struct ctl *c, bool keep_agents, struct err *e)
{
	_cleanup_json_ cJSON *status = NULL;
	_cleanup_close_ int pidfd = -1;
	cJSON *params = cJSON_CreateObject();

	if (ctl_ask(c, "status", NULL, CTL_ASK_MS, &status, e) < 0) {
		cJSON_Delete(params);
		return c->away && !ctl_running(c) ? 0 : -1;
	}
	pidfd = daemon_pidfd((pid_t)json_int(status, "pid", 0));
	if (keep_agents)
		cJSON_AddBoolToObject(params, "keep_agents", true);
	/* One that was ending already may be gone before it answers. */
	if (ctl_ask(c, "supervisor.down", params, DOWN_MS, NULL, e) < 0)
		return c->away && pidfd >= 0 && daemon_wait_end(pidfd, ENDING_MS) ? 0 : -1;
	if (pidfd >= 0 && !daemon_wait_end(pidfd, DOWN_MS))
		return err_set(e, ERR_UNAVAILABLE,
			"the supervisor is still ending after %d s: see "
			"<state>/logs/supervisor.log",
			DOWN_MS / 1000);
	return 0;
}

int ctl_down(struct ctl *c, const struct args *a)
{
	bool running = ctl_running(c);
	bool keep = args_has(a, "keep-agents");
	_cleanup_close_ int webui = -1;
	struct daemon_note note;
	struct err e;
	int failed;

	if (a->word_count)
		return ctl_usage("down", "down takes no words");
	webui = end_webui(c, &note);
	failed = running ? end_supervisor(c, keep, &e) : 0;
	if (webui >= 0)
		wait_webui(c, &note, webui);
	if (failed < 0)
		return ctl_fail(c, &e);
	if (c->json)
		puts(running || webui >= 0 ? "{\"down\":true}" : "{\"down\":false}");
	else if (!running && webui < 0)
		puts("Nothing was up.");
	else
		puts(keep ? "100x is down; its agents go on." : "100x is down.");
	return CTL_OK;
}
