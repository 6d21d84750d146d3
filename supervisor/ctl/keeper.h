/* What `100x up` leaves running: it starts the supervisor and the page, listens to their
 * signs of life, and starts again what has crashed or hangs. The agents do not notice.
 * It is the main process of the systemd service, too, and small enough never to fail. */
#ifndef CTL_KEEPER_H
#define CTL_KEEPER_H

#include <stdbool.h>

#include "shared/err.h"
#include "shared/paths.h"
#include "supervisor/ctl/daemon.h"

#define KEEPER_WATCH_MS 10000 /* without a sign of life for this long, a program hangs */
#define KEEPER_END_MS 25000   /* to end when asked; then it is killed */

struct keeper_spec {
	const struct paths *paths;
	const char *const *supervisor; /* NULL-ended arguments */
	const char *once;	       /* one more for the supervisor's first start; may be NULL */
	const char *const *webui;      /* the same; NULL: no page */
	bool foreground;	       /* logs to our stderr instead of <state>/logs/ */
	/* All of it runs; page: where it is, port 0 if there is none. May be NULL. */
	void (*ready)(void *arg, const struct daemon_note *page);
	void *arg;
};

/* Runs until it is asked to end (SIGTERM, SIGINT: ends both programs and suspends the
 * agents; SIGUSR1: leaves them running), or until the supervisor has ended as it was asked
 * to. Then 0. -1: it could not start them, and has ended what it had started
 * (ERR_UNAVAILABLE: that may pass), or the supervisor cannot run any more. */
int keeper_run(const struct keeper_spec *spec, struct err *e);

#endif
