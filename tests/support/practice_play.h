/* What the practice model answers by itself: as the manager's model, as aider's, for
 * commit messages, summaries and pull requests. */
#ifndef SUPPORT_PRACTICE_PLAY_H
#define SUPPORT_PRACTICE_PLAY_H

#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/cleanup.h"
#include "tests/support/practice_question.h"
#include "tests/support/practice_sample.h"

__attribute__((format(printf, 4, 5))) static char *decision(
	const char *progress, const char *thought, const char *future, const char *fmt, ...)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	struct buf action;
	va_list ap;
	char line[2048];

	va_start(ap, fmt);
	vsnprintf(line, sizeof line, fmt, ap);
	va_end(ap);
	buf_init(&action, 0);
	buf_adds(&action, line);
	json_add_str(j, "progress", progress);
	json_add_str(j, "thought", thought);
	json_add_str(j, "action", action.data);
	json_add_str(j, "future", future);
	buf_clear(&action);
	return json_print(j);
}

/* Agents with odd and even numbers go different ways. */
static int way_of_agent(const struct question *q)
{
	const char *at = q->system.data ? strstr(q->system.data, "You are agent ") : NULL;

	return at && strtol(at + strlen("You are agent "), NULL, 10) % 2 == 0 ? 1 : 0;
}

static char *play_manager(const struct question *q, const struct play *p)
{
	const char *instruct = p->instruct[way_of_agent(q)];
	char added[128], tested[256];

	snprintf(added, sizeof added, "/add %s", p->file);
	snprintf(tested, sizeof tested, "/test %s", p->test);
	if (!has(&q->user, added))
		return decision("Nothing is done yet.", "The change belongs into one file.",
			"Then the coding agent can be told what to change.", "%s", added);
	if (!has(&q->user, instruct))
		return decision("The file is in view.", "The tests say exactly what is wanted.",
			"Then the tests are run.", "/instruct %s", instruct);
	if (!has(&q->user, tested))
		return decision("The change is made and committed.",
			"Whether it is right, its tests tell.", "If they pass, it is finished.",
			"%s", tested);
	if (has(&q->user, "FAILED") && !has(&q->user, "Once more the tests"))
		return decision("The tests failed and were shown to the coding agent.",
			"Once more the tests must tell.", "If they pass, it is finished.", "%s",
			tested);
	return decision("The change is made, committed and tested.", "Nothing is left to do.",
		"A person can review it.", "/finish");
}

static char *play_edit(const struct question *q, const struct play *p, int way)
{
	struct buf b;

	buf_init(&b, 0);
	buf_addf(&b, "%s\n\n%s\n```python\n", p->done[way], p->file);
	if (has(&q->system, "SEARCH/REPLACE"))
		buf_addf(&b, "<<<<<<< SEARCH\n%s=======\n%s>>>>>>> REPLACE\n", p->before,
			p->text[way]);
	else
		buf_adds(&b, p->text[way]);
	buf_adds(&b, "```\n");
	return buf_take(&b, NULL);
}

static char *play_description(const struct play *p)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	cJSON *labels = cJSON_AddArrayToObject(j, "labels");

	json_add_str(j, "title", p ? p->pr_title : "Change the code");
	json_add_str(j, "body", p ? p->pr_body : "What the task asked for.");
	if (p)
		cJSON_AddItemToArray(labels, cJSON_CreateString(p->label));
	cJSON_AddArrayToObject(j, "reviewers");
	return json_print(j);
}

static const struct play *play_about(const struct buf *b, int *index)
{
	bool added = has(b, "I added these files to the chat");

	for (int i = 0; i < (int)(sizeof plays / sizeof *plays); i++) {
		if ((added && has(b, plays[i].file)) || has(b, plays[i].title) ||
			has(b, plays[i].instruct[0]) || has(b, plays[i].instruct[1]) ||
			has(b, plays[i].test)) {
			*index = i;
			return &plays[i];
		}
	}
	return NULL;
}

static char *play_commit(const struct question *q)
{
	for (size_t i = 0; i < sizeof plays / sizeof *plays; i++) {
		if (has(&q->user, plays[i].file))
			return strdup(plays[i].commit[has(&q->user, "ROUNDING = ") ||
						      has(&q->user, "PUNCTUATION = ")]);
	}
	return strdup("chore: change what was asked for");
}

static char *play(const struct question *q)
{
	static atomic_uint edits[sizeof plays / sizeof *plays]; /* asked for without a way */
	int index = 0, way;
	const struct play *p;

	if (has(&q->system, "You manage a coding agent") ||
		has(&q->system, "You are the manager of a coding agent")) {
		p = play_about(&q->system, &index);
		if (p)
			return play_manager(q, p);
		return decision("There is nothing to do.",
			"The practice model knows only the tasks of its sample project.",
			"A real model can be chosen in the settings.", "/finish");
	}
	if (has(&q->any, "for a pull request. Answer with one JSON object"))
		return play_description(play_about(&q->any, &index));
	if (has(&q->system, "Git commit messages"))
		return play_commit(q);
	if (has(&q->system, "summarize this partial conversation"))
		return strdup("I asked you to change the code, and you did.");
	p = play_about(&q->user, &index);
	if (!p)
		return strdup("The practice model knows only the tasks of its sample project.");
	if (has(&q->any, p->instruct[0]) || has(&q->any, p->instruct[1])) {
		way = has(&q->any, p->instruct[1]);
	} else {
		way = (int)(atomic_fetch_add(&edits[index], 1) % 2);
	}
	return play_edit(q, p, way);
}

#endif
