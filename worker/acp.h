/* The client's side of the Agent Client Protocol, version 1
 * (https://agentclientprotocol.com/protocol), over the stdio of one child: start,
 * open or load a session, one prompt at a time, cancel. It offers the agent no
 * file system and no terminal; a method it does not know is answered -32601. */
#ifndef WORKER_ACP_H
#define WORKER_ACP_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "shared/child.h"
#include "shared/err.h"
#include "worker/acp_update.h"

#define ACP_READY_MS (180 * 1000) /* from start to an open session */
#define ACP_MAX_PERMISSIONS 16	  /* open at once; one more is answered as cancelled */

struct acp;

/* How a prompt ended. */
struct acp_end {
	const char *stop_reason;  /* as ACP has it; "error" when failure is set */
	const cJSON *result;	  /* NULL on failure */
	const char *failure;	  /* the error's text */
	const char *failure_kind; /* our extension's word, else "other" */
	int64_t retry_after_ms;	  /* -1: not told */
};

struct acp_handler {
	/* The session is open. loaded: an old one was taken up again. */
	void (*ready)(void *arg, const char *session, bool loaded);
	void (*update)(void *arg, const struct acp_update *u);
	/* request: to be answered once by acp_permit. */
	void (*permission)(void *arg, int64_t request, const cJSON *params);
	void (*turn_ended)(void *arg, const struct acp_end *end);
	/* stderr (stream 2), or what is no protocol on stdout (stream 1). */
	void (*stray)(void *arg, int stream, const char *text, size_t n);
	/* Last: the process is gone and reaped; the struct acp is freed after it.
	 * why: what the client or the agent did wrong, else how it ended. */
	void (*lost)(void *arg, const struct err *why);
};

/* spec: stdin and both outputs are made pipes here. session: NULL or "" for a new
 * one; one that cannot be loaded is replaced by a new one. An exec failure fails
 * this call. */
struct acp *acp_start(uv_loop_t *loop, const struct child_spec *spec, const char *cwd,
	const char *session, const struct acp_handler *handler, void *arg, struct err *e);

/* ERR_CONFLICT: not ready, or a prompt is under way. */
int acp_prompt(struct acp *a, const char *text, struct err *e);
bool acp_busy(const struct acp *a);
bool acp_idle(const struct acp *a); /* takes a prompt */
/* Asks the agent to stop the turn; turn_ended follows when it has. Open
 * permissions are answered as cancelled, as the protocol demands. */
void acp_cancel(struct acp *a);
/* option NULL: cancelled. False: not open any more. */
bool acp_permit(struct acp *a, int64_t request, const char *option);

void acp_pause_output(struct acp *a, bool paused);
/* Ends the process and its group; lost follows. why may be NULL. */
void acp_end(struct acp *a, int grace_ms, const struct err *why);
int acp_pid(const struct acp *a);

#endif
