/* A link to a supervisor that the test plays, and what it was told. */
#ifndef TESTS_UNIT_WORKER_LINK_SCENE_H
#define TESTS_UNIT_WORKER_LINK_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/bus.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/rpc.h"
#include "tests/unit/apart.h"
#include "worker/link.h"

#define DEADLINE_MS 60000
#define AGENT 7
#define HELLO "{\"version\":1,\"committed\":0}"

/* nng closes dialers in a thread of its own, which the end of the process may overtake. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libnng";
}

struct request {
	struct bus_request *open; /* NULL: none waits */
	cJSON *id, *params;
};

struct scene {
	char dir[32];
	struct paths paths;
	uv_loop_t loop;
	uv_timer_t deadline;
	struct bus_rep *rep;
	struct bus_sub *sub;
	struct link *link;
	/* The supervisor's side. */
	struct request hello, next, asked;
	int nexts;	     /* worker.next that came */
	int64_t in_order;    /* events up to this seq came, in order */
	int64_t last_number; /* field n of the last of them */
	int frames, broken, troubles;
	/* What the worker was told. */
	int hellos, commands, drained, blocked, released, alone, back, retired, refused, disks,
		lost;
	int64_t command;
	char kind[32], disk[64], answer[128];
	int answers, failures;
	enum err_kind why;
};

/* --- the supervisor's side --- */

static inline void too_late(uv_timer_t *t)
{
	(void)t;
	fail_msg("nothing came within %d ms", DEADLINE_MS);
}

#define UNTIL(s, condition)                                                                        \
	while (!(condition))                                                                       \
	uv_run(&(s)->loop, UV_RUN_ONCE)

static inline void on_request(void *arg, struct bus_request *r, const char *data, size_t n)
{
	struct scene *s = arg;
	struct request *to;
	struct rpc m;

	assert_int_equal(rpc_parse(data, n, RPC_MAX_BYTES, &m, NULL), 0);
	assert_int_equal(m.type, RPC_REQUEST);
	to = !strcmp(m.method, "worker.hello")	? &s->hello
	     : !strcmp(m.method, "worker.next") ? &s->next
						: &s->asked;
	assert_null(to->open);
	to->open = r;
	cJSON_Delete(to->id);
	cJSON_Delete(to->params);
	to->id = cJSON_Duplicate(m.id, true);
	to->params = cJSON_Duplicate(m.params, true);
	s->nexts += to == &s->next;
	rpc_clear(&m);
}

static inline void reply(struct request *to, const char *text)
{
	struct bus_request *r = to->open;

	assert_non_null(r);
	to->open = NULL;
	bus_reply(r, text, strlen(text));
}

static inline void answer(struct request *to, const char *result)
{
	_cleanup_json_ cJSON *value = cJSON_Parse(result);
	_cleanup_free_ char *text = rpc_result(to->id, value);

	assert_non_null(value);
	reply(to, text);
}

static inline void refuse(struct request *to, enum err_kind kind, const char *why)
{
	struct err failure;

	err_set(&failure, kind, "%s", why);
	_cleanup_free_ char *text = rpc_error_from(to->id, &failure);
	reply(to, text);
}

/* Answers this worker.next and waits for the one after. */
static inline void turn_next(struct scene *s, const char *result)
{
	int before;

	UNTIL(s, s->next.open);
	before = s->nexts;
	answer(&s->next, result);
	UNTIL(s, s->nexts > before);
}

static inline void acknowledge(struct scene *s, int64_t committed, bool resend)
{
	char text[96];

	snprintf(text, sizeof text, "{\"version\":1,\"committed\":%lld,\"resend\":%s}",
		(long long)committed, resend ? "true" : "false");
	turn_next(s, text);
}

static inline void on_frame(void *arg, const char *frame, size_t n)
{
	struct scene *s = arg;
	_cleanup_json_ cJSON *body = NULL;
	struct event ev;

	assert_int_equal(event_decode(frame, n, &ev, NULL), 0);
	assert_string_equal(ev.stream, "agent");
	assert_int_equal(ev.subject, AGENT);
	s->frames++;
	if (ev.number != s->in_order + 1)
		return; /* published again, or behind one that was dropped */
	body = cJSON_ParseWithLength(ev.body, ev.body_len);
	assert_int_equal(json_int(body, "seq", 0), ev.number);
	s->in_order = ev.number;
	if (ev.kind == EVENT_TROUBLE || json_bool(body, "broken", false)) {
		s->troubles += ev.kind == EVENT_TROUBLE;
		s->broken += ev.kind != EVENT_TROUBLE;
		return;
	}
	assert_true(json_int(body, "n", -1) > s->last_number);
	s->last_number = json_int(body, "n", -1);
}

