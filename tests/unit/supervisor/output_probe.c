/* Fills a store with one agent's output, as the supervisor would keep it, for tests of
 * who reads it: output_probe STORE LINES SEED plain|wild. plain: a line an event;
 * wild: pieces of any length, long lines, strange characters. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/json.h"
#include "supervisor/store.h"

#define EVENTS_A_COMMIT 2000

struct output {
	struct store *store;
	struct lines lines;
	int64_t agent, seq;
	unsigned random;
};

static unsigned draw(struct output *o, unsigned below)
{
	o->random = o->random * 1103515245u + 12345u;
	return (o->random >> 8) % below;
}

static void must(int done, const struct err *e)
{
	if (done < 0) {
		fprintf(stderr, "%s\n", e->text);
		exit(1);
	}
}

static void put(struct output *o, const char *text, size_t n)
{
	cJSON *body = cJSON_CreateObject();
	char *json;
	struct err e;
	int64_t id;

	json_add_int(body, "seq", ++o->seq);
	json_add_int(body, "at", o->seq);
	json_add_str(body, "stream", "agent");
	json_add_text(body, "text", text, n);
	json = json_print(body);
	must(store_event_add(o->store, "agent", o->agent, o->seq, "output", o->seq, json,
		     strlen(json), &id, &e),
		&e);
	must(store_lines_take(o->store, o->agent, &o->lines, id, json, strlen(json), &e), &e);
	free(json);
	cJSON_Delete(body);
	if (o->seq % EVENTS_A_COMMIT == 0) {
		must(store_lines_save(o->store, o->agent, &o->lines, &e), &e);
		must(store_commit(o->store, &e), &e);
		must(store_begin(o->store, false, &e), &e);
		/* As after a restart. */
		if (draw(o, 4) == 0)
			must(store_lines_load(o->store, o->agent, &o->lines, &e), &e);
	}
}

static void plain(struct output *o, int64_t lines)
{
	static const char *const words[] = {"compiling", "linking", "warning: unused", "test",
		"src/main.c:", "include/list.h:", "passed", "error in", "Applied edit to"};
	char line[256];

	for (int64_t i = 0; i < lines; i++) {
		int n = snprintf(line, sizeof(line), "%07lld %s %s module_%u.c step %u of %u\n",
			(long long)i, words[draw(o, 9)], words[draw(o, 9)], draw(o, 5000),
			draw(o, 900), draw(o, 900));

		put(o, line, (size_t)n);
	}
}

static void wild(struct output *o, int64_t lines)
{
	static const char *const pieces[] = {"alpha ", "Beta", "\xc3\xa4\xc3\x96 ", "\t", "\r",
		"\\u000a", "\"quoted\"", "\x1b[31m", "\xf0\x9f\x98\x80", "needle", "gamma ray "};
	struct buf all;
	size_t at = 0;

	buf_init(&all, 0);
	for (int64_t i = 0; i < lines; i++) {
		unsigned n = draw(o, 100) == 0 ? draw(o, 20000) : draw(o, 12);

		while (n--)
			buf_adds(&all, pieces[draw(o, 11)]);
		buf_adds(&all, draw(o, 20) == 0 ? "\n\n\n" : "\n");
	}
	buf_adds(&all, "open end");
	while (at < all.len) {
		size_t n = draw(o, 10) == 0 ? draw(o, 60000) : draw(o, 200);

		n = utf8_cut(all.data + at, all.len - at, n);
		put(o, all.data + at, n);
		at += n;
	}
	buf_clear(&all);
}

int main(int argc, char **argv)
{
	struct store_task task = {.repository = "/nowhere",
		.base = "main",
		.title = "output",
		.description = "",
		.aider_arguments = "",
		.test_command = "",
		.permission = "allow",
		.agent_model = "",
		.aider_model = "",
		.agents = 1};
	struct output o = {0};
	int64_t id;
	struct err e;

	if (argc != 5)
		return 2;
	o.random = (unsigned)atoi(argv[3]);
	o.store = store_open(argv[1], &e);
	must(o.store ? 0 : -1, &e);
	must(store_begin(o.store, false, &e), &e);
	must(store_task_add(o.store, &task, 1, &id, &e), &e);
	must(store_agent_add(o.store, id, "done", 1, &o.agent, &e), &e);
	if (strcmp(argv[4], "plain") == 0)
		plain(&o, atoll(argv[2]));
	else
		wild(&o, atoll(argv[2]));
	must(store_lines_save(o.store, o.agent, &o.lines, &e), &e);
	must(store_commit(o.store, &e), &e);
	store_close(o.store);
	printf("%lld\n", (long long)o.agent);
	return 0;
}
