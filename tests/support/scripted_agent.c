/* An agent that speaks the Agent Client Protocol v1 on stdio and plays a script,
 * so that tests and benches know each byte it will say. Blocking, one thread.
 *
 * usage: scripted_agent [--script FILE | -e JSON] [--stamps FILE] [--memory FILE]
 *
 * Without a script each prompt is answered by one chunk that repeats it. A script:
 *
 *   {"load_session": true, "initialize_error": "text", "start_delay_ms": 0,
 *    "turns": [ {"match": "part of the prompt", "steps": [STEP, …], "stop": "end_turn"}, … ]}
 *
 * A prompt takes the first unused turn whose "match" (if any) is in it; when all
 * are used the last one repeats. STEP is an object with one of:
 *
 *   text, thought, log: string     a chunk of that kind
 *   echo: true                     a chunk that repeats the prompt
 *   silence_ms: N                  nothing for N ms (session/cancel ends it)
 *   tool: {id, title, kind, status, text, path, old, new, update}   one tool call
 *   write: {path, text}            writes a file below cwd
 *   commit: "message"              git add -A, git commit, and the tool call about it
 *   run: "command"                 /bin/sh -c, its output as an execute tool call
 *   usage: {model, tokens_in, tokens_out, tokens_cached, dollars}   our extension
 *   cost: N                        a plain usage_update with the sum of dollars so far
 *   permission: {title, kind, options: [{id, name, kind}], allowed: [STEP], rejected: [STEP]}
 *   error: {code, message, data}   ends the turn by a JSON-RPC error
 *   exit: N / signal: N            ends the process
 *   hang: true                     says and reads nothing any more
 *   deaf_ms: N                     nothing for N ms, not even for session/cancel
 *   flood: {bytes, hex, fd} or {lines, size, rate}  bytes (those of hex over and over, else x)
 *                                  to fd (1: stdout, 2: stderr), or chunks (rate a second)
 *                                  that begin with their number and "ns=<CLOCK_MONOTONIC>"
 *   daemon: {seconds, pid_file}    a child that leaves the session and ignores TERM
 *   close: FD                      closes it (1: stdout) and goes on
 *   ignore: N                      ignores signal N from now on
 *   stderr, raw: string            to stderr; to stdout as it is, with a newline
 *
 * --stamps appends "ready TURN NS" (the answer to the prompt before is written) and
 * "received TURN NS", CLOCK_MONOTONIC. --memory keeps the count of turns and the
 * prompts over a restart; session/load replays them.
 */
#include <cjson/cJSON.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SESSION "scripted-1"
#define LINE_MAX_BYTES (4 * 1024 * 1024)

struct agent {
	cJSON *script, *memory;
	const char *memory_path;
	int stamps_fd;
	char cwd[4096];
	char *in; /* bytes read, not yet taken */
	size_t in_len, in_cap;
	bool *used;
	int turn;
	bool cancelled;
	const char *prompt; /* of the turn under way */
	double dollars;
	int next_id, next_tool;
};

static void die(const char *what)
{
	fprintf(stderr, "scripted_agent: %s: %s\n", what, strerror(errno));
	exit(111);
}

static int64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000000000 + t.tv_nsec;
}

static void write_all(int fd, const char *data, size_t n)
{
	while (n) {
		ssize_t w = write(fd, data, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			exit(0); /* the client is gone */
		data += w;
		n -= (size_t)w;
	}
}

static char *read_whole(const char *path)
{
	FILE *f = fopen(path, "r");
	char *text = NULL;
	size_t cap = 0;

	if (!f)
		return NULL;
	if (getdelim(&text, &cap, '\0', f) < 0) {
		free(text);
		text = NULL;
	}
	fclose(f);
	return text;
}

static const char *str(const cJSON *j, const char *name, const char *otherwise)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, name);

	return cJSON_IsString(v) ? v->valuestring : otherwise;
}

static double num(const cJSON *j, const char *name, double otherwise)
{
	const cJSON *v = cJSON_GetObjectItemCaseSensitive(j, name);

	return cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}

