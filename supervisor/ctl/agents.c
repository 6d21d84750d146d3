/* Commands to agents: tell, interrupt, pause, resume, stop, finish, retry, delete, reclaim,
 * restore, permit. */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/paths.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/text.h"

#define DELETE_MS 90000 /* an agent is stopped first */

/* The agents meant: numbers, or "all" (those in one of the states, separated by
 * spaces). The caller frees *ids. */
static int agents_meant(struct ctl *c, const struct args *a, const char *states, int64_t **ids,
	size_t *count, struct err *e)
{
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *agent;
	size_t n = 0;

	if (a->word_count != 1 || strcmp(a->words[0], "all") != 0) {
		*ids = calloc(a->word_count + 1, sizeof(**ids));
		if (!*ids)
			err_out_of_memory();
		for (size_t i = 0; i < a->word_count; i++)
			if (args_parse_int(a->words[i], "AGENT", 1, INT64_MAX, &(*ids)[i], e) < 0)
				return -1;
		*count = a->word_count;
		return 0;
	}
	if (ctl_ask(c, "agent.list", NULL, CTL_ASK_MS, &r, e) < 0)
		return -1;
	*ids = calloc((size_t)cJSON_GetArraySize(json_get(r, "agents")) + 1, sizeof(**ids));
	if (!*ids)
		err_out_of_memory();
	cJSON_ArrayForEach (agent, json_get(r, "agents")) {
		if (strstr(states, json_str(agent, "state", "?")))
			(*ids)[n++] = json_int(agent, "id", 0);
	}
	*count = n;
	return 0;
}

struct order {
	const char *command, *method, *done;
	const char *states; /* what "all" means; NULL: not allowed */
	int timeout_ms;
};

static int give(struct ctl *c, const struct args *a, const struct order *o)
{
	int64_t *ids = NULL;
	size_t count = 0;
	struct err e;
	int code = CTL_OK;

	if (a->word_count == 0)
		return ctl_usage(o->command, "%s wants an agent", o->command);
	if (!o->states && strcmp(a->words[0], "all") == 0)
		return ctl_usage(o->command, "%s wants agents by number", o->command);
	if (agents_meant(c, a, o->states ? o->states : "", &ids, &count, &e) < 0) {
		free(ids);
		return e.kind == ERR_INVALID ? ctl_usage(o->command, "%s", e.text)
					     : ctl_fail(c, &e);
	}
	if (c->json)
		fputs("{\"agents\":[", stdout);
	for (size_t i = 0, told = 0; i < count; i++) {
		_cleanup_json_ cJSON *answer = NULL;
		cJSON *params = cJSON_CreateObject();
		const char *saved;

		json_add_int(params, "agent", ids[i]);
		if (strcmp(o->method, "agent.archive") == 0)
			cJSON_AddBoolToObject(
				params, "archived", strcmp(o->command, "archive") == 0);
		if (args_has(a, "discard"))
			cJSON_AddBoolToObject(params, "discard", true);
		if (ctl_ask(c, o->method, params, o->timeout_ms, &answer, &e) < 0) {
			err_wrap(&e, "agent %lld", (long long)ids[i]);
			code = ctl_fail(c, &e);
			if (c->away)
				break;
			continue;
		}
		if (c->json)
			printf("%s%lld", told++ ? "," : "", (long long)ids[i]);
		else
			printf("Agent %lld %s.\n", (long long)ids[i], o->done);
		saved = json_str(answer, "saved", NULL);
		if (saved && !c->json)
			printf("Its work is kept as %s in %s.\n", saved,
				json_str(answer, "mirror", ""));
	}
	if (c->json)
		puts("]}");
	else if (count == 0)
		puts("No such agents.");
	free(ids);
	return code;
}

#define ACTIVE "queued starting working waiting paused finishing"

int ctl_interrupt(struct ctl *c, const struct args *a)
{
	static const struct order o = {
		"interrupt", "agent.interrupt", "is interrupted", "working", CTL_ASK_MS};

	return give(c, a, &o);
}

int ctl_pause(struct ctl *c, const struct args *a)
{
	static const struct order o = {
		"pause", "agent.pause", "pauses", "queued starting working waiting", CTL_ASK_MS};

	return give(c, a, &o);
}

int ctl_resume(struct ctl *c, const struct args *a)
{
	static const struct order o = {
		"resume", "agent.resume", "goes on", "paused waiting", CTL_ASK_MS};

	return give(c, a, &o);
}

int ctl_stop(struct ctl *c, const struct args *a)
{
	static const struct order o = {"stop", "agent.stop", "stops", ACTIVE, CTL_ASK_MS};

	return give(c, a, &o);
}

int ctl_finish(struct ctl *c, const struct args *a)
{
	static const struct order o = {"finish", "agent.finish", "finishes after this turn",
		"working waiting paused", CTL_ASK_MS};

	return give(c, a, &o);
}

int ctl_retry(struct ctl *c, const struct args *a)
{
	static const struct order o = {
		"retry", "agent.retry", "goes on where it was", NULL, CTL_ASK_MS};

	return give(c, a, &o);
}

