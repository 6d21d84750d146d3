/* Events for people. */
#include "supervisor/ctl/render.h"

#include <stdlib.h>
#include <string.h>

#include "shared/json.h"

#define LINE_COLUMNS 160 /* of one foreign text in a summary */

static void add_line(struct buf *out, const cJSON *body, const char *name)
{
	term_line(out, json_str(body, name, ""), LINE_COLUMNS);
}

/* ": text" if there is one. */
static void add_because(struct buf *out, const cJSON *body, const char *name)
{
	if (*json_str(body, name, "")) {
		buf_adds(out, ": ");
		add_line(out, body, name);
	}
}

static void add_styled(
	struct buf *out, const struct term *t, enum term_style style, const char *text)
{
	buf_adds(out, term_on(t, style));
	term_line(out, text, LINE_COLUMNS);
	buf_adds(out, term_off(t, style));
}

static void summary_turn(struct buf *out, const struct term *t, const cJSON *body)
{
	char text[32];

	(void)t;
	buf_addf(out, "turn %lld ", (long long)json_int(body, "turn", 0));
	if (strcmp(json_str(body, "phase", ""), "started") == 0) {
		buf_adds(out, "started (");
		add_line(out, body, "source");
		buf_adds(out, ")");
		add_because(out, body, "prompt");
		return;
	}
	buf_adds(out, "ended (");
	add_line(out, body, "stop_reason");
	buf_addf(out, ") after %s", term_duration(json_int(body, "duration_ms", 0), text));
	add_because(out, body, "reason");
}

static void summary_decision(struct buf *out, const struct term *t, const cJSON *body)
{
	if (!json_bool(body, "accepted", true)) {
		add_styled(out, t, TERM_YELLOW, "answer refused");
		add_because(out, body, "reason");
		return;
	}
	buf_adds(out, "manager ");
	add_styled(out, t, TERM_BOLD, json_str(body, "action", ""));
	if (*json_str(body, "thought", "")) {
		buf_adds(out, " — ");
		add_line(out, body, "thought");
	}
}

static void summary_tool(struct buf *out, const struct term *t, const cJSON *body)
{
	const cJSON *diff;
	const char *status = json_str(body, "status", "");

	add_line(out, body, "tool_kind");
	buf_adds(out, " ");
	add_line(out, body, "title");
	if (strcmp(status, "completed") != 0) {
		buf_adds(out, " ");
		add_styled(out, t, strcmp(status, "failed") == 0 ? TERM_RED : TERM_DIM, status);
	}
	cJSON_ArrayForEach (diff, json_get(body, "diffs")) {
		buf_adds(out, " ");
		add_line(out, diff, "path");
		buf_addf(out, " %s+%lld%s %s−%lld%s", term_on(t, TERM_GREEN),
			(long long)json_int(diff, "added", 0), term_off(t, TERM_GREEN),
			term_on(t, TERM_RED), (long long)json_int(diff, "removed", 0),
			term_off(t, TERM_RED));
	}
}

static void summary_usage(struct buf *out, const struct term *t, const cJSON *body)
{
	char in[32], tokens_out[32], dollars[32];
	const cJSON *price = json_get(body, "dollars");

	(void)t;
	add_line(out, body, "role");
	buf_adds(out, " ");
	add_line(out, body, "model");
	buf_addf(out, " %s in %s out", term_count(json_int(body, "tokens_in", 0), in),
		term_count(json_int(body, "tokens_out", 0), tokens_out));
	if (cJSON_IsNumber(price))
		buf_addf(out, " %s", term_dollars(price->valuedouble, dollars));
}

static void summary_message(struct buf *out, const struct term *t, const cJSON *body)
{
	(void)t;
	add_line(out, body, "from");
	buf_adds(out, " → ");
	add_line(out, body, "to");
	add_because(out, body, "text");
}

static void summary_permission(struct buf *out, const struct term *t, const cJSON *body)
{
	const cJSON *option;
	const char *status = json_str(body, "status", "");

	buf_adds(out, "permission ");
	add_line(out, body, "id");
	buf_adds(out, " ");
	add_styled(out, t, strcmp(status, "asked") == 0 ? TERM_YELLOW : TERM_PLAIN, status);
	if (strcmp(status, "asked") != 0) {
		buf_adds(out, " ");
		add_line(out, body, "option");
		return;
	}
	add_because(out, body, "title");
	cJSON_ArrayForEach (option, json_get(body, "options")) {
		buf_adds(out, " [");
		add_line(out, option, "id");
		buf_adds(out, ": ");
		add_line(out, option, "name");
		buf_adds(out, "]");
	}
}

