/* Title, body, labels and reviewers of a pull request, into the session. Pure. */
#ifndef WORKER_DESCRIPTION_H
#define WORKER_DESCRIPTION_H

#include "shared/err.h"
#include "worker/session.h"

#define DESCRIPTION_TITLE_MAX 256
#define DESCRIPTION_BODY_MAX (60 * 1024)

/* From a model's answer (JSON, maybe in fences). ERR_INVALID: no object or no title;
 * nothing was changed. */
int description_read(struct session_finish *f, const char *answer, struct err *e);

/* From the task's own words and the history (may be NULL), where no model could be
 * asked. */
void description_plain(
	struct session_finish *f, const char *title, const char *description, const char *history);

#endif