/* Asks again for what the bus dropped until all up to seq is here, and commits it. */
static inline void take_up_to(struct scene *s, int64_t seq)
{
	while (s->in_order < seq)
		acknowledge(s, s->in_order, true);
	acknowledge(s, seq, false);
	assert_true(link_drained(s->link));
}

/* --- the worker's side --- */

static inline void on_hello(void *arg, const cJSON *result)
{
	struct scene *s = arg;

	assert_int_equal(json_int(result, "committed", -1), 0);
	s->hellos++;
}

static inline void on_command(void *arg, int64_t n, const char *kind, const cJSON *body)
{
	struct scene *s = arg;

	s->commands++;
	s->command = n;
	snprintf(s->kind, sizeof s->kind, "%s %s", kind, json_str(body, "text", "-"));
}

static inline void on_drained(void *arg)
{
	((struct scene *)arg)->drained++;
}

static inline void on_blocked(void *arg, bool blocked, const struct err *why)
{
	struct scene *s = arg;

	if (blocked) {
		s->blocked++;
		s->why = why->kind;
	} else {
		s->released++;
	}
}

static inline void on_disk(void *arg, const char *full)
{
	struct scene *s = arg;

	s->disks++;
	snprintf(s->disk, sizeof s->disk, "%s", full);
}

static inline void on_lost(void *arg)
{
	((struct scene *)arg)->lost++;
}

static inline void on_alone(void *arg, bool alone)
{
	struct scene *s = arg;

	s->alone += alone;
	s->back += !alone;
}

static inline void on_retire(void *arg)
{
	((struct scene *)arg)->retired++;
}

static inline void on_refused(void *arg, const struct err *why)
{
	struct scene *s = arg;

	s->refused++;
	s->why = why->kind;
}

static inline void on_answer(void *arg, const cJSON *result, const struct err *e)
{
	struct scene *s = arg;

	if (e) {
		s->failures++;
		s->why = e->kind;
		return;
	}
	s->answers++;
	snprintf(s->answer, sizeof s->answer, "%s", json_str(result, "said", "?"));
}

static inline void say(struct scene *s, int64_t n)
{
	cJSON *body = cJSON_CreateObject();

	json_add_int(body, "n", n);
	json_add_str(body, "text", "a line\n");
	link_send(s->link, EVENT_OUTPUT, body);
}

/* --- the scene --- */

static inline int scene_open(void **state)
{
	static const struct link_handler handler = {.hello = on_hello,
		.command = on_command,
		.drained = on_drained,
		.blocked = on_blocked,
		.disk = on_disk,
		.lost = on_lost,
		.alone = on_alone,
		.retire = on_retire,
		.refused = on_refused};
	struct scene *s = calloc(1, sizeof *s);
	char url[PATHS_MAX];

	strcpy(s->dir, "/tmp/link-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	assert_int_equal(paths_init(&s->paths, s->dir, s->dir, NULL), 0);
	uv_loop_init(&s->loop);
	uv_timer_init(&s->loop, &s->deadline);
	uv_timer_start(&s->deadline, too_late, DEADLINE_MS, 0);
	s->rep = bus_rep_listen(&s->loop, paths_control_url(&s->paths, url), on_request, s, NULL);
	s->sub = bus_sub_listen(&s->loop, paths_ingest_url(&s->paths, url), on_frame, s, NULL);
	s->link = link_new(&s->loop, &s->paths, AGENT, 3, &handler, s, NULL);
	assert_true(s->rep && s->sub && s->link);
	*state = s;
	return 0;
}

static inline void request_clear(struct request *r)
{
	if (r->open)
		bus_request_drop(r->open);
	cJSON_Delete(r->id);
	cJSON_Delete(r->params);
}

static inline int scene_close(void **state)
{
	struct scene *s = *state;
	char command[64];

	link_free(s->link);
	request_clear(&s->hello);
	request_clear(&s->next);
	request_clear(&s->asked);
	bus_rep_free(s->rep);
	bus_sub_free(s->sub);
	uv_close((uv_handle_t *)&s->deadline, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	snprintf(command, sizeof command, "rm -rf %s", s->dir);
	assert_int_equal(system(command), 0);
	free(s);
	return 0;
}

static inline void start(struct scene *s)
{
	link_start(s->link, 0);
	UNTIL(s, s->hello.open);
	assert_int_equal(json_int(s->hello.params, "agent", 0), AGENT);
	assert_int_equal(json_int(s->hello.params, "epoch", 0), 3);
	answer(&s->hello, HELLO);
	UNTIL(s, s->hellos);
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_open, scene_close)

#endif
