/* logs, events and wait. */
#include "supervisor/ctl/logs.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/json.h"
#include "supervisor/ctl/follow.h"
#include "supervisor/ctl/render.h"

#define TAIL_MAX_BYTES (4 * 1024 * 1024) /* of text kept for --lines */

static void print_json(const cJSON *event)
{
	char *line = json_print(event);

	puts(line);
	free(line);
}

struct log {
	struct ctl *ctl;
	struct render render;
	struct buf out;
	int64_t lines; /* of what was there; -1: all */
	bool past;     /* still reading what was there */
	bool ended;
};

static void print_out(struct log *l, size_t from)
{
	if (l->out.len > from)
		fwrite(l->out.data + from, 1, l->out.len - from, stdout);
	buf_reset(&l->out);
}

static bool on_log(void *arg, const cJSON *event)
{
	struct log *l = arg;
	const char *kind = json_str(event, "kind", "");
	const cJSON *body = json_get(event, "body");

	if (l->ctl->json)
		print_json(event);
	else
		render_log(&l->render, &l->out, kind, body);
	if (!l->past || l->lines < 0)
		print_out(l, 0);
	else if (l->out.len > TAIL_MAX_BYTES)
		buf_consume(&l->out, l->out.len - TAIL_MAX_BYTES / 2);
	if (strcmp(kind, "state") == 0)
		l->ended = ctl_ended(json_str(body, "state", ""));
	return l->past || !l->ended;
}

/* Where the last so many lines begin. */
static size_t tail_start(const struct buf *b, int64_t lines)
{
	size_t from = b->len;

	if (from && b->data[from - 1] == '\n')
		from--;
	for (; from > 0; from--)
		if (b->data[from - 1] == '\n' && --lines <= 0)
			return from;
	return 0;
}

static bool on_log_present(void *arg)
{
	struct log *l = arg;

	if (l->lines > 0)
		print_out(l, tail_start(&l->out, l->lines));
	buf_reset(&l->out);
	l->past = false;
	return !l->ended;
}

int ctl_logs(struct ctl *c, const struct args *a)
{
	struct log l = {.ctl = c, .render = {.term = c->out}, .lines = -1, .past = true};
	struct follow_spec spec = {.kinds = args_get(a, "kinds"), .live = args_has(a, "follow")};
	_cleanup_json_ cJSON *agent = NULL;
	cJSON *params = cJSON_CreateObject();
	struct err e;
	int got;

	if (a->word_count != 1 ||
		args_parse_int(a->words[0], "AGENT", 1, INT64_MAX, &spec.agent, &e) < 0 ||
		args_int(a, "lines", 0, 1000000, &l.lines, &e) < 0) {
		cJSON_Delete(params);
		return ctl_usage(
			"logs", "%s", a->word_count != 1 ? "logs wants one agent" : e.text);
	}
	if (c->json)
		l.lines = -1;
	json_add_int(params, "agent", spec.agent);
	if (ctl_ask(c, "agent.show", params, CTL_ASK_MS, &agent, &e) < 0)
		return ctl_fail(c, &e);
	buf_init(&l.out, 0);
	got = follow_run(c, &spec, on_log, on_log_present, &l, &e);
	if (!c->json)
		render_end(&l.render, &l.out);
	print_out(&l, 0);
	buf_clear(&l.out);
	return got < 0 ? ctl_fail(c, &e) : CTL_OK;
}

void logs_event(struct ctl *c, const cJSON *event)
{
	const cJSON *body = json_get(event, "body");
	const char *kind = json_str(event, "kind", "");
	time_t at = (time_t)(json_int(body, "at", 0) / 1000);
	char clock[16] = "--:--:--", who[64];
	struct tm tm;
	struct buf line;

	if (at > 0 && localtime_r(&at, &tm))
		strftime(clock, sizeof(clock), "%H:%M:%S", &tm);
	snprintf(who, sizeof(who), "%s/%lld", json_str(event, "stream", "?"),
		(long long)json_int(event, "subject", 0));
	buf_init(&line, 0);
	render_summary(&line, &c->out, kind, body);
	printf("%s%s %6lld%s  %-10s %-12s %s\n", term_on(&c->out, TERM_DIM), clock,
		(long long)json_int(event, "id", 0), term_off(&c->out, TERM_DIM), who, kind,
		line.len ? line.data : "");
	buf_clear(&line);
}

struct tail {
	struct ctl *ctl;
	int64_t left; /* events to print; -1: no end */
};

static bool on_event(void *arg, const cJSON *event)
{
	struct tail *t = arg;

	if (t->ctl->json)
		print_json(event);
	else
		logs_event(t->ctl, event);
	if (t->left > 0)
		t->left--;
	return t->left != 0;
}

int ctl_events(struct ctl *c, const struct args *a)
{
	struct tail t = {.ctl = c, .left = -1};
	struct follow_spec spec = {
		.after = -1, .kinds = args_get(a, "kinds"), .live = args_has(a, "follow")};
	_cleanup_json_ cJSON *status = NULL;
	struct err e;

	if (a->word_count || args_int(a, "after", 0, INT64_MAX, &spec.after, &e) < 0 ||
		args_int(a, "agent", 1, INT64_MAX, &spec.agent, &e) < 0 ||
		args_int(a, "count", 1, INT64_MAX, &t.left, &e) < 0)
		return ctl_usage("events", "%s", a->word_count ? "events takes no words" : e.text);
	if (spec.after < 0 && spec.live) {
		if (ctl_ask(c, "status", NULL, CTL_ASK_MS, &status, &e) < 0)
			return ctl_fail(c, &e);
		spec.after = json_int(status, "last_event", 0);
	}
	if (spec.after < 0)
		spec.after = 0;
	return follow_run(c, &spec, on_event, NULL, &t, &e) < 0 ? ctl_fail(c, &e) : CTL_OK;
}

