/* The children that run: what a sweep must spare. Only child*.c include this. */
#ifndef SHARED_CHILD_LIST_H
#define SHARED_CHILD_LIST_H

struct child_link {
	struct child_link *next;
	struct child_link *prev;
	int pid;
};

/* The link stays the caller's; removing one that is not in the list does nothing. */
void child_list_add(struct child_link *link);
struct child_link *child_list_first(void);
void child_list_remove(struct child_link *link);

#endif
