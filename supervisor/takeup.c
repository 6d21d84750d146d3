#include "supervisor/takeup.h"

#include <stdlib.h>

#include "shared/crash.h"
#include "shared/log.h"
#include "supervisor/supervisor.h"
#include "supervisor/tx.h"
#include "supervisor/workers.h"

static void load_row(void *arg, const struct store_agent_row *row)
{
	struct supervisor *s = arg;
	struct member *m = fleet_add(&s->fleet, row->id);

	m->supervisor = s;
	m->task = row->task;
	m->epoch = row->epoch;
	m->committed = m->batched = row->committed_seq;
	m->command_done = row->command_done;
	m->command_last = row->command_last;
	m->pid = (int)row->pid;
	m->pid_started = row->pid_started;
	m->ended_ms = row->ended_at;
	m->packed = row->packed;
	m->segments = row->segments;
	m->workspace = row->workspace;
	m->found_stopping = row->stopping;
	m->agent.state = agent_state_parse(row->state);
	if (m->agent.state == AGENT_STATE_COUNT) /* of a program that is not ours */
		m->agent.state = AGENT_FAILED;
	s->fleet.count[AGENT_QUEUED]--;
	s->fleet.count[m->agent.state]++;
	if (agent_state_busy(m->agent.state))
		queue_busy(&s->queue, 1);
}

/* Agents of which processes were found at the start, each once. */
struct left {
	int64_t *agents;
	size_t n;
};

static bool left_behind(const struct left *left, int64_t agent)
{
	size_t i = 0;

	while (i < left->n && left->agents[i] != agent)
		i++;
	return i < left->n;
}

static void on_left(void *arg, int64_t agent, int pid)
{
	struct left *left = arg;

	(void)pid;
	if (left_behind(left, agent))
		return;
	left->agents = realloc(left->agents, (left->n + 1) * sizeof(*left->agents));
	if (!left->agents)
		err_out_of_memory();
	left->agents[left->n++] = agent;
}

static void nobody_left(void *arg)
{
	(void)arg;
}

/* What a worker left that was killed together with the supervisor before. */
static void sweep_left(struct supervisor *s, const struct left *left)
{
	struct member *m;

	for (size_t i = 0; i < left->n; i++) {
		m = fleet_find(&s->fleet, left->agents[i]);
		if (m && m->watch)
			continue; /* its worker lives */
		log_info("agent=%lld left processes behind", (long long)left->agents[i]);
		if (m)
			m->exit_code = AGENT_CODE_UNKNOWN;
		if (m)
			workers_sweep(m);
		else
			sweep_agent(s->sweeper, left->agents[i], NULL, nobody_left, NULL);
	}
}

static int take_left(struct supervisor *s, const struct left *left, struct err *e)
{
	struct member *m;
	int64_t started;
	size_t i;
	bool alive;
	int pid;

	if (store_agents_load(s->store, load_row, s, e) < 0 || tx_begin(s, true, e) < 0)
		return -1;
	/* Also the proof, before anything else, that the disk takes a write. */
	if (hourly_purge(s, e) < 0) {
		tx_rollback(s);
		return -1;
	}
	for (i = 0; i < s->fleet.n; i++) {
		m = s->fleet.members[i];
		pid = m->pid;
		started = m->pid_started;
		m->pid = 0;
		/* One that left something behind counts as running until that is gone. */
		alive = workers_adopt(m, pid, started) || left_behind(left, m->id);
		if (tx_load(s, m, alive, e) < 0) {
			tx_rollback(s);
			return -1;
		}
	}
	crash_point(CRASH_SUPERVISOR_ADOPTED);
	if (tx_commit(s, e) < 0)
		return -1;
	sweep_left(s, left);
	return 0;
}

int takeup(struct supervisor *s, struct err *e)
{
	struct left left = {0};
	int done;

	sweep_look(s->paths.state_dir, on_left, &left);
	cgroup_look(sweeper_cgroup(s->sweeper), on_left, &left);
	done = take_left(s, &left, e);
	free(left.agents);
	return done;
}
