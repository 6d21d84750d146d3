/* Events in the order of the store, from a given one on, without gap or double: a long
 * poll of events.after. Publishing is a hint that may drop; the store is asked, so
 * that a burst or a restarted supervisor loses nothing. */
#ifndef CTL_FOLLOW_H
#define CTL_FOLLOW_H

#include "supervisor/ctl/ctl.h"

struct follow_spec {
	int64_t after;	   /* store id */
	int64_t agent;	   /* 0: all */
	const char *kinds; /* words separated by commas; NULL: all */
	bool live;	   /* go on when all has been read */
};

/* Called for each event ({id, stream, subject, kind, body}); false ends following. */
typedef bool (*follow_cb)(void *arg, const cJSON *event);
/* Called once, when all that was there has been given; may be NULL; false ends following. */
typedef bool (*follow_idle_cb)(void *arg);

int follow_run(struct ctl *c, const struct follow_spec *spec, follow_cb cb, follow_idle_cb idle,
	void *arg, struct err *e);

/* Splits "a,b" into a JSON array of known kinds. ERR_INVALID names an unknown one. */
cJSON *follow_kinds(const char *text, struct err *e);

#endif
