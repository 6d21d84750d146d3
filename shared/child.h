/* A child process described as a value and started by one audited function over
 * posix_spawn. It leads its own process group; its environment is built from
 * nothing; it has exactly the descriptors named. Done means: reaped and all its
 * output at EOF, in either order. */
#ifndef SHARED_CHILD_H
#define SHARED_CHILD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "shared/err.h"

struct child;

struct child_spec {
	const char *const *argv; /* NULL-ended; argv[0] is a full path */
	const char *const *env;	 /* NULL-ended "NAME=value" */
	const char *cwd;	 /* NULL: ours */
	bool pipe_stdin;	 /* else /dev/null */
	bool pipe_stdout;	 /* else to stdout_fd, or /dev/null if that is < 0 */
	bool pipe_stderr;	 /* else to stderr_fd, or /dev/null if that is < 0 */
	int stdout_fd, stderr_fd;
	bool die_with_us; /* killed when we die: started through setpriv(1), if it is there */
	/* Full path of 100x-guard: so is all that descends from it, when it ends or we die,
	 * in a PID namespace if pid_namespace ("off", "auto", "user") says so. Its pid is
	 * the guard's then (see process_guarded), its exit code the program's. NULL: none. */
	const char *guard, *pid_namespace;
};

struct child_events {
	/* Bytes from stdout (stream 1) or stderr (2). */
	void (*output)(void *arg, int stream, const char *data, size_t n);
	/* It closed its end of stdout (1) or stderr (2), or takes no more of stdin (0), while
	 * the process, as far as we know, still lives. May be NULL. */
	void (*closed)(void *arg, int stream);
	/* Once: its process has ended; what that left is not yet looked for. May be NULL. */
	void (*exited)(void *arg, int code);
	/* Once, last: code >= 0, or -signal. The struct child is freed after it. */
	void (*done)(void *arg, int code);
};

/* An exec failure fails this call: ERR_NOT_FOUND, ERR_DENIED, ERR_SYS. Sets
 * FD_CLOEXEC on every descriptor of ours above 2 and ignores SIGPIPE. When the child
 * has ended, what is left of its group is killed; where we are the subreaper, what
 * left the group too. Output that then does not end within 2 s is given up. */
struct child *child_start(uv_loop_t *loop, const struct child_spec *spec,
	const struct child_events *events, void *arg, struct err *e);
int child_pid(const struct child *c);

/* Queues a write to stdin. ERR_LIMIT when CHILD_STDIN_MAX bytes are waiting;
 * ERR_CONFLICT when stdin is closed. */
#define CHILD_STDIN_MAX (8 * 1024 * 1024)
int child_write(struct child *c, const void *data, size_t n, struct err *e);
void child_close_stdin(struct child *c);

/* Stops or resumes reading of its output: the pipe fills and the child waits. */
void child_pause_output(struct child *c, bool paused);

/* Signals the whole process group. */
void child_signal(struct child *c, int signal);

/* TERM to the group, KILL after grace_ms; descendants that left the group are
 * swept when the child is done (see child_sweep). done is called as ever. */
void child_end(struct child *c, int grace_ms);

/* Forgets the callbacks (they are called no more); the child goes on. */
void child_abandon(struct child *c);

/* We become the reaper of re-parented descendants (PR_SET_CHILD_SUBREAPER). */
int child_subreaper(struct err *e);
/* Kills (KILL) and reaps every descendant of ours except the children started
 * here that are still running; returns how many. Bounded: 64 rounds. */
int child_sweep(void);
/* True if every process below us is one that was started here and still runs, or below
 * such a one: then nothing is left of those that have ended. Asks, kills nothing. */
bool child_no_strays(void);
/* Asks all that were started here to end: TERM, KILL after grace_ms. */
void child_end_all(int grace_ms);
/* Sweeps; true when no process below us lives any more, started here or adopted. */
bool child_none_left(void);

/* For main(): this process is killed when its parent dies. parent: its pid as the
 * parent told us, 0 if it did not. ERR_CANCELLED: it is dead already. */
int child_die_with_parent(int parent, struct err *e);

/* Start time of a process in clock ticks (field 22 of /proc/PID/stat); 0 if it is
 * gone. With the pid it names a process for good. */
int64_t process_started(int pid);
/* The program behind a guard (child_spec); pid itself if that is none; 0: not there yet,
 * or no more. */
int process_guarded(int pid);
/* Its state as in /proc/PID/stat ('R', 'S', 'T', 'Z', …); 0 if it is gone. */
char process_state(int pid);

#endif
