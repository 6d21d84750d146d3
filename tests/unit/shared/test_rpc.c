/* JSON-RPC messages. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/rpc.h"

static int parse(const char *text, struct rpc *m, struct err *e)
{
	return rpc_parse(text, strlen(text), RPC_MAX_BYTES, m, e);
}

static void reads_each_type(void **state)
{
	struct rpc m;
	struct err e;

	(void)state;
	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":\"a1\",\"method\":\"agent.tell\","
			       "\"params\":{\"agent\":7}}",
				 &m, &e),
		0);
	assert_int_equal(m.type, RPC_REQUEST);
	assert_string_equal(m.id->valuestring, "a1");
	assert_string_equal(m.method, "agent.tell");
	assert_int_equal(json_int(m.params, "agent", 0), 7);
	rpc_clear(&m);

	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"method\":\"n\",\"params\":[1]}", &m, &e), 0);
	assert_int_equal(m.type, RPC_NOTIFICATION);
	assert_null(m.id);
	rpc_clear(&m);

	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":0,\"result\":null}", &m, &e), 0);
	assert_int_equal(m.type, RPC_RESULT);
	assert_true(cJSON_IsNull(m.result));
	rpc_clear(&m);

	assert_int_equal(parse("{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
			       "\"message\":\"no\",\"data\":{\"kind\":\"protocol\"}}}",
				 &m, &e),
		0);
	assert_int_equal(m.type, RPC_ERROR);
	assert_int_equal(m.error_code, -32700);
	assert_string_equal(m.error_message, "no");
	rpc_error_to(&m, &e);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	rpc_clear(&m);
}

static void refuses_the_rest(void **state)
{
	static const char *const bad[] = {
		"[]",
		"{}",
		"1",
		"{\"jsonrpc\":\"1.0\",\"id\":1,\"method\":\"m\"}",
		"{\"id\":1,\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"extra\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"error\":{\"code\":1,\"message\":\"\"}"
		"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"result\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":5}",
		"{\"jsonrpc\":\"2.0\",\"id\":1.5,\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1e300,\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":[],\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":\"\",\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"method\":\"m\"}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"method\":\"m\",\"params\":5}",
		"{\"jsonrpc\":\"2.0\",\"result\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":null,\"result\":1}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":{}}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":5}",
		"{\"jsonrpc\":\"2.0\",\"id\":1,\"result\":1,\"params\":{}}",
	};
	struct rpc m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (parse(bad[i], &m, &e) == 0)
			fail_msg("taken: %s", bad[i]);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_null(m.root);
	}
	assert_int_equal(parse("{", &m, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	assert_int_equal(rpc_parse("{\"jsonrpc\":\"2.0\"}", 17, 16, &m, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
}

static void writes(void **state)
{
	_cleanup_json_ cJSON *params = cJSON_Parse("{\"a\":1}");
	_cleanup_json_ cJSON *id = cJSON_CreateString("x");
	_cleanup_free_ char *a = rpc_request("x", "m", params);
	_cleanup_free_ char *b = rpc_request_int(5, "m", NULL);
	_cleanup_free_ char *c = rpc_notification("m", params);
	_cleanup_free_ char *d = rpc_result(id, params);
	_cleanup_free_ char *f = rpc_error(NULL, -32700, "bad \xff", NULL);

	(void)state;
	assert_string_equal(
		a, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"method\":\"m\",\"params\":{\"a\":1}}");
	assert_string_equal(b, "{\"jsonrpc\":\"2.0\",\"id\":5,\"method\":\"m\"}");
	assert_string_equal(c, "{\"jsonrpc\":\"2.0\",\"method\":\"m\",\"params\":{\"a\":1}}");
	assert_string_equal(d, "{\"jsonrpc\":\"2.0\",\"id\":\"x\",\"result\":{\"a\":1}}");
	assert_string_equal(f, "{\"jsonrpc\":\"2.0\",\"id\":null,\"error\":{\"code\":-32700,"
			       "\"message\":\"bad \xef\xbf\xbd\"}}");
	/* What was lent is still whole. */
	assert_int_equal(json_int(params, "a", 0), 1);
	assert_string_equal(id->valuestring, "x");
}

static void errors_travel(void **state)
{
	_cleanup_json_ cJSON *id = cJSON_CreateNumber(3);

	(void)state;
	for (int kind = ERR_INVALID; kind <= ERR_INTERNAL; kind++) {
		struct err from = {.kind = (enum err_kind)kind, .text = "agent 7: no"};
		_cleanup_free_ char *text = rpc_error_from(id, &from);
		struct rpc m;
		struct err e;

		assert_int_equal(parse(text, &m, &e), 0);
		assert_int_equal(m.error_code, kind == ERR_INVALID ? -32602 : -32000 - kind);
		rpc_error_to(&m, &e);
		assert_int_equal(e.kind, kind);
		assert_string_equal(e.text, "agent 7: no");
		rpc_clear(&m);
	}
}

/* Errors of peers that know nothing of our kinds: by JSON-RPC's own codes. */
static void foreign_errors_have_a_kind(void **state)
{
	static const struct {
		const char *error;
		enum err_kind kind;
	} errors[] = {
		{"{\"code\":-32602,\"message\":\"m\"}", ERR_INVALID},
		{"{\"code\":-32600,\"message\":\"m\"}", ERR_INVALID},
		{"{\"code\":-32601,\"message\":\"m\"}", ERR_NOT_FOUND},
		{"{\"code\":-32700,\"message\":\"m\"}", ERR_PROTOCOL},
		{"{\"code\":-32603,\"message\":\"m\"}", ERR_INTERNAL},
		{"{\"code\":7,\"message\":\"m\",\"data\":[]}", ERR_INTERNAL},
		{"{\"code\":7,\"message\":\"m\",\"data\":{\"kind\":\"none\"}}", ERR_INTERNAL},
		{"{\"code\":7,\"message\":\"m\",\"data\":{\"kind\":\"limit\"}}", ERR_LIMIT},
	};
	char text[256];

	(void)state;
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		struct rpc m;
		struct err e;

		snprintf(text, sizeof(text), "{\"jsonrpc\":\"2.0\",\"id\":1,\"error\":%s}",
			errors[i].error);
		assert_int_equal(parse(text, &m, &e), 0);
		rpc_error_to(&m, &e);
		assert_int_equal(e.kind, errors[i].kind);
		assert_string_equal(e.text, "m");
		rpc_clear(&m);
	}
}

static void ids_are_fresh(void **state)
{
	char a[33];
	char b[33];

	(void)state;
	rpc_new_id(a);
	rpc_new_id(b);
	assert_int_equal(strlen(a), 32);
	assert_int_equal(strspn(a, "0123456789abcdef"), 32);
	assert_string_not_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(reads_each_type),
		cmocka_unit_test(refuses_the_rest),
		cmocka_unit_test(writes),
		cmocka_unit_test(errors_travel),
		cmocka_unit_test(foreign_errors_have_a_kind),
		cmocka_unit_test(ids_are_fresh),
	};

	return cmocka_run_group_tests_name("rpc", tests, NULL, NULL);
}
