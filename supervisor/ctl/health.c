/* health and processes: what runs and what it takes. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "supervisor/ctl/ctl.h"

static void process_cells(struct term_table *t, const cJSON *p)
{
	char text[64];

	snprintf(text, sizeof(text), "%lld", (long long)json_int(p, "pid", 0));
	term_table_cell(t, TERM_BOLD, text);
	term_table_cell(t, TERM_PLAIN, term_bytes(json_int(p, "rss_bytes", 0), text));
	term_table_cell(t, TERM_PLAIN, term_duration(json_int(p, "cpu_ms", 0), text));
}

int ctl_processes(struct ctl *c, const struct args *a)
{
	static const struct term_column columns[] = {
		{"PID", true}, {"MEMORY", true}, {"CPU", true}, {"PARENT", true}, {"NAME", false}};
	_cleanup_json_ cJSON *r = NULL;
	struct term_table *t;
	const cJSON *p;
	cJSON *params;
	int64_t id;
	char text[64];
	struct err e;

	if (a->word_count != 1)
		return ctl_usage("processes", "processes wants one agent");
	if (args_parse_int(a->words[0], "AGENT", 1, INT64_MAX, &id, &e) < 0)
		return ctl_usage("processes", "%s", e.text);
	params = cJSON_CreateObject();
	json_add_int(params, "agent", id);
	if (ctl_ask(c, "agent.process", params, CTL_ASK_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	printf("Workspace %s, %s wait in the spool.\n", json_str(r, "workspace", ""),
		term_bytes(json_int(r, "spool_bytes", 0), text));
	if (!json_get(r, "worker")) {
		puts("No process runs.");
		return CTL_OK;
	}
	t = term_table_new(columns, 5);
	cJSON_ArrayForEach (p, json_get(r, "processes")) {
		process_cells(t, p);
		snprintf(text, sizeof(text), "%lld", (long long)json_int(p, "ppid", 0));
		term_table_cell(t, TERM_DIM, text);
		term_table_cell(t, TERM_PLAIN, json_str(p, "name", ""));
	}
	term_table_print(t, &c->out, stdout);
	term_table_free(t);
	return CTL_OK;
}

static bool findings(const struct ctl *c, const cJSON *all)
{
	const cJSON *one;
	bool amiss = false;

	cJSON_ArrayForEach (one, all) {
		const char *level = json_str(one, "level", "");
		bool error = strcmp(level, "error") == 0;

		if (strcmp(level, "ok") == 0)
			continue;
		amiss = amiss || error;
		printf("%s%-8s%s %s\n", term_on(&c->out, error ? TERM_RED : TERM_YELLOW), level,
			term_off(&c->out, error ? TERM_RED : TERM_YELLOW),
			json_str(one, "what", ""));
		if (*json_str(one, "hint", ""))
			printf("         → %s\n", json_str(one, "hint", ""));
	}
	return amiss;
}

int ctl_health(struct ctl *c, const struct args *a)
{
	static const struct term_column columns[] = {
		{"PID", true}, {"MEMORY", true}, {"CPU", true}, {"WHAT", false}};
	_cleanup_json_ cJSON *r = NULL;
	const cJSON *queue, *disk, *p;
	char text[64], free_text[32], total[32], state[32];
	struct term_table *t;
	struct err e;
	bool amiss;

	if (a->word_count)
		return ctl_usage("health", "health takes no words");
	if (ctl_ask(c, "health", NULL, CTL_ASK_LONG_MS, &r, &e) < 0)
		return ctl_fail(c, &e);
	if (c->json)
		return ctl_print(r);
	queue = json_get(r, "queue");
	disk = json_get(r, "disk");
	printf("Agents   %lld queued, %lld of at most %lld at work\n",
		(long long)json_int(queue, "queued", 0), (long long)json_int(queue, "working", 0),
		(long long)json_int(queue, "max_working", 0));
	printf("Disk     %s of %s free, the state takes %s%s%s\n",
		term_bytes(json_int(disk, "free_bytes", 0), free_text),
		term_bytes(json_int(disk, "total_bytes", 0), total),
		term_bytes(json_int(disk, "state_bytes", 0), state),
		*json_str(disk, "full", "") ? "; " : "", json_str(disk, "full", ""));
	t = term_table_new(columns, 4);
	cJSON_ArrayForEach (p, json_get(r, "processes")) {
		process_cells(t, p);
		if (json_int(p, "agent", 0) > 0)
			snprintf(text, sizeof(text), "worker of agent %lld",
				(long long)json_int(p, "agent", 0));
		else
			snprintf(text, sizeof(text), "%s", json_str(p, "what", ""));
		term_table_cell(t, TERM_PLAIN, text);
	}
	term_table_print(t, &c->out, stdout);
	term_table_free(t);
	amiss = findings(c, json_get(r, "findings"));
	return amiss ? CTL_FAILED : CTL_OK;
}
