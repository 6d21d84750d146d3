/* The steps of a script: what the scripted agent can be told to do. */
#ifndef TESTS_SUPPORT_SCRIPTED_STEPS_H
#define TESTS_SUPPORT_SCRIPTED_STEPS_H

#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/support/scripted_wire.h"

static inline cJSON *dup_of(const cJSON *j, const char *name)
{
	return cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(j, name), true);
}

static inline void do_tool(struct agent *a, const cJSON *t)
{
	cJSON *u = cJSON_CreateObject();
	bool update = cJSON_IsTrue(cJSON_GetObjectItemCaseSensitive(t, "update"));
	const char *path = str(t, "path", NULL), *text = str(t, "text", NULL);
	char id[32], full[8192];

	snprintf(id, sizeof id, "tool-%d", ++a->next_tool);
	cJSON_AddStringToObject(u, "toolCallId", str(t, "id", id));
	cJSON_AddStringToObject(u, "title", str(t, "title", "Edit"));
	cJSON_AddStringToObject(u, "kind", str(t, "kind", path ? "edit" : "other"));
	cJSON_AddStringToObject(u, "status", str(t, "status", "completed"));
	cJSON *content = cJSON_AddArrayToObject(u, "content");
	if (text) {
		cJSON *c = cJSON_CreateObject();

		cJSON_AddStringToObject(c, "type", "content");
		add_text_block(c, "content", text);
		cJSON_AddItemToArray(content, c);
	}
	if (path) {
		cJSON *d = cJSON_CreateObject(), *where = cJSON_CreateObject();

		snprintf(full, sizeof full, "%s/%s", a->cwd, path);
		cJSON_AddStringToObject(d, "type", "diff");
		cJSON_AddStringToObject(d, "path", path[0] == '/' ? path : full);
		if (str(t, "old", NULL))
			cJSON_AddStringToObject(d, "oldText", str(t, "old", ""));
		else
			cJSON_AddNullToObject(d, "oldText");
		cJSON_AddStringToObject(d, "newText", str(t, "new", ""));
		cJSON_AddItemToArray(content, d);
		cJSON_AddStringToObject(where, "path", path[0] == '/' ? path : full);
		cJSON_AddItemToArray(cJSON_AddArrayToObject(u, "locations"), where);
	}
	send_update(update ? "tool_call_update" : "tool_call", u);
}

