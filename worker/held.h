/* Events that the spool did not take, in their order, until it does. */
#ifndef WORKER_HELD_H
#define WORKER_HELD_H

#include "shared/event.h"

struct held {
	struct held *next;
	enum event_kind kind;
	char *body;
};

struct held_list {
	struct held *first, *last;
	int n;
};

/* Behind the others. Takes body. */
void held_add(struct held_list *l, enum event_kind kind, char *body);
/* Frees the first one. */
void held_drop(struct held_list *l);

#endif
