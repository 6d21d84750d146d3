/* The edge of one agent: does what the manager's policy decides. What its files
 * share; one struct, one thread, one loop.
 *   worker.c   life: lock, the policy's decisions, the wire
 *   report.c   what is told of the agent
 *   command.c  what people and other agents want of it
 *   ending.c   the end, with everything below
 *   start.c    from hello to the first turn
 *   coder.c    the coding agent's process: start, restart, permissions
 *   ask.c      questions to the Agent model
 *   turn.c     prompts to the coding agent and what comes back
 *   finish.c   test, commit, describe, push, pull request */
#ifndef WORKER_WORKER_H
#define WORKER_WORKER_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "shared/dotenv.h"
#include "shared/event.h"
#include "shared/paths.h"
#include "worker/acp.h"
#include "worker/assignment.h"
#include "worker/finish.h"
#include "worker/forge.h"
#include "worker/http.h"
#include "worker/instance.h"
#include "worker/link.h"
#include "worker/llm.h"
#include "worker/manager.h"
#include "worker/output.h"
#include "worker/prompt.h"
#include "worker/session.h"
#include "worker/tool.h"
#include "worker/tree.h"

#define WORKER_EXIT_PERMANENT 100
#define WORKER_EXIT_TEMPORARY 111
#define WORKER_LOCK_MS 15000   /* for an older worker to let go */
#define WORKER_DRAIN_MS 60000  /* for the last events to be acknowledged */
#define WORKER_GRACE_MS 5000   /* from TERM to KILL for what runs below us */
#define WORKER_SUSPEND_MS 8000 /* from SIGTERM to the end, whatever happens */
#define WORKER_END_AGAIN_MS 50 /* until the next look at what still lives below us */
#define WORKER_WATCH_MS 5000   /* between two looks at the coding agent's process */
#define WORKER_CANCEL_MS 10000 /* for a cancelled turn to end */
#define WORKER_MAX_RESTARTS 3  /* of the coding agent within WORKER_RESTART_MS */
#define WORKER_RESTART_MS 60000
#define WORKER_STDERR_BYTES 512 /* of its last words, for the reason */
#define WORKER_MAX_PERMISSIONS ACP_MAX_PERMISSIONS

struct worker_permission {
	int64_t key; /* of acp.h; 0: free */
	cJSON *options;
};

struct worker {
	uv_loop_t *loop;
	struct paths paths;
	int64_t agent, epoch;
	char repo[PATHS_MAX], session_dir[PATHS_MAX], mirrors[PATHS_MAX];
	char guard[PATHS_MAX]; /* 100x-guard, behind which all runs that may start anything */
	struct dotenv *keys;
	struct http *http;
	struct llm *llm;
	struct forge *forge; /* NULL without a token */
	struct link *link;
	struct assignment task;
	struct session session;
	struct tree *tree;

	/* The coding agent. */
	struct acp *acp;
	int64_t restarts[WORKER_MAX_RESTARTS]; /* when, monotonic ms */
	char last_words[WORKER_STDERR_BYTES];
	size_t last_words_len;
	struct worker_permission permissions[WORKER_MAX_PERMISSIONS];

	/* The turn. */
	struct output output;
	struct prompt_log log;
	struct tool_memory tools;
	struct llm_call *asking;
	char *bad_answer, *complaint;
	char *stop_reason; /* of the last turn */
	char *last_action; /* that led to the last turn */
	int64_t turn_started_ms;
	int64_t ready_ns, asked_ns, llm_ns;
	uint64_t random; /* of backoff_chance */
	double idle_ms;	 /* before the turn under way; < 0: not known */

	struct finish *finish;

	/* What was told last, so that nothing is told twice. */
	char state[16], reason[MANAGER_REASON_BYTES];
	char disk_reason[MANAGER_REASON_BYTES];
	uint64_t told_fingerprint;

	uv_timer_t policy_timer, output_timer, turn_timer, restart_timer, end_timer, disk_timer,
		watch_timer;
	uv_signal_t sigterm, sigint;
	uv_work_t lock_work;