static cJSON *dup_of(const cJSON *j, const char *name)
{
	return cJSON_Duplicate(cJSON_GetObjectItemCaseSensitive(j, name), true);
}

static void stamp(struct agent *a, const char *what)
{
	char line[96];
	int n;

	if (a->stamps_fd < 0)
		return;
	n = snprintf(line, sizeof line, "%s %d %lld\n", what, a->turn, (long long)now_ns());
	write_all(a->stamps_fd, line, (size_t)n);
}

/* Takes message. */
static void send_message(cJSON *message)
{
	char *text;

	cJSON_AddStringToObject(message, "jsonrpc", "2.0");
	text = cJSON_PrintUnformatted(message);
	cJSON_Delete(message);
	size_t n = strlen(text);
	text[n] = '\n'; /* over the NUL: one write for the whole line */
	write_all(STDOUT_FILENO, text, n + 1);
	free(text);
}

static void send_result(const cJSON *id, cJSON *result)
{
	cJSON *m = cJSON_CreateObject();

	cJSON_AddItemToObject(m, "id", cJSON_Duplicate(id, true));
	cJSON_AddItemToObject(m, "result", result);
	send_message(m);
}

static void send_error(const cJSON *id, double code, const char *message, cJSON *data)
{
	cJSON *m = cJSON_CreateObject(), *e = cJSON_AddObjectToObject(m, "error");

	cJSON_AddItemToObject(m, "id", cJSON_Duplicate(id, true));
	cJSON_AddNumberToObject(e, "code", code);
	cJSON_AddStringToObject(e, "message", message);
	if (data)
		cJSON_AddItemToObject(e, "data", data);
	send_message(m);
}

static void send_update(const char *kind, cJSON *update)
{
	cJSON *m = cJSON_CreateObject(), *p;

	cJSON_AddStringToObject(m, "method", "session/update");
	p = cJSON_AddObjectToObject(m, "params");
	cJSON_AddStringToObject(p, "sessionId", SESSION);
	cJSON_AddStringToObject(update, "sessionUpdate", kind);
	cJSON_AddItemToObject(p, "update", update);
	send_message(m);
}

static void add_text_block(cJSON *to, const char *name, const char *text)
{
	cJSON *c = cJSON_AddObjectToObject(to, name);

	cJSON_AddStringToObject(c, "type", "text");
	cJSON_AddStringToObject(c, "text", text);
}

static cJSON *add_extension(cJSON *update)
{
	return cJSON_AddObjectToObject(cJSON_AddObjectToObject(update, "_meta"), "100x");
}

static void send_chunk(const char *kind, const char *text, const char *stream)
{
	cJSON *u = cJSON_CreateObject();

	add_text_block(u, "content", text);
	if (stream)
		cJSON_AddStringToObject(add_extension(u), "stream", stream);
	send_update(kind, u);
}

/* Reads one message, at most timeout_ms (-1: for ever). NULL: time is up. */
static cJSON *receive(struct agent *a, int timeout_ms)
{
	int64_t end = now_ns() + (int64_t)timeout_ms * 1000000;

	for (;;) {
		char *nl = a->in_len ? memchr(a->in, '\n', a->in_len) : NULL;

		if (nl) {
			size_t n = (size_t)(nl - a->in);
			cJSON *m = cJSON_ParseWithLength(a->in, n);

			a->in_len -= n + 1;
			memmove(a->in, nl + 1, a->in_len);
			if (m)
				return m;
			fprintf(stderr, "scripted_agent: not JSON, skipped\n");
			continue;
		}
		int64_t left = timeout_ms < 0 ? -1 : (end - now_ns() + 999999) / 1000000;
		if (timeout_ms >= 0 && left <= 0)
			return NULL;
		struct pollfd p = {.fd = STDIN_FILENO, .events = POLLIN};
		int r = poll(&p, 1, (int)left);
		if (r < 0 && errno != EINTR)
			die("poll");
		if (r <= 0)
			continue;
		if (a->in_len == a->in_cap) {
			a->in_cap = a->in_cap ? a->in_cap * 2 : 64 * 1024;
			if (a->in_cap > LINE_MAX_BYTES || !(a->in = realloc(a->in, a->in_cap)))
				die("a line too long");
		}
		ssize_t got = read(STDIN_FILENO, a->in + a->in_len, a->in_cap - a->in_len);
		if (got == 0)
			exit(0);
		if (got > 0)
			a->in_len += (size_t)got;
	}
}

