/* A supervisor for fuzz targets: its real sources on a real store, with nothing that
 * reaches outside. What stands here takes the place of theirs (the target is linked
 * first, with -Wl,--allow-multiple-definition). */
#ifndef TESTS_FUZZ_SUPERVISOR_H
#define TESTS_FUZZ_SUPERVISOR_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/rpc.h"
#include "supervisor/call.h"
#include "supervisor/control.h"

#define FUZZ_AGENTS 4
#define FUZZ_ERRANDS 64

/* A request is open until it is answered or dropped; poll.c may keep it. */
struct bus_request {
	int answers;
	struct bus_request *next;
};

static struct fuzz {
	struct supervisor s;
	uv_loop_t loop;
	char folder[64];
	struct bus_request *open;
	char *answer; /* the last one */
	int errands;
	struct {
		errand_cb cb;
		void *arg;
	} errand[FUZZ_ERRANDS];
} fuzz;

static void answered(struct bus_request *r, const void *data, size_t n)
{
	struct bus_request **link = &fuzz.open;

	if (++r->answers != 1)
		abort();
	while (*link && *link != r)
		link = &(*link)->next;
	if (!*link)
		abort();
	*link = r->next;
	free(r);
	if (!data)
		return;
	free(fuzz.answer);
	fuzz.answer = strndup(data, n);
}

void bus_reply(struct bus_request *r, const void *data, size_t n)
{
	answered(r, data, n);
}

void bus_reply_last(struct bus_request *r, const void *data, size_t n)
{
	answered(r, data, n);
}

void bus_request_drop(struct bus_request *r)
{
	answered(r, NULL, 0);
}

int bus_pub_send(struct bus_pub *p, const void *head, size_t head_len, const void *body,
	size_t body_len, struct err *e)
{
	(void)p, (void)head, (void)head_len, (void)body, (void)body_len, (void)e;
	return 0;
}

/* Who asks the outside world is told afterwards that it is not there. */
void errand_run(
	struct supervisor *s, const char *kind, const cJSON *question, errand_cb cb, void *arg)
{
	(void)s, (void)kind, (void)question;
	if (fuzz.errands == FUZZ_ERRANDS)
		abort();
	fuzz.errand[fuzz.errands].cb = cb;
	fuzz.errand[fuzz.errands++].arg = arg;
}

struct child *launcher_start(struct launcher *l, int64_t agent, int64_t epoch,
	const struct child_events *on, void *arg, struct err *e)
{
	(void)l, (void)agent, (void)epoch, (void)on, (void)arg;
	err_set(e, ERR_SYS, "no workers here");
	return NULL;
}

int backup_make(struct backup *b, uv_loop_t *loop, backup_cb cb, void *arg, struct err *e)
{
	(void)b, (void)loop, (void)cb, (void)arg;
	return err_set(e, ERR_SYS, "no copies here");
}

static void fuzz_timer(uv_timer_t *t)
{
	uv_timer_init(&fuzz.loop, t);
	t->data = &fuzz.s;
}

static void fuzz_check(bool well, const struct err *e)
{
	if (well)
		return;
	fprintf(stderr, "no supervisor: %s\n", e->text);
	abort();
}

static void fuzz_agent(int state)
{
	struct store_task t = {.repository = "/r",
		.base = "main",
		.title = "t",
		.description = "",
		.aider_arguments = "",
		.test_command = "",
		.permission = "ask",
		.agent_model = "",
		.aider_model = "",
		.agents = 1,
		.manager = true};
	struct supervisor *s = &fuzz.s;
	int64_t task, id;
	struct member *m;
	struct err e = {0};

	fuzz_check(
		tx_begin(s, false, &e) == 0 && store_task_add(s->store, &t, 1, &task, &e) == 0 &&
			store_agent_add(s->store, task, agent_state_word(state), 1, &id, &e) == 0 &&
			store_agent_epoch(s->store, id, 1, 1, &e) == 0 && tx_commit(s, &e) == 0,
		&e);
	m = fleet_add(&s->fleet, id);
	m->supervisor = s;
	m->task = task;
	m->epoch = 1;
	m->agent.state = (enum agent_state)state;
	if (!agent_state_ended(m->agent.state) && m->agent.state != AGENT_QUEUED)
		m->agent.process = PROCESS_RUNNING;
	s->fleet.count[AGENT_QUEUED]--;
	s->fleet.count[state]++;
	if (agent_state_busy(m->agent.state))
		queue_busy(&s->queue, 1);
}

/* Agents 1 to 4: working, waiting, done, queued. */
static void fuzz_open(void)
{
	static const int states[FUZZ_AGENTS] = {
		AGENT_WORKING, AGENT_WAITING, AGENT_DONE, AGENT_QUEUED};
	struct supervisor *s = &fuzz.s;
	char path[128];
	struct err e = {0};

	unsetenv("HUNDREDX_CRASH");
	setenv("HUNDREDX_LOG", "error", 1);
	freopen("/dev/null", "w", stdout);
	snprintf(fuzz.folder, sizeof(fuzz.folder), "/tmp/100x-fuzz-XXXXXX");
	if (!mkdtemp(fuzz.folder))
		abort();
	uv_loop_init(&fuzz.loop);
	s->loop = &fuzz.loop;
	snprintf(path, sizeof(path), "%s/tasks.db", fuzz.folder);
	fuzz_check(paths_init(&s->paths, fuzz.folder, fuzz.folder, &e) == 0, &e);
	s->store = store_open(path, &e);
	fuzz_check(s->store != NULL, &e);
	s->sweeper = sweeper_new(&fuzz.loop, &s->paths);
	fuzz_timer(&s->kick_timer);
	fuzz_timer(&s->down_timer);
	fuzz_timer(&s->disk_timer);
	checkpoint_init(&s->checkpoint, path, s->store);
	fuzz_check(supervisor_configure(s, &e) == 0, &e);
	for (int i = 0; i < FUZZ_AGENTS; i++)
		fuzz_agent(states[i]);
	/* The open descriptors are enough; nothing stays behind, however we end. */
	unlink(path);
	strcat(path, "-wal");
	unlink(path);
	memcpy(path + strlen(path) - 3, "shm", 3);
	unlink(path);
	rmdir(fuzz.folder);
}

/* What happens between two inputs: answers of errands, timers, agents in place of
 * deleted ones. */
static void fuzz_between(void)
{
	struct supervisor *s = &fuzz.s;
	struct err e;

	err_set(&e, ERR_UNAVAILABLE, "no errands here");
	while (fuzz.errands > 0) {
		fuzz.errands--;
		fuzz.errand[fuzz.errands].cb(fuzz.errand[fuzz.errands].arg, NULL, &e);
	}
	uv_run(&fuzz.loop, UV_RUN_NOWAIT);
	s->going_down = false;
	while (s->fleet.n < FUZZ_AGENTS)
		fuzz_agent(AGENT_WORKING);
}

#endif
