/* A supervisor without processes, in a folder of its own: store, sockets, loop. */
#ifndef TESTS_UNIT_SUPERVISOR_HARNESS_H
#define TESTS_UNIT_SUPERVISOR_HARNESS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "supervisor/control.h"
#include "supervisor/tx.h"

/* nng closes dialers in a thread of its own, which the end of the process may overtake. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnng";
}

struct harness {
	struct supervisor s;
	uv_loop_t loop;
	char folder[64];
	struct bus_req *asker;
	uv_timer_t tick;
};

static inline void harness_timer(struct harness *h, uv_timer_t *t)
{
	uv_timer_init(&h->loop, t);
	t->data = &h->s;
}

static inline struct harness *harness_new(void)
{
	struct harness *h = calloc(1, sizeof(*h));
	struct supervisor *s = &h->s;
	char path[128], url[PATHS_MAX];
	struct err e;

	assert_non_null(h);
	snprintf(h->folder, sizeof(h->folder), "/tmp/100x-unit-XXXXXX");
	assert_non_null(mkdtemp(h->folder));
	uv_loop_init(&h->loop);
	s->loop = &h->loop;
	if (paths_init(&s->paths, h->folder, h->folder, &e) < 0)
		fail_msg("%s", e.text);
	snprintf(s->disk.folder, sizeof(s->disk.folder), "%s", h->folder);
	snprintf(path, sizeof(path), "%s/tasks.db", h->folder);
	s->store = store_open(path, &e);
	s->sweeper = sweeper_new(s->loop, &s->paths);
	s->events_pub = bus_pub_listen(paths_events_url(&s->paths, url), &e);
	harness_timer(h, &s->kick_timer);
	harness_timer(h, &s->down_timer);
	harness_timer(h, &s->disk_timer);
	uv_timer_init(&h->loop, &h->tick);
	checkpoint_init(&s->checkpoint, path, s->store);
	if (!s->store || !s->events_pub || supervisor_configure(s, &e) < 0)
		fail_msg("%s", e.text);
	s->control_rep =
		bus_rep_listen(s->loop, paths_control_url(&s->paths, url), control_request, s, &e);
	h->asker = bus_req_dial(s->loop, url, &e);
	if (!s->control_rep || !h->asker)
		fail_msg("%s", e.text);
	return h;
}

static inline void harness_close(uv_handle_t *handle, void *arg)
{
	(void)arg;
	if (!uv_is_closing(handle))
		uv_close(handle, NULL);
}

static inline void harness_free(struct harness *h)
{
	static const char *const leaves[] = {
		"tasks.db", "tasks.db-wal", "tasks.db-shm", "events.ipc", "control.ipc"};
	struct err e = {.kind = ERR_CANCELLED};
	char path[128];
	size_t i;

	for (i = 0; i < h->s.fleet.n; i++) {
		struct member *m = h->s.fleet.members[i];

		poll_refuse(m, &e);
		m->agent.deadline_ms = 0;
		m->unsaved = false;
		supervisor_arm(m);
	}
	bus_req_free(h->asker);
	bus_rep_free(h->s.control_rep);
	bus_pub_free(h->s.events_pub);
	uv_run(&h->loop, UV_RUN_NOWAIT);
	uv_walk(&h->loop, harness_close, NULL);
	uv_run(&h->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&h->loop), 0);
	store_close(h->s.store);
	sweeper_free(h->s.sweeper);
	fleet_clear(&h->s.fleet);
	queue_clear(&h->s.queue);
	outbox_clear(&h->s.outbox);
	outbox_clear(&h->s.ingest.batch);
	cJSON_Delete(h->s.general);
	cJSON_Delete(h->s.models);
	for (i = 0; i < sizeof(leaves) / sizeof(leaves[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s", h->folder, leaves[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(h->folder), 0);
	free(h);
}

/* An agent of a new task; working: with a worker (of epoch 1) that does not exist. */
static inline struct member *harness_agent(struct harness *h, bool working)
{
	struct supervisor *s = &h->s;
	struct store_task t = {.repository = "/r",
		.base = "main",
		.title = "t",
		.description = "",
		.aider_arguments = "",
		.test_command = "",
		.permission = "allow",
		.agent_model = "",
		.aider_model = "",
		.agents = 1,
		.manager = true};
	int64_t task, id;
	struct member *m;
	struct err e;

	assert_int_equal(tx_begin(s, false, &e), 0);
	assert_int_equal(store_task_add(s->store, &t, 1, &task, &e), 0);
	assert_int_equal(
		store_agent_add(s->store, task, working ? "working" : "queued", 1, &id, &e), 0);
	assert_int_equal(store_agent_epoch(s->store, id, working, 1, &e), 0);
	assert_int_equal(tx_commit(s, &e), 0);
	m = fleet_add(&s->fleet, id);
	m->supervisor = s;
	m->task = task;
	m->epoch = working;
	if (!working)
		return m;
	m->agent.state = AGENT_WORKING;
	m->agent.process = PROCESS_RUNNING;
	s->fleet.count[AGENT_QUEUED]--;
	s->fleet.count[AGENT_WORKING]++;
	queue_busy(&s->queue, 1);
	return m;
}

/* --- questions --- */

struct harness_answer {
	cJSON *root; /* NULL: not yet */
	bool over;
};

static inline void harness_answered(void *arg, const char *data, size_t n, const struct err *e)
{
	struct harness_answer *a = arg;

	if (!e)
		a->root = cJSON_ParseWithLength(data, n);
	a->over = true;
}

static inline void harness_ask(struct harness *h, struct harness_answer *a, const char *text)
{
	*a = (struct harness_answer){0};
	assert_non_null(
		bus_req_ask(h->asker, text, strlen(text), 10000, 60000, harness_answered, a));
}

/* The whole answer to id, method and params; the caller owns it. */
static inline cJSON *harness_call(
	struct harness *h, const char *id, const char *method, const char *params)
{
	struct harness_answer a;
	char text[4096];

	snprintf(text, sizeof(text),
		"{\"jsonrpc\":\"2.0\",\"id\":\"%s\",\"method\":\"%s\",\"params\":%s}", id, method,
		params);
	harness_ask(h, &a, text);
	while (!a.over)
		uv_run(&h->loop, UV_RUN_ONCE);
	assert_non_null(a.root);
	return a.root;
}

static inline const char *harness_error(const cJSON *answer)
{
	const cJSON *error = json_get(answer, "error");

	return error ? json_str(json_get(error, "data"), "kind", "?") : "";
}

#endif