static void summary_progress(struct buf *out, const struct term *t, const cJSON *body)
{
	int64_t done = json_int(body, "done", 0), total = json_int(body, "total", 0);

	(void)t;
	add_line(out, body, "what");
	if (total > 0)
		buf_addf(out, " %lld %%", (long long)(100 * (done < total ? done : total) / total));
	else if (done > 0)
		buf_addf(out, " %lld", (long long)done);
	add_because(out, body, "text");
}

static void summary_diff(struct buf *out, const struct term *t, const cJSON *body)
{
	int files = cJSON_GetArraySize(json_get(body, "files"));

	buf_addf(out, "%d file%s changed %s+%lld%s %s−%lld%s", files, files == 1 ? "" : "s",
		term_on(t, TERM_GREEN), (long long)json_int(body, "added", 0),
		term_off(t, TERM_GREEN), term_on(t, TERM_RED),
		(long long)json_int(body, "removed", 0), term_off(t, TERM_RED));
}

static void summary_test(struct buf *out, const struct term *t, const cJSON *body)
{
	bool passed = json_bool(body, "passed", false);

	add_styled(
		out, t, passed ? TERM_GREEN : TERM_RED, passed ? "tests passed" : "tests failed");
	if (!passed)
		buf_addf(out, " (exit code %lld)", (long long)json_int(body, "exit_code", -1));
	add_because(out, body, "command");
}

static void summary_finish(struct buf *out, const struct term *t, const cJSON *body)
{
	const char *status = json_str(body, "status", "");

	buf_adds(out, "finishing: ");
	add_line(out, body, "step");
	buf_adds(out, " ");
	add_styled(out, t, strcmp(status, "failed") == 0 ? TERM_RED : TERM_PLAIN, status);
	add_because(out, body, "reason");
	add_because(out, body, "url");
}

static void summary_trouble(struct buf *out, const struct term *t, const cJSON *body)
{
	char text[32];

	add_styled(out, t, TERM_YELLOW, json_str(body, "what", ""));
	add_because(out, body, "reason");
	if (*json_str(body, "hint", "")) {
		buf_adds(out, " — ");
		add_line(out, body, "hint");
	}
	if (json_int(body, "retry_in_ms", 0) > 0)
		buf_addf(out, " (again in %s)",
			term_duration(json_int(body, "retry_in_ms", 0), text));
}

static void summary_workspace(struct buf *out, const struct term *t, const cJSON *body)
{
	(void)t;
	buf_adds(out, "its workspace is ");
	add_line(out, body, "state");
	if (*json_str(body, "saved", "") && strcmp(json_str(body, "state", ""), "reclaimed") == 0) {
		buf_adds(out, "; its work is kept as ");
		add_line(out, body, "saved");
	}
}

static void summary_state(struct buf *out, const struct term *t, const cJSON *body)
{
	const char *state = json_str(body, "state", "");

	add_styled(out, t, term_state_style(state), state);
	add_because(out, body, "reason");
}

static void summary_output(struct buf *out, const struct term *t, const cJSON *body)
{
	(void)t;
	add_line(out, body, "text");
}

static void summary_commit(struct buf *out, const struct term *t, const cJSON *body)
{
	const char *message = json_str(body, "message", "");
	char hash[8], subject[512];

	(void)t;
	snprintf(hash, sizeof(hash), "%s", json_str(body, "hash", ""));
	snprintf(subject, sizeof(subject), "%.*s", (int)strcspn(message, "\n"), message);
	buf_adds(out, "commit ");
	term_line(out, hash, 0);
	buf_adds(out, " ");
	term_line(out, subject, LINE_COLUMNS);
}

static void summary_pull_request(struct buf *out, const struct term *t, const cJSON *body)
{
	buf_adds(out, "pull request ");
	add_styled(out, t, TERM_BOLD, json_str(body, "url", ""));
	add_because(out, body, "title");
}

static void summary_created(struct buf *out, const struct term *t, const cJSON *body)
{
	const cJSON *what = json_get(body, "task");

	(void)t;
	if (!what)
		what = json_get(body, "agent");
	buf_adds(out, "created");
	add_because(out, what, "title");
}

static void summary_deleted(struct buf *out, const struct term *t, const cJSON *body)
{
	(void)t;
	(void)body;
	buf_adds(out, "deleted");
}

static void summary_config(struct buf *out, const struct term *t, const cJSON *body)
{
	const cJSON *name;

	(void)t;
	buf_adds(out, "changed");
	cJSON_ArrayForEach (name, json_get(body, "changed")) {
		buf_adds(out, " ");
		if (cJSON_IsString(name))
			term_line(out, name->valuestring, LINE_COLUMNS);
	}
}

static void summary_worker(struct buf *out, const struct term *t, const cJSON *body)
{
	const cJSON *code = json_get(body, "code"), *number = json_get(body, "signal");

	(void)t;
	buf_addf(out, "worker pid %lld ", (long long)json_int(body, "pid", 0));
	add_line(out, body, "phase");
	if (cJSON_IsNumber(number))
		buf_addf(out, " by signal %d", number->valueint);
	else if (cJSON_IsNumber(code))
		buf_addf(out, " with code %d", code->valueint);
	add_because(out, body, "reason");
}

