/* One transaction: rows, the life cycle of agents, and events, all or nothing. What is
 * to be done and published is done after the commit, never before. */
#ifndef SUPERVISOR_TX_H
#define SUPERVISOR_TX_H

#include <cjson/cJSON.h>

#include "shared/event.h"
#include "supervisor/supervisor.h"

int tx_begin(struct supervisor *s, bool durable, struct err *e);
/* Commits, then publishes and acts. A failed commit has rolled back. */
int tx_commit(struct supervisor *s, struct err *e);
/* What tx_commit does after a commit; for who commits by itself. */
void tx_settle(struct supervisor *s);
void tx_rollback(struct supervisor *s);

/* m's state as this transaction will leave it, in m->next. */
void tx_touch(struct supervisor *s, struct member *m);

/* Lets something happen to an agent. ERR_CONFLICT: not possible in its state (the
 * transaction is as it was). */
int tx_change(struct supervisor *s, struct member *m, const struct agent_input *in, struct err *e);

/* An agent found at start; alive: its worker was adopted. */
int tx_load(struct supervisor *s, struct member *m, bool alive, struct err *e);

/* m->next's state, into its row and told. */
int tx_state(struct supervisor *s, struct member *m, const char *reason, struct err *e);
/* Why agent_step changed the state: as it says, or the last line of the worker's log. */
void tx_reason(const struct supervisor *s, const struct member *m, const struct agent_todo *t,
	char out[LAUNCHER_REASON_BYTES]);

/* A command to the agent's worker; body is borrowed. ERR_LIMIT: too many wait. */
#define TX_COMMANDS_MAX 256
int tx_command(
	struct supervisor *s, struct member *m, const char *kind, const cJSON *body, struct err *e);

/* An event of our own: body (taken, may be NULL) gets seq, at and by. */
int tx_event(struct supervisor *s, const char *stream, int64_t subject, enum event_kind kind,
	cJSON *body, struct err *e);

/* An agent has ended: archived if another of its task was picked (control_pick.c). */
int pick_ended(struct supervisor *s, struct member *m, struct err *e);

/* Event `worker`: the agent's worker process has started or ended (m->exit_code). */
int tx_worker(struct supervisor *s, struct member *m, const char *phase, int pid, struct err *e);

#endif
