/* When may the next request to a service go out, if everybody who uses the same account
 * shares its limits? GitHub's (https://docs.github.com/rest/using-the-rest-api): writes a
 * second apart, 500 that make something an hour, 900 points a minute (a read is one, a
 * write five), at most 100 at once; and when it says "wait", all wait.
 *
 * The workers of one supervisor keep their account in one file in its state directory,
 * under a lock; what a killed worker held is free at once. */
#ifndef WORKER_PACE_H
#define WORKER_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/boot.h"

#define PACE_READ_MS 100   /* between two requests of any kind */
#define PACE_WRITE_MS 1000 /* between the answer to a write and the next one */
#define PACE_HOUR_WRITES 500
#define PACE_AT_ONCE 50
#define PACE_CLOSE_MAX_MS (2LL * 3600 * 1000)

struct pace_account {
	int64_t any_ms, write_ms;	  /* last request, last write; 0: none yet */
	int64_t closed_until_ms;	  /* nobody asks before */
	int64_t writes[PACE_HOUR_WRITES]; /* a ring of when the last ones went out */
	int64_t next;			  /* its oldest */
	char boot[BOOT_ID_MAX];		  /* the times are of this boot of the machine */
};

/* Pure: 0: may go now, and is counted; else how many ms to wait before asking again. */
int64_t pace_grant(struct pace_account *a, bool write, int64_t now_ms);

struct pace;

/* path: copied; NULL, or a file that cannot be used: an account of its own. */
struct pace *pace_new(const char *path);
void pace_free(struct pace *p);
/* 0: send now, and call pace_done when it is answered or given up; else ms to wait and ask
 * again. */
int64_t pace_ask(struct pace *p, bool write);
void pace_done(struct pace *p);
/* The service wants nobody to ask for so long. */
void pace_close(struct pace *p, int64_t ms);

#endif
