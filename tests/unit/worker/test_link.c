/* The wire to the supervisor, with one of the test's own: what it answers wrongly, what it
 * refuses, what the disk refuses. Nothing of it may lose or double an event. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/bus.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/rpc.h"
#include "shared/spool.h"
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

static void too_late(uv_timer_t *t)
{
	(void)t;
	fail_msg("nothing came within %d ms", DEADLINE_MS);
}

#define UNTIL(s, condition)                                                                        \
	while (!(condition))                                                                       \
	uv_run(&(s)->loop, UV_RUN_ONCE)

static void on_request(void *arg, struct bus_request *r, const char *data, size_t n)
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

static void reply(struct request *to, const char *text)
{
	struct bus_request *r = to->open;

	assert_non_null(r);
	to->open = NULL;
	bus_reply(r, text, strlen(text));
}

static void answer(struct request *to, const char *result)
{
	_cleanup_json_ cJSON *value = cJSON_Parse(result);
	_cleanup_free_ char *text = rpc_result(to->id, value);

	assert_non_null(value);
	reply(to, text);
}

static void refuse(struct request *to, enum err_kind kind, const char *why)
{
	struct err failure;

	err_set(&failure, kind, "%s", why);
	_cleanup_free_ char *text = rpc_error_from(to->id, &failure);
	reply(to, text);
}

/* Answers this worker.next and waits for the one after. */
static void turn_next(struct scene *s, const char *result)
{
	int before;

	UNTIL(s, s->next.open);
	before = s->nexts;
	answer(&s->next, result);
	UNTIL(s, s->nexts > before);
}

static void acknowledge(struct scene *s, int64_t committed, bool resend)
{
	char text[96];

	snprintf(text, sizeof text, "{\"version\":1,\"committed\":%lld,\"resend\":%s}",
		(long long)committed, resend ? "true" : "false");
	turn_next(s, text);
}

static void on_frame(void *arg, const char *frame, size_t n)
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
static void take_up_to(struct scene *s, int64_t seq)
{
	while (s->in_order < seq)
		acknowledge(s, s->in_order, true);
	acknowledge(s, seq, false);
	assert_true(link_drained(s->link));
}

/* --- the worker's side --- */

static void on_hello(void *arg, const cJSON *result)
{
	struct scene *s = arg;

	assert_int_equal(json_int(result, "committed", -1), 0);
	s->hellos++;
}

static void on_command(void *arg, int64_t n, const char *kind, const cJSON *body)
{
	struct scene *s = arg;

	s->commands++;
	s->command = n;
	snprintf(s->kind, sizeof s->kind, "%s %s", kind, json_str(body, "text", "-"));
}

static void on_drained(void *arg)
{
	((struct scene *)arg)->drained++;
}

static void on_blocked(void *arg, bool blocked, const struct err *why)
{
	struct scene *s = arg;

	if (blocked) {
		s->blocked++;
		s->why = why->kind;
	} else {
		s->released++;
	}
}

static void on_disk(void *arg, const char *full)
{
	struct scene *s = arg;

	s->disks++;
	snprintf(s->disk, sizeof s->disk, "%s", full);
}

static void on_lost(void *arg)
{
	((struct scene *)arg)->lost++;
}

static void on_alone(void *arg, bool alone)
{
	struct scene *s = arg;

	s->alone += alone;
	s->back += !alone;
}

static void on_retire(void *arg)
{
	((struct scene *)arg)->retired++;
}

static void on_refused(void *arg, const struct err *why)
{
	struct scene *s = arg;

	s->refused++;
	s->why = why->kind;
}

static void on_answer(void *arg, const cJSON *result, const struct err *e)
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

static void say(struct scene *s, int64_t n)
{
	cJSON *body = cJSON_CreateObject();

	json_add_int(body, "n", n);
	json_add_str(body, "text", "a line\n");
	link_send(s->link, EVENT_OUTPUT, body);
}

/* --- the scene --- */

static int scene_open(void **state)
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

static void request_clear(struct request *r)
{
	if (r->open)
		bus_request_drop(r->open);
	cJSON_Delete(r->id);
	cJSON_Delete(r->params);
}

static int scene_close(void **state)
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

static void start(struct scene *s)
{
	link_start(s->link, 0);
	UNTIL(s, s->hello.open);
	assert_int_equal(json_int(s->hello.params, "agent", 0), AGENT);
	assert_int_equal(json_int(s->hello.params, "epoch", 0), 3);
	answer(&s->hello, HELLO);
	UNTIL(s, s->hellos);
}

