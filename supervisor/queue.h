/* Who may start next: agents wait in the order of their ids, and at most limit of
 * them are busy (starting, working or finishing) at once. Pure. */
#ifndef SUPERVISOR_QUEUE_H
#define SUPERVISOR_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct queue {
	int64_t *ids; /* rising; ids[head .. head + n) wait */
	size_t head, n, cap;
	int busy, limit;
};

void queue_init(struct queue *q, int limit);
void queue_clear(struct queue *q);

/* Each returns false if there was nothing to do (already in, not in). */
bool queue_push(struct queue *q, int64_t id);
bool queue_remove(struct queue *q, int64_t id);

/* An agent became busy (+1) or ceased to be (-1). May pass limit: an agent that a
 * person wakes works at once. */
void queue_busy(struct queue *q, int delta);

/* The agent to start now, taken from the queue; 0 if none waits or the limit is
 * reached. The caller makes it busy before it asks again. */
int64_t queue_next(struct queue *q);

#endif
