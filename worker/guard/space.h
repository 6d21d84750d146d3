/* A PID namespace, with a /proc of its own, in which a program and all that descends from
 * it live. When its first process ends, for whatever reason, the kernel kills all others
 * in it at once; none can leave it. */
#ifndef WORKER_GUARD_SPACE_H
#define WORKER_GUARD_SPACE_H

#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

#define SPACE_WHY_BYTES 160

enum space_way {
	SPACE_OFF,
	SPACE_AUTO, /* with the privilege that it needs (CAP_SYS_ADMIN) */
	SPACE_USER, /* so, and else through a user namespace */
};

struct space {
	pid_t init; /* first process, as we see it */
	int fd;	    /* what it tells: see space_wait */
	bool user;  /* through a user namespace */
};

/* Makes one and starts argv in it (argv NULL: nothing, it ends by itself; a trial). False:
 * not possible here, nothing is left of the trial, and why (SPACE_WHY_BYTES) says what was
 * refused. Call keep_block before; mask is for the program. */
bool space_start(
	enum space_way way, char *const *argv, const sigset_t *mask, struct space *s, char *why);

/* Until it has ended and, by that, nothing in it lives: the wait status of the program. */
int space_wait(struct space *s);

#endif
