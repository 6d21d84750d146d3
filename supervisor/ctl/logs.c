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

/* --- logs --- */

struct log {
	struct ctl *ctl;
	struct render render;
	struct buf out;
	int64_t lines; /* >= 0: only the last so many of what was there */
	bool live, holding, ended;
};

static bool on_log(void *arg, const cJSON *event)
{
	struct log *l = arg;
	const char *kind = json_str(event, "kind", "");
	const cJSON *body = json_get(event, "body");

	if (l->ctl->json)
		print_json(event);
	else
		render_log(&l->render, &l->out, kind, body);
	if (l->holding) {
		if (l->out.len > TAIL_MAX_BYTES)
			buf_consume(&l->out, l->out.len - TAIL_MAX_BYTES / 2);
	} else if (l->out.len) {
		fwrite(l->out.data, 1, l->out.len, stdout);
		fflush(stdout);
		buf_reset(&l->out);
	}
	if (strcmp(kind, "state") == 0)
		l->ended = ctl_ended(json_str(body, "state", ""));
	/* Past the present, the end of the agent is the end of its log. */
	return !(l->ended && !l->holding && l->live && strcmp(kind, "state") == 0) ||
	       l->ctl->json == false;
}

static void print_tail(struct log *l)
{
	size_t from = l->out.len;
	int64_t lines = l->lines;

	if (from && l->out.data[from - 1] == '\n')
		from--;
	while (from > 0 && lines > 0) {
		from--;
		if (l->out.data[from] == '\n' && --lines == 0)
			from++;
		if (lines == 0)
			break;
	}
	if (l->lines > 0 && l->out.len)
		fwrite(l->out.data + from, 1, l->out.len - from, stdout);
	buf_reset(&l->out);
	l->holding = false;
}

static void on_log_idle(void *arg)
{
	struct log *l = arg;

	if (l->holding)
		print_tail(l);
}
