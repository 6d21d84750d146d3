/* The bus: hints, answers in any order, askers that survive a restart. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/bus.h"
#include "shared/clock.h"
#include "tests/unit/apart.h"

#define DEADLINE_MS 10000
#define OPEN_MAX 64

struct scene {
	char dir[32];
	char url[96];
	char path[64];
	uv_loop_t loop;
	uv_timer_t deadline;
	int frames;
	int batches;
	size_t last_n;
	char last[256];
	struct bus_request *open[OPEN_MAX];
	int n_open;
	int answers;
	int failures;
	enum err_kind failure;
	bool echo; /* answer at once with the question */
	struct bus_sub *sub;
};

static void too_late(uv_timer_t *t)
{
	(void)t;
	fail_msg("nothing came within %d ms", DEADLINE_MS);
}

static int scene_open(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	strcpy(s->dir, "/tmp/bus-test-XXXXXX");
	assert_non_null(mkdtemp(s->dir));
	snprintf(s->path, sizeof(s->path), "%s/a.ipc", s->dir);
	snprintf(s->url, sizeof(s->url), "ipc://%s", s->path);
	uv_loop_init(&s->loop);
	uv_timer_init(&s->loop, &s->deadline);
	uv_timer_start(&s->deadline, too_late, DEADLINE_MS, 0);
	*state = s;
	return 0;
}

