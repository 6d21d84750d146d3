/* git over ssh by the ssh program, so that agent, keys, known hosts and the user's
 * own ssh configuration hold. It never asks anything (BatchMode), gets an
 * environment of five names, and only ever runs git-upload-pack or git-receive-pack. */
#include <errno.h>
#include <fcntl.h>
#include <git2.h>
#include <git2/sys/transport.h>
#include <poll.h>
#include <pwd.h>
#include <signal.h>
#include <spawn.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "worker/workspace_git.h"

#define SSH_PROGRAM "/usr/bin/ssh"
#define SSH_MAX_ARGS 40
#define SSH_END_MS 2000
#define SSH_STDERR_BYTES 2048

struct ssh_stream {
	git_smart_subtransport_stream parent;
	struct ssh_link *link;
};

struct ssh_link {
	git_smart_subtransport parent;
	struct workspace_session *session;
	struct ssh_stream *stream; /* at most one */
	pid_t pid;		   /* 0: not running */
	int fd;			   /* its stdin and stdout */
	struct workspace_flow flow;
	int stderr_fd; /* a memory file: never full, read at the end */
};

/* Arguments under construction, owned. */
struct argv {
	char *item[SSH_MAX_ARGS + 1];
	size_t n;
};

__attribute__((format(printf, 2, 3))) static void argv_add(struct argv *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (a->n == SSH_MAX_ARGS || vasprintf(&a->item[a->n], fmt, ap) < 0)
		err_out_of_memory();
	va_end(ap);
	a->n++;
}

static void argv_clear(struct argv *a)
{
	for (size_t i = 0; i < a->n; i++)
		free(a->item[i]);
}

/* Splits the canonical URL into what ssh wants; path is what git calls it there. */
static void split_url(const char *url, char user_host[600], char port[8], char path[GITURL_MAX])
{
	const char *rest = strncmp(url, "ssh://", 6) == 0 ? url + 6 : NULL;
	const char *slash, *colon;

	port[0] = '\0';
	if (!rest) {
		colon = strchr(url, ':');
		snprintf(user_host, 600, "%.*s", (int)(colon ? colon - url : 0), url);
		snprintf(path, GITURL_MAX, "%s", colon ? colon + 1 : "");
		return;
	}
	slash = rest + strcspn(rest, "/");
	colon = memrchr(rest, ':', (size_t)(slash - rest));
	if (colon && !memchr(colon, ']', (size_t)(slash - colon)))
		snprintf(port, 8, "%.*s", (int)(slash - colon - 1), colon + 1);
	else
		colon = slash;
	snprintf(user_host, 600, "%.*s", (int)(colon - rest), rest);
	snprintf(path, GITURL_MAX, "%s", strncmp(slash, "/~", 2) == 0 ? slash + 1 : slash);
}

/* The path for the shell at the far end, in single quotes. */
static char *quoted(const char *path)
{
	struct buf b;

	buf_init(&b, 4 * GITURL_MAX);
	buf_adds(&b, "'");
	for (const char *p = path; *p; p++) {
		if (*p == '\'')
			buf_adds(&b, "'\\''");
		else
			buf_add(&b, p, 1);
	}
	buf_adds(&b, "'");
	return buf_take(&b, NULL);
}

/* ssh takes the home folder from the password database; one that differs from it is
 * named file by file. */
static void add_home(struct argv *a, const char *home)
{
	static const char *const keys[] = {"id_ed25519", "id_ecdsa", "id_rsa"};
	const struct passwd *pw = getpwuid(getuid());
	_cleanup_free_ char *config = NULL;

	if (!home || (pw && strcmp(pw->pw_dir, home) == 0))
		return;
	if (asprintf(&config, "%s/.ssh/config", home) < 0)
		err_out_of_memory();
	argv_add(a, "-F");
	argv_add(a, "%s", access(config, R_OK) == 0 ? config : "/dev/null");
	argv_add(a, "-o");
	argv_add(a, "UserKnownHostsFile=\"%s/.ssh/known_hosts\"", home);
	for (size_t i = 0; i < sizeof keys / sizeof keys[0]; i++) {
		_cleanup_free_ char *key = NULL;

		if (asprintf(&key, "%s/.ssh/%s", home, keys[i]) < 0)
			err_out_of_memory();
		if (access(key, R_OK) != 0)
			continue;
		argv_add(a, "-i");
		argv_add(a, "%s", key);
	}
}

static void make_argv(struct argv *a, const struct workspace_session *s, const char *service)
{
	char user_host[600], port[8], path[GITURL_MAX];
	_cleanup_free_ char *quoted_path = NULL;
	static const char *const options[] = {"BatchMode=yes", "ConnectTimeout=20",
		"ServerAliveInterval=30", "ServerAliveCountMax=3", "PermitLocalCommand=no",
		"ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes", "ControlPath=none"};

	split_url(s->url->text, user_host, port, path);
	argv_add(a, "ssh");
	argv_add(a, "-T");
	for (size_t i = 0; i < sizeof options / sizeof options[0]; i++) {
		argv_add(a, "-o");
		argv_add(a, "%s", options[i]);
	}
	add_home(a, s->auth ? s->auth->home : NULL);
	if (port[0]) {
		argv_add(a, "-p");
		argv_add(a, "%s", port);
	}
	quoted_path = quoted(path);
	argv_add(a, "--");
	argv_add(a, "%s", user_host);
	argv_add(a, "%s %s", service, quoted_path);
}

