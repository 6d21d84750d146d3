/* The agent protocol's framing and updates, and what may be permitted. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/json.h"
#include "worker/acp_frame.h"
#include "worker/acp_update.h"
#include "worker/permission.h"

struct lines {
	int protocol, stray;
	struct buf text; /* each line behind "p:" or "s:", with a newline */
};

static void on_line(void *arg, const char *line, size_t n, bool stray)
{
	struct lines *l = arg;

	l->protocol += !stray;
	l->stray += stray;
	buf_adds(&l->text, stray ? "s:" : "p:");
	buf_add(&l->text, line, n);
	buf_adds(&l->text, "\n");
}

static void lines_however_they_are_cut(void **state)
{
	const char *in = "{\"a\":1}\n\nhello\r\n  {\"b\":2}\r\n{}\n";
	const char *out = "p:{\"a\":1}\ns:hello\np:{\"b\":2}\np:{}\n";
	struct err e;

	(void)state;
	for (size_t size = 1; size <= strlen(in); size++) {
		struct acp_frame f;
		struct lines l = {0};

		acp_frame_init(&f, 1000);
		for (size_t at = 0; at < strlen(in); at += size) {
			size_t left = strlen(in) - at;

			assert_int_equal(acp_frame_feed(&f, in + at, left < size ? left : size,
						 on_line, &l, &e),
				0);
		}
		assert_string_equal(l.text.data, out);
		buf_clear(&l.text);
		acp_frame_clear(&f);
	}
}

static void a_line_too_long(void **state)
{
	struct acp_frame f;
	struct lines l = {0};
	char block[100];
	struct err e;
	int r = 0;

	(void)state;
	memset(block, 'x', sizeof block);
	block[0] = '{';
	acp_frame_init(&f, 1000);
	for (int i = 0; i < 11 && r == 0; i++)
		r = acp_frame_feed(&f, block, sizeof block, on_line, &l, &e);
	assert_int_equal(r, -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	acp_frame_clear(&f);
	/* What is no protocol may be as long as it likes: it is not kept. */
	acp_frame_init(&f, 8000);
	block[0] = 'x';
	for (int i = 0; i < 10000; i++)
		assert_int_equal(acp_frame_feed(&f, block, sizeof block, on_line, &l, &e), 0);
	assert_true(f.line.cap <= 4 * ACP_STRAY_MAX);
	assert_int_equal(acp_frame_feed(&f, "\n{}\n", 4, on_line, &l, &e), 0);
	assert_int_equal(l.stray, 1);
	assert_int_equal(l.protocol, 1);
	assert_int_equal(l.text.len, 2 + ACP_STRAY_MAX + 1 + 2 + 2 + 1);
	buf_clear(&l.text);
	acp_frame_clear(&f);
}

static void a_large_line_gives_its_memory_back(void **state)
{
	size_t n = 3 * 1024 * 1024;
	char *text = malloc(n);
	struct acp_frame f;
	struct lines l = {0};
	struct err e;

	(void)state;
	assert_non_null(text);
	memset(text, ' ', n);
	text[0] = '{';
	text[n - 1] = '\n';
	acp_frame_init(&f, ACP_LINE_MAX);
	assert_int_equal(acp_frame_feed(&f, text, n / 2, on_line, &l, &e), 0);
	assert_int_equal(acp_frame_feed(&f, text + n / 2, n - n / 2, on_line, &l, &e), 0);
	assert_int_equal(l.protocol, 1);
	assert_int_equal(f.line.cap, 0);
	buf_clear(&l.text);
	acp_frame_clear(&f);
	free(text);
}

/* Parses the update object text; the caller deletes *root. */
static int parse(const char *text, struct acp_update *u, cJSON **root)
{
	struct err e;
	char whole[2048];

	snprintf(whole, sizeof whole, "{\"sessionId\":\"s\",\"update\":%s}", text);
	*root = json_parse(whole, strlen(whole), sizeof whole, &e);
	assert_non_null(*root);
	return acp_update_parse(*root, u, &e);
}

static void updates(void **state)
{
	static const struct {
		const char *text;
		enum acp_update_kind kind;
		const char *said;
	} rows[] = {
		{"{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"text\","
		 "\"text\":\"hi\"}}",
			ACP_TEXT, "hi"},
		{"{\"sessionUpdate\":\"agent_message_chunk\",\"content\":{\"type\":\"image\","
		 "\"data\":\"\"}}",
			ACP_TEXT, ""},
		{"{\"sessionUpdate\":\"agent_thought_chunk\",\"content\":{\"type\":\"text\","
		 "\"text\":\"hm\"}}",
			ACP_THOUGHT, "hm"},
		{"{\"sessionUpdate\":\"agent_thought_chunk\",\"content\":{\"type\":\"text\","
		 "\"text\":\"w\"},"
		 "\"_meta\":{\"100x\":{\"stream\":\"log\"}}}",
			ACP_LOG, "w"},
		{"{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"1\",\"title\":\"t\"}", ACP_TOOL,
			""},
		{"{\"sessionUpdate\":\"tool_call\",\"toolCallId\":\"1\",\"_meta\":{\"100x\":{"
		 "\"commit\":{}}}}",
			ACP_COMMIT, ""},
		{"{\"sessionUpdate\":\"plan\",\"entries\":[]}", ACP_PLAN, ""},
		{"{\"sessionUpdate\":\"something_new\"}", ACP_OTHER, ""},
	};
	struct acp_update u;
	cJSON *root;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(parse(rows[i].text, &u, &root), 0);
		assert_int_equal(u.kind, rows[i].kind);
		assert_string_equal(u.text, rows[i].said);
		cJSON_Delete(root);
	}
	assert_int_equal(parse("{}", &u, &root), -1);
	cJSON_Delete(root);
	assert_int_equal(parse("{\"sessionUpdate\":\"tool_call\"}", &u, &root), -1);
	cJSON_Delete(root);
}