static int scene_close(void **state)
{
	struct scene *s = *state;

	uv_close((uv_handle_t *)&s->deadline, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	unlink(s->path);
	assert_int_equal(rmdir(s->dir), 0);
	free(s);
	return 0;
}

static void frame_came(void *arg, const char *frame, size_t n)
{
	struct scene *s = arg;

	s->frames++;
	s->last_n = n;
	if (n < sizeof(s->last)) {
		memcpy(s->last, frame, n);
		s->last[n] = '\0';
	}
}

static void batch_over(void *arg)
{
	((struct scene *)arg)->batches++;
}

static void send_text(struct bus_pub *p, const char *head, const char *body)
{
	struct err e;

	if (bus_pub_send(p, head, strlen(head), body, strlen(body), &e) < 0)
		fail_msg("%s", e.text);
}

struct hello {
	uv_timer_t timer;
	struct bus_pub *pub;
};

static void say_hello(uv_timer_t *t)
{
	send_text(((struct hello *)t->data)->pub, "agent/1 ", "hello");
}

static void hello_closed(uv_handle_t *h)
{
	free(h->data);
}

/* A hint may be lost before the connection stands: said until it is heard. */
static void connect_pub(struct scene *s, struct bus_pub *p)
{
	struct hello *h = calloc(1, sizeof(*h));

	h->pub = p;
	uv_timer_init(&s->loop, &h->timer);
	h->timer.data = h;
	uv_timer_start(&h->timer, say_hello, 0, 1);
	while (s->frames == 0)
		uv_run(&s->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&h->timer, hello_closed);
	/* Behind those of before that are still on their way. */
	send_text(p, "agent/1 ", "last hello");
	while (strcmp(s->last, "agent/1 last hello") != 0)
		uv_run(&s->loop, UV_RUN_ONCE);
	s->frames = 0;
	s->batches = 0;
}

static void a_listening_subscriber_hears_everything(void **state)
{
	struct scene *s = *state;
	struct bus_sub *sub = bus_sub_listen(&s->loop, s->url, frame_came, s, NULL);
	struct bus_pub *pub;
	struct stat st;
	struct err e;

	assert_non_null(sub);
	bus_sub_on_drained(sub, batch_over);
	assert_int_equal(stat(s->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	pub = bus_pub_dial(s->url, &e);
	assert_non_null(pub);
	connect_pub(s, pub);
	for (int i = 0; i < 3000; i++)
		send_text(pub, "agent/7 output\n", "{}");
	while (s->frames < 3000)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_string_equal(s->last, "agent/7 output\n{}");
	assert_true(s->batches >= 1 && s->batches <= 3000);
	bus_pub_free(pub);
	bus_sub_free(sub);
}

static void frames_have_a_limit(void **state)
{
	struct scene *s = *state;
	struct bus_sub *sub = bus_sub_listen(&s->loop, s->url, frame_came, s, NULL);
	struct bus_pub *pub = bus_pub_dial(s->url, NULL);
	char *big = calloc(1, BUS_FRAME_MAX);
	struct err e;

	connect_pub(s, pub);
	assert_int_equal(bus_pub_send(pub, "x", 1, big, BUS_FRAME_MAX, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_int_equal(bus_pub_send(pub, "x", 1, big, SIZE_MAX, &e), -1);
	assert_int_equal(bus_pub_send(pub, "x", 1, big, BUS_FRAME_MAX - 1, &e), 0);
	while (s->frames < 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->last_n, BUS_FRAME_MAX);
	free(big);
	bus_pub_free(pub);
	bus_sub_free(sub);
}

static void prefixes_filter(void **state)
{
	struct scene *s = *state;
	struct bus_pub *pub = bus_pub_listen(s->url, NULL);
	struct bus_sub *sub = bus_sub_dial(&s->loop, s->url, "agent/1 ", frame_came, s, NULL);

	connect_pub(s, pub);
	send_text(pub, "agent/12 ", "no");
	send_text(pub, "task/1 ", "no");
	send_text(pub, "agent/1 ", "yes");
	while (s->frames < 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_string_equal(s->last, "agent/1 yes");
	assert_int_equal(s->frames, 1);
	bus_sub_free(sub);
	bus_pub_free(pub);
}

static void free_inside(void *arg, const char *frame, size_t n)
{
	struct scene *s = arg;

	(void)frame;
	(void)n;
	s->frames++;
	bus_sub_free(s->sub);
	uv_timer_stop(&s->deadline);
}

static void a_subscriber_may_end_itself(void **state)
{
	struct scene *s = *state;
	struct bus_pub *pub = bus_pub_listen(s->url, NULL);

	s->sub = bus_sub_dial(&s->loop, s->url, "", free_inside, s, NULL);
	while (s->frames == 0) {
		send_text(pub, "a", "b");
		send_text(pub, "a", "c");
		uv_run(&s->loop, UV_RUN_NOWAIT);
	}
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(s->frames, 1);
	bus_pub_free(pub);
}

static void a_dead_listeners_socket_is_replaced(void **state)
{
	struct scene *s = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	struct bus_rep *rep;
	struct bus_rep *second;
	struct err e;

	strcpy(a.sun_path, s->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(listen(fd, 1), 0);
	close(fd); /* the file stays, as after kill -9 */
	rep = bus_rep_listen(&s->loop, s->url, NULL, s, &e);
	if (!rep)
		fail_msg("%s", e.text);
	/* But a living one is not. */
	second = bus_rep_listen(&s->loop, s->url, NULL, s, &e);
	assert_null(second);
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_non_null(strstr(e.text, s->url));
	bus_rep_free(rep);
	/* And closed is closed: the address is free at once. */
	rep = bus_rep_listen(&s->loop, s->url, NULL, s, &e);
	assert_non_null(rep);
	bus_rep_free(rep);
	assert_null(bus_rep_listen(&s->loop, "ipc:///no/such/folder/x", NULL, s, &e));
	assert_null(bus_pub_listen("nonsense", &e));
}

static void asked(void *arg, struct bus_request *r, const char *data, size_t n)
{
	struct scene *s = arg;

	if (s->echo) {
		char copy[256];

		assert_true(n < sizeof(copy));
		memcpy(copy, data, n);
		bus_reply(r, copy, n);
		return;
	}
	assert_true(s->n_open < OPEN_MAX);
	s->open[s->n_open++] = r;
}

static void answered(void *arg, const char *data, size_t n, const struct err *e)
{
	struct scene *s = arg;

	if (e) {
		s->failures++;
		s->failure = e->kind;
		return;
	}
	s->answers++;
	assert_true(n < sizeof(s->last));
	memcpy(s->last, data, n);
	s->last[n] = '\0';
}

static void open_requests_are_answered_in_any_order(void **state)
{
	struct scene *s = *state;
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	struct bus_req *req = bus_req_dial(&s->loop, s->url, NULL);
	char text[32];

	for (int i = 0; i < 50; i++) {
		int n = snprintf(text, sizeof(text), "question %d", i);

		bus_req_ask(req, text, (size_t)n, 5000, 60000, answered, s);
	}
	while (s->n_open < 50)
		uv_run(&s->loop, UV_RUN_ONCE);
	for (int i = 49; i >= 0; i--) {
		int n = snprintf(text, sizeof(text), "answer %d", i);

		bus_reply(s->open[i], text, (size_t)n);
		while (s->answers < 50 - i)
			uv_run(&s->loop, UV_RUN_ONCE);
		assert_string_equal(s->last, text);
	}
	assert_int_equal(s->failures, 0);
	bus_req_free(req);
	bus_rep_free(rep);
}

/* Peers that connect and are gone at once do not silence a listener. */
static void peers_that_die_at_once_harm_nobody(void **state)
{
	struct scene *s = *state;
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	struct bus_req *req;

	s->echo = true;
	strcpy(a.sun_path, s->path);
	for (int i = 0; i < 300; i++) {
		int fd = socket(AF_UNIX, SOCK_STREAM, 0);

		if (connect(fd, (struct sockaddr *)&a, sizeof(a)) < 0)
			fail_msg("peer %d: connect", i);
		close(fd);
	}
	req = bus_req_dial(&s->loop, s->url, NULL);
	bus_req_ask(req, "still there?", 12, 8000, 60000, answered, s);
	while (!s->answers && !s->failures)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->failures, 0);
	assert_string_equal(s->last, "still there?");
	bus_req_free(req);
	bus_rep_free(rep);
}

static void no_answer_is_an_error_in_time(void **state)
{
	struct scene *s = *state;
	struct bus_req *req = bus_req_dial(&s->loop, s->url, NULL);
	int64_t before_ms = clock_now_ms();

	bus_req_ask(req, "x", 1, 50, 10, answered, s);
	while (!s->failures)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->failure, ERR_UNAVAILABLE);
	assert_true(clock_now_ms() - before_ms >= 49);
	assert_true(clock_now_ms() - before_ms < 5000);
	bus_req_free(req);
}

static void an_asker_survives_a_restart(void **state)
{
	struct scene *s = *state;
	struct bus_req *req = bus_req_dial(&s->loop, s->url, NULL);
	struct bus_rep *rep;

	/* Asked before anyone listens, and again when the first listener is gone. */
	bus_req_ask(req, "x", 1, 8000, 60000, answered, s);
	rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	while (s->n_open < 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	bus_request_drop(s->open[0]);
	bus_rep_free(rep);
	s->echo = true;
	rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	assert_non_null(rep);
	while (s->answers < 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_string_equal(s->last, "x");
	assert_int_equal(s->failures, 0);
	bus_req_free(req);
	bus_rep_free(rep);
}

static void asks_again_by_itself(void **state)
{
	struct scene *s = *state;
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	struct bus_req *req = bus_req_dial(&s->loop, s->url, NULL);

	bus_req_ask(req, "x", 1, 8000, 20, answered, s);
	while (s->n_open < 3)
		uv_run(&s->loop, UV_RUN_ONCE);
	bus_reply(s->open[2], "late", 4);
	while (s->answers < 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_string_equal(s->last, "late");
	for (int i = 0; i < s->n_open; i++)
		if (i != 2)
			bus_request_drop(s->open[i]);
	s->n_open = 0;
	bus_req_free(req);
	bus_rep_free(rep);
}

static void cancelled_is_silent(void **state)
{
	struct scene *s = *state;
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	struct bus_req *req = bus_req_dial(&s->loop, s->url, NULL);
	struct bus_ask *a;

	for (int i = 0; i < 20; i++) {
		a = bus_req_ask(req, "gone", 4, 5000, 60000, answered, s);
		if (i % 2)
			uv_run(&s->loop, UV_RUN_NOWAIT);
		bus_ask_cancel(a);
	}
	bus_req_ask(req, "stays", 5, 5000, 60000, answered, s);
	s->echo = true;
	while (s->answers < 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_string_equal(s->last, "stays");
	assert_int_equal(s->answers, 1);
	assert_int_equal(s->failures, 0);
	/* Freed with questions under way: no callback any more. */
	s->echo = false;
	bus_req_ask(req, "open", 4, 5000, 60000, answered, s);
	bus_req_free(req);
	for (int i = 0; i < s->n_open; i++)
		bus_request_drop(s->open[i]);
	s->n_open = 0;
	s->echo = true;
	bus_rep_free(rep);
	uv_timer_stop(&s->deadline);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(s->answers, 1);
	assert_int_equal(s->failures, 0);
}

struct asking {
	struct bus_asker *asker;
	int id;
	int good;
};

static void *ask_often(void *arg)
{
	struct asking *a = arg;
	char text[32];
	char *answer;
	size_t n;
	struct err e;

	for (int i = 0; i < 100; i++) {
		int len = snprintf(text, sizeof(text), "%d of %d", i, a->id);

		if (bus_asker_ask(a->asker, text, (size_t)len, 5000, &answer, &n, &e) < 0)
			continue;
		a->good += n == (size_t)len && strcmp(answer, text) == 0;
		free(answer);
	}
	return NULL;
}

static void *serve(void *arg)
{
	uv_run(arg, UV_RUN_DEFAULT);
	return NULL;
}

static void stop_serving(uv_async_t *h)
{
	struct scene *s = h->data;

	uv_timer_stop(&s->deadline);
	uv_close((uv_handle_t *)h, NULL);
	bus_rep_free((struct bus_rep *)s->open[0]);
}

static void threads_share_an_asker(void **state)
{
	struct scene *s = *state;
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	struct asking asking[4];
	pthread_t threads[4];
	pthread_t server;
	uv_async_t stop;
	char *answer;
	size_t n;
	struct err e;

	s->echo = true;
	s->open[0] = (struct bus_request *)rep;
	uv_async_init(&s->loop, &stop, stop_serving);
	stop.data = s;
	pthread_create(&server, NULL, serve, &s->loop);
	struct bus_asker *asker = bus_asker_dial(s->url, &e);
	assert_non_null(asker);
	for (int i = 0; i < 4; i++) {
		asking[i] = (struct asking){.asker = asker, .id = i};
		pthread_create(&threads[i], NULL, ask_often, &asking[i]);
	}
	for (int i = 0; i < 4; i++) {
		pthread_join(threads[i], NULL);
		assert_int_equal(asking[i].good, 100);
	}
	uv_async_send(&stop);
	pthread_join(server, NULL);
	assert_int_equal(bus_asker_ask(asker, "x", 1, 30, &answer, &n, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	bus_asker_free(asker);
}

static void *close_feed(void *arg)
{
	bus_feed_close(arg);
	return NULL;
}

static void a_feed_waits_times_out_and_wakes(void **state)
{
	struct scene *s = *state;
	struct bus_pub *pub = bus_pub_listen(s->url, NULL);
	struct bus_feed *feed = bus_feed_dial(s->url, "agent/", NULL);
	const char *frame;
	size_t n;
	struct err e;
	pthread_t thread;

	do {
		send_text(pub, "task/1 ", "no");
		send_text(pub, "agent/1 ", "yes");
	} while (bus_feed_next(feed, 10, &frame, &n, &e) == 0);
	assert_int_equal(n, 11);
	assert_memory_equal(frame, "agent/1 yes", 11);
	while (bus_feed_next(feed, 10, &frame, &n, &e) == 1)
		;
	assert_int_equal(bus_feed_next(feed, 0, &frame, &n, &e), 0);
	pthread_create(&thread, NULL, close_feed, feed);
	assert_int_equal(bus_feed_next(feed, -1, &frame, &n, &e), -1);
	assert_int_equal(e.kind, ERR_CANCELLED);
	pthread_join(thread, NULL);
	bus_feed_free(feed);
	bus_pub_free(pub);
}

/* A frame beyond the limit is refused where it is made, not sent and cut off there. */
static void too_long_a_question_or_answer_fails_at_once(void **state)
{
	struct scene *s = *state;
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	struct bus_req *req = bus_req_dial(&s->loop, s->url, NULL);
	struct bus_asker *asker = bus_asker_dial(s->url, NULL);
	char *big = calloc(1, BUS_FRAME_MAX + 1), *got;
	size_t n;
	struct err e;

	bus_req_ask(req, big, BUS_FRAME_MAX + 1, 8000, 60000, answered, s);
	while (!s->failures)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->failure, ERR_LIMIT);
	assert_int_equal(bus_asker_ask(asker, big, BUS_FRAME_MAX + 1, 8000, &got, &n, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_non_null(strstr(e.text, s->url));
	assert_int_equal(s->n_open, 0);

	/* Such an answer is not sent: the question stays open, and is asked again. */
	bus_req_ask(req, "x", 1, 8000, 20, answered, s);
	while (s->n_open < 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	bus_reply(s->open[0], big, BUS_FRAME_MAX + 1);
	while (s->n_open < 2)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->answers, 0);
	bus_reply(s->open[1], "short", 5);
	while (!s->answers)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_string_equal(s->last, "short");
	for (int i = 2; i < s->n_open; i++)
		bus_request_drop(s->open[i]);
	free(big);
	bus_asker_free(asker);
	bus_req_free(req);
	bus_rep_free(rep);
}

/* More connections at once are ended than are kept for a parting answer: each ends, and
 * the listener lives. */
static void refused_askers_are_parted_from_however_many(void **state)
{
	struct scene *s = *state;
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	struct bus_req *req[OPEN_MAX], *late;
	int n;

	for (int i = 0; i < OPEN_MAX; i++) {
		req[i] = bus_req_dial(&s->loop, s->url, NULL);
		assert_non_null(req[i]);
		bus_req_ask(req[i], "x", 1, 20000, 60000, answered, s);
	}
	while (s->n_open < OPEN_MAX)
		uv_run(&s->loop, UV_RUN_ONCE);
	late = bus_req_dial(&s->loop, s->url, NULL);
	s->n_open = 0;
	bus_req_ask(late, "x", 1, 20000, 60000, answered, s);
	/* The first of those that are open moved to the end, behind the late one. */
	struct bus_request *first = s->open[0];

	while (s->n_open < 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	for (int i = 1; i < OPEN_MAX; i++)
		bus_reply_last(s->open[i], "no", 2);
	bus_reply_last(first, "no", 2);
	bus_reply_last(s->open[0], "no", 2); /* one beyond: it may not hear the answer */
	/* Whoever was parted from before it heard asks again over a new connection. */
	s->echo = true;
	while (s->answers < OPEN_MAX + 1)
		uv_run(&s->loop, UV_RUN_ONCE);
	n = s->answers;
	bus_req_ask(req[0], "again", 5, 20000, 60000, answered, s);
	while (s->answers == n || strcmp(s->last, "again") != 0)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->failures, 0);
	for (int i = 0; i < OPEN_MAX; i++)
		bus_req_free(req[i]);
	bus_req_free(late);
	bus_rep_free(rep);
}

static void what_is_no_address_is_refused_by_each(void **state)
{
	struct scene *s = *state;
	struct err e[7];

	assert_null(bus_pub_dial("nonsense", &e[0]));
	assert_null(bus_sub_listen(&s->loop, "nonsense", frame_came, s, &e[1]));
	assert_null(bus_sub_dial(&s->loop, "nonsense", "", frame_came, s, &e[2]));
	assert_null(bus_feed_dial("nonsense", "", &e[3]));
	assert_null(bus_rep_listen(&s->loop, "nonsense", asked, s, &e[4]));
	assert_null(bus_req_dial(&s->loop, "nonsense", &e[5]));
	assert_null(bus_asker_dial("nonsense", &e[6]));
	for (int i = 0; i < 7; i++) {
		assert_int_equal(e[i].kind, ERR_INVALID);
		assert_non_null(strstr(e[i].text, "nonsense"));
	}
	/* And what was never opened may be freed. */
	bus_pub_free(NULL);
	bus_sub_free(NULL);
	bus_feed_free(NULL);
	bus_rep_free(NULL);
	bus_req_free(NULL);
	bus_asker_free(NULL);
	bus_ask_cancel(NULL);
}

static void leave_descriptors(rlim_t n)
{
	struct rlimit l;
	int free_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);

	assert_true(free_fd >= 0);
	close(free_fd);
	getrlimit(RLIMIT_NOFILE, &l);
	l.rlim_cur = (rlim_t)free_fd + n;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &l), 0);
}

/* With no descriptor left, or one, or a few, every opening either works or tells why. */
static void without_descriptors_openings_fail_in_words(void **state)
{
	struct scene *s = *state;
	struct bus_pub *warm = bus_pub_dial(s->url, NULL); /* the library has its own by now */
	struct rlimit before;
	int failed = 0;
	struct err e;

	assert_non_null(warm);
	getrlimit(RLIMIT_NOFILE, &before);
	for (rlim_t left = 0; left < 6; left++) {
		char url[128], away[sizeof url + 8];
		void *made[5];

		snprintf(url, sizeof url, "ipc://%s/n%d.ipc", s->dir, (int)left);
		/* Nobody listens there: closing while a connection comes is not the question. */
		snprintf(away, sizeof away, "%s.away", url);
		leave_descriptors(left);
		for (int i = 0; i < 5; i++) {
			e = (struct err){0};
			made[i] = i == 0 ? (void *)bus_rep_listen(&s->loop, url, asked, s, &e)
				  : i == 1
					  ? (void *)bus_sub_listen(&s->loop, url, frame_came, s, &e)
				  : i == 2 ? (void *)bus_req_dial(&s->loop, away, &e)
				  : i == 3 ? (void *)bus_pub_listen(url, &e)
					   : (void *)bus_feed_dial(away, "", &e);
			if (made[i])
				continue;
			failed++;
			assert_true(e.kind == ERR_SYS || e.kind == ERR_CONFLICT);
			assert_non_null(strstr(e.text, url));
		}
		setrlimit(RLIMIT_NOFILE, &before);
		bus_rep_free(made[0]);
		bus_sub_free(made[1]);
		bus_req_free(made[2]);
		bus_pub_free(made[3]);
		bus_feed_free(made[4]);
		unlink(url + strlen("ipc://"));
	}
	assert_true(failed >= 5);
	bus_pub_free(warm);
	/* Enough again: it works. */
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, &e);
	struct bus_req *req = bus_req_dial(&s->loop, s->url, &e);

	assert_true(rep && req);
	s->echo = true;
	bus_req_ask(req, "x", 1, 8000, 60000, answered, s);
	while (!s->answers)
		uv_run(&s->loop, UV_RUN_ONCE);
	bus_req_free(req);
	bus_rep_free(rep);
}

/* Connects and greets as another user. Returns 0 if the listener hung up, having said no
 * more than its own greeting. */
static int greet_as_nobody(const char *path)
{
	static const unsigned char greeting[8] = {0, 'S', 'P', 0, 0, 0x30, 0, 0};
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	struct timeval patience = {.tv_sec = 5};
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char byte;
	ssize_t n;
	int got = 0;

	strcpy(a.sun_path, path);
	if (setgid(65534) < 0 || setuid(65534) < 0 ||
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) < 0 ||
		connect(fd, (struct sockaddr *)&a, sizeof a) < 0 ||
		write(fd, greeting, sizeof greeting) != sizeof greeting)
		return 2;
	while ((n = read(fd, &byte, 1)) == 1)
		got++;
	return (n == 0 || errno == ECONNRESET) && got <= (int)sizeof greeting ? 0 : 1;
}

/* Folder and socket opened to all: the listener itself asks who it is. */
static void another_user_is_hung_up_on(void **state)
{
	struct scene *s = *state;
	struct bus_rep *rep = bus_rep_listen(&s->loop, s->url, asked, s, NULL);
	struct bus_req *req;
	int status;
	pid_t child;

	if (geteuid() != 0) { /* only root can become another */
		bus_rep_free(rep);
		skip();
	}
	assert_int_equal(chmod(s->dir, 0755), 0);
	assert_int_equal(chmod(s->path, 0666), 0);
	child = fork();
	if (child == 0)
		_exit(greet_as_nobody(s->path));
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
	req = bus_req_dial(&s->loop, s->url, NULL);
	s->echo = true;
	bus_req_ask(req, "x", 1, 8000, 60000, answered, s);
	while (!s->answers)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(s->failures, 0);
	bus_req_free(req);
	bus_rep_free(rep);
}

/* A feed that is freed with a frame in hand and never closed by hand. */
static void a_feed_goes_with_its_frame(void **state)
{
	struct scene *s = *state;
	struct bus_pub *pub = bus_pub_listen(s->url, NULL);
	struct bus_feed *feed = bus_feed_dial(s->url, "", NULL);
	const char *frame;
	size_t n;
	struct err e;

	do
		send_text(pub, "a", "b");
	while (bus_feed_next(feed, 10, &frame, &n, &e) == 0);
	assert_int_equal(n, 2);
	bus_feed_free(feed);
	bus_pub_free(pub);
}

int main(int argc, char **argv)
{
#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_open, scene_close)
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_listening_subscriber_hears_everything),
		IN_SCENE(frames_have_a_limit),
		IN_SCENE(prefixes_filter),
		IN_SCENE(a_subscriber_may_end_itself),
		IN_SCENE(a_dead_listeners_socket_is_replaced),
		IN_SCENE(open_requests_are_answered_in_any_order),
		IN_SCENE(peers_that_die_at_once_harm_nobody),
		IN_SCENE(no_answer_is_an_error_in_time),
		IN_SCENE(an_asker_survives_a_restart),
		IN_SCENE(asks_again_by_itself),
		IN_SCENE(cancelled_is_silent),
		IN_SCENE(threads_share_an_asker),
		IN_SCENE(a_feed_waits_times_out_and_wakes),
		IN_SCENE(too_long_a_question_or_answer_fails_at_once),
		IN_SCENE(refused_askers_are_parted_from_however_many),
		IN_SCENE(what_is_no_address_is_refused_by_each),
		IN_SCENE(without_descriptors_openings_fail_in_words),
		IN_SCENE(another_user_is_hung_up_on),
		IN_SCENE(a_feed_goes_with_its_frame),
	};

	signal(SIGPIPE, SIG_IGN);
	return apart_run(argc, argv, "bus", tests, sizeof tests / sizeof tests[0]);
}