static void make_env(struct argv *a, const struct workspace_session *s)
{
	static const char *const kept[] = {"SSH_AUTH_SOCK", "USER", "LOGNAME"};
	const char *home = s->auth && s->auth->home ? s->auth->home : getenv("HOME");

	argv_add(a, "PATH=/usr/local/bin:/usr/bin:/bin");
	argv_add(a, "LC_ALL=C");
	if (home)
		argv_add(a, "HOME=%s", home);
	for (size_t i = 0; i < sizeof kept / sizeof kept[0]; i++)
		if (getenv(kept[i]))
			argv_add(a, "%s=%s", kept[i], getenv(kept[i]));
}

static int start(struct ssh_link *l, const char *service)
{
	_cleanup_close_ int ours = -1;
	_cleanup_close_ int theirs = -1;
	struct argv argv = {.n = 0}, env = {.n = 0};
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	sigset_t none, pipes;
	int sv[2], rc;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sv) < 0)
		return err_errno(&l->session->failure, "start ssh");
	ours = sv[0];
	theirs = sv[1];
	if (l->stderr_fd < 0)
		l->stderr_fd = memfd_create("ssh-stderr", MFD_CLOEXEC);
	if (l->stderr_fd < 0)
		return err_errno(&l->session->failure, "start ssh");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, theirs, 0);
	posix_spawn_file_actions_adddup2(&actions, theirs, 1);
	posix_spawn_file_actions_adddup2(&actions, l->stderr_fd, 2);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	sigemptyset(&pipes);
	sigaddset(&pipes, SIGPIPE);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &pipes);
	posix_spawnattr_setflags(
		&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	make_argv(&argv, l->session, service);
	make_env(&env, l->session);
	rc = posix_spawn(&l->pid, SSH_PROGRAM, &actions, &attr, argv.item, env.item);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&actions);
	argv_clear(&argv);
	argv_clear(&env);
	if (rc != 0) {
		l->pid = 0;
		return err_set(&l->session->failure, rc == ENOENT ? ERR_NOT_FOUND : ERR_SYS,
			"start %s: %s (is openssh-client installed?)", SSH_PROGRAM, strerror(rc));
	}
	l->fd = take_fd(&ours);
	return 0;
}

/* Waits for the child's end; true if it ended within the time. */
static bool ended(pid_t pid, int timeout_ms)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	return fd < 0 || poll(&p, 1, timeout_ms) > 0;
}

static void stop(struct ssh_link *l)
{
	if (l->fd >= 0)
		close(l->fd);
	l->fd = -1;
	if (l->pid <= 0)
		return;
	if (!ended(l->pid, SSH_END_MS)) {
		kill(-l->pid, SIGTERM);
		if (!ended(l->pid, SSH_END_MS))
			kill(-l->pid, SIGKILL);
	}
	while (waitpid(l->pid, NULL, 0) < 0 && errno == EINTR)
		;
	l->pid = 0;
}

/* Last line that ssh or the far end wrote to stderr. */
static void last_line(int fd, char *out, size_t size)
{
	char text[SSH_STDERR_BYTES + 1];
	off_t end = lseek(fd, 0, SEEK_END);
	off_t from = end > SSH_STDERR_BYTES ? end - SSH_STDERR_BYTES : 0;
	ssize_t n = end > 0 ? pread(fd, text, SSH_STDERR_BYTES, from) : 0;
	char *line;

	if (n < 0)
		n = 0;
	while (n && (unsigned char)text[n - 1] <= 0x20)
		n--;
	text[n] = '\0';
	line = strrchr(text, '\n');
	snprintf(out, size, "%s", line ? line + 1 : text);
}

static void explain(struct ssh_link *l)
{
	struct err *e = &l->session->failure;
	const char *host = l->session->url->host;
	char why[SSH_STDERR_BYTES + 1], all[SSH_STDERR_BYTES + 1];
	ssize_t n;

	last_line(l->stderr_fd, why, sizeof why);
	n = pread(l->stderr_fd, all, SSH_STDERR_BYTES, 0);
	all[n > 0 ? n : 0] = '\0';
	if (strstr(all, "Permission denied"))
		err_set(e, ERR_DENIED,
			"%s refuses our ssh key (%s): load a key into ssh-agent, or put one that "
			"the "
			"server knows at ~/.ssh/id_ed25519 (without passphrase)",
			host, why);
	else if (strstr(all, "Host key verification failed") ||
		 strstr(all, "REMOTE HOST IDENTIFICATION HAS CHANGED"))
		err_set(e, ERR_DENIED,
			"%s is not known to ssh, or its host key has changed: connect once by hand "
			"(ssh -T git@%s) and check the key",
			host, host);
	else if (strstr(all, "does not appear to be a git repository") ||
		 strcasestr(all, "repository not found") || strcasestr(all, "does not exist"))
		err_set(e, ERR_NOT_FOUND, "%s: no such repository there (%s)", host, why);
	else
		err_set(e, ERR_UNAVAILABLE, "%s: ssh ended: %s", host,
			why[0] ? why : "without a word");
}

