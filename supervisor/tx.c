#include "supervisor/tx.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/gittidy.h"
#include "shared/json.h"
#include "shared/log.h"
#include "supervisor/workers.h"

#define TODO_WAKE (1u << 31) /* a command waits for its worker */

int tx_begin(struct supervisor *s, bool durable, struct err *e)
{
	return store_begin(s->store, durable, e);
}

void tx_touch(struct supervisor *s, struct member *m)
{
	if (m->touched)
		return;
	m->touched = true;
	m->touched_next = s->touched;
	s->touched = m;
	m->next = m->agent;
	m->next_epoch = m->epoch;
	m->next_command = m->command_last;
	m->next_seq = m->committed;
	m->todo = 0;
}

int tx_event(struct supervisor *s, const char *stream, int64_t subject, enum event_kind kind,
	cJSON *body, struct err *e)
{
	const char *word = event_kind_word(kind);
	int64_t id, at = clock_wall_ms();
	char *text;
	int done;

	if (!body)
		body = cJSON_CreateObject();
	json_add_int(body, "seq", 0);
	json_add_int(body, "at", at);
	json_add_str(body, "by", "supervisor");
	text = json_print(body);
	cJSON_Delete(body);
	done = store_event_add(s->store, stream, subject, 0, word, at, text, strlen(text), &id, e);
	if (done == 0)
		outbox_add(&s->outbox, stream, subject, kind, word, id, text, strlen(text));
	free(text);
	return done;
}

int tx_command(
	struct supervisor *s, struct member *m, const char *kind, const cJSON *body, struct err *e)
{
	char *text;
	int done;

	tx_touch(s, m);
	if (m->next_command - m->command_done >= TX_COMMANDS_MAX)
		return err_set(e, ERR_LIMIT,
			"agent %lld has %d messages and commands that it has not taken yet: try "
			"again "
			"when it has started its next turn",
			(long long)m->id, TX_COMMANDS_MAX);
	text = body ? json_print(body) : strdup("{}");
	if (!text)
		err_out_of_memory();
	done = store_command_add(
		s->store, m->id, m->next_command + 1, kind, text, clock_wall_ms(), e);
	free(text);
	if (done < 0)
		return -1;
	m->next_command++;
	m->todo |= TODO_WAKE;
	return 0;
}

int tx_state(struct supervisor *s, struct member *m, const char *reason, struct err *e)
{
	const char *state = agent_state_word(m->next.state);
	cJSON *body = cJSON_CreateObject();

	json_add_str(body, "state", state);
	json_add_str(body, "reason", reason);
	if (store_agent_state(s->store, m->id, state, reason, agent_state_ended(m->next.state),
		    clock_wall_ms(), e) < 0) {
		cJSON_Delete(body);
		return -1;
	}
	if (tx_event(s, "agent", m->id, EVENT_STATE, body, e) < 0)
		return -1;
	return agent_state_ended(m->next.state) ? pick_ended(s, m, e) : 0;
}

int tx_worker(struct supervisor *s, struct member *m, const char *phase, int pid, struct err *e)
{
	bool ended = strcmp(phase, "ended") == 0;
	char reason[LAUNCHER_REASON_BYTES] = "";
	cJSON *body = cJSON_CreateObject();

	json_add_str(body, "phase", phase);
	json_add_int(body, "pid", pid);
	json_add_int(body, "epoch", m->next_epoch);
	if (ended && m->exit_code < 0)
		json_add_int(body, "signal", -m->exit_code);
	else if (ended && m->exit_code != AGENT_CODE_UNKNOWN)
		json_add_int(body, "code", m->exit_code);
	if (ended && m->exit_code != 0)
		launcher_last_line(&s->paths, m->id, reason);
	if (ended)
		json_add_str(body, "reason", reason);
	return tx_event(s, "agent", m->id, EVENT_WORKER, body, e);
}

#define TIDY_ENTRIES 20000 /* some ms of the loop */

/* No worker lives, and none will come that would put right what the last one was killed at. */
static void clean_up(const struct supervisor *s, const struct member *m, bool just_ended)
{
	char path[PATHS_MAX];

	if (m->next.process != PROCESS_NONE || !agent_state_ended(m->next.state))
		return;
	unlink(paths_agent(&s->paths, m->id, PATHS_SESSION_NEW, path));
	if (just_ended) /* not for all that have ever ended, at each start */
		gittidy(paths_agent(&s->paths, m->id, "repo/.git", path), TIDY_ENTRIES);
}

void tx_reason(const struct supervisor *s, const struct member *m, const struct agent_todo *t,
	char out[LAUNCHER_REASON_BYTES])
{
	char line[LAUNCHER_REASON_BYTES] = "";
	size_t room = LAUNCHER_REASON_BYTES - sizeof(": ") - strlen(t->reason);
	bool known = t->what & (AGENT_DO_LOG_REASON | AGENT_DO_LOG_ADDED) &&
		     launcher_last_line(&s->paths, m->id, line);

	if (known && t->what & AGENT_DO_LOG_REASON)
		strcpy(out, line);
	else
		snprintf(out, LAUNCHER_REASON_BYTES, "%s%s%.*s", t->reason, known ? ": " : "",
			(int)utf8_cut(line, strlen(line), room), line);
}