/* --- tests --- */

static void what_is_sent_arrives_in_order_and_is_let_go(void **state)
{
	struct scene *s = *state;

	start(s);
	for (int i = 1; i <= 3000; i++)
		say(s, i); /* more than one window */
	assert_int_equal(link_last(s->link), 3000);
	assert_false(link_drained(s->link));
	take_up_to(s, 3000);
	assert_int_equal(s->last_number, 3000);
	assert_true(s->drained > 0);
	assert_int_equal(s->blocked, 0);
	assert_int_equal(json_int(s->next.params, "have", 0), 3000);
}

/* A supervisor that claims to have what was never sent: nothing is dropped for it. */
static void a_false_acknowledgement_drops_nothing(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	say(s, 2);
	acknowledge(s, 99, false);
	assert_false(link_drained(s->link));
	assert_int_equal(s->drained, 0);
	take_up_to(s, 2);
	say(s, 3);
	take_up_to(s, 3);
}

static void a_hello_that_is_refused_ends_it(void **state)
{
	struct scene *s = *state;

	link_start(s->link, 0);
	UNTIL(s, s->hello.open);
	refuse(&s->hello, ERR_DENIED, "replaced by epoch 4");
	UNTIL(s, s->refused);
	assert_int_equal(s->why, ERR_DENIED);
	assert_int_equal(s->hellos, 0);
}

static void a_hello_answered_with_rubbish_ends_it(void **state)
{
	struct scene *s = *state;

	link_start(s->link, 0);
	UNTIL(s, s->hello.open);
	reply(&s->hello, "{\"jsonrpc\":");
	UNTIL(s, s->refused);
	assert_int_equal(s->why, ERR_PROTOCOL);
}

static void a_spool_of_another_agent_is_not_taken(void **state)
{
	struct scene *s = *state;
	char folder[PATHS_MAX];
	struct spool *theirs;
	int64_t seq;

	paths_agent(&s->paths, AGENT, "spool", folder);
	theirs = spool_open(folder, AGENT + 1, 0, NULL);
	assert_non_null(theirs);
	assert_int_equal(spool_append(theirs, EVENT_OUTPUT, "{\"n\":1}", 7, &seq, NULL), 0);
	spool_free(theirs);

	link_start(s->link, 0);
	UNTIL(s, s->hello.open);
	answer(&s->hello, HELLO);
	UNTIL(s, s->refused);
	assert_int_equal(s->why, ERR_CONFLICT);
	assert_int_equal(s->hellos, 0);
	theirs = spool_open(folder, AGENT + 1, 0, NULL);
	assert_int_equal(spool_last(theirs), 1);
	spool_free(theirs);
}

static void a_next_that_is_refused_for_good_ends_it(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	UNTIL(s, s->next.open);
	refuse(&s->next, ERR_NOT_FOUND, "there is no agent 7");
	UNTIL(s, s->refused);
	assert_int_equal(s->why, ERR_NOT_FOUND);
	assert_int_equal(s->nexts, 1);
}

/* Broken answers and passing troubles are asked about again, and cost no event. */
static void a_broken_answer_costs_nothing(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	UNTIL(s, s->next.open);
	reply(&s->next, "[\"no\", \"object\"]");
	UNTIL(s, s->nexts == 2);
	assert_int_equal(s->refused, 0);
	take_up_to(s, 1);
	say(s, 2);
	take_up_to(s, 2);
}

static void a_command_comes_until_it_is_taken(void **state)
{
	static const char both[] = "{\"version\":1,\"committed\":0,\"commands\":["
				   "{\"n\":1,\"kind\":\"tell\",\"body\":{\"text\":\"one\"}},"
				   "{\"n\":2,\"kind\":\"pause\"}]}";
	struct scene *s = *state;

	start(s);
	turn_next(s, both); /* the second is asked for again */
	assert_int_equal(s->commands, 2);
	assert_string_equal(s->kind, "pause -");
	assert_int_equal(json_int(s->next.params, "after", -1), 0);
	link_taken(s->link, 1);
	turn_next(s, both);
	assert_int_equal(s->commands, 3);
	assert_int_equal(s->command, 2);
	link_taken(s->link, 2);
	turn_next(s, both);
	assert_int_equal(s->commands, 3);
	assert_int_equal(json_int(s->next.params, "after", -1), 2);
	turn_next(s, "{\"version\":1,\"committed\":0,\"retire\":true}");
	assert_int_equal(s->retired, 1);
	assert_true(json_bool(s->next.params, "retiring", false));
}

