/* Starting our other programs in the background, and knowing by event, not by
 * waiting, when they are ready or gone. */
#ifndef CTL_DAEMON_H
#define CTL_DAEMON_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "shared/err.h"
#include "shared/paths.h"

#define DAEMON_LOG_MAX (4 * 1024 * 1024) /* a longer log is set aside as .1 at a start */
#define DAEMON_ARGS_MAX 64

struct daemon_spec {
	const char *program;	 /* "100x-supervisor", beside this executable */
	const char *const *args; /* NULL-ended, without the program's name */
	const char *log;	 /* path for stderr (and stdout); NULL: our stderr, same session */
	int stdout_fd;		 /* >= 0: stdout goes there instead */
	const char *const *env;	 /* NULL-ended "NAME=value", over our environment; may be NULL */
};

/* Starts it as leader of its own session (with log) or in ours (without). */
int daemon_start(const struct daemon_spec *spec, pid_t *pid, struct err *e);

/* A process of ours as noted in <state>/<name>.pid. */
struct daemon_note {
	pid_t pid;
	int64_t started; /* as process_started() */
	int port;	 /* of the page; of the keeper: 1 if it runs in the foreground */
	char base[256];	 /* URL of the page without the token; "" if unknown */
};
#define DAEMON_PAGE "webui"
#define DAEMON_KEEPER "keeper"

int daemon_note_write(
	const struct paths *p, const char *name, const struct daemon_note *note, struct err *e);
/* False if there is none or that process has gone. */
bool daemon_note_read(const struct paths *p, const char *name, struct daemon_note *note);
void daemon_note_remove(const struct paths *p, const char *name);

/* Blocks until the process behind pidfd has ended; false: timeout_ms passed. */
bool daemon_wait_end(int pidfd, int timeout_ms);
/* A descriptor of a process, or -1 if it has gone. */
int daemon_pidfd(pid_t pid);

/* Bytes of a log now; 0 if there is none. */
int64_t daemon_log_size(const char *path);
/* The last lines a log has had since it was `from` bytes long, for an error: at most
 * size - 1 bytes into out. */
void daemon_log_tail(const char *path, int64_t from, char *out, size_t size);

#endif
