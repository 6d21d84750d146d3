#include "supervisor/fleet.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "shared/err.h"

/* Index of the first member with an id >= id. */
static size_t place(const struct fleet *f, int64_t id)
{
	size_t low = 0, high = f->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (f->members[middle]->id < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

struct member *fleet_find(const struct fleet *f, int64_t id)
{
	size_t at = place(f, id);

	return at < f->n && f->members[at]->id == id ? f->members[at] : NULL;
}

struct member *fleet_add(struct fleet *f, int64_t id)
{
	struct member *m = calloc(1, sizeof(*m));

	assert(f->n == 0 || f->members[f->n - 1]->id < id);
	if (f->n == f->cap) {
		f->cap = f->cap ? f->cap * 2 : 64;
		f->members = realloc(f->members, f->cap * sizeof(struct member *));
	}
	if (!m || !f->members)
		err_out_of_memory();
	m->id = id;
	f->members[f->n++] = m;
	f->count[m->agent.state]++;
	return m;
}

void fleet_remove(struct fleet *f, struct member *m)
{
	size_t at = place(f, m->id);

	f->count[m->agent.state]--;
	memmove(f->members + at, f->members + at + 1, (f->n - at - 1) * sizeof(struct member *));
	f->n--;
	free(m->lines);
	free(m->unsaved_reason);
	free(m);
}

void fleet_clear(struct fleet *f)
{
	while (f->n > 0)
		fleet_remove(f, f->members[f->n - 1]);
	free(f->members);
	memset(f, 0, sizeof(*f));
}