static inline void do_write(const cJSON *w)
{
	char *path = strdup(str(w, "path", "file.txt"));
	const char *text = str(w, "text", "");

	for (char *s = strchr(path + 1, '/'); s; s = strchr(s + 1, '/')) {
		*s = '\0';
		if (mkdir(path, 0755) < 0 && errno != EEXIST)
			die(path);
		*s = '/';
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	if (fd < 0)
		die(path);
	write_all(fd, text, strlen(text));
	close(fd);
	free(path);
}

/* Runs argv with its output taken (at most n - 1 bytes); returns the exit code. */
static inline int run(const char *const *argv, char *out, size_t n)
{
	int fds[2], status = -1;
	size_t len = 0;

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	pid_t pid = fork();
	if (pid < 0)
		die("fork");
	if (pid == 0) {
		int null_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

		dup2(null_fd, STDIN_FILENO);
		dup2(fds[1], STDOUT_FILENO);
		dup2(fds[1], STDERR_FILENO);
		execvp(argv[0], (char *const *)(uintptr_t)argv);
		_exit(127);
	}
	close(fds[1]);
	for (char spill[4096];;) {
		bool room = len + 1 < n;
		ssize_t r =
			read(fds[0], room ? out + len : spill, room ? n - 1 - len : sizeof spill);

		if (r <= 0)
			break;
		len += room ? (size_t)r : 0;
	}
	close(fds[0]);
	out[len] = '\0';
	waitpid(pid, &status, 0);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static inline void do_commit(struct agent *a, const char *message)
{
	static const char *const add[] = {"git", "add", "-A", NULL};
	const char *const commit[] = {"git", "-c", "user.name=Scripted Agent", "-c",
		"user.email=agent@example.com", "commit", "-q", "--allow-empty", "-m", message,
		NULL};
	static const char *const head[] = {"git", "rev-parse", "HEAD", NULL};
	char out[8192], title[256], id[32];

	if (run(add, out, sizeof out) || run(commit, out, sizeof out) ||
		run(head, out, sizeof out)) {
		fprintf(stderr, "scripted_agent: git: %s\n", out);
		exit(111);
	}
	out[strcspn(out, "\n")] = '\0';
	cJSON *u = cJSON_CreateObject(), *c;
	snprintf(title, sizeof title, "Commit %.7s %.200s", out, message);
	snprintf(id, sizeof id, "tool-%d", ++a->next_tool);
	cJSON_AddStringToObject(u, "toolCallId", id);
	cJSON_AddStringToObject(u, "title", title);
	cJSON_AddStringToObject(u, "kind", "other");
	cJSON_AddStringToObject(u, "status", "completed");
	c = cJSON_AddObjectToObject(add_extension(u), "commit");
	cJSON_AddStringToObject(c, "hash", out);
	cJSON_AddStringToObject(c, "message", message);
	cJSON_AddStringToObject(c, "author", "Scripted Agent <agent@example.com>");
	send_update("tool_call", u);
}

static inline void do_run(struct agent *a, const char *command)
{
	const char *const argv[] = {"/bin/sh", "-c", command, NULL};
	char out[16384];
	int code = run(argv, out, sizeof out);
	cJSON *t = cJSON_CreateObject();

	cJSON_AddStringToObject(t, "title", command);
	cJSON_AddStringToObject(t, "kind", "execute");
	cJSON_AddStringToObject(t, "status", code ? "failed" : "completed");
	cJSON_AddStringToObject(t, "text", out);
	do_tool(a, t);
	cJSON_Delete(t);
}

static inline void do_usage(struct agent *a, const cJSON *usage)
{
	cJSON *u = cJSON_CreateObject(), *cost;

	a->dollars += usage ? num(usage, "dollars", 0) : 0;
	cJSON_AddNumberToObject(u, "used", usage ? num(usage, "tokens_in", 0) : 0);
	cJSON_AddNumberToObject(u, "size", 200000);
	cost = cJSON_AddObjectToObject(u, "cost");
	cJSON_AddNumberToObject(cost, "amount", a->dollars);
	cJSON_AddStringToObject(cost, "currency", "USD");
	if (usage)
		cJSON_AddItemToObject(add_extension(u), "usage", cJSON_Duplicate(usage, true));
	send_update("usage_update", u);
}

/* The bytes of hex over and over, as many as were asked for. */
static inline void do_flood_bytes(const cJSON *f)
{
	char block[64 * 1024] = "x";
	const char *hex = str(f, "hex", "78");
	size_t left = (size_t)num(f, "bytes", 0), len = 0, full;
	unsigned byte;

	for (; len < sizeof block && sscanf(hex + 2 * len, "%2x", &byte) == 1; len++)
		block[len] = (char)byte;
	len = len ? len : 1;
	full = sizeof block / len * len; /* so that the next block goes on where it ends */
	for (size_t i = len; i < full; i++)
		block[i] = block[i - len];
	while (left) {
		size_t n = left < full ? left : full;

		write_all((int)num(f, "fd", STDOUT_FILENO), block, n);
		left -= n;
	}
}

static inline void do_flood(struct agent *a, const cJSON *f)
{
	double lines = num(f, "lines", 0), rate = num(f, "rate", 0);
	size_t size = (size_t)num(f, "size", 100);
	int64_t start = now_ns();

	if (lines <= 0) {
		do_flood_bytes(f);
		return;
	}
	char *text = malloc(size + 64);
	if (!text)
		die("malloc");
	for (int64_t i = 0; (double)i < lines && !a->cancelled; i++) {
		int n = snprintf(text, 64, "%lld ns=%lld ", (long long)i, (long long)now_ns());

		if ((size_t)n < size)
			memset(text + n, 'x', size - (size_t)n);
		text[size > (size_t)n ? size : (size_t)n] = '\n';
		text[(size > (size_t)n ? size : (size_t)n) + 1] = '\0';
		send_chunk("agent_message_chunk", text, NULL);
		/* Looked at once: what is over meanwhile would be a wait without end. */
		int64_t early =
			rate > 0 ? start + (int64_t)((double)(i + 1) * 1e9 / rate) - now_ns() : 0;
		if (early > 0)
			cJSON_Delete(wait_for(a, (int)(early / 1000000), 0));
	}
	free(text);
}

/* Comes back when the pid file is written. */
static inline void do_daemon(const cJSON *d)
{
	int fds[2];
	char byte;
	pid_t pid;

	if (pipe2(fds, O_CLOEXEC) < 0)
		die("pipe");
	pid = fork();
	if (pid < 0)
		die("fork");
	if (pid > 0) {
		close(fds[1]);
		waitpid(pid, NULL, 0);
		while (read(fds[0], &byte, 1) < 0 && errno == EINTR)
			;
		close(fds[0]);
		return;
	}
	setsid();
	if (fork() != 0)
		_exit(0);
	signal(SIGTERM, SIG_IGN);
	signal(SIGHUP, SIG_IGN);
	const char *pid_file = str(d, "pid_file", NULL);
	if (pid_file) {
		FILE *f = fopen(pid_file, "w");

		if (f) {
			fprintf(f, "%d\n", (int)getpid());
			fclose(f);
		}
	}
	close(fds[1]);
	unsigned left = (unsigned)num(d, "seconds", 600);
	while (left)
		left = sleep(left);
	_exit(0);
}

static const char *do_steps(struct agent *a, const cJSON *id, const cJSON *steps);

/* Asks and plays the branch that the answer chose. As do_steps. */
static const char *do_permission(struct agent *a, const cJSON *id, const cJSON *p)
{
	cJSON *m = cJSON_CreateObject(), *params, *call, *options, *option;
	const cJSON *given = cJSON_GetObjectItemCaseSensitive(p, "options"), *o;
	char tool[32];
	int want = ++a->next_id;

	snprintf(tool, sizeof tool, "tool-%d", ++a->next_tool);
	cJSON_AddNumberToObject(m, "id", want);
	cJSON_AddStringToObject(m, "method", "session/request_permission");
	params = cJSON_AddObjectToObject(m, "params");
	cJSON_AddStringToObject(params, "sessionId", SESSION);
	call = cJSON_AddObjectToObject(params, "toolCall");
	cJSON_AddStringToObject(call, "toolCallId", tool);
	cJSON_AddStringToObject(call, "title", str(p, "title", "Run a command?"));
	cJSON_AddStringToObject(call, "kind", str(p, "kind", "execute"));
	cJSON_AddStringToObject(call, "status", "pending");
	options = cJSON_AddArrayToObject(params, "options");
	cJSON_ArrayForEach (o, given) {
		option = cJSON_CreateObject();
		cJSON_AddStringToObject(option, "optionId", str(o, "id", ""));
		cJSON_AddStringToObject(option, "name", str(o, "name", str(o, "id", "")));
		cJSON_AddStringToObject(option, "kind", str(o, "kind", "allow_once"));
		cJSON_AddItemToArray(options, option);
	}
	for (int i = 0; i < 2 && !given; i++) {
		option = cJSON_CreateObject();
		cJSON_AddStringToObject(option, "optionId", i ? "no" : "yes");
		cJSON_AddStringToObject(option, "name", i ? "No" : "Yes");
		cJSON_AddStringToObject(option, "kind", i ? "reject_once" : "allow_once");
		cJSON_AddItemToArray(options, option);
	}
	cJSON *asked = cJSON_Duplicate(options, true);
	send_message(m);
	cJSON *answer = wait_for(a, -1, want);
	const cJSON *result = cJSON_GetObjectItemCaseSensitive(answer, "result");
	const cJSON *outcome = cJSON_GetObjectItemCaseSensitive(result, "outcome");
	const char *chosen = str(outcome, "optionId", "");
	bool allowed = false;
	cJSON_ArrayForEach (o, asked) {
		if (!strcmp(str(o, "optionId", ""), chosen))
			allowed = !strncmp(str(o, "kind", ""), "allow", 5);
	}
	char line[300];
	snprintf(line, sizeof line, "permission %s: %.200s\n", allowed ? "allowed" : "rejected",
		*chosen ? chosen : "cancelled");
	if (!a->cancelled)
		send_chunk("agent_message_chunk", line, NULL);
	cJSON_Delete(asked);
	cJSON_Delete(answer);
	return do_steps(
		a, id, cJSON_GetObjectItemCaseSensitive(p, allowed ? "allowed" : "rejected"));
}

/* Returns a stop reason that ends the turn now, "" when the turn was answered by
 * an error, NULL to go on. */
static const char *do_step(struct agent *a, const cJSON *id, const cJSON *step)
{
	const cJSON *v = step->child;
	const char *what = v && v->string ? v->string : "";
	const char *text = cJSON_IsString(v) ? v->valuestring : "";
	int n = cJSON_IsNumber(v) ? v->valueint : 0;

	if (!strcmp(what, "text"))
		send_chunk("agent_message_chunk", text, NULL);
	else if (!strcmp(what, "echo"))
		send_chunk("agent_message_chunk", a->prompt, NULL);
	else if (!strcmp(what, "thought"))
		send_chunk("agent_thought_chunk", text, NULL);
	else if (!strcmp(what, "log"))
		send_chunk("agent_thought_chunk", text, "log");
	else if (!strcmp(what, "silence_ms"))
		cJSON_Delete(wait_for(a, n, 0));
	else if (!strcmp(what, "deaf_ms"))
		poll(NULL, 0, n);
	else if (!strcmp(what, "tool"))
		do_tool(a, v);
	else if (!strcmp(what, "write"))
		do_write(v);
	else if (!strcmp(what, "commit"))
		do_commit(a, text);
	else if (!strcmp(what, "run"))
		do_run(a, text);
	else if (!strcmp(what, "usage"))
		do_usage(a, v);
	else if (!strcmp(what, "cost")) {
		a->dollars = v->valuedouble;
		do_usage(a, NULL);
	} else if (!strcmp(what, "permission"))
		return do_permission(a, id, v);
	else if (!strcmp(what, "error")) {
		send_error(id, num(v, "code", -32000), str(v, "message", "scripted error"),
			dup_of(v, "data"));
		return "";
	} else if (!strcmp(what, "exit"))
		exit(n);
	else if (!strcmp(what, "signal"))
		kill(getpid(), n);
	else if (!strcmp(what, "close"))
		close(n);
	else if (!strcmp(what, "ignore"))
		signal(n, SIG_IGN);
	else if (!strcmp(what, "hang"))
		for (;;)
			pause();
	else if (!strcmp(what, "flood"))
		do_flood(a, v);
	else if (!strcmp(what, "daemon"))
		do_daemon(v);
	else if (!strcmp(what, "stderr"))
		fputs(text, stderr);
	else if (!strcmp(what, "raw")) {
		write_all(STDOUT_FILENO, text, strlen(text));
		write_all(STDOUT_FILENO, "\n", 1);
	} else {
		fprintf(stderr, "scripted_agent: unknown step \"%s\"\n", what);
		exit(2);
	}
	return a->cancelled ? "cancelled" : NULL;
}

static const char *do_steps(struct agent *a, const cJSON *id, const cJSON *steps)
{
	const cJSON *s;

	if (a->cancelled)
		return "cancelled";
	cJSON_ArrayForEach (s, steps) {
		const char *stop = do_step(a, id, s);

		if (stop)
			return stop;
	}
	return NULL;
}

#endif
