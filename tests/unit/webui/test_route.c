// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <ctype.h>
#include <string.h>

#include "shared/json.h"
#include "webui/api.h"
#include "webui/files.h"
#include "webui/reply.h"

static void paths(void **state)
{
	static const struct {
		const char *method, *path;
		int status;
		enum route route;
		int64_t id;
	} cases[] = {
		{"GET", "/api/v1/status", 200, ROUTE_STATUS, 0},
		{"HEAD", "/api/v1/status", 200, ROUTE_STATUS, 0},
		{"GET", "/api/v1/agents/7", 200, ROUTE_AGENT, 7},
		{"DELETE", "/api/v1/agents/123456789012345", 200, ROUTE_AGENT_DELETE,
			123456789012345},
		{"POST", "/api/v1/agents/all/tell", 200, ROUTE_TELL_ALL, 0},
		{"POST", "/api/v1/agents/7/tell", 200, ROUTE_TELL, 7},
		{"POST", "/api/v1/tasks", 200, ROUTE_TASK_CREATE, 0},
		{"PUT", "/api/v1/tasks", 405, 0, 0},
		{"GET", "/api/v1/agents/7/tell", 405, 0, 0},
		{"GET", "/api/v1/agents/0", 404, 0, 0},
		{"GET", "/api/v1/agents/07", 404, 0, 0},
		{"GET", "/api/v1/agents/-7", 404, 0, 0},
		{"GET", "/api/v1/agents/7/", 404, 0, 0},
		{"GET", "/api/v1/agents/7x", 404, 0, 0},
		{"GET", "/api/v1/agents/1234567890123456", 404, 0, 0},
		{"GET", "/api/v1/agents/%37", 404, 0, 0},
		{"GET", "/api/v1/../v1/status", 404, 0, 0},
		{"GET", "/api/v1", 404, 0, 0},
		{"GET", "/api/v2/status", 404, 0, 0},
		{"GET", "", 404, 0, 0},
	};
	char allow[ROUTE_ALLOW_MAX];
	enum route route;
	int64_t id;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int status = route_find(cases[i].method, cases[i].path, &route, &id, allow);

		if (status != cases[i].status ||
			(status == 200 && (route != cases[i].route || id != cases[i].id)))
			fail_msg("%s %s: %d", cases[i].method, cases[i].path, status);
	}
	assert_int_equal(route_find("PUT", "/api/v1/session", &route, &id, allow), 405);
	assert_string_equal(allow, "GET, POST, DELETE");
}

static void table_is_described(void **state)
{
	struct err e;
	size_t n = strlen(openapi_json);
	cJSON *doc = json_parse(openapi_json, n, n, &e);
	const cJSON *path, *operation;
	int described = 0;

	(void)state;
	if (!doc)
		fail_msg("openapi.json: %s", e.text);
	const cJSON *all = json_get(doc, "paths");
	for (int i = 0; i < ROUTE_COUNT; i++) {
		char method[8] = "";

		for (size_t k = 0; route_method((enum route)i)[k]; k++)
			method[k] = (char)tolower((unsigned char)route_method((enum route)i)[k]);
		path = json_get(all, route_path((enum route)i));
		if (!path || !json_get(path, method))
			fail_msg("%s %s is not described", method, route_path((enum route)i));
	}
	cJSON_ArrayForEach (path, all) {
		cJSON_ArrayForEach (operation, path) {
			described += strcmp(operation->string, "parameters") != 0;
		}
	}
	assert_int_equal(described, ROUTE_COUNT);
	cJSON_Delete(doc);
}

static void queries(void **state)
{
	static const char *const bad[] = {
		"x=1", "a=1&a=2", "a=%4", "a=%zz", "a=%00", "a=%ff", "=1", "a[]=1", "A=1"};
	struct query q;
	struct err e;
	int64_t value = -5;

	(void)state;
	assert_int_equal(query_parse("a=1&b=x%20y+z%C3%A4&", "a b", &q, &e), 0);
	assert_string_equal(query_get(&q, "a"), "1");
	assert_string_equal(query_get(&q, "b"), "x y z\xc3\xa4");
	assert_null(query_get(&q, "c"));
	assert_int_equal(query_int(&q, "a", 1, 9, &value, &e), 0);
	assert_int_equal(value, 1);
	assert_int_equal(query_int(&q, "c", 1, 9, &value, &e), 0);
	assert_int_equal(value, 1);
	assert_int_equal(query_int(&q, "a", 2, 9, &value, &e), -1);
	assert_int_equal(query_int(&q, "b", 2, 9, &value, &e), -1);
	assert_int_equal(query_parse(NULL, "", &q, &e), 0);
	assert_int_equal(query_parse("a", "a", &q, &e), 0);
	assert_string_equal(query_get(&q, "a"), "");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		if (query_parse(bad[i], "a b", &q, &e) == 0)
			fail_msg("%s was taken", bad[i]);
		assert_int_equal(e.kind, ERR_INVALID);
	}
}

static void word_lists(void **state)
{
	struct words w;
	struct err e;

	(void)state;
	assert_int_equal(words_parse("state,pull_request", &w, &e), 0);
	assert_int_equal(w.count, 2);
	assert_string_equal(w.word[1], "pull_request");
	assert_int_equal(words_parse(NULL, &w, &e), 0);
	assert_int_equal(w.count, 0);
	assert_int_equal(words_parse("a,,b", &w, &e), -1);
	assert_int_equal(words_parse("a'b", &w, &e), -1);
	assert_int_equal(words_parse("a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q,r,s,t,u,v,w,x,y,z,"
				     "a,b,c,d,e,f,g",
				 &w, &e),
		-1);
}

static void page_paths(void **state)
{
	(void)state;
	assert_true(files_page_path("/"));
	assert_true(files_page_path("/agents/7"));
	assert_false(files_page_path("/favicon.ico"));
	assert_false(files_page_path("/../x"));
	assert_false(files_page_path("//evil"));
	assert_false(files_page_path("/a%2fb"));
	assert_false(files_page_path(""));
	assert_true(files_hashed_name("main-3F2A9C1B.js"));
	assert_true(files_hashed_name("main-3F2A9C1B.js.gz"));
	assert_false(files_hashed_name("main.js"));
	assert_false(files_hashed_name("index.html"));
	assert_false(files_hashed_name("some-download.js"));
}

static void error_fields(void **state)
{
	struct err e;
	char field[128];

	(void)state;
	err_set(&e, ERR_INVALID, "limits.turns: is -1, must be from 0 to 10");
	reply_field(&e, field, sizeof field);
	assert_string_equal(field, "limits.turns");
	err_set(&e, ERR_INVALID, "JSON: a string was expected at byte 4");
	reply_field(&e, field, sizeof field);
	assert_string_equal(field, "");
	err_set(&e, ERR_NOT_FOUND, "agent: 7");
	reply_field(&e, field, sizeof field);
	assert_string_equal(field, "");
	assert_int_equal(reply_status(ERR_UNAVAILABLE), 503);
	assert_int_equal(reply_status(ERR_INTERNAL), 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(paths),
		cmocka_unit_test(table_is_described),
		cmocka_unit_test(queries),
		cmocka_unit_test(word_lists),
		cmocka_unit_test(page_paths),
		cmocka_unit_test(error_fields),
	};

	return cmocka_run_group_tests_name("webui/route", tests, NULL, NULL);
}
