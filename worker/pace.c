#include "worker/pace.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "shared/boot.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/err.h"
#include "shared/log.h"

#define HOUR_MS (3600LL * 1000)
#define LOCKED_MS 20		/* until a locked account is looked at again */
#define CROWD_MS 250		/* until a place among those at once is looked for again */
#define PLACES_AT (1024 * 1024) /* bytes of the file that are locked and never written */

struct pace {
	int fd; /* -1: the account below */
	struct pace_account account;
	bool placed;
	bool writing; /* a write is under way */
	char boot[BOOT_ID_MAX];
};

static int64_t longer(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Bytes that none of us can have written. */
static bool nonsense(const struct pace_account *a, int64_t now_ms)
{
	return a->any_ms < 0 || a->any_ms > now_ms || a->write_ms < 0 || a->write_ms > now_ms ||
	       a->closed_until_ms < 0 || a->closed_until_ms > now_ms + PACE_CLOSE_MAX_MS ||
	       a->next < 0 || a->next >= PACE_HOUR_WRITES || a->writes[a->next] < 0 ||
	       a->writes[a->next] > now_ms;
}

int64_t pace_grant(struct pace_account *a, bool write, int64_t now_ms)
{
	int64_t at_ms;

	if (nonsense(a, now_ms))
		*a = (struct pace_account){0};
	at_ms = longer(now_ms, a->closed_until_ms);
	if (a->any_ms)
		at_ms = longer(at_ms, a->any_ms + PACE_READ_MS);
	if (write && a->write_ms)
		at_ms = longer(at_ms, a->write_ms + PACE_WRITE_MS);
	if (write && a->writes[a->next])
		at_ms = longer(at_ms, a->writes[a->next] + HOUR_MS);
	if (at_ms > now_ms)
		return at_ms - now_ms;
	a->any_ms = now_ms;
	if (write) {
		a->write_ms = now_ms;
		a->writes[a->next] = now_ms;
		a->next = (a->next + 1) % PACE_HOUR_WRITES;
	}
	return 0;
}

struct pace *pace_new(const char *path)
{
	struct pace *p = calloc(1, sizeof *p);

	if (!p)
		err_out_of_memory();
	p->fd = path ? open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600) : -1;
	if (path && p->fd < 0)
		log_warn("%s: %s; limits are kept by each agent for itself", path, strerror(errno));
	boot_id(p->boot);
	return p;
}

void pace_free(struct pace *p)
{
	if (!p)
		return;
	if (p->fd >= 0)
		close(p->fd);
	free(p);
}

/* False: somebody else has it just now. */
static bool account_take(struct pace *p)
{
	struct pace_account a;

	if (p->fd < 0)
		return true;
	if (flock(p->fd, LOCK_EX | LOCK_NB) < 0)
		return errno != EWOULDBLOCK && errno != EINTR;
	if (pread(p->fd, &a, sizeof a, 0) == (ssize_t)sizeof a &&
		memcmp(a.boot, p->boot, sizeof a.boot) == 0)
		p->account = a;
	return true;
}

static void account_put(struct pace *p)
{
	if (p->fd < 0)
		return;
	memcpy(p->account.boot, p->boot, sizeof p->boot);
	if (pwrite(p->fd, &p->account, sizeof p->account, 0) < 0)
		log_debug("pace: %s", strerror(errno));
	flock(p->fd, LOCK_UN);
}

/* One of the places of those who may ask at once; the kernel frees it if we die. */
static bool place_take(struct pace *p)
{
	for (int i = 0; p->fd >= 0 && !p->placed && i < PACE_AT_ONCE; i++) {
		struct flock place = {.l_type = F_WRLCK,
			.l_whence = SEEK_SET,
			.l_start = PLACES_AT + i,
			.l_len = 1};

		if (fcntl(p->fd, F_OFD_SETLK, &place) == 0)
			p->placed = true;
		else if (errno != EAGAIN && errno != EACCES)
			break;
	}
	return p->placed || p->fd < 0;
}

int64_t pace_ask(struct pace *p, bool write)
{
	int64_t wait_ms;

	if (!place_take(p))
		return CROWD_MS;
	wait_ms = LOCKED_MS;
	if (account_take(p)) {
		wait_ms = pace_grant(&p->account, write, clock_now_ms());
		account_put(p);
	}
	if (wait_ms > 0)
		pace_done(p);
	p->writing = write && wait_ms == 0;
	return wait_ms;
}

/* A few tries: what is put in are hints to others, who hold it for an instant. */
static void account_take_soon(struct pace *p)
{
	for (int i = 0; i < 50 && !account_take(p); i++)
		usleep(1000);
}

void pace_done(struct pace *p)
{
	struct flock places = {.l_type = F_UNLCK,
		.l_whence = SEEK_SET,
		.l_start = PLACES_AT,
		.l_len = PACE_AT_ONCE};

	if (p->writing) {
		/* When it went out is not when it arrived: the next one keeps its distance
		 * from the answer. */
		account_take_soon(p);
		p->account.write_ms = longer(p->account.write_ms, clock_now_ms());
		account_put(p);
	}
	p->writing = false;
	if (p->placed)
		fcntl(p->fd, F_OFD_SETLK, &places);
	p->placed = false;
}

void pace_close(struct pace *p, int64_t ms)
{
	int64_t until_ms = clock_now_ms() + (ms < PACE_CLOSE_MAX_MS ? ms : PACE_CLOSE_MAX_MS);

	account_take_soon(p);
	p->account.closed_until_ms = longer(p->account.closed_until_ms, until_ms);
	account_put(p);
}