int ctl_delete(struct ctl *c, const struct args *a)
{
	static const struct order o = {
		"delete", "agent.delete", "is deleted", ACTIVE " done failed stopped", DELETE_MS};

	if (a->word_count == 1 && strcmp(a->words[0], "all") == 0 && !args_has(a, "yes"))
		return ctl_usage("delete", "deleting all agents and their work wants --yes");
	return give(c, a, &o);
}

int ctl_reclaim(struct ctl *c, const struct args *a)
{
	static const struct order o = {"reclaim", "agent.reclaim", "has no workspace any more",
		"done failed stopped", DELETE_MS};

	return give(c, a, &o);
}

/* Where a deleted agent's work goes unless a folder is named. */
static int restore_path(const char *to, int64_t id, char path[PATHS_MAX], struct err *e)
{
	_cleanup_free_ char *here = *to == '/' ? NULL : getcwd(NULL, 0);
	int n;

	if (*to != '/' && !here)
		return err_errno(e, "the folder of this shell");
	n = *to ? snprintf(path, PATHS_MAX, "%s%s%s", here ? here : "", here ? "/" : "", to)
		: snprintf(path, PATHS_MAX, "%s/agent-%lld", here, (long long)id);
	return n >= PATHS_MAX ? err_set(e, ERR_INVALID, "%s: the path is too long", to) : 0;
}

int ctl_restore(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	const char *to = args_get(a, "to");
	char path[PATHS_MAX];
	cJSON *params;
	int64_t id = 0;
	struct err e;

	if (a->word_count != 1)
		return ctl_usage("restore", "restore wants an agent");
	if (args_parse_int(a->words[0], "AGENT", 1, INT64_MAX, &id, &e) < 0)
		return ctl_usage("restore", "%s", e.text);
	params = cJSON_CreateObject();
	json_add_int(params, "agent", id);
	if (!to) { /* of one that is deleted there is no workspace to be made again */
		_cleanup_json_ cJSON *agent = NULL;

		if (ctl_ask(c, "agent.show", cJSON_Duplicate(params, true), CTL_ASK_MS, &agent,
			    &e) < 0) {
			if (e.kind != ERR_NOT_FOUND) {
				cJSON_Delete(params);
				return ctl_fail(c, &e);
			}
			to = "";
		}
	}
	if (to && restore_path(to, id, path, &e) < 0) {
		cJSON_Delete(params);
		return ctl_fail(c, &e);
	}
	if (to)
		json_add_str(params, "path", path);
	if (ctl_ask(c, "agent.restore", params, DELETE_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	printf("The work of agent %lld is in %s, branch %s.\n", (long long)id,
		json_str(r, "path", ""), json_str(r, "branch", ""));
	return CTL_OK;
}

int ctl_archive(struct ctl *c, const struct args *a)
{
	static const struct order o = {
		"archive", "agent.archive", "is archived", "done failed stopped", CTL_ASK_MS};

	return give(c, a, &o);
}

int ctl_unarchive(struct ctl *c, const struct args *a)
{
	static const struct order o = {
		"unarchive", "agent.archive", "is back in the lists", NULL, CTL_ASK_MS};

	return give(c, a, &o);
}

int ctl_tell(struct ctl *c, const struct args *a)
{
	_cleanup_json_ cJSON *r = NULL;
	struct buf text;
	const char *from = args_get(a, "from");
	cJSON *params;
	int64_t id = 0;
	struct err e;

	if (a->word_count < 2)
		return ctl_usage("tell", "tell wants an agent (or all) and a text");
	if (strcmp(a->words[0], "all") != 0 &&
		args_parse_int(a->words[0], "AGENT", 1, INT64_MAX, &id, &e) < 0)
		return ctl_usage("tell", "%s", e.text);
	buf_init(&text, TEXT_MAX);
	if (a->word_count == 2 && strcmp(a->words[1], "-") == 0) {
		if (text_read("-", &text, &e) < 0)
			return ctl_fail(c, &e);
	} else {
		for (size_t i = 1; i < a->word_count; i++)
			buf_addf(&text, "%s%s", i > 1 ? " " : "", a->words[i]);
	}
	params = cJSON_CreateObject();
	if (id)
		json_add_int(params, "agent", id);
	else
		json_add_str(params, "agent", "all");
	json_add_text(params, "text", text.data, text.len);
	buf_clear(&text);
	if (from)
		json_add_str(params, "from", from);
	if (ctl_ask(c, "agent.tell", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	if (id)
		printf("Agent %lld gets it in its next turn.\n", (long long)id);
	else
		printf("%d agents get it in their next turn.\n",
			cJSON_GetArraySize(json_get(r, "agents")));
	return CTL_OK;
}

int ctl_permit(struct ctl *c, const struct args *a)
{
	cJSON *params;
	int64_t id;
	struct err e;

	if (a->word_count != 3)
		return ctl_usage("permit", "permit wants an agent, a permission and an option");
	if (args_parse_int(a->words[0], "AGENT", 1, INT64_MAX, &id, &e) < 0)
		return ctl_usage("permit", "%s", e.text);
	params = cJSON_CreateObject();
	json_add_int(params, "agent", id);
	json_add_str(params, "permission", a->words[1]);
	json_add_str(params, "option", a->words[2]);
	if (ctl_ask(c, "agent.permission", params, CTL_ASK_MS, NULL, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		puts("{}");
	else
		printf("Agent %lld has its answer.\n", (long long)id);
	return CTL_OK;
}
