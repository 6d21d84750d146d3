#include "worker/held.h"

#include <stdlib.h>

#include "shared/err.h"

void held_add(struct held_list *l, enum event_kind kind, char *body)
{
	struct held *h = calloc(1, sizeof *h);

	if (!h)
		err_out_of_memory();
	h->kind = kind;
	h->body = body;
	if (l->first)
		l->last->next = h;
	else
		l->first = h;
	l->last = h;
	l->n++;
}

void held_drop(struct held_list *l)
{
	struct held *h = l->first;

	l->first = h->next;
	l->n--;
	free(h->body);
	free(h);
}
