#include "worker/acp_update.h"

#include <string.h>

#include "shared/json.h"

static const char *text_of(const cJSON *block)
{
	return !strcmp(json_str(block, "type", ""), "text") ? json_str(block, "text", "") : "";
}

const cJSON *acp_extension(const cJSON *j)
{
	const cJSON *x = json_get(json_get(j, "_meta"), "100x");

	return cJSON_IsObject(x) ? x : NULL;
}

/* A count out of a foreign number: never negative, never beyond what a sum can bear. */
static int64_t count(const cJSON *j, const char *name)
{
	double v = json_num(j, name, 0);

	return v > 0 && v < 1e12 ? (int64_t)v : 0;
}

static double money(const cJSON *j, const char *name)
{
	double v = json_num(j, name, -1);

	return v >= 0 && v < 1e9 ? v : -1;
}

static void parse_usage(const cJSON *update, struct acp_usage *usage)
{
	const cJSON *x = json_get(acp_extension(update), "usage");
	const cJSON *cost = json_get(update, "cost");

	usage->dollars = usage->cost_total = -1;
	if (cJSON_IsObject(x)) {
		usage->exact = true;
		usage->model = json_str(x, "model", "");
		usage->tokens_in = count(x, "tokens_in");
		usage->tokens_out = count(x, "tokens_out");
		usage->tokens_cached = count(x, "tokens_cached");
		usage->dollars = money(x, "dollars");
	}
	if (!strcmp(json_str(cost, "currency", "USD"), "USD"))
		usage->cost_total = money(cost, "amount");
}

bool acp_usage_of_result(const cJSON *result, struct acp_usage *usage)
{
	const cJSON *u = json_get(result, "usage");

	memset(usage, 0, sizeof *usage);
	usage->dollars = usage->cost_total = -1;
	usage->model = "";
	if (!cJSON_IsObject(u))
		return false;
	usage->tokens_in = count(u, "inputTokens") + count(u, "cachedReadTokens") +
			   count(u, "cachedWriteTokens");
	usage->tokens_out = count(u, "outputTokens");
	usage->tokens_cached = count(u, "cachedReadTokens");
	return usage->tokens_in || usage->tokens_out;
}

int acp_update_parse(const cJSON *params, struct acp_update *u, struct err *e)
{
	const cJSON *update = json_get(params, "update");
	const char *kind = json_str(update, "sessionUpdate", NULL);
	const cJSON *x = acp_extension(update);

	memset(u, 0, sizeof *u);
	u->kind = ACP_OTHER;
	u->text = "";
	u->usage.dollars = u->usage.cost_total = -1;
	if (!kind)
		return err_set(e, ERR_PROTOCOL, "session/update without update.sessionUpdate");
	if (!strcmp(kind, "agent_message_chunk")) {
		u->kind = ACP_TEXT;
		u->text = text_of(json_get(update, "content"));
	} else if (!strcmp(kind, "agent_thought_chunk")) {
		bool log = !strcmp(json_str(x, "stream", ""), "log");

		u->kind = log ? ACP_LOG : ACP_THOUGHT;
		u->text = text_of(json_get(update, "content"));
	} else if (!strcmp(kind, "tool_call") || !strcmp(kind, "tool_call_update")) {
		const cJSON *commit = json_get(x, "commit");

		u->kind = cJSON_IsObject(commit) ? ACP_COMMIT : ACP_TOOL;
		u->tool = update;
		u->commit = commit;
		if (!json_str(update, "toolCallId", NULL))
			return err_set(e, ERR_PROTOCOL, "%s without toolCallId", kind);
	} else if (!strcmp(kind, "usage_update")) {
		u->kind = ACP_USAGE;
		parse_usage(update, &u->usage);
	} else if (!strcmp(kind, "plan")) {
		u->kind = ACP_PLAN;
		u->tool = update;
	}
	return 0;
}