struct watched {
	int64_t agent;
	char state[16];
};

struct watch {
	struct ctl *ctl;
	struct watched *agents;
	size_t count;
};

/* Nothing more comes by itself. */
static bool settled(const struct watch *w)
{
	for (size_t i = 0; i < w->count; i++)
		if (!ctl_ended(w->agents[i].state) && strcmp(w->agents[i].state, "waiting") != 0 &&
			strcmp(w->agents[i].state, "paused") != 0 &&
			strcmp(w->agents[i].state, "deleted") != 0)
			return false;
	return true;
}

/* For who waits, ends matter: no streamed text, no prices, no beginnings of steps. */
static bool worth_telling(const char *kind, const cJSON *body)
{
	const char *status = json_str(body, "status", "");

	if (strcmp(kind, "tool") == 0)
		return strcmp(status, "completed") == 0 || strcmp(status, "failed") == 0;
	if (strcmp(kind, "finish") == 0)
		return strcmp(status, "started") != 0;
	return strcmp(kind, "output") != 0 && strcmp(kind, "usage") != 0;
}

static bool on_watch(void *arg, const cJSON *event)
{
	struct watch *w = arg;
	const char *kind = json_str(event, "kind", "");
	int64_t agent = json_int(event, "subject", 0);

	if (strcmp(json_str(event, "stream", ""), "agent") != 0)
		return true;
	for (size_t i = 0; i < w->count; i++) {
		if (w->agents[i].agent != agent)
			continue;
		if (w->ctl->json)
			print_json(event);
		else if (worth_telling(kind, json_get(event, "body")))
			logs_event(w->ctl, event);
		fflush(stdout);
		if (strcmp(kind, "state") == 0)
			snprintf(w->agents[i].state, sizeof(w->agents[i].state), "%s",
				json_str(json_get(event, "body"), "state", ""));
		else if (strcmp(kind, "deleted") == 0)
			strcpy(w->agents[i].state, "deleted");
	}
	return true;
}

static bool on_watch_event(void *arg, const cJSON *event)
{
	return on_watch(arg, event) && !settled(arg);
}

int logs_wait(struct ctl *c, const int64_t *agents, size_t count, int64_t after)
{
	struct watch w = {.ctl = c, .count = count};
	struct follow_spec spec = {.after = after, .live = true};
	struct err e;
	int code = CTL_OK;

	w.agents = calloc(count + 1, sizeof(*w.agents));
	if (!w.agents)
		err_out_of_memory();
	for (size_t i = 0; i < count; i++)
		w.agents[i].agent = agents[i];
	if (count && follow_run(c, &spec, on_watch_event, NULL, &w, &e) < 0)
		code = ctl_fail(c, &e);
	for (size_t i = 0; i < count && code == CTL_OK; i++)
		if (strcmp(w.agents[i].state, "done") != 0)
			code = CTL_UNDONE;
	free(w.agents);
	return code;
}

/* The present state of each is read first; what happens after that is followed. */
int ctl_wait(struct ctl *c, const struct args *a)
{
	struct watch w = {.ctl = c};
	struct follow_spec spec = {.live = true};
	_cleanup_json_ cJSON *status = NULL;
	_cleanup_json_ cJSON *list = NULL;
	bool all = a->word_count == 1 && strcmp(a->words[0], "all") == 0;
	cJSON *params;
	const cJSON *agent;
	struct err e;
	int code = CTL_OK;

	if (!a->word_count)
		return ctl_usage("wait", "wait wants agents");
	if (ctl_ask(c, "status", NULL, CTL_ASK_MS, &status, &e) < 0)
		return ctl_fail(c, &e);
	params = cJSON_CreateObject();
	cJSON_AddBoolToObject(params, "archived", !all);
	if (ctl_ask(c, "agent.list", params, CTL_ASK_MS, &list, &e) < 0)
		return ctl_fail(c, &e);
	spec.after = json_int(status, "last_event", 0);
	w.agents = calloc(
		(size_t)cJSON_GetArraySize(json_get(list, "agents")) + ARGS_MAX, sizeof(*w.agents));
	if (!w.agents)
		err_out_of_memory();
	for (size_t i = 0; i < a->word_count && !all; i++, w.count++) {
		if (args_parse_int(a->words[i], "AGENT", 1, INT64_MAX, &w.agents[i].agent, &e) <
			0) {
			free(w.agents);
			return ctl_usage("wait", "%s", e.text);
		}
	}
	cJSON_ArrayForEach (agent, json_get(list, "agents")) {
		int64_t id = json_int(agent, "id", 0);

		if (all)
			w.agents[w.count++].agent = id;
		for (size_t i = 0; i < w.count; i++)
			if (w.agents[i].agent == id)
				snprintf(w.agents[i].state, sizeof(w.agents[i].state), "%s",
					json_str(agent, "state", ""));
	}
	for (size_t i = 0; i < w.count; i++) {
		if (w.agents[i].state[0])
			continue;
		err_set(&e, ERR_NOT_FOUND, "there is no agent %lld", (long long)w.agents[i].agent);
		free(w.agents);
		return ctl_fail(c, &e);
	}
	if (!settled(&w) && follow_run(c, &spec, on_watch_event, NULL, &w, &e) < 0)
		code = ctl_fail(c, &e);
	for (size_t i = 0; i < w.count && code == CTL_OK; i++)
		if (strcmp(w.agents[i].state, "done") != 0)
			code = CTL_UNDONE;
	free(w.agents);
	return code;
}
