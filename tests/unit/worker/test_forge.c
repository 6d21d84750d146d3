/* The tables behind worker/forge.c; the wire itself is tested against the double. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "worker/forge.h"
#include "worker/forge_answer.h"

static void retry_delay_table(void **state)
{
	static const struct {
		struct forge_limits l;
		int made;
		int64_t low, high;
	} rows[] = {
		{{403, 5000, -1, -1, ""}, 1, 5000, 5500},
		{{429, -1, -1, -1, ""}, 1, 60000, 66000},
		{{403, -1, 0, 30000, ""}, 1, 31000, 34100},
		{{403, -1, 0, 3600000, ""}, 1, 3601000, 3961100},
		{{403, -1, 0, 7200000, ""}, 1, -1, -1},
		{{403, -1, 4999, -1, "You have exceeded a secondary rate limit"}, 1, 60000, 66000},
		{{403, -1, 4999, -1, "Resource not accessible"}, 1, -1, -1},
		{{401, 5, -1, -1, ""}, 1, -1, -1},
		{{404, -1, -1, -1, ""}, 1, -1, -1},
		{{422, -1, -1, -1, ""}, 1, -1, -1},
		{{409, -1, -1, -1, ""}, 1, 500, 1000},
		{{0, -1, -1, -1, ""}, 1, 500, 1000},
		{{502, -1, -1, -1, ""}, 3, 2000, 4000},
		{{503, 2000, -1, -1, ""}, 1, 2000, 2200},
		{{503, 7200000, -1, -1, ""}, 1, -1, -1},
		{{500, -1, -1, -1, ""}, FORGE_MAX_TRIES, -1, -1},
		{{429, 1000, -1, -1, ""}, FORGE_MAX_TRIES, -1, -1},
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (double r = 0; r < 1; r += 0.33) {
			int64_t ms = forge_retry_delay(&rows[i].l, rows[i].made, r);

			if (ms < rows[i].low || ms > rows[i].high)
				fail_msg("row %zu: %lld", i, (long long)ms);
		}
}

static void errors_say_what_to_do(void **state)
{
	static const struct {
		struct forge_limits l;
		const char *scopes;
		enum err_kind kind;
		const char *says;
	} rows[] = {
		{{401, -1, -1, -1, "Bad credentials"}, NULL, ERR_DENIED, "~/.env"},
		{{403, -1, -1, -1, "no"}, "", ERR_DENIED, "its scopes: none"},
		{{404, -1, -1, -1, ""}, "gist", ERR_NOT_FOUND, "its scopes: gist"},
		{{404, -1, -1, -1, ""}, NULL, ERR_NOT_FOUND, "GITHUB_TOKEN"},
		{{403, 3600000, -1, -1, ""}, NULL, ERR_UNAVAILABLE, "61 minutes"},
		{{409, -1, -1, -1, "c"}, NULL, ERR_CONFLICT, "c"},
		{{422, -1, -1, -1, "why"}, NULL, ERR_INVALID, "why"},
		{{500, -1, -1, -1, ""}, NULL, ERR_UNAVAILABLE, "500"},
		{{0, -1, -1, -1, "host: refused"}, NULL, ERR_UNAVAILABLE, "host: refused"},
		{{418, -1, -1, -1, ""}, NULL, ERR_PROTOCOL, "418"},
	};
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		forge_fill_error(&rows[i].l, "open it", rows[i].scopes, &e);
		assert_int_equal(e.kind, rows[i].kind);
		assert_non_null(strstr(e.text, "open it: "));
		if (!strstr(e.text, rows[i].says))
			fail_msg("row %zu: %s", i, e.text);
	}
}

static int pulls(const char *text, struct forge_pull *pull, char *author, struct err *e)
{
	return forge_parse_pulls(text, strlen(text), "b", pull, author, e);
}

static void reads_answers(void **state)
{
	struct forge_pull pull;
	char branch[256], author[256], reason[FORGE_REASON_BYTES];
	char owner[256] = "o", name[256] = "n";
	struct err e;
	const char *text = "{\"default_branch\":\"trunk\"}";

	(void)state;
	assert_int_equal(forge_parse_repository(text, strlen(text), branch, owner, name, &e), 0);
	assert_string_equal(branch, "trunk");
	assert_string_equal(owner, "o");
	text = "{\"default_branch\":\"trunk\",\"full_name\":\"new-owner/new.name\"}";
	assert_int_equal(forge_parse_repository(text, strlen(text), branch, owner, name, &e), 0);
	assert_string_equal(owner, "new-owner");
	assert_string_equal(name, "new.name");
	text = "{\"default_branch\":\"trunk\",\"full_name\":\"a/b/../c\"}";
	assert_int_equal(forge_parse_repository(text, strlen(text), branch, owner, name, &e), 0);
	assert_string_equal(owner, "new-owner");
	assert_int_equal(forge_parse_repository("{}", 2, branch, owner, name, &e), -1);
	assert_int_equal(forge_parse_repository("x", 1, branch, owner, name, &e), -1);
	assert_int_equal(pulls("[]", &pull, author, &e), 0);
	assert_int_equal(pulls("{}", &pull, author, &e), -1);
	/* Another branch's, a closed one, then ours. */
	assert_int_equal(
		pulls("[{\"head\":{\"ref\":\"a\"}},{\"head\":{\"ref\":\"b\"},\"state\":\"closed\"},"
		      "{"
		      "\"head\":{\"ref\":\"b\"},\"state\":\"open\",\"number\":7,\"html_url\":"
		      "\"https://h/"
		      "7\",\"title\":\"t\",\"base\":{\"ref\":\"m\"},\"user\":{\"login\":"
		      "\"u\"}}]",
			&pull, author, &e),
		1);
	assert_int_equal(pull.number, 7);
	assert_true(pull.existed);
	assert_string_equal(pull.url, "https://h/7");
	assert_string_equal(pull.base, "m");
	assert_string_equal(author, "u");
	text = "{\"number\":7,\"html_url\":\"javascript:alert(1)\"}";
	assert_int_equal(forge_parse_pull(text, strlen(text), &pull, author, &e), -1);
	text = "{\"message\":\"Validation\\nFailed\",\"errors\":[{\"field\":\"head\",\"code\":"
	       "\"invalid\"},{\"message\":\"m\"},\"s\",7]}";
	forge_reason(text, strlen(text), reason);
	assert_string_equal(reason, "Validation Failed; head: invalid; m; s");
	forge_reason("<html>", 6, reason);
	assert_string_equal(reason, "");
}

