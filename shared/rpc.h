/* JSON-RPC 2.0 (https://www.jsonrpc.org/specification), as control speaks it and
 * as ACP does over stdio: reading and writing of messages, no transport. */
#ifndef SHARED_RPC_H
#define SHARED_RPC_H

#include <cjson/cJSON.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"

#define RPC_MAX_BYTES (1024 * 1024) /* of a control request */

enum rpc_type { RPC_REQUEST, RPC_NOTIFICATION, RPC_RESULT, RPC_ERROR };

/* A parsed message. All pointers but root borrow from root. */
struct rpc {
	enum rpc_type type;
	cJSON *root;
	const cJSON *id;     /* string or integer; NULL for a notification */
	const char *method;  /* request, notification */
	const cJSON *params; /* object, array or NULL */
	const cJSON *result; /* RPC_RESULT */
	int64_t error_code;  /* RPC_ERROR */
	const char *error_message;
	const cJSON *error_data;
};

/* Unknown members, a wrong version, both result and error: ERR_INVALID. Broken
 * JSON: ERR_PROTOCOL. max_bytes bounds the text. */
int rpc_parse(const char *text, size_t n, size_t max_bytes, struct rpc *m, struct err *e);
void rpc_clear(struct rpc *m);

/* Text of one message; the caller frees it. params, result, data and id are
 * borrowed; params may be NULL (then left out). id NULL makes a notification (or
 * "id":null in an error). */
char *rpc_request(const char *id, const char *method, const cJSON *params);
char *rpc_request_int(int64_t id, const char *method, const cJSON *params);
char *rpc_notification(const char *method, const cJSON *params);
char *rpc_result(const cJSON *id, const cJSON *result);
char *rpc_error(const cJSON *id, int code, const char *message, const cJSON *data);

/* An err as a JSON-RPC error: code -32602 for ERR_INVALID, else -32000 - kind;
 * data {"kind":"not_found"}. And back: fills e from an RPC_ERROR. */
char *rpc_error_from(const cJSON *id, const struct err *failure);
void rpc_error_to(const struct rpc *m, struct err *e);

/* A fresh random id of 32 hex digits into out (33 bytes), for asking once. */
void rpc_new_id(char out[33]);

#endif
