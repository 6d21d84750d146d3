#include "supervisor/agent.h"

#include <stdio.h>
#include <string.h>

static const struct {
	const char *word;
	bool ended, busy;
} states[] = {
#define X(name, word, ended, busy) {word, ended, busy},
	AGENT_STATES(X)
#undef X
};

const char *agent_state_word(enum agent_state s)
{
	return states[s].word;
}

enum agent_state agent_state_parse(const char *word)
{
	int s = 0;

	while (s < AGENT_STATE_COUNT && strcmp(states[s].word, word) != 0)
		s++;
	return (enum agent_state)s;
}

bool agent_state_ended(enum agent_state s)
{
	return states[s].ended;
}

bool agent_state_busy(enum agent_state s)
{
	return states[s].busy;
}

static struct agent_todo todo(unsigned what, const char *reason)
{
	struct agent_todo t = {.what = what};

	snprintf(t.reason, sizeof(t.reason), "%s", reason);
	return t;
}

static struct agent_todo enter(
	struct agent *a, enum agent_state s, unsigned what, const char *reason)
{
	a->state = s;
	return todo(what | AGENT_DO_STATE, reason);
}

static struct agent_todo spawn(struct agent *a, int64_t now_ms)
{
	a->process = PROCESS_RUNNING;
	a->retiring = a->foreign = a->replacing = false;
	a->deadline_ms = 0;
	a->started_ms = now_ms;
	return todo(AGENT_DO_SPAWN, "");
}

static struct agent_todo term(struct agent *a, int64_t now_ms, int64_t grace_ms)
{
	a->process = PROCESS_TERM;
	a->deadline_ms = now_ms + grace_ms;
	return todo(AGENT_DO_TERM, "");
}

/* A worker that ended on a full disk is no crash: its agent pauses until there is room. */
static struct agent_todo no_room(struct agent *a, int64_t now_ms)
{
	a->deadline_ms = now_ms + AGENT_ROOM_MS;
	return a->state == AGENT_PAUSED
		       ? todo(0, "")
		       : enter(a, AGENT_PAUSED, 0, "disk full: it goes on when there is room");
}

/* The worker ended by itself and the agent has not: start it again, or give up. */
static struct agent_todo restart(struct agent *a, int code, int64_t now_ms)
{
	char reason[AGENT_REASON_BYTES] = "the worker ended without finishing; restarting";
	int64_t delay = code == 111 ? restart_temporary(&a->restart, a->started_ms, now_ms)
				    : restart_crashed(&a->restart, a->started_ms, now_ms);

	if (delay == RESTART_GIVE_UP)
		return code == 111 ? enter(a, AGENT_FAILED, AGENT_DO_LOG_REASON,
					     "the worker could not go on, 8 times in a row")
				   : enter(a, AGENT_FAILED, 0, "crashed 5 times in a minute");
	if (code < 0)
		snprintf(reason, sizeof(reason), "the worker was killed by signal %d; restarting",
			-code);
	else if (code == 111)
		snprintf(reason, sizeof(reason), "the worker could not go on; trying again in %d s",
			(int)(delay / 1000));
	else if (code > 0 && code < AGENT_CODE_UNKNOWN)
		snprintf(reason, sizeof(reason), "the worker ended with code %d; restarting", code);
	a->deadline_ms = now_ms + delay;
	/* One that waits for a person goes on waiting, with or without a worker. */
	if (!agent_state_busy(a->state))
		return todo(0, "");
	return enter(a, AGENT_STARTING, code == 111 ? AGENT_DO_LOG_ADDED : 0, reason);
}

/* Its worker was of another version, or deaf: the agent goes on with the next. */
static struct agent_todo replaced(struct agent *a, int64_t now_ms)
{
	const char *reason = "goes on with a new worker";

	if (a->foreign) {
		a->deadline_ms = now_ms + AGENT_FOREIGN_MS;
		reason = "the installed worker is of another version than the running supervisor: "
			 "restart the supervisor";
	} else if (a->retiring) {
		a->deadline_ms = now_ms;
		reason = "goes on with a worker of the supervisor's version";
	} else {
		int64_t delay = restart_crashed(&a->restart, a->started_ms, now_ms);

		if (delay == RESTART_GIVE_UP)
			return enter(a, AGENT_FAILED, 0, "crashed 5 times in a minute");
		a->deadline_ms = now_ms + delay;
	}
	return agent_state_busy(a->state) ? enter(a, AGENT_STARTING, 0, reason) : todo(0, "");
}

static struct agent_todo exited(struct agent *a, int code, bool disk_full, int64_t now_ms)
{
	bool was_stopping = a->process != PROCESS_RUNNING;