static void usage(void **state)
{
	struct acp_usage of_result;
	struct acp_update u;
	cJSON *root;

	(void)state;
	assert_int_equal(
		parse("{\"sessionUpdate\":\"usage_update\",\"used\":1,\"size\":2,"
		      "\"cost\":{\"amount\":0.5,\"currency\":\"USD\"},\"_meta\":{\"100x\":{"
		      "\"usage\":"
		      "{\"model\":\"m\",\"tokens_in\":10,\"tokens_out\":5,\"tokens_cached\":3,"
		      "\"dollars\":0.25}}}}",
			&u, &root),
		0);
	assert_true(u.usage.exact);
	assert_int_equal(u.usage.tokens_in, 10);
	assert_true(u.usage.dollars == 0.25 && u.usage.cost_total == 0.5);
	cJSON_Delete(root);
	/* Another currency is no dollars, an unknown price no zero. */
	parse("{\"sessionUpdate\":\"usage_update\",\"cost\":{\"amount\":9,\"currency\":\"EUR\"},"
	      "\"_meta\":{\"100x\":{\"usage\":{\"model\":\"m\",\"tokens_in\":-5,\"dollars\":null}}}"
	      "}",
		&u, &root);
	assert_true(u.usage.cost_total < 0 && u.usage.dollars < 0);
	assert_int_equal(u.usage.tokens_in, 0);
	cJSON_Delete(root);
	root = cJSON_Parse("{\"stopReason\":\"end_turn\",\"usage\":{\"inputTokens\":7,"
			   "\"outputTokens\":2,\"cachedReadTokens\":3}}");
	assert_true(acp_usage_of_result(root, &of_result));
	assert_int_equal(of_result.tokens_in, 10);
	assert_int_equal(of_result.tokens_cached, 3);
	cJSON_Delete(root);
	assert_false(acp_usage_of_result(NULL, &of_result));
}

static bool leaves(const char *call)
{
	cJSON *j = cJSON_Parse(call);
	char why[256] = "";
	bool l;

	assert_non_null(j);
	l = permission_leaves(j, "/work/repo", why, sizeof why);
	assert_int_equal(l, *why != '\0');
	cJSON_Delete(j);
	return l;
}

static void what_leaves_the_workspace(void **state)
{
	static const char *const stays[] = {
		"{\"title\":\"Create new file src/a.c?\"}",
		"{\"title\":\"Edit\",\"locations\":[{\"path\":\"/work/repo/src/a.c\"}]}",
		"{\"title\":\"Edit\",\"content\":[{\"type\":\"diff\",\"path\":\"/work/repo/a\"}]}",
		"{\"title\":\"Run /test make check 2>/dev/null\"}",
		"{\"rawInput\":{\"command\":\"ls src/x..y\",\"content\":\"see /etc/passwd\"}}",
		"{\"title\":\"and/or a...b\"}",
	};
	static const char *const goes[] = {
		"{\"title\":\"Edit\",\"locations\":[{\"path\":\"/work/repository/a\"}]}",
		"{\"title\":\"Edit\",\"locations\":[{\"path\":\"/work/repo/../x\"}]}",
		"{\"title\":\"Edit\",\"content\":[{\"type\":\"diff\",\"path\":\"/etc/passwd\"}]}",
		"{\"title\":\"Add ../secret to the chat?\"}",
		"{\"title\":\"Open https://example.com/x?\"}",
		"{\"title\":\"cat /etc/passwd\"}",
		"{\"title\":\"cat ~/.env\"}",
		"{\"title\":\"cat $HOME/.env\"}",
		"{\"title\":\"x\",\"rawInput\":{\"args\":[\"-c\",\"cat>/tmp/x\"]}}",
		"{\"content\":[{\"type\":\"content\",\"content\":{\"type\":\"text\","
		"\"text\":\"rm -rf /\"}}]}",
	};

	(void)state;
	for (size_t i = 0; i < sizeof stays / sizeof *stays; i++)
		assert_false(leaves(stays[i]));
	for (size_t i = 0; i < sizeof goes / sizeof *goes; i++)
		assert_true(leaves(goes[i]));
}

static void options_to_choose(void **state)
{
	cJSON *j = cJSON_Parse("[{\"optionId\":\"aa\",\"kind\":\"allow_always\"},"
			       "{\"optionId\":\"a\",\"kind\":\"allow_once\"},"
			       "{\"optionId\":\"ra\",\"kind\":\"reject_always\"}]");

	(void)state;
	assert_string_equal(permission_option(j, true), "a");
	assert_string_equal(permission_option(j, false), "ra");
	assert_null(permission_option(NULL, true));
	cJSON_Delete(j);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lines_however_they_are_cut),
		cmocka_unit_test(a_line_too_long),
		cmocka_unit_test(a_large_line_gives_its_memory_back),
		cmocka_unit_test(updates),
		cmocka_unit_test(usage),
		cmocka_unit_test(what_leaves_the_workspace),
		cmocka_unit_test(options_to_choose),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