static void knows_whose_api_it_is(void **state)
{
	static const char *const rows[][2] = {
		{"https://api.github.com", "github.com"},
		{"https://git.example/api/v3", "git.example"},
		{"https://api.corp.ghe.com", "corp.ghe.com"},
		{"http://127.0.0.1:8080", "127.0.0.1"},
		{"http://[::1]:8080/", "[::1]"},
		{"https://x@evil", ""},
		{"nonsense", ""},
		{"https://", ""},
	};
	char host[256];

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		forge_host(rows[i][0], host);
		assert_string_equal(host, rows[i][1]);
	}
	assert_true(forge_name_ok("a-b_c.d"));
	assert_false(forge_name_ok(""));
	assert_false(forge_name_ok(".."));
	assert_false(forge_name_ok("a/b"));
	assert_false(forge_name_ok("a?b"));
}

static void serves_its_own_repositories(void **state)
{
	static const struct {
		const char *api, *url;
		bool serves;
	} rows[] = {
		{NULL, "https://github.com/o/r", true},
		{NULL, "git@github.com:o/r.git", true},
		{NULL, "https://gitlab.com/o/r", false},
		{NULL, "https://github.com/o/r/more", false},
		{"https://git.example/api/v3/", "https://git.example/o/r", true},
		{"https://git.example/api/v3", "https://github.com/o/r", false},
		{"", "https://github.com/o/r", true},
	};
	uv_loop_t loop;
	struct err e;

	(void)state;
	uv_loop_init(&loop);
	assert_null(forge_new(&loop, NULL, &(struct forge_options){0}, &e));
	assert_int_equal(e.kind, ERR_DENIED);
	assert_null(forge_new(
		&loop, NULL, &(struct forge_options){.token = "t", .api_url = "ftp://x/"}, &e));
	assert_int_equal(e.kind, ERR_INVALID);
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct forge_options o = {.token = "t", .api_url = rows[i].api};
		struct forge *f = forge_new(&loop, NULL, &o, &e);
		struct giturl url;

		assert_non_null(f);
		assert_int_equal(giturl_parse(rows[i].url, false, &url, &e), 0);
		if (forge_serves(f, &url) != rows[i].serves)
			fail_msg("row %zu", i);
		forge_free(f);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(retry_delay_table),
		cmocka_unit_test(errors_say_what_to_do),
		cmocka_unit_test(reads_answers),
		cmocka_unit_test(knows_whose_api_it_is),
		cmocka_unit_test(serves_its_own_repositories),
	};

	return cmocka_run_group_tests_name("forge", tests, NULL, NULL);
}