static int write_change(struct supervisor *s, struct member *m, const struct agent_input *in,
	const struct agent_todo *t, struct err *e)
{
	char reason[LAUNCHER_REASON_BYTES];

	clean_up(s, m, in->event == AGENT_EXITED || t->what & AGENT_DO_STATE);
	if (in->event == AGENT_EXITED &&
		(store_agent_pid(s->store, m->id, 0, 0, e) < 0 ||
			(m->exit_pid && tx_worker(s, m, "ended", m->exit_pid, e) < 0)))
		return -1;
	if (in->event == AGENT_RETRY && store_commands_defuse(s->store, m->id, e) < 0)
		return -1;
	if (t->what & AGENT_DO_STATE) {
		tx_reason(s, m, t, reason);
		if (tx_state(s, m, reason, e) < 0)
			return -1;
	}
	if (t->what & AGENT_DO_SPAWN) {
		m->next_epoch++;
		if (store_agent_epoch(s->store, m->id, m->next_epoch, clock_wall_ms(), e) < 0)
			return -1;
		if (workers_prepare(m, m->next_epoch) &&
			(store_agent_pid(s->store, m->id, m->heir_pid, workers_heir_started(m), e) <
					0 ||
				tx_worker(s, m, "started", m->heir_pid, e) < 0))
			return -1;
	}
	if (t->what & AGENT_DO_TELL_STOP)
		return tx_command(s, m, "stop", NULL, e);
	return 0;
}

int tx_change(struct supervisor *s, struct member *m, const struct agent_input *in, struct err *e)
{
	struct agent_todo t;

	tx_touch(s, m);
	t = agent_step(&m->next, in, clock_now_ms());
	if (t.what & AGENT_DO_ILLEGAL)
		return err_set(e, ERR_CONFLICT, "agent %lld is %s%s", (long long)m->id,
			m->next.deleting ? "being deleted, was "
					 : (m->next.suspending ? "being suspended, was " : ""),
			agent_state_word(m->next.state));
	m->todo |= t.what;
	return write_change(s, m, in, &t, e);
}

int tx_load(struct supervisor *s, struct member *m, bool alive, struct err *e)
{
	struct agent_input in = {.event = AGENT_TIME};
	struct agent_found found = {
		.state = m->agent.state, .alive = alive, .stopping = m->found_stopping};
	struct agent_todo t;

	tx_touch(s, m);
	t = agent_load(&m->next, &found, clock_now_ms());
	m->todo = t.what;
	return write_change(s, m, &in, &t, e);
}

static void publish(struct supervisor *s)
{
	char head[EVENT_HEADER_MAX];
	struct outbox_event *ev;
	struct err e;
	size_t i, n;

	for (i = 0; i < s->outbox.n; i++) {
		ev = &s->outbox.events[i];
		n = outbox_header(ev, head);
		crash_point(CRASH_EVENT_PUBLISH_BEFORE);
		if (bus_pub_send(s->events_pub, head, n, outbox_body(&s->outbox, ev), ev->n, &e) <
			0)
			log_debug("event %lld not published: %s", (long long)ev->number, e.text);
		s->last_event = ev->number;
		crash_point(CRASH_EVENT_PUBLISH_AFTER);
	}
	polls_published(s);
	outbox_reset(&s->outbox);
}

static void settle(struct supervisor *s, struct member *m)
{
	enum agent_state old = m->agent.state;
	unsigned todo = m->todo;

	m->touched = false;
	if (m->lines)
		m->lines->changed = false;
	m->agent = m->next;
	if (agent_state_ended(m->agent.state)) /* read again when needed */
		free(take_ptr(m->lines));
	if (!agent_state_ended(m->agent.state)) {
		m->ended_ms = 0;
		m->packed = false;
	} else if (!m->ended_ms) {
		m->ended_ms = clock_wall_ms();
	}
	m->workspace = m->workspace || (todo & AGENT_DO_SPAWN);
	m->epoch = m->next_epoch;
	m->command_last = m->next_command;
	s->fleet.count[old]--;
	s->fleet.count[m->agent.state]++;
	if (old != m->agent.state) /* recorded with this */
		free(take_ptr(m->unsaved_reason));
	if (agent_state_busy(old) != agent_state_busy(m->agent.state)) {
		queue_busy(&s->queue, agent_state_busy(old) ? -1 : 1);
		supervisor_kick(s, 0);
	}
	if (m->next_seq != m->committed) {
		m->committed = m->next_seq;
		poll_committed(s, m, agent_state_ended(m->agent.state));
	}
	supervisor_arm(m);
	supervisor_act(s, m, todo);
	if (todo & TODO_WAKE)
		poll_wake(s, m);
	if (agent_state_ended(m->agent.state) && m->agent.process == PROCESS_NONE)
		keeper_kick(s);
}

void tx_settle(struct supervisor *s)
{
	struct member *m = s->touched, *next;
	struct err e;

	publish(s);
	s->touched = NULL;
	for (; m; m = next) {
		next = m->touched_next;
		settle(s, m);
	}
	if (s->config_touched && supervisor_configure(s, &e) < 0)
		log_error("configuration not read: %s", e.text);
	s->config_touched = false;
	heartbeat_status(&s->heartbeat, s->queue.busy, s->fleet.count[AGENT_WAITING]);
	checkpoint_consider(&s->checkpoint, s->loop);
}

int tx_commit(struct supervisor *s, struct err *e)
{
	crash_point(CRASH_CHANGE_COMMIT_BEFORE);
	if (store_commit(s->store, e) < 0) {
		tx_rollback(s);
		return -1;
	}
	crash_point(CRASH_CHANGE_COMMIT_AFTER);
	tx_settle(s);
	return 0;
}

void tx_rollback(struct supervisor *s)
{
	struct member *m;

	store_rollback(s->store);
	for (m = s->touched; m; m = m->touched_next) {
		m->touched = false;
		workers_drop(m);
		if (m->lines && m->lines->changed) { /* read again when needed */
			free(m->lines);
			m->lines = NULL;
		}
	}
	s->touched = NULL;
	s->config_touched = false;
	outbox_reset(&s->outbox);
}