/* Waits ms, or for ever (-1) for the answer to request want; a cancel ends it.
 * Returns the answer (the caller's) or NULL. */
static cJSON *wait_for(struct agent *a, int ms, int want)
{
	int64_t end = now_ns() + (int64_t)ms * 1000000;

	while (!a->cancelled) {
		int left = ms < 0 ? -1 : (int)((end - now_ns() + 999999) / 1000000);
		cJSON *m = receive(a, left < 0 && ms >= 0 ? 0 : left);

		if (!m)
			return NULL;
		if (!strcmp(str(m, "method", ""), "session/cancel"))
			a->cancelled = true;
		else if (want && !str(m, "method", NULL) && (int)num(m, "id", 0) == want)
			return m;
		cJSON_Delete(m);
	}
	return NULL;
}

static void do_tool(struct agent *a, const cJSON *t)
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

static void do_write(const cJSON *w)
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
static int run(const char *const *argv, char *out, size_t n)
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

static void do_commit(struct agent *a, const char *message)
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

static void do_run(struct agent *a, const char *command)
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

static void do_usage(struct agent *a, const cJSON *usage)
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
static void do_flood_bytes(const cJSON *f)
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

static void do_flood(struct agent *a, const cJSON *f)
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
		int64_t due = rate > 0 ? start + (int64_t)((double)(i + 1) * 1e9 / rate) : 0;
		if (rate > 0 && due > now_ns())
			cJSON_Delete(wait_for(a, (int)((due - now_ns()) / 1000000), 0));
	}
	free(text);
}

/* Comes back when the pid file is written. */
static void do_daemon(const cJSON *d)
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

static const cJSON *pick_turn(struct agent *a)
{
	const cJSON *turns = cJSON_GetObjectItemCaseSensitive(a->script, "turns"), *t;
	int i = 0;

	cJSON_ArrayForEach (t, turns) {
		const char *match = str(t, "match", NULL);

		if (!a->used[i] && (!match || strstr(a->prompt, match))) {
			a->used[i] = true;
			return t;
		}
		i++;
	}
	return i ? cJSON_GetArrayItem(turns, i - 1) : NULL;
}

static void remember(struct agent *a)
{
	if (!a->memory_path)
		return;
	cJSON_AddItemToArray(a->memory, cJSON_CreateString(a->prompt));
	char *text = cJSON_PrintUnformatted(a->memory);
	FILE *f = fopen(a->memory_path, "w");
	if (!f)
		die(a->memory_path);
	fputs(text, f);
	fclose(f);
	free(text);
}

static void on_prompt(struct agent *a, const cJSON *id, const cJSON *params)
{
	const cJSON *blocks = cJSON_GetObjectItemCaseSensitive(params, "prompt");
	const char *stop;

	a->turn++;
	stamp(a, "received");
	a->prompt = str(cJSON_GetArrayItem(blocks, 0), "text", "");
	a->cancelled = false;
	const cJSON *turn = pick_turn(a);
	remember(a);
	if (turn) {
		stop = do_steps(a, id, cJSON_GetObjectItemCaseSensitive(turn, "steps"));
	} else {
		send_chunk("agent_message_chunk", a->prompt, NULL);
		stop = NULL;
	}
	if (!stop || *stop) {
		cJSON *r = cJSON_CreateObject();

		cJSON_AddStringToObject(
			r, "stopReason", stop ? stop : str(turn, "stop", "end_turn"));
		send_result(id, r);
	}
	stamp(a, "ready");
}