	int lock_fd, exit_code;
	int open_tries;		  /* of the repository */
	int shown;		  /* messages in the question under way */
	bool started;		  /* hello was answered */
	bool have_log;		  /* there was a turn */
	bool exact_usage;	  /* in this turn, told by our extension */
	bool told_no_price;	  /* for the limit of dollars */
	bool turn_late;		  /* its deadline has passed */
	bool looking, look_again; /* at the workspace */
	bool blocked;		  /* the spool takes no events */
	bool disk_full;		  /* as we saw */
	bool told_full;		  /* as the supervisor said */
	bool cut_off;		  /* a turn, by the end of the coding agent's process */
	bool seen_stopped;	  /* the coding agent's process, at the last look */
	bool retiring;		  /* a worker that the supervisor understands follows */
	bool ending;		  /* the agent has ended, which is not told yet */
	bool quitting, suspended, draining, drain_timed;
};

/* Runs one agent to its end; returns the exit code. */
int worker_run(const struct paths *paths, int64_t agent, int64_t epoch, bool gate);

/* --- for the other files --- */
/* Feeds the policy and does what it says. */
void worker_step(struct worker *w, const struct manager_event *ev);
void worker_event(struct worker *w, enum manager_event_kind kind, const char *reason);
int worker_save(struct worker *w, bool sync); /* -1: failed, and logged */

/* A try failed that is repeated in delay_ms: told as trouble and as the agent's reason,
 * until worker_goes_on. */
void worker_delayed(
	struct worker *w, const char *what, const char *reason, const char *hint, int64_t delay_ms);
void worker_goes_on(struct worker *w);
/* Takes body. */
void worker_emit(struct worker *w, enum event_kind kind, cJSON *body);
void worker_trouble(struct worker *w, const char *what, const char *reason, const char *hint,
	int64_t retry_in_ms);
void worker_emit_usage(struct worker *w, const char *role, const char *model, int64_t tokens_in,
	int64_t tokens_out, int64_t tokens_cached, double dollars);
void worker_tell_state(struct worker *w);	      /* if it is another than told last */
void worker_note(struct worker *w, const char *text); /* for the next prompt or question */
/* Looks at the workspace in the background and tells what changed. */
void worker_look(struct worker *w);
void worker_tell_diff(struct worker *w, const struct tree_look *look);

/* A command (link.h). */
void command_came(void *arg, int64_t n, const char *kind, const cJSON *body);

/* Ends the process: the tree below us first, then with this code. */
void worker_quit(struct worker *w, int code);
/* Called when something worker_quit waits for is gone. */
void worker_maybe_exit(struct worker *w);
void ending_on_signal(uv_signal_t *s, int number);
/* If the agent has ended: its end once more, the first may be lost. */
void ending_tell_again(struct worker *w);

/* worker.hello was answered (link.h). */
void start_on_hello(void *arg, const cJSON *result);
/* Notes for the next prompt what a turn that was cut off has left in the workspace.
 * what: the sentence before; old_head, old_fingerprint: as the workspace was known. */
void start_note_outcome(struct worker *w, const char *what, const struct tree_look *look,
	const char *old_head, uint64_t old_fingerprint);

void coder_start(struct worker *w);
void coder_cancel_turn(struct worker *w);
/* A prompt is under way: the process is looked at now and then. */
void coder_watch(struct worker *w);
void coder_permit(struct worker *w, const char *permission, const char *option);
void coder_expire_permissions(struct worker *w);

/* Asks the Agent model; its answer is the policy's next event. */
void ask_start(struct worker *w);
void ask_cancel(struct worker *w);

void turn_prompt(struct worker *w);
void turn_on_update(struct worker *w, const struct acp_update *u);
void turn_on_end(struct worker *w, const struct acp_end *end);
/* The coding agent is gone in the middle of a turn. */
void turn_lost(struct worker *w, const char *reason);
void turn_output(struct worker *w, enum output_stream stream, const char *text, size_t n);
void turn_flush(struct worker *w);
struct prompt_task turn_task(const struct worker *w);
/* Messages that wait, as one text; the caller frees. */
char *turn_messages(const struct worker *w);

#endif
