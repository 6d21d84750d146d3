/* JSON-RPC 2.0 messages: read strictly, written compactly. */
#include "shared/rpc.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "shared/cleanup.h"
#include "shared/json.h"

#define RPC_ID_BYTES 256
#define RPC_METHOD_BYTES 128
#define RPC_FIRST_KIND (-32000)

static bool member_of(const char *name, const char *const *names)
{
	for (; *names; names++)
		if (strcmp(name, *names) == 0)
			return true;
	return false;
}

static int check_members(const cJSON *j, struct err *e)
{
	static const char *const members[] = {
		"jsonrpc", "id", "method", "params", "result", "error", NULL};
	const cJSON *child;

	cJSON_ArrayForEach (child, j) {
		if (!member_of(child->string, members))
			return err_set(e, ERR_INVALID, "JSON-RPC: no member \"%.64s\" in a message",
				child->string);
	}
	return 0;
}

static int check_id(const cJSON *id, struct err *e)
{
	if (cJSON_IsString(id)) {
		size_t n = strlen(id->valuestring);
		return n > 0 && n <= RPC_ID_BYTES
			       ? 0
			       : err_set(e, ERR_INVALID,
					 "JSON-RPC: id must have from 1 to %d bytes", RPC_ID_BYTES);
	}
	if (cJSON_IsNumber(id) && id->valuedouble >= -9007199254740991.0 &&
		id->valuedouble <= 9007199254740991.0 &&
		id->valuedouble == (double)(int64_t)id->valuedouble)
		return 0;
	return err_set(e, ERR_INVALID, "JSON-RPC: id must be a string or an integer");
}

static int read_call(struct rpc *m, const cJSON *method, struct err *e)
{
	const cJSON *params = cJSON_GetObjectItemCaseSensitive(m->root, "params");

	if (!cJSON_IsString(method) || !method->valuestring[0] ||
		strlen(method->valuestring) > RPC_METHOD_BYTES)
		return err_set(e, ERR_INVALID, "JSON-RPC: method must be a string of 1 to %d bytes",
			RPC_METHOD_BYTES);
	m->method = method->valuestring;
	if (params && !cJSON_IsNull(params)) {
		if (!cJSON_IsObject(params) && !cJSON_IsArray(params))
			return err_set(
				e, ERR_INVALID, "JSON-RPC: params must be an object or an array");
		m->params = params;
	}
	m->type = m->id ? RPC_REQUEST : RPC_NOTIFICATION;
	return 0;
}

static int read_error(struct rpc *m, const cJSON *error, struct err *e)
{
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(error, "message");

	if (!cJSON_IsObject(error) || !cJSON_IsNumber(code) || !cJSON_IsString(message))
		return err_set(e, ERR_INVALID,
			"JSON-RPC: error must have a number \"code\" and a string \"message\"");
	m->type = RPC_ERROR;
	m->error_code = json_int(error, "code", 0);
	m->error_message = message->valuestring;
	m->error_data = json_get(error, "data");
	return 0;
}

static int read_message(struct rpc *m, struct err *e)
{
	const cJSON *version = cJSON_GetObjectItemCaseSensitive(m->root, "jsonrpc");
	const cJSON *id = cJSON_GetObjectItemCaseSensitive(m->root, "id");
	const cJSON *method = cJSON_GetObjectItemCaseSensitive(m->root, "method");
	const cJSON *result = cJSON_GetObjectItemCaseSensitive(m->root, "result");
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(m->root, "error");

	if (!cJSON_IsString(version) || strcmp(version->valuestring, "2.0") != 0)
		return err_set(e, ERR_INVALID, "JSON-RPC: \"jsonrpc\" must be \"2.0\"");
	if (!!method + !!result + !!error != 1)
		return err_set(e, ERR_INVALID,
			"JSON-RPC: exactly one of method, result and error must be there");
	if (!method && cJSON_GetObjectItemCaseSensitive(m->root, "params"))
		return err_set(e, ERR_INVALID, "JSON-RPC: an answer has no params");
	/* Only an error may answer without an id: the question could not be read. */
	if (id && !(cJSON_IsNull(id) && error)) {
		if (check_id(id, e) < 0)
			return -1;
		m->id = id;
	}
	if (method)
		return read_call(m, method, e);
	if (error)
		return read_error(m, error, e);
	if (!m->id)
		return err_set(e, ERR_INVALID, "JSON-RPC: a result needs an id");
	m->type = RPC_RESULT;
	m->result = result;
	return 0;
}

