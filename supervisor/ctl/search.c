/* search: lines of an agent's output that hold a text. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "supervisor/ctl/ctl.h"
#include "supervisor/ctl/follow.h"

#define LINE_MAX_BYTES (1024 * 1024) /* of a line that is looked through; the rest is not */

struct search {
	struct ctl *ctl;
	const char *text;
	cJSON *hits; /* for --json */
	struct buf line;
	int64_t number, found;
	int64_t limit;
};

static void look(struct search *s)
{
	struct buf clean;

	buf_add(&s->line, "", 1);
	if (s->found < s->limit && strcasestr(s->line.data, s->text)) {
		s->found++;
		if (s->hits) {
			cJSON *hit = cJSON_CreateObject();

			json_add_int(hit, "line", s->number);
			json_add_text(hit, "text", s->line.data, strlen(s->line.data));
			cJSON_AddItemToArray(s->hits, hit);
		} else {
			buf_init(&clean, 0);
			term_line(&clean, s->line.data, 0);
			printf("%s%7lld%s  %s\n", term_on(&s->ctl->out, TERM_DIM),
				(long long)s->number, term_off(&s->ctl->out, TERM_DIM),
				clean.len ? clean.data : "");
			buf_clear(&clean);
		}
	}
	s->number++;
	buf_reset(&s->line);
}

static bool on_event(void *arg, const cJSON *event)
{
	struct search *s = arg;
	const char *text = json_str(json_get(event, "body"), "text", "");

	while (*text && s->found < s->limit) {
		size_t n = strcspn(text, "\n");

		if (s->line.len < LINE_MAX_BYTES)
			buf_add(&s->line, text, n);
		text += n;
		if (*text == '\n') {
			look(s);
			text++;
		}
	}
	return s->found < s->limit;
}

int ctl_search(struct ctl *c, const struct args *a)
{
	struct search s = {.ctl = c, .limit = 1000};
	struct follow_spec spec = {.kinds = "output"};
	_cleanup_json_ cJSON *agent = NULL, *r = NULL;
	cJSON *params;
	struct err e;
	int done;

	if (a->word_count != 2)
		return ctl_usage("search", "search wants an agent and a text");
	if (args_parse_int(a->words[0], "AGENT", 1, INT64_MAX, &spec.agent, &e) < 0 ||
		args_int(a, "lines", 1, 1000000, &s.limit, &e) < 0)
		return ctl_usage("search", "%s", e.text);
	s.text = a->words[1];
	if (!*s.text || strpbrk(s.text, "\r\n"))
		return ctl_usage("search", "the text should be on one line");
	params = cJSON_CreateObject();
	json_add_int(params, "agent", spec.agent);
	if (ctl_ask(c, "agent.show", params, CTL_ASK_MS, &agent, &e) < 0)
		return ctl_fail(c, &e);
	r = cJSON_CreateObject();
	s.hits = c->json ? cJSON_AddArrayToObject(r, "hits") : NULL;
	buf_init(&s.line, 0);
	done = follow_run(c, &spec, on_event, NULL, &s, &e);
	if (done == 0 && s.line.len)
		look(&s);
	buf_clear(&s.line);
	if (done < 0)
		return ctl_fail(c, &e);
	if (c->json)
		ctl_print(r);
	return s.found ? CTL_OK : CTL_FAILED;
}
