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
#include <fcntl.h>
#include <unistd.h>

#include "tests/support/scripted_steps.h"
#include "tests/support/scripted_wire.h"

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