static void too_long_an_event_is_left_out_alone(void **state)
{
	struct scene *s = *state;
	char *big = malloc(EVENT_BODY_MAX + 1);
	cJSON *body = cJSON_CreateObject();

	start(s);
	memset(big, 'x', EVENT_BODY_MAX);
	big[EVENT_BODY_MAX] = '\0';
	json_add_str(body, "text", big);
	free(big);
	link_send(s->link, EVENT_OUTPUT, body);
	assert_int_equal(link_last(s->link), 0);
	assert_int_equal(s->blocked, 0);
	say(s, 1);
	take_up_to(s, 1);
}

static void no_file_beyond(rlim_t bytes)
{
	struct rlimit l;

	getrlimit(RLIMIT_FSIZE, &l);
	l.rlim_cur = bytes;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &l), 0);
}

/* Sends from n on until the spool takes no more; returns the first that it did not. */
static int64_t send_until_blocked(struct scene *s, int64_t n)
{
	no_file_beyond(16384);
	while (!s->blocked)
		say(s, n++);
	assert_int_equal(link_last(s->link), n - 2);
	return n - 1;
}

static void what_the_disk_refuses_is_held_and_comes_in_order(void **state)
{
	struct scene *s = *state;
	int64_t first, last;

	start(s);
	first = send_until_blocked(s, 1);
	assert_int_equal(s->why, ERR_SYS);
	for (last = first; last < first + LINK_MAX_HELD - 1;)
		say(s, ++last);
	say(s, last + 1); /* one more than is held: lost, and said so */
	assert_int_equal(s->blocked, 1);
	assert_int_equal(link_last(s->link), first - 1);

	turn_next(s, "{\"version\":1,\"committed\":0,\"disk_full\":\"the disk is full\"}");
	assert_string_equal(s->disk, "the disk is full");
	assert_true(json_bool(s->next.params, "full", false));
	assert_int_equal(s->released, 0);
	no_file_beyond(RLIM_INFINITY);
	turn_next(s, "{\"version\":1,\"committed\":0,\"disk_full\":\"\"}");
	UNTIL(s, s->released);
	assert_string_equal(s->disk, "");
	assert_int_equal(link_last(s->link), last);
	take_up_to(s, last);
	assert_int_equal(s->last_number, last);
	say(s, last + 2);
	take_up_to(s, last + 1);
}

static void what_is_held_goes_with_the_link(void **state)
{
	struct scene *s = *state;
	int64_t first;

	start(s);
	first = send_until_blocked(s, 1);
	say(s, first + 1);
	assert_int_equal(link_last(s->link), first - 1);
	assert_false(link_drained(s->link));
	no_file_beyond(RLIM_INFINITY);
}

/* Flips a bit where the file holds this text. */
static void damage(const char *path, const char *text)
{
	char data[4096];
	int fd = open(path, O_RDWR | O_CLOEXEC);
	ssize_t n = pread(fd, data, sizeof data, 0);
	char *at = memmem(data, n > 0 ? (size_t)n : 0, text, strlen(text));

	assert_non_null(at);
	*at ^= 1;
	assert_int_equal(pwrite(fd, at, 1, at - data), 1);
	close(fd);
}

/* What was damaged below us is not told as if it were whole; that it is lost is told, and all
 * that follows. */
static void a_damaged_event_is_told_as_lost(void **state)
{
	struct scene *s = *state;
	char path[PATHS_MAX];

	start(s);
	say(s, 1);
	take_up_to(s, 1);
	link_hold(s->link);
	say(s, 2);
	say(s, 3);
	damage(paths_agent(&s->paths, AGENT, "spool/events", path), "\"n\":2");
	link_release(s->link);
	take_up_to(s, 4);
	assert_int_equal(s->broken, 1);
	assert_int_equal(s->last_number, 3);
	assert_int_equal(s->troubles, 1);
	UNTIL(s, s->lost);
	say(s, 4);
	take_up_to(s, 5);
	assert_int_equal(s->lost, 1);
}

