/* Life of an agent (design: queued, starting, working, ...): what happens to it and
 * what is to be done about it. Pure: no clock, no kernel, no log; the supervisor
 * does what agent_step says. */
#ifndef SUPERVISOR_AGENT_H
#define SUPERVISOR_AGENT_H

#include <stdbool.h>
#include <stdint.h>

#include "supervisor/restart.h"

#define AGENT_STOP_MS 10000    /* from the stop command to TERM */
#define AGENT_TERM_MS 10000    /* from TERM to KILL: a worker takes 8 s to end all below it */
#define AGENT_SUSPEND_MS 10000 /* the same when everything goes down */
#define AGENT_ROOM_MS 1000     /* until the next look, on a full disk */
#define AGENT_EXIT_MS 90000    /* from the last state to the worker's exit */
#define AGENT_FOREIGN_MS 30000 /* until the next try, of a worker that speaks otherwise */

/* X(NAME, "word", ended, busy): busy ones count against max_working. */
#define AGENT_STATES(X)                                                                            \
	X(QUEUED, "queued", false, false)                                                          \
	X(STARTING, "starting", false, true)                                                       \
	X(WORKING, "working", false, true)                                                         \
	X(WAITING, "waiting", false, false)                                                        \
	X(PAUSED, "paused", false, false)                                                          \
	X(FINISHING, "finishing", false, true)                                                     \
	X(DONE, "done", true, false)                                                               \
	X(FAILED, "failed", true, false)                                                           \
	X(STOPPED, "stopped", true, false)

enum agent_state {
#define X(name, word, ended, busy) AGENT_##name,
	AGENT_STATES(X)
#undef X
		AGENT_STATE_COUNT,
};

const char *agent_state_word(enum agent_state s);
/* AGENT_STATE_COUNT if it is none of ours. */
enum agent_state agent_state_parse(const char *word);
bool agent_state_ended(enum agent_state s);
bool agent_state_busy(enum agent_state s);

enum agent_process {
	PROCESS_NONE,
	PROCESS_RUNNING,
	PROCESS_STOPPING, /* told to stop */
	PROCESS_TERM,	  /* TERM sent */
	PROCESS_KILL,	  /* KILL sent */
};

struct agent {
	enum agent_state state;
	enum agent_process process;
	bool deleting;	     /* goes away once its process is gone */
	bool suspending;     /* its process goes, its state stays */
	bool retiring;	     /* its process speaks another version and ends after its turn */
	bool foreign;	     /* ... and was refused at its start */
	bool replacing;	     /* its process goes, for no fault of the agent; another follows */
	int64_t deadline_ms; /* AGENT_TIME is due then; 0: none */
	int64_t started_ms;  /* of the process */
	struct restart restart;
};

enum agent_event {
	AGENT_SLOT,	/* its turn in the queue */
	AGENT_EXITED,	/* code: exit code, or -signal; AGENT_CODE_UNKNOWN */
	AGENT_REPORTED, /* state: what its worker says it is in */
	AGENT_STOP,	/* a person wants it stopped */
	AGENT_DELETE,
	AGENT_RETRY,   /* may_retry_done: its finishing left something to do */
	AGENT_SUSPEND, /* everything goes down */
	AGENT_DEAF,    /* its process lives but was not heard of */
	AGENT_RETIRE,  /* its process has no version of the protocol in common with us; fresh:
			* it has just been started; patience_ms: for the turn under way */
	AGENT_TIME,    /* deadline_ms has come */
};

#define AGENT_CODE_UNKNOWN 256 /* ended unseen: adopted from an earlier supervisor */

struct agent_input {
	enum agent_event event;
	int code;
	bool no_room; /* EXITED: the disk is full */
	enum agent_state state;
	bool may_retry_done;
	bool fresh;
	int64_t patience_ms;
};

enum agent_action {
	AGENT_DO_STATE = 1 << 0,   /* record and tell the new state, with reason */
	AGENT_DO_ENQUEUE = 1 << 1, /* into the queue */
	AGENT_DO_DEQUEUE = 1 << 2,
	AGENT_DO_SPAWN = 1 << 3,     /* start a worker with the next epoch */
	AGENT_DO_TELL_STOP = 1 << 4, /* command "stop" to its worker */
	AGENT_DO_TERM = 1 << 5,	     /* signals to the worker's whole group */
	AGENT_DO_KILL = 1 << 6,
	AGENT_DO_REMOVE = 1 << 7,     /* workspace and rows */
	AGENT_DO_LOG_REASON = 1 << 8, /* the reason is the last line of the worker's log */
	AGENT_DO_ILLEGAL = 1 << 9,    /* not possible now; nothing was changed */
	AGENT_DO_LOG_ADDED = 1 << 10, /* that line is put behind the reason */
};

#define AGENT_REASON_BYTES 160

struct agent_todo {
	unsigned what; /* of enum agent_action */
	char reason[AGENT_REASON_BYTES];
};

/* Changes *a and says what to do. now_ms is monotonic. */
struct agent_todo agent_step(struct agent *a, const struct agent_input *in, int64_t now_ms);

/* What is due now is done by AGENT_TIME: a worker is started. */
bool agent_starts_now(const struct agent *a, int64_t now_ms);
/* True if it would be, should its worker have ended with code. */
bool agent_succeeds(const struct agent *a, int code, int64_t now_ms);

/* A row found at start. */
struct agent_found {
	enum agent_state state;
	bool alive;    /* its worker still runs and is adopted */
	bool stopping; /* a person had it stopped, and its worker has not yet */
};
struct agent_todo agent_load(struct agent *a, const struct agent_found *found, int64_t now_ms);

#endif
