#include "webui/control.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/bus.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/paths.h"
#include "shared/rpc.h"

#define HELLO_MS 1000 /* greeting is tried again: it must not hold up its thread */
#define ANSWER_MAX (16 * 1024 * 1024)
#define SOCKET_ACCEPTS 0x10000 /* __SO_ACCEPTCON in the kernel's net.h */

struct control {
	struct bus_asker *asker;
	char path[PATHS_MAX];
	ino_t greeted; /* the supervisor's socket that knows us; used by one thread */
	struct timespec greeted_since; /* a new file may have an old one's number */
};

struct control *control_new(const char *control_url, struct err *e)
{
	struct control *c = calloc(1, sizeof *c);

	if (!c)
		err_out_of_memory();
	snprintf(c->path, sizeof c->path, "%s",
		!strncmp(control_url, "ipc://", 6) ? control_url + 6 : control_url);
	c->asker = bus_asker_dial(control_url, e);
	if (!c->asker) {
		free(c);
		return NULL;
	}
	return c;
}

void control_free(struct control *c)
{
	if (!c)
		return;
	bus_asker_free(c->asker);
	free(c);
}

/* nng would wait for a supervisor that may never come, and a bare connect to see
 * whether there is one can make nng 1.5.2's listener spin: the kernel's list knows. */
static bool listening(const char *path)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/net/unix", "re");
	char line[PATHS_MAX + 128];
	size_t n = strlen(path);
	unsigned flags;
	int at;

	while (f && fgets(line, sizeof line, f)) {
		at = 0; /* Num RefCount Protocol Flags Type St Inode Path */
		if (sscanf(line, "%*s %*s %*s %x %*s %*s %*s %n", &flags, &at) == 1 && at &&
			(flags & SOCKET_ACCEPTS) && !strncmp(line + at, path, n) &&
			line[(size_t)at + n] == '\n')
			return true;
	}
	return false;
}

static int supervisor_there(const struct control *c, struct err *e)
{
	if (listening(c->path))
		return 0;
	return err_set(e, ERR_UNAVAILABLE,
		"the supervisor does not run: start it with `100x up`. Agents that were started "
		"go on meanwhile");
}

cJSON *control_ask(struct control *c, const char *id, const char *method, const cJSON *params,
	int timeout_ms, struct err *e)
{
	_cleanup_free_ char *request = NULL, *answer = NULL;
	char fresh[33];
	size_t n;
	struct rpc m;

	if (!id) {
		rpc_new_id(fresh);
		id = fresh;
	}
	if (supervisor_there(c, e) < 0)
		return NULL;
	request = rpc_request(id, method, params);
	if (bus_asker_ask(c->asker, request, strlen(request), timeout_ms, &answer, &n, e) < 0)
		return NULL;
	if (rpc_parse(answer, n, ANSWER_MAX, &m, e) < 0) {
		err_wrap(e, "the supervisor's answer to %s", method);
		e->kind = ERR_INTERNAL;
		return NULL;
	}
	cJSON *result = m.type == RPC_RESULT ? cJSON_Duplicate(m.result, true) : NULL;
	if (!result)
		rpc_error_to(&m, e);
	rpc_clear(&m);
	return result;
}

void control_hello(struct control *c, int pid, int port)
{
	struct stat st;
	struct err e;

	if (stat(c->path, &st) < 0 ||
		(st.st_ino == c->greeted &&
			!memcmp(&st.st_ctim, &c->greeted_since, sizeof st.st_ctim)))
		return;
	_cleanup_json_ cJSON *params = cJSON_CreateObject();
	json_add_int(params, "pid", pid);
	json_add_int(params, "port", port);
	cJSON *result = control_ask(c, NULL, "webui.hello", params, HELLO_MS, &e);
	if (result || e.kind != ERR_UNAVAILABLE) {
		c->greeted = st.st_ino;
		c->greeted_since = st.st_ctim;
	}
	if (!result)
		log_debug("webui.hello: %s", e.text);
	cJSON_Delete(result);
}
