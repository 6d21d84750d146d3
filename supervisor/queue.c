#include "supervisor/queue.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "shared/err.h"

void queue_init(struct queue *q, int limit)
{
	memset(q, 0, sizeof(*q));
	q->limit = limit;
}

void queue_clear(struct queue *q)
{
	free(q->ids);
	queue_init(q, q->limit);
}

/* Index of the first waiting id >= id. */
static size_t place(const struct queue *q, int64_t id)
{
	size_t low = q->head, high = q->head + q->n;

	/* New agents have the highest ids: the end is tried first. */
	if (q->n == 0 || q->ids[high - 1] < id)
		return high;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (q->ids[middle] < id)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool queue_push(struct queue *q, int64_t id)
{
	size_t at = place(q, id);

	if (at < q->head + q->n && q->ids[at] == id)
		return false;
	if (q->head > 0 && q->head + q->n == q->cap) {
		memmove(q->ids, q->ids + q->head, q->n * sizeof(*q->ids));
		at -= q->head;
		q->head = 0;
	}
	if (q->n == q->cap) {
		q->cap = q->cap ? q->cap * 2 : 64;
		q->ids = realloc(q->ids, q->cap * sizeof(*q->ids));
		if (!q->ids)
			err_out_of_memory();
	}
	memmove(q->ids + at + 1, q->ids + at, (q->head + q->n - at) * sizeof(*q->ids));
	q->ids[at] = id;
	q->n++;
	return true;
}

bool queue_remove(struct queue *q, int64_t id)
{
	size_t at = place(q, id);

	if (at == q->head + q->n || q->ids[at] != id)
		return false;
	memmove(q->ids + at, q->ids + at + 1, (q->head + q->n - at - 1) * sizeof(*q->ids));
	q->n--;
	return true;
}

void queue_busy(struct queue *q, int delta)
{
	q->busy += delta;
	assert(q->busy >= 0);
}

int64_t queue_next(struct queue *q)
{
	int64_t id;

	if (q->n == 0 || q->busy >= q->limit)
		return 0;
	id = q->ids[q->head++];
	if (--q->n == 0)
		q->head = 0;
	return id;
}
