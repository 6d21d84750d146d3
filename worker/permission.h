/* Whether what a coding agent asks for leaves its workspace: then it is refused
 * without a person (design: allowed except what leaves the workspace). Pure. */
#ifndef WORKER_PERMISSION_H
#define WORKER_PERMISSION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

/* tool_call of a session/request_permission; cwd: the workspace's full path. why
 * (n bytes) says what leaves it. */
bool permission_leaves(const cJSON *tool_call, const char *cwd, char *why, size_t n);

/* The id of the option to choose, borrowed: an allowing or a rejecting one, "once"
 * before "always"; NULL if there is none. */
const char *permission_option(const cJSON *options, bool allow);

#endif