/* So is what was damaged before the worker began. */
static void an_event_damaged_before_hello_is_told_as_lost(void **state)
{
	struct scene *s = *state;
	char path[PATHS_MAX];
	struct spool *ours;
	int64_t seq;

	ours = spool_open(paths_agent(&s->paths, AGENT, "spool", path), AGENT, 0, NULL);
	assert_int_equal(spool_append(ours, EVENT_OUTPUT, "{\"n\":1}", 7, &seq, NULL), 0);
	assert_int_equal(spool_append(ours, EVENT_OUTPUT, "{\"n\":2}", 7, &seq, NULL), 0);
	spool_free(ours);
	damage(paths_agent(&s->paths, AGENT, "spool/events", path), "\"n\":1");
	start(s);
	take_up_to(s, 3);
	assert_int_equal(s->broken, 1);
	assert_int_equal(s->last_number, 2);
	assert_int_equal(s->troubles, 1);
	UNTIL(s, s->lost);
}

static void what_is_held_back_is_told_at_its_release(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	take_up_to(s, 1);
	link_hold(s->link);
	say(s, 2);
	s->frames = 0;
	for (int i = 0; i < 20; i++)
		acknowledge(s, 1, true);
	assert_int_equal(s->frames, 0);
	link_release(s->link);
	take_up_to(s, 2);
}

static void questions_are_answered_or_fail(void **state)
{
	struct scene *s = *state;

	start(s);
	link_ask(s->link, "one", "agent.tell", NULL, on_answer, s);
	UNTIL(s, s->asked.open);
	answer(&s->asked, "{\"said\":\"yes\"}");
	UNTIL(s, s->answers);
	assert_string_equal(s->answer, "yes");

	link_ask(s->link, "two", "agent.tell", NULL, on_answer, s);
	UNTIL(s, s->asked.open);
	refuse(&s->asked, ERR_NOT_FOUND, "there is no agent 8");
	UNTIL(s, s->failures);
	assert_int_equal(s->why, ERR_NOT_FOUND);

	link_ask(s->link, "three", "agent.tell", NULL, on_answer, s);
	UNTIL(s, s->asked.open);
	reply(&s->asked, "{\"jsonrpc\":\"2.0\",\"id\":\"three\",\"method\":\"agent.tell\"}");
	UNTIL(s, s->failures == 2);
	assert_int_equal(s->why, ERR_PROTOCOL);

	/* And two that are open at the end. */
	link_ask(s->link, "four", "agent.tell", NULL, on_answer, s);
	UNTIL(s, s->asked.open);
	assert_int_equal(s->answers, 1);
}

static void silence_is_told_and_its_end(void **state)
{
	struct scene *s = *state;

	start(s);
	link_alone_after(s->link, 30);
	UNTIL(s, s->alone);
	assert_int_equal(s->back, 0);
	turn_next(s, "{\"version\":1,\"committed\":0}");
	assert_int_equal(s->back, 1);
	link_alone_after(s->link, 0);
}

/* nng drops what is published before the connection stands: nobody asks here, so it is
 * the worker that publishes again. */
static void what_is_not_acknowledged_is_published_again(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	UNTIL(s, s->frames >= 2); /* the first time, or again, and again */
	assert_int_equal(s->in_order, 1);
	take_up_to(s, 1);
}

int main(int argc, char **argv)
{
#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		IN_SCENE(what_is_sent_arrives_in_order_and_is_let_go),
		IN_SCENE(a_false_acknowledgement_drops_nothing),
		IN_SCENE(a_hello_that_is_refused_ends_it),
		IN_SCENE(a_hello_answered_with_rubbish_ends_it),
		IN_SCENE(a_spool_of_another_agent_is_not_taken),
		IN_SCENE(a_next_that_is_refused_for_good_ends_it),
		IN_SCENE(a_broken_answer_costs_nothing),
		IN_SCENE(a_command_comes_until_it_is_taken),
		IN_SCENE(too_long_an_event_is_left_out_alone),
		IN_SCENE(what_the_disk_refuses_is_held_and_comes_in_order),
		IN_SCENE(what_is_held_goes_with_the_link),
		IN_SCENE(a_damaged_event_is_told_as_lost),
		IN_SCENE(an_event_damaged_before_hello_is_told_as_lost),
		IN_SCENE(what_is_held_back_is_told_at_its_release),
		IN_SCENE(questions_are_answered_or_fail),
		IN_SCENE(silence_is_told_and_its_end),
		IN_SCENE(what_is_not_acknowledged_is_published_again),
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return apart_run(argc, argv, "link", tests, sizeof tests / sizeof tests[0]);
}