int rpc_parse(const char *text, size_t n, size_t max_bytes, struct rpc *m, struct err *e)
{
	memset(m, 0, sizeof(*m));
	m->root = json_parse(text, n, max_bytes, e);
	if (!m->root) {
		if (e && e->kind == ERR_INVALID)
			e->kind = ERR_PROTOCOL;
		return -1;
	}
	if (!cJSON_IsObject(m->root))
		err_set(e, ERR_INVALID, "JSON-RPC: a message must be an object");
	else if (check_members(m->root, e) == 0 && read_message(m, e) == 0)
		return 0;
	rpc_clear(m);
	return -1;
}

void rpc_clear(struct rpc *m)
{
	cJSON_Delete(m->root);
	memset(m, 0, sizeof(*m));
}

/* Appends a member and takes its value. */
static void member(cJSON *root, const char *name, cJSON *value)
{
	if (!value || !cJSON_AddItemToObject(root, name, value))
		err_out_of_memory();
}

/* A borrowed tree as part of another for the time of printing. */
static void lend(cJSON *root, const char *name, const cJSON *value)
{
	if (!cJSON_AddItemReferenceToObject(root, name, (cJSON *)(uintptr_t)value))
		err_out_of_memory();
}

static cJSON *message(void)
{
	cJSON *root = cJSON_CreateObject();

	if (!root)
		err_out_of_memory();
	member(root, "jsonrpc", cJSON_CreateString("2.0"));
	return root;
}

static char *call(cJSON *id, const char *method, const cJSON *params)
{
	_cleanup_json_ cJSON *root = message();

	if (id)
		member(root, "id", id);
	member(root, "method", cJSON_CreateString(method));
	if (params)
		lend(root, "params", params);
	return json_print(root);
}

char *rpc_request(const char *id, const char *method, const cJSON *params)
{
	return call(id ? cJSON_CreateString(id) : NULL, method, params);
}

char *rpc_request_int(int64_t id, const char *method, const cJSON *params)
{
	return call(cJSON_CreateNumber((double)id), method, params);
}

char *rpc_notification(const char *method, const cJSON *params)
{
	return call(NULL, method, params);
}

char *rpc_result(const cJSON *id, const cJSON *result)
{
	_cleanup_json_ cJSON *root = message();

	if (id)
		lend(root, "id", id);
	else
		member(root, "id", cJSON_CreateNull());
	if (result)
		lend(root, "result", result);
	else
		member(root, "result", cJSON_CreateObject());
	return json_print(root);
}

char *rpc_error(const cJSON *id, int code, const char *text, const cJSON *data)
{
	_cleanup_json_ cJSON *root = message();
	cJSON *error = cJSON_CreateObject();

	if (id)
		lend(root, "id", id);
	else
		member(root, "id", cJSON_CreateNull());
	member(root, "error", error);
	json_add_int(error, "code", code);
	json_add_str(error, "message", text);
	if (data)
		lend(error, "data", data);
	return json_print(root);
}

char *rpc_error_from(const cJSON *id, const struct err *failure)
{
	_cleanup_json_ cJSON *data = cJSON_CreateObject();
	int code = failure->kind == ERR_INVALID ? -32602 : RPC_FIRST_KIND - (int)failure->kind;

	json_add_str(data, "kind", err_kind_name(failure->kind));
	return rpc_error(id, code, failure->text, data);
}

void rpc_error_to(const struct rpc *m, struct err *e)
{
	const char *word = json_str(m->error_data, "kind", NULL);
	enum err_kind kind = ERR_INTERNAL;

	if (word)
		kind = err_kind_parse(word);
	else if (m->error_code == -32602 || m->error_code == -32600)
		kind = ERR_INVALID;
	else if (m->error_code == -32601)
		kind = ERR_NOT_FOUND;
	else if (m->error_code == -32700)
		kind = ERR_PROTOCOL;
	if (kind == ERR_NONE)
		kind = ERR_INTERNAL;
	err_set(e, kind, "%s", m->error_message ? m->error_message : "");
}

void rpc_new_id(char out[33])
{
	unsigned char bytes[16];

	/* 16 bytes come whole; before the pool is ready the call waits. */
	while (getrandom(bytes, sizeof(bytes), 0) != (ssize_t)sizeof(bytes))
		if (errno != EINTR)
			abort();
	for (size_t i = 0; i < sizeof(bytes); i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}