	if (a->process == PROCESS_NONE)
		return todo(AGENT_DO_ILLEGAL, "");
	a->process = PROCESS_NONE;
	a->deadline_ms = 0;
	if (a->deleting)
		return agent_state_ended(a->state)
			       ? todo(AGENT_DO_REMOVE, "")
			       : enter(a, AGENT_STOPPED, AGENT_DO_REMOVE, "deleted by a person");
	if (agent_state_ended(a->state) || a->suspending)
		return todo(0, "");
	if (a->state == AGENT_QUEUED) /* retried while its last worker was on its way out */
		return todo(AGENT_DO_ENQUEUE, "");
	if (a->replacing)
		return replaced(a, now_ms);
	if (was_stopping)
		return enter(a, AGENT_STOPPED, 0, "stopped by a person");
	if (code == 100)
		return enter(a, AGENT_FAILED, AGENT_DO_LOG_REASON,
			"the worker ended for good (code 100)");
	if (disk_full)
		return no_room(a, now_ms);
	return restart(a, code, now_ms);
}

static struct agent_todo reported(struct agent *a, enum agent_state s, int64_t now_ms)
{
	if (s == a->state)
		return todo(0, "");
	if (s == AGENT_QUEUED || s >= AGENT_STATE_COUNT)
		return todo(AGENT_DO_ILLEGAL, "");
	switch (a->state) {
	case AGENT_QUEUED:
	case AGENT_DONE:
	case AGENT_FAILED:
	case AGENT_STOPPED:
		return todo(AGENT_DO_ILLEGAL, ""); /* late news of an earlier life */
	case AGENT_STARTING:
	case AGENT_WORKING:
	case AGENT_WAITING:
	case AGENT_PAUSED:
	case AGENT_FINISHING:
		break;
	case AGENT_STATE_COUNT:
		return todo(AGENT_DO_ILLEGAL, "");
	}
	if (agent_state_ended(s)) {
		a->state = s;
		if (a->process == PROCESS_NONE) /* it told us, and died before it knew we heard */
			a->deadline_ms = 0;
		else if (a->process == PROCESS_RUNNING)
			a->deadline_ms = now_ms + AGENT_EXIT_MS;
		return todo(0, "");
	}
	if (a->process == PROCESS_NONE) /* from before a crash */
		return todo(AGENT_DO_ILLEGAL, "");
	a->state = s;
	return todo(0, "");
}

static struct agent_todo stop(struct agent *a, int64_t now_ms)
{
	if (agent_state_ended(a->state) || a->deleting)
		return todo(AGENT_DO_ILLEGAL, "");
	a->replacing = false;
	switch (a->process) {
	case PROCESS_NONE:
		a->deadline_ms = 0;
		return enter(a, AGENT_STOPPED, a->state == AGENT_QUEUED ? AGENT_DO_DEQUEUE : 0,
			"stopped by a person");
	case PROCESS_RUNNING:
		if (a->state == AGENT_QUEUED) /* retried; its last worker is on its way out */
			return enter(a, AGENT_STOPPED, 0, "stopped by a person");
		a->process = PROCESS_STOPPING;
		a->deadline_ms = now_ms + AGENT_STOP_MS;
		return todo(AGENT_DO_TELL_STOP, "");
	case PROCESS_STOPPING:
	case PROCESS_TERM:
	case PROCESS_KILL:
		if (a->state == AGENT_QUEUED)
			return enter(a, AGENT_STOPPED, 0, "stopped by a person");
		return todo(0, "");
	}
	return todo(AGENT_DO_ILLEGAL, "");
}

static struct agent_todo delete (struct agent *a, int64_t now_ms)
{
	struct agent_todo t;

	if (a->deleting)
		return todo(AGENT_DO_ILLEGAL, "");
	if (a->process == PROCESS_NONE) {
		t = agent_state_ended(a->state) ? todo(0, "") : stop(a, now_ms);
		t.what |= AGENT_DO_REMOVE;
	} else if (agent_state_ended(a->state) && a->process == PROCESS_RUNNING) {
		t = term(a, now_ms, AGENT_TERM_MS);
	} else {
		t = agent_state_ended(a->state) ? todo(0, "") : stop(a, now_ms);
	}
	a->deleting = true;
	return t;
}

static struct agent_todo retry(struct agent *a, bool may_retry_done)
{
	if (a->deleting || !agent_state_ended(a->state) ||
		(a->state == AGENT_DONE && !may_retry_done))
		return todo(AGENT_DO_ILLEGAL, "");
	memset(&a->restart, 0, sizeof(a->restart));
	return enter(a, AGENT_QUEUED, a->process == PROCESS_NONE ? AGENT_DO_ENQUEUE : 0,
		"retried by a person");
}

static struct agent_todo deaf(struct agent *a, int64_t now_ms)
{
	struct agent_todo t;

