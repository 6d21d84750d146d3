/* The manager's answer: {"progress","thought","action","future"}, and the table of
 * actions (design: one slash word and its argument). Models wrap JSON in fences and
 * prose, so the object is looked for; everything else is refused with a sentence
 * that the model can act on. Pure. */
#ifndef WORKER_ACTION_H
#define WORKER_ACTION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>

#include "shared/err.h"

#define ACTION_ANSWER_MAX (256 * 1024) /* bytes of a model's answer */
#define ACTION_FIELD_MAX (8 * 1024)    /* bytes of progress, thought, future; longer ones are cut */
#define ACTION_TEXT_MAX (64 * 1024)    /* bytes of an action */

enum action_kind {
	ACTION_INSTRUCT, /* /instruct MESSAGE: a prompt in words */
	ACTION_COMMAND,	 /* one of aider's slash commands, as it is */
	ACTION_TELL,	 /* /tell AGENT|all MESSAGE */
	ACTION_FINISH,	 /* /finish */
};

struct action {
	enum action_kind kind;
	char *text;	 /* what goes to aider, or the message; "" for finish */
	char target[24]; /* tell: "all" or an agent's number in digits */
};

struct decision {
	char *progress, *thought, *future; /* never NULL */
	char *line;			   /* the action as the model wrote it */
	struct action action;
};

/* text: n bytes of a model's answer. ERR_INVALID: what is wrong, told to the model;
 * progress, thought and future are filled as far as they could be read, and d must
 * be cleared in either case. */
int decision_parse(const char *text, size_t n, struct decision *d, struct err *e);
void decision_clear(struct decision *d);

/* The first JSON object in an answer, out of fences or prose. The caller owns it;
 * NULL with ERR_INVALID or ERR_LIMIT. */
cJSON *answer_object(const char *text, size_t n, struct err *e);

/* One action line. ERR_INVALID. */
int action_parse(const char *line, struct action *a, struct err *e);
void action_clear(struct action *a);

/* The table in words, for the manager's prompt. */
const char *action_table(void);

/* What a plain message must look like to be no command of aider: a copy of text,
 * with a space before a leading "/" or "!". The caller frees. */
char *action_plain(const char *text);

#endif
