/* Events as people read them. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "shared/event.h"
#include "shared/json.h"
#include "supervisor/ctl/render.h"

static cJSON *parse(const char *text)
{
	struct err e;
	cJSON *j = json_parse(text, strlen(text), EVENT_BODY_MAX, &e);

	assert_non_null(j);
	return j;
}

static void summaries(void **state)
{
	static const struct {
		const char *kind, *body, *line;
	} cases[] = {
		{"state", "{\"state\":\"waiting\",\"reason\":\"a person is needed\"}",
			"waiting: a person is needed"},
		{"turn",
			"{\"turn\":2,\"phase\":\"started\",\"source\":\"task\",\"prompt\":"
			"\"Fix\\nit\"}",
			"turn 2 started (task): Fix it"},
		{"turn",
			"{\"turn\":2,\"phase\":\"ended\",\"stop_reason\":\"end_turn\",\"duration_"
			"ms\":1500}",
			"turn 2 ended (end_turn) after 1.5s"},
		{"decision",
			"{\"action\":\"/add a.py\",\"thought\":\"Look first.\",\"accepted\":true}",
			"manager /add a.py — Look first."},
		{"decision", "{\"accepted\":false,\"reason\":\"no action\"}",
			"answer refused: no action"},
		{"tool",
			"{\"tool_kind\":\"edit\",\"title\":\"Edit\",\"status\":\"completed\","
			"\"diffs\":"
			"[{\"path\":\"a.py\",\"added\":3,\"removed\":1}]}",
			"edit Edit a.py +3 −1"},
		{"commit", "{\"hash\":\"1a2b3c4d5e\",\"message\":\"fix: round\\n\\nWhy.\"}",
			"commit 1a2b3c4 fix: round"},
		{"usage",
			"{\"role\":\"aider\",\"model\":\"openai/"
			"x\",\"tokens_in\":1234,\"tokens_out\":5,"
			"\"dollars\":0.01}",
			"aider openai/x 1.2k in 5 out $0.0100"},
		{"usage",
			"{\"role\":\"aider\",\"model\":\"m\",\"tokens_in\":1,\"tokens_out\":2,"
			"\"dollars\":null}",
			"aider m 1 in 2 out"},
		{"message", "{\"from\":\"person\",\"to\":\"agent/7\",\"text\":\"hello\"}",
			"person → agent/7: hello"},
		{"permission",
			"{\"id\":\"p1\",\"status\":\"asked\",\"title\":\"Run it?\",\"options\":"
			"[{\"id\":\"y\",\"name\":\"Yes\"}]}",
			"permission p1 asked: Run it? [y: Yes]"},
		{"progress", "{\"what\":\"clone\",\"done\":45,\"total\":100}", "clone 45 %"},
		{"diff", "{\"files\":[{\"path\":\"a\"}],\"added\":3,\"removed\":1}",
			"1 file changed +3 −1"},
		{"test", "{\"passed\":false,\"exit_code\":1,\"command\":\"make check\"}",
			"tests failed (exit code 1): make check"},
		{"finish", "{\"step\":\"push\",\"status\":\"failed\",\"reason\":\"no rights\"}",
			"finishing: push failed: no rights"},
		{"trouble", "{\"what\":\"model\",\"reason\":\"busy\",\"retry_in_ms\":2000}",
			"model: busy (again in 2.0s)"},
		{"config", "{\"changed\":[\"max_working\"]}", "changed max_working"},
		{"output", "{\"text\":\"\\u001b[2Ja\\nb\"}", "a b"},
		{"a_kind_of_tomorrow", "{}", ""},
	};
	struct term plain = {0};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cJSON *body = parse(cases[i].body);
		struct buf out;

		buf_init(&out, 0);
		render_summary(&out, &plain, cases[i].kind, body);
		assert_string_equal(out.len ? out.data : "", cases[i].line);
		buf_clear(&out);
		cJSON_Delete(body);
	}
}

/* Every kind there is has its summary, and wrong types in a body harm nothing. */
static void every_kind(void **state)
{
	static const char *const bodies[] = {"{}",
		"{\"text\":5,\"turn\":\"x\",\"diffs\":{\"a\":1},\"options\":[1,null],\"files\":7,"
		"\"changed\":[1],\"dollars\":\"\",\"phase\":[],\"state\":{}}"};
	struct term plain = {0};

	(void)state;
	for (int kind = 0; kind < EVENT_KIND_COUNT; kind++) {
		for (size_t i = 0; i < 2; i++) {
			cJSON *body = parse(bodies[i]);
			struct buf out;

			buf_init(&out, 0);
			render_summary(&out, &plain, event_kind_word((enum event_kind)kind), body);
			buf_clear(&out);
			cJSON_Delete(body);
		}
	}
}

static void add(struct render *r, struct buf *out, const char *kind, const char *text)
{
	cJSON *body = parse(text);

	render_log(r, out, kind, body);
	cJSON_Delete(body);
}

/* Streamed text flows on; what is no text, or another stream, begins a new line. */
static void log_flows(void **state)
{
	struct render r = {0};
	struct buf out;

	(void)state;
	buf_init(&out, 0);
	add(&r, &out, "output", "{\"stream\":\"agent\",\"text\":\"Hel\"}");
	add(&r, &out, "output", "{\"stream\":\"agent\",\"text\":\"lo\\u001b[3\"}");
	add(&r, &out, "output", "{\"stream\":\"agent\",\"text\":\"1m!\"}");
	add(&r, &out, "output", "{\"stream\":\"log\",\"text\":\"note\\n\"}");
	add(&r, &out, "state", "{\"state\":\"done\"}");
	add(&r, &out, "turn",
		"{\"turn\":1,\"phase\":\"started\",\"source\":\"person\",\"prompt\":\"a\\nb\"}");
	add(&r, &out, "output", "{\"stream\":\"agent\",\"text\":\"open\"}");
	render_end(&r, &out);
	assert_string_equal(out.data, "Hello!\nnote\n── done\n"
				      "── turn 1 started (person): a b\n   a\n   b\nopen\n");
	buf_clear(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(summaries),
		cmocka_unit_test(every_kind),
		cmocka_unit_test(log_flows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