	if (a->process != PROCESS_RUNNING)
		return todo(AGENT_DO_ILLEGAL, "");
	t = term(a, now_ms, AGENT_TERM_MS);
	a->replacing = !a->deleting && !a->suspending;
	if (!a->replacing || !agent_state_busy(a->state))
		return t;
	return enter(a, AGENT_STARTING, t.what,
		"its worker lives but was not heard of for a minute; it is replaced");
}

static struct agent_todo retire(struct agent *a, bool fresh, int64_t patience_ms, int64_t now_ms)
{
	if (a->process != PROCESS_RUNNING || a->retiring || a->deleting || a->suspending)
		return todo(AGENT_DO_ILLEGAL, "");
	a->retiring = a->replacing = true;
	a->foreign = fresh;
	if (a->deadline_ms == 0)
		a->deadline_ms = now_ms + patience_ms + AGENT_EXIT_MS;
	return todo(0, "");
}

static struct agent_todo time_up(struct agent *a, int64_t now_ms)
{
	if (a->deadline_ms == 0 || now_ms < a->deadline_ms)
		return todo(0, "");
	switch (a->process) {
	case PROCESS_NONE:
		return spawn(a, now_ms);
	case PROCESS_RUNNING:
	case PROCESS_STOPPING:
		return term(a, now_ms, AGENT_TERM_MS);
	case PROCESS_TERM:
		a->process = PROCESS_KILL;
		a->deadline_ms = 0;
		return todo(AGENT_DO_KILL, "");
	case PROCESS_KILL:
		a->deadline_ms = 0;
		return todo(0, "");
	}
	return todo(AGENT_DO_ILLEGAL, "");
}

struct agent_todo agent_step(struct agent *a, const struct agent_input *in, int64_t now_ms)
{
	struct agent_todo t;

	switch (in->event) {
	case AGENT_SLOT:
		if (a->state != AGENT_QUEUED || a->process != PROCESS_NONE || a->deleting ||
			a->suspending)
			return todo(AGENT_DO_ILLEGAL, "");
		t = spawn(a, now_ms);
		a->state = AGENT_STARTING;
		t.what |= AGENT_DO_STATE;
		return t;
	case AGENT_EXITED:
		return exited(a, in->code, in->no_room, now_ms);
	case AGENT_REPORTED:
		return reported(a, in->state, now_ms);
	case AGENT_STOP:
		return stop(a, now_ms);
	case AGENT_DELETE:
		return delete (a, now_ms);
	case AGENT_RETRY:
		return retry(a, in->may_retry_done);
	case AGENT_SUSPEND:
		a->suspending = true;
		if (a->process == PROCESS_NONE) {
			a->deadline_ms = 0;
			return todo(0, "");
		}
		return a->process == PROCESS_KILL ? todo(0, "") : term(a, now_ms, AGENT_SUSPEND_MS);
	case AGENT_DEAF:
		return deaf(a, now_ms);
	case AGENT_RETIRE:
		return retire(a, in->fresh, in->patience_ms, now_ms);
	case AGENT_TIME:
		return time_up(a, now_ms);
	}
	return todo(AGENT_DO_ILLEGAL, "");
}

bool agent_starts_now(const struct agent *a, int64_t now_ms)
{
	return a->process == PROCESS_NONE && a->deadline_ms != 0 && a->deadline_ms <= now_ms;
}

bool agent_succeeds(const struct agent *a, int code, int64_t now_ms)
{
	struct agent next = *a;

	exited(&next, code, false, now_ms);
	return agent_starts_now(&next, now_ms);
}

struct agent_todo agent_load(struct agent *a, const struct agent_found *found, int64_t now_ms)
{
	enum agent_state state = found->state;
	struct agent_todo t;

	memset(a, 0, sizeof(*a));
	a->state = state;
	if (found->alive) {
		a->process = PROCESS_RUNNING;
		a->started_ms = now_ms;
		if (agent_state_ended(state) || state == AGENT_QUEUED)
			a->deadline_ms = now_ms + AGENT_EXIT_MS;
	}
	if (agent_state_ended(state))
		return todo(0, "");
	if (found->stopping) { /* the command is in the store: its worker gets it from there */
		t = stop(a, now_ms);
		t.what &= ~(unsigned)(AGENT_DO_TELL_STOP | AGENT_DO_DEQUEUE);
		return t;
	}
	if (found->alive)
		return todo(0, "");
	if (state == AGENT_QUEUED)
		return todo(AGENT_DO_ENQUEUE, "");
	if (agent_state_busy(state))
		return enter(a, AGENT_QUEUED, AGENT_DO_ENQUEUE, "goes on after a restart");
	return spawn(a, now_ms);
}
