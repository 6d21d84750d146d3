/* activity, costs and repositories: what people ask about everything. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "shared/clock.h"
#include "shared/json.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/follow.h"
#include "supervisor/ctl/logs.h"

#define DAY_MS (24LL * 3600 * 1000)
#define ACTIVITY_LINES 50

int ctl_activity(struct ctl *c, const struct args *a)
{
	int64_t lines = ACTIVITY_LINES, before = 0, agent = 0, task = 0;
	_cleanup_json_ cJSON *r = NULL;
	cJSON *params, *kinds = NULL;
	const cJSON *events;
	struct err e;

	if (a->word_count || args_int(a, "lines", 1, 1000, &lines, &e) < 0 ||
		args_int(a, "before", 1, INT64_MAX, &before, &e) < 0 ||
		args_int(a, "agent", 1, INT64_MAX, &agent, &e) < 0 ||
		args_int(a, "task", 1, INT64_MAX, &task, &e) < 0)
		return ctl_usage(
			"activity", "%s", a->word_count ? "activity takes no words" : e.text);
	if (args_get(a, "kinds")) {
		kinds = follow_kinds(args_get(a, "kinds"), &e);
		if (!kinds)
			return ctl_usage("activity", "%s", e.text);
	}
	params = cJSON_CreateObject();
	json_add_int(params, "limit", lines);
	if (before)
		json_add_int(params, "before", before);
	if (agent)
		json_add_int(params, "agent", agent);
	if (task)
		json_add_int(params, "task", task);
	if (kinds)
		cJSON_AddItemToObject(params, "kinds", kinds);
	if (ctl_ask(c, "activity.list", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	events = json_get(r, "events");
	for (int i = cJSON_GetArraySize(events) - 1; i >= 0; i--)
		logs_event(c, cJSON_GetArrayItem(events, i));
	return CTL_OK;
}

/* Dollars, with "+" when some calls have no known price, "?" when none has. */
static const char *price(const cJSON *row, char *out, size_t size)
{
	const cJSON *dollars = json_get(row, "dollars");
	char text[32];

	if (!cJSON_IsNumber(dollars))
		return "?";
	snprintf(out, size, "%s%s", term_dollars(dollars->valuedouble, text),
		json_int(row, "unpriced", 0) > 0 ? "+" : "");
	return out;
}

static void costs_table(const struct ctl *c, const cJSON *rows)
{
	static const struct term_column columns[] = {{"DAY", false}, {"CALLS", true}, {"IN", true},
		{"OUT", true}, {"DOLLARS", true}, {"ROLE", false}, {"MODEL", false},
		{"REPOSITORY", false}};
	struct term_table *t = term_table_new(columns, 8);
	double sum = 0;
	const cJSON *row;
	char text[64];

	cJSON_ArrayForEach (row, rows) {
		term_table_cell(t, TERM_PLAIN, json_str(row, "day", ""));
		term_table_cell(t, TERM_PLAIN, term_count(json_int(row, "calls", 0), text));
		term_table_cell(t, TERM_PLAIN, term_count(json_int(row, "tokens_in", 0), text));
		term_table_cell(t, TERM_PLAIN, term_count(json_int(row, "tokens_out", 0), text));
		term_table_cell(t, TERM_BOLD, price(row, text, sizeof(text)));
		term_table_cell(t, TERM_PLAIN, json_str(row, "role", ""));
		term_table_cell(t, TERM_PLAIN, json_str(row, "model", ""));
		term_table_cell(t, TERM_DIM, json_str(row, "repository", ""));
		sum += json_num(row, "dollars", 0);
	}
	term_table_print(t, &c->out, stdout);
	term_table_free(t);
	printf("\nIn all %s.\n", term_dollars(sum, text));
}

int ctl_costs(struct ctl *c, const struct args *a)
{
	cJSON *params = cJSON_CreateObject();
	_cleanup_json_ cJSON *r = NULL;
	int64_t days = 0;
	struct err e;

	if (a->word_count || args_int(a, "days", 1, 100000, &days, &e) < 0) {
		cJSON_Delete(params);
		return ctl_usage("costs", "%s", a->word_count ? "costs takes no words" : e.text);
	}
	if (days)
		json_add_int(params, "from", clock_wall_ms() - (days - 1) * DAY_MS);
	if (ctl_ask(c, "costs.list", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	if (cJSON_GetArraySize(json_get(r, "rows")))
		costs_table(c, json_get(r, "rows"));
	else
		puts("No costs: no model was asked yet.");
	return CTL_OK;
}

int ctl_repositories(struct ctl *c, const struct args *a)
{
	static const struct term_column columns[] = {
		{"LAST USED", false}, {"TASKS", true}, {"BASE", false}, {"REPOSITORY", false}};
	_cleanup_json_ cJSON *r = NULL;
	struct term_table *t;
	const cJSON *row;
	char text[64];
	struct err e;

	if (a->word_count)
		return ctl_usage("repositories", "repositories takes no words");
	if (ctl_ask(c, "repository.list", NULL, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	if (!cJSON_GetArraySize(json_get(r, "repositories"))) {
		puts("No repositories: `100x new` makes the first task.");
		return CTL_OK;
	}
	t = term_table_new(columns, 4);
	cJSON_ArrayForEach (row, json_get(r, "repositories")) {
		time_t at = (time_t)(json_int(row, "last_at", 0) / 1000);
		struct tm tm;

		text[0] = 0;
		if (localtime_r(&at, &tm))
			strftime(text, sizeof(text), "%Y-%m-%d %H:%M", &tm);
		term_table_cell(t, TERM_PLAIN, text);
		snprintf(text, sizeof(text), "%lld", (long long)json_int(row, "tasks", 0));
		term_table_cell(t, TERM_PLAIN, text);
		term_table_cell(t, TERM_PLAIN, json_str(row, "base", ""));
		term_table_cell(t, TERM_BOLD, json_str(row, "repository", ""));
	}
	term_table_print(t, &c->out, stdout);
	term_table_free(t);
	return CTL_OK;
}