static void on_load(struct agent *a, const cJSON *id)
{
	const cJSON *p;
	int i = 0;

	cJSON_ArrayForEach (p, a->memory) {
		send_chunk("user_message_chunk", p->valuestring, NULL);
		send_chunk("agent_message_chunk", "(replayed)", NULL);
		a->prompt = p->valuestring;
		pick_turn(a);
		i++;
	}
	a->turn = i;
	send_result(id, cJSON_CreateObject());
	stamp(a, "ready");
}

static void on_message(struct agent *a, const cJSON *m)
{
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(m, "id");
	const cJSON *params = cJSON_GetObjectItemCaseSensitive(m, "params");
	const char *method = str(m, "method", NULL);

	if (!method || !id)
		return;
	bool load = !cJSON_IsFalse(cJSON_GetObjectItemCaseSensitive(a->script, "load_session"));
	if (!strcmp(method, "initialize")) {
		const char *error = str(a->script, "initialize_error", NULL);
		cJSON *r = cJSON_CreateObject(), *c;

		poll(NULL, 0, (int)num(a->script, "start_delay_ms", 0));
		if (error) {
			cJSON_Delete(r);
			send_error(id, -32603, error, NULL);
			return;
		}
		cJSON_AddNumberToObject(r, "protocolVersion", 1);
		c = cJSON_AddObjectToObject(r, "agentCapabilities");
		cJSON_AddBoolToObject(c, "loadSession", load);
		cJSON_AddItemToObject(r, "authMethods", cJSON_CreateArray());
		send_result(id, r);
	} else if (!strcmp(method, "session/new") || (load && !strcmp(method, "session/load"))) {
		const char *cwd = str(params, "cwd", ".");

		if (chdir(cwd) < 0 || !getcwd(a->cwd, sizeof a->cwd)) {
			send_error(id, -32602, "cwd does not exist", NULL);
			return;
		}
		if (!strcmp(method, "session/load")) {
			on_load(a, id);
			return;
		}
		cJSON *r = cJSON_CreateObject();
		cJSON_AddStringToObject(r, "sessionId", SESSION);
		send_result(id, r);
		stamp(a, "ready");
	} else if (!strcmp(method, "session/prompt")) {
		on_prompt(a, id, params);
	} else {
		send_error(id, -32601, "method not found", NULL);
	}
}

int main(int argc, char **argv)
{
	struct agent a = {.stamps_fd = -1};

	for (int i = 1; i < argc; i += 2) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;
		char *text = NULL;

		if (!value) {
			fprintf(stderr, "scripted_agent: %s needs a value\n", argv[i]);
			return 2;
		}
		if (!strcmp(argv[i], "--script")) {
			text = read_whole(value);
			if (!text)
				die(value);
			a.script = cJSON_Parse(text);
		} else if (!strcmp(argv[i], "-e")) {
			a.script = cJSON_Parse(value);
		} else if (!strcmp(argv[i], "--stamps")) {
			a.stamps_fd = open(value, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
			if (a.stamps_fd < 0)
				die(value);
		} else if (!strcmp(argv[i], "--memory")) {
			a.memory_path = value;
			text = read_whole(value);
			a.memory = text ? cJSON_Parse(text) : NULL;
		} else {
			fprintf(stderr, "scripted_agent: unknown option %s\n", argv[i]);
			return 2;
		}
		if ((!strcmp(argv[i], "--script") || !strcmp(argv[i], "-e")) && !a.script) {
			fprintf(stderr, "scripted_agent: the script is not JSON\n");
			return 2;
		}
		free(text);
	}
	if (!a.script)
		a.script = cJSON_CreateObject();
	if (!a.memory)
		a.memory = cJSON_CreateArray();
	int turns = cJSON_GetArraySize(cJSON_GetObjectItemCaseSensitive(a.script, "turns"));
	a.used = calloc((size_t)turns + 1, sizeof *a.used);
	if (!a.used)
		die("calloc");
	for (;;) {
		cJSON *m = receive(&a, -1);

		on_message(&a, m);
		cJSON_Delete(m);
	}
}
