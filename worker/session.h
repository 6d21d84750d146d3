/* What a worker must know after a crash, beside its spool and its workspace: the
 * manager's state, the prompt under way, messages not yet passed on, commands taken
 * over, how far finishing came. Files in workspaces/<agent>/session/: state.json,
 * replaced whole by a rename and synced, for what must survive power loss; between
 * such saves state.hot.0 and state.hot.1 in turn, which survive our crash. The one
 * with the highest count is the truth; a torn one is ignored.
 */
#ifndef WORKER_SESSION_H
#define WORKER_SESSION_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stdint.h>

#include "shared/err.h"
#include "worker/manager.h"

#define SESSION_MAX_BYTES (8 * 1024 * 1024)
#define SESSION_MAX_MESSAGES 64 /* waiting; the oldest gives way */
#define SESSION_MAX_HISTORY (16 * 1024)

struct session_message {
	char *from, *text;
};

/* Steps of finishing, in order. */
enum finish_step {
	FINISH_TEST,
	FINISH_COMMIT,
	FINISH_DESCRIBE,
	FINISH_PUSH,
	FINISH_PULL,
	FINISH_STEPS,
};

struct session_finish {
	bool open;		   /* begun and not ended */
	char head[41];		   /* the commit that is handed in */
	enum finish_step step;	   /* the next one to do */
	char pushed[41];	   /* commit whose push is known to have worked */
	char remote[96];	   /* its branch at the remote; "": the agent's own name */
	char trying[160];	   /* idempotency key of the effect being tried */
	char *title, *body;	   /* description; NULL: not yet */
	cJSON *labels, *reviewers; /* arrays of strings, or NULL */
	char pull_url[1024];
};

struct session {
	char folder[1024];
	int64_t saves;
	int hot_fd[2];
	bool fresh; /* nothing was stored: the agent's first start */
	struct manager manager;
	int64_t command;     /* last command taken over */
	int64_t telling;     /* command whose message is being told, as the event ... */
	int64_t telling_seq; /* ... of this seq: it is told once that one exists */
	char *acp_session;
	char *prompt;	   /* text of the prompt under way, or the last one */
	bool prompt_open;  /* sent and its end not told yet */
	char *next_prompt; /* decided, not sent */
	char *note;	   /* what the next prompt or question must tell beside it */
	char *history;	   /* one line a turn: the manager's rolling summary */
	char head[41];	   /* last known state of the workspace */
	uint64_t fingerprint;
	cJSON *arguments;  /* aider's extra arguments, split; NULL: not asked yet */
	int64_t ended_seq; /* seq of the event that told the end; 0: none */
	double cost_total; /* last running sum told by an agent without exact usage */
	struct session_message messages[SESSION_MAX_MESSAGES];
	int message_count;
	struct session_finish finish;
};

/* Loads what is in folder (made if missing). A fresh one has fresh set. */
int session_open(struct session *s, const char *folder, struct err *e);
void session_clear(struct session *s);
/* sync: also against power loss (waits for the disk). */
int session_save(struct session *s, bool sync, struct err *e);

/* Copies text into *slot (one of s's strings); NULL empties it. */
void session_set(char **slot, const char *text);
/* Appends to *slot, dropping whole lines at the front past max bytes. */
void session_append(char **slot, const char *text, size_t max);

void session_add_message(struct session *s, const char *from, const char *text);
void session_drop_messages(struct session *s, int n); /* the n oldest */

#endif
