/* A tool call of the coding agent as the body of a `tool` event. Updates carry only
 * what changed, so the first telling is remembered. */
#ifndef WORKER_TOOL_H
#define WORKER_TOOL_H

#include <cjson/cJSON.h>
#include <stdint.h>

#include "shared/buf.h"

#define TOOL_MAX_OPEN 32
#define TOOL_MAX_DIFFS 32
#define TOOL_PATCH_MAX (128 * 1024) /* of all patches of one event */
#define TOOL_TEXT_MAX (16 * 1024)

struct tool_memory {
	char id[TOOL_MAX_OPEN][64], title[TOOL_MAX_OPEN][256], kind[TOOL_MAX_OPEN][24];
	int next;
};

/* update: a tool_call or tool_call_update. cwd: paths below it are told relative to it. What it
 * says in words is appended to log_text (may be NULL) for the manager. */
cJSON *tool_body(struct tool_memory *m, const cJSON *update, int64_t turn, const char *cwd,
	struct buf *log_text);

#endif
