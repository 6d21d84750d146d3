/* The way to the supervisor, and how commands speak to people. */
#include "supervisor/ctl/ctl.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/rpc.h"

#define SOCKET_ACCEPTS 0x10000 /* __SO_ACCEPTCON in the kernel's net.h */

/* Read from the kernel's list: connecting only to see whether one can, and closing at
 * once, makes nng 1.5.2's listener spin now and then and never answer again. */
bool ctl_running(const struct ctl *c)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/net/unix", "re");
	char path[PATHS_MAX + 16], line[PATHS_MAX];
	unsigned flags;
	int at;

	snprintf(path, sizeof(path), "%.*s/control.ipc\n", PATHS_MAX - 1, c->paths.run_dir);
	while (f && fgets(line, sizeof(line), f)) {
		/* Num RefCount Protocol Flags Type St Inode Path */
		if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %n", &flags, &at) == 1 &&
			(flags & SOCKET_ACCEPTS) && strcmp(line + at, path) == 0)
			return true;
	}
	return false;
}

static int away(struct ctl *c, struct err *e, const char *why)
{
	c->away = true;
	return err_set(e, ERR_UNAVAILABLE, "%s", why);
}

int ctl_ask(struct ctl *c, const char *method, cJSON *params, int timeout_ms, cJSON **result,
	struct err *e)
{
	_cleanup_json_ cJSON *owned = params;
	_cleanup_free_ char *question = NULL;
	_cleanup_free_ char *answer = NULL;
	char id[33], url[PATHS_MAX];
	size_t answer_len;
	struct rpc m;

	c->away = false;
	if (!ctl_running(c))
		return away(c, e, "the supervisor does not run: start it with `100x up`");
	if (!c->asker) {
		c->asker = bus_asker_dial(paths_control_url(&c->paths, url), e);
		if (!c->asker)
			return -1;
	}
	rpc_new_id(id);
	question = rpc_request(id, method, owned);
	if (strlen(question) > RPC_MAX_BYTES)
		return err_set(e, ERR_LIMIT, "the request is longer than %d bytes", RPC_MAX_BYTES);
	if (bus_asker_ask(c->asker, question, strlen(question), timeout_ms, &answer, &answer_len,
		    e) < 0) {
		if (e->kind == ERR_UNAVAILABLE)
			return away(c, e,
				"the supervisor does not answer: see its log, "
				"<state>/logs/supervisor.log, or `100x down` and `100x up`");
		return err_wrap(e, "%s", method);
	}
	if (rpc_parse(answer, answer_len, BUS_FRAME_MAX, &m, e) < 0)
		return err_wrap(e, "answer to %s", method);
	if (m.type == RPC_ERROR) {
		rpc_error_to(&m, e);
		rpc_clear(&m);
		return -1;
	}
	if (m.type != RPC_RESULT || !m.result) {
		rpc_clear(&m);
		return err_set(e, ERR_PROTOCOL, "answer to %s is no result", method);
	}
	if (result)
		*result = cJSON_DetachItemFromObjectCaseSensitive(m.root, "result");
	rpc_clear(&m);
	return 0;
}

int ctl_fail(const struct ctl *c, const struct err *e)
{
	struct buf line;

	buf_init(&line, 0);
	term_line(&line, e->text, 0);
	fprintf(stderr, "%s100x:%s %s\n", term_on(&c->err, TERM_RED), term_off(&c->err, TERM_RED),
		line.len ? line.data : "failed");
	buf_clear(&line);
	return c->away ? CTL_AWAY : CTL_FAILED;
}

int ctl_usage(const char *command, const char *fmt, ...)
{
	va_list args;

	fputs("100x: ", stderr);
	va_start(args, fmt);
	vfprintf(stderr, fmt, args);
	va_end(args);
	fprintf(stderr, "\nSee `100x %s%s`.\n", command ? "help " : "help", command ? command : "");
	return CTL_USAGE;
}

int ctl_print(const cJSON *result)
{
	char *text = cJSON_Print(result);

	if (!text)
		err_out_of_memory();
	puts(text);
	free(text);
	return CTL_OK;
}

static void help_options(const struct args_option *options, FILE *out)
{
	for (; options && options->name; options++) {
		char left[64];
		int n = options->letter ? snprintf(left, sizeof(left), "-%c, --%s", options->letter,
						  options->name)
					: snprintf(left, sizeof(left), "    --%s", options->name);

		if (options->value && n > 0 && (size_t)n < sizeof(left))
			snprintf(left + n, sizeof(left) - (size_t)n, " %s", options->value);
		fprintf(out, "  %-30s %s\n", left, options->help);
	}
}

void ctl_help(const struct ctl_command *command, FILE *out)
{
	fprintf(out, "100x %s%s%s\n\n%s.\n", command->name, *command->usage ? " " : "",
		command->usage, command->summary);
	if (command->details)
		fprintf(out, "\n%s\n", command->details);
	fputs("\nOptions:\n", out);
	help_options(command->options, out);
	help_options(args_common, out);
}

bool ctl_ended(const char *state)
{
	return strcmp(state, "done") == 0 || strcmp(state, "failed") == 0 ||
	       strcmp(state, "stopped") == 0;
}