static int silent(struct ssh_link *l)
{
	return err_set(&l->session->failure, ERR_UNAVAILABLE, "%s: silent for %d s",
		l->session->url->host, workspace_silence_ms() / 1000);
}

static int stream_read(git_smart_subtransport_stream *stream, char *data, size_t size, size_t *n)
{
	struct ssh_link *l = ((struct ssh_stream *)stream)->link;
	struct pollfd p = {.fd = l->fd, .events = POLLIN};
	ssize_t got;
	int rc;

	do {
		rc = poll(&p, 1, workspace_silence_ms());
	} while (rc < 0 && errno == EINTR);
	if (rc == 0)
		return silent(l);
	got = recv(l->fd, data, size, 0);
	if (got > 0 &&
		!workspace_flow_add(&l->flow, (size_t)got, workspace_silence_ms(), clock_now_ms()))
		return err_set(&l->session->failure, ERR_UNAVAILABLE,
			"%s: it sends next to nothing", l->session->url->host);
	if (got > 0) {
		*n = (size_t)got;
		return 0;
	}
	*n = 0;
	stop(l);
	explain(l);
	git_error_set_str(GIT_ERROR_SSH, l->session->failure.text);
	return -1;
}

static int stream_write(git_smart_subtransport_stream *stream, const char *data, size_t n)
{
	struct ssh_link *l = ((struct ssh_stream *)stream)->link;
	size_t sent = 0;

	while (sent < n) {
		struct pollfd p = {.fd = l->fd, .events = POLLOUT};
		int rc = poll(&p, 1, workspace_silence_ms());
		ssize_t put;

		if (rc == 0)
			return silent(l);
		put = send(l->fd, data + sent, n - sent, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (put < 0 && (errno == EINTR || errno == EAGAIN))
			continue;
		if (put < 0) {
			stop(l);
			explain(l);
			git_error_set_str(GIT_ERROR_SSH, l->session->failure.text);
			return -1;
		}
		sent += (size_t)put;
	}
	return 0;
}

static void stream_free(git_smart_subtransport_stream *stream)
{
	struct ssh_stream *s = (struct ssh_stream *)stream;

	s->link->stream = NULL;
	free(s);
}

static int link_action(git_smart_subtransport_stream **out, git_smart_subtransport *transport,
	const char *url, git_smart_service_t action)
{
	struct ssh_link *l = (struct ssh_link *)transport;
	bool push = action == GIT_SERVICE_RECEIVEPACK_LS || action == GIT_SERVICE_RECEIVEPACK;

	(void)url;
	if (action == GIT_SERVICE_UPLOADPACK || action == GIT_SERVICE_RECEIVEPACK) {
		if (!l->stream)
			return -1;
		*out = &l->stream->parent;
		return 0;
	}
	if (start(l, push ? "git-receive-pack" : "git-upload-pack") < 0) {
		git_error_set_str(GIT_ERROR_SSH, l->session->failure.text);
		return -1;
	}
	l->stream = calloc(1, sizeof *l->stream);
	if (!l->stream)
		err_out_of_memory();
	l->stream->link = l;
	l->stream->parent.subtransport = transport;
	l->stream->parent.read = stream_read;
	l->stream->parent.write = stream_write;
	l->stream->parent.free = stream_free;
	*out = &l->stream->parent;
	return 0;
}

static int link_close(git_smart_subtransport *transport)
{
	stop((struct ssh_link *)transport);
	return 0;
}

static void link_free(git_smart_subtransport *transport)
{
	struct ssh_link *l = (struct ssh_link *)transport;

	stop(l);
	if (l->stderr_fd >= 0)
		close(l->stderr_fd);
	free(l);
}

static int link_new(git_smart_subtransport **out, git_transport *owner, void *payload)
{
	struct ssh_link *l = calloc(1, sizeof *l);

	(void)owner;
	if (!l)
		err_out_of_memory();
	l->session = payload;
	l->fd = l->stderr_fd = -1;
	l->parent.action = link_action;
	l->parent.close = link_close;
	l->parent.free = link_free;
	*out = &l->parent;
	return 0;
}

int workspace_ssh_transport(git_transport **out, git_remote *owner, void *payload)
{
	git_smart_subtransport_definition definition = {
		.callback = link_new,
		.rpc = 0,
		.param = payload,
	};

	return git_transport_smart(out, owner, &definition);
}
