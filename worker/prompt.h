/* What the Agent model sees. A bounded log of the last turn (head, tail, lines that
 * look like errors), the history of earlier turns as one line each, messages, notes.
 * The system text is byte-identical from turn to turn and the history only grows at
 * its end (until it is halved), so that prompt caches hit. Pure. */
#ifndef WORKER_PROMPT_H
#define WORKER_PROMPT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/buf.h"

#define PROMPT_CHARS_PER_TOKEN 4
#define PROMPT_LOG_TOKENS 8000 /* of log and history in one question */
#define PROMPT_HEAD_BYTES 3000
#define PROMPT_TAIL_BYTES 8000
#define PROMPT_ERROR_BYTES 4000
#define PROMPT_HISTORY_BYTES (16 * 1000)
#define PROMPT_LINE_BYTES 400 /* of one error line */
#define PROMPT_MESSAGES_BYTES (16 * 1024)
#define PROMPT_NOTE_BYTES (8 * 1024)

/* The log of one turn. */
struct prompt_log {
	char head[PROMPT_HEAD_BYTES];
	size_t head_len;
	char tail[PROMPT_TAIL_BYTES]; /* ring */
	size_t tail_at, tail_len;
	char errors[PROMPT_ERROR_BYTES]; /* whole lines, the newest win */
	size_t errors_len;
	char line[PROMPT_LINE_BYTES]; /* beginning of the line under way */
	size_t line_len;
	int64_t total;	  /* bytes ever added */
	int64_t head_end; /* total when the head was full */
};

void prompt_log_reset(struct prompt_log *log);
void prompt_log_add(struct prompt_log *log, const char *text, size_t n);
/* Appends the view of the log to out. */
void prompt_log_view(const struct prompt_log *log, struct buf *out);

/* The fixed part: role, task, actions, the user's extra instructions. The caller
 * frees. */
struct prompt_task {
	int64_t agent;
	const char *title, *description, *base, *branch, *test_command, *instructions;
};
char *prompt_system(const struct prompt_task *task);

/* The part that changes. Any pointer may be NULL. */
struct prompt_view {
	const char *history;	      /* at most PROMPT_HISTORY_BYTES are shown */
	const struct prompt_log *log; /* of the last turn; NULL: no turn yet */
	int64_t turn;
	const char *prompt; /* what was sent in the last turn */
	const char *stop_reason;
	const char *note;
	const char *messages; /* from people and other agents, one a paragraph */
};
char *prompt_question(const struct prompt_view *view);

/* One line of history about a turn, cut to a few hundred bytes; the caller frees. */
char *prompt_history_line(
	int64_t turn, const char *action, const char *stop_reason, const char *progress);

/* First prompt of an agent without a manager: the task in words. The caller frees. */
char *prompt_first(const struct prompt_task *task);

/* Asks for title, body, labels, reviewers of the result. The caller frees. */
char *prompt_describe(const struct prompt_task *task, const char *history, const char *patch);

#endif