static void summary_archive(struct buf *out, const struct term *t, const cJSON *body)
{
	(void)t;
	buf_adds(out, json_bool(body, "archived", false) ? "archived" : "taken out of the archive");
}

static void summary_judgement(struct buf *out, const struct term *t, const cJSON *body)
{
	(void)t;
	buf_adds(out, "judged");
	if (json_int(body, "winner", 0) > 0)
		buf_addf(out, ", best is agent %lld", (long long)json_int(body, "winner", 0));
	add_because(out, body, "reasons");
}

static void summary_winner(struct buf *out, const struct term *t, const cJSON *body)
{
	(void)t;
	if (json_int(body, "agent", 0) > 0)
		buf_addf(out, "agent %lld was picked", (long long)json_int(body, "agent", 0));
	else
		buf_adds(out, "no agent is picked any more");
}

static const struct {
	const char *kind;
	void (*summary)(struct buf *out, const struct term *t, const cJSON *body);
} summaries[] = {
	{"output", summary_output},
	{"state", summary_state},
	{"turn", summary_turn},
	{"decision", summary_decision},
	{"tool", summary_tool},
	{"commit", summary_commit},
	{"usage", summary_usage},
	{"message", summary_message},
	{"permission", summary_permission},
	{"progress", summary_progress},
	{"diff", summary_diff},
	{"test", summary_test},
	{"finish", summary_finish},
	{"pull_request", summary_pull_request},
	{"trouble", summary_trouble},
	{"created", summary_created},
	{"deleted", summary_deleted},
	{"config", summary_config},
	{"worker", summary_worker},
	{"archive", summary_archive},
	{"workspace", summary_workspace},
	{"judgement", summary_judgement},
	{"winner", summary_winner},
};

void render_summary(struct buf *out, const struct term *term, const char *kind, const cJSON *body)
{
	for (size_t i = 0; i < sizeof(summaries) / sizeof(summaries[0]); i++)
		if (strcmp(summaries[i].kind, kind) == 0)
			summaries[i].summary(out, term, body);
}

void render_end(struct render *r, struct buf *out)
{
	if (r->mid_line)
		buf_addf(out, "%s\n", term_off(&r->term, TERM_DIM));
	r->mid_line = false;
	r->stream[0] = 0;
	memset(&r->filter, 0, sizeof(r->filter));
}

static enum term_style stream_style(const char *stream)
{
	if (strcmp(stream, "agent") == 0)
		return TERM_PLAIN;
	return strcmp(stream, "stderr") == 0 ? TERM_RED : TERM_DIM;
}

static void log_output(struct render *r, struct buf *out, const cJSON *body)
{
	const char *stream = json_str(body, "stream", "");
	const char *text = json_str(body, "text", "");
	enum term_style style = stream_style(stream);
	size_t before;

	if (strncmp(r->stream, stream, sizeof(r->stream) - 1) != 0) {
		render_end(r, out);
		snprintf(r->stream, sizeof(r->stream), "%s", stream);
	}
	buf_adds(out, term_on(&r->term, style));
	before = out->len;
	term_filter_add(&r->filter, out, text, strlen(text));
	if (json_bool(body, "cut", false))
		buf_adds(out, " […]");
	if (out->len > before)
		r->mid_line = out->data[out->len - 1] != '\n';
	buf_adds(out, term_off(&r->term, style));
}

/* The prompt in full, indented below the line that says the turn has started. */
static void log_prompt(struct render *r, struct buf *out, const cJSON *body)
{
	const char *prompt = json_str(body, "prompt", "");
	struct term_filter filter = {0};
	struct buf clean;
	char *line, *rest;

	if (strcmp(json_str(body, "phase", ""), "started") != 0 || !strchr(prompt, '\n'))
		return;
	buf_init(&clean, 0);
	term_filter_add(&filter, &clean, prompt, strlen(prompt));
	rest = clean.data;
	while (rest && (line = strsep(&rest, "\n")))
		buf_addf(out, "   %s%s%s\n", term_on(&r->term, TERM_DIM), line,
			term_off(&r->term, TERM_DIM));
	buf_clear(&clean);
}

void render_log(struct render *r, struct buf *out, const char *kind, const cJSON *body)
{
	if (strcmp(kind, "output") == 0) {
		log_output(r, out, body);
		return;
	}
	render_end(r, out);
	buf_addf(out, "%s──%s ", term_on(&r->term, TERM_BLUE), term_off(&r->term, TERM_BLUE));
	render_summary(out, &r->term, kind, body);
	buf_adds(out, "\n");
	if (strcmp(kind, "turn") == 0)
		log_prompt(r, out, body);
}
