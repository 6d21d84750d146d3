/* What /proc tells of processes: memory, time, and who descends from whom. */
#ifndef SHARED_PROCINFO_H
#define SHARED_PROCINFO_H

#include <stdbool.h>
#include <stdint.h>

struct procinfo {
	int pid, ppid;
	char name[64];
	int64_t rss_bytes;
	int64_t cpu_ms;	    /* user and system */
	int64_t started_at; /* wall-clock ms */
};

/* False: there is no such process. */
bool procinfo_read(int pid, struct procinfo *p);

/* The process and its descendants as of now, parents first, at most max of them; returns
 * how many. */
int procinfo_tree(int pid, struct procinfo *out, int max);

/* It lives in another PID namespace than we. */
bool procinfo_apart(int pid);

#endif
