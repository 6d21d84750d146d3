/* The bus: answers in any order, askers that survive a restart. */
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "shared/clock.h"
#include "tests/unit/shared/bus_scene.h"

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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(open_requests_are_answered_in_any_order),
		IN_SCENE(peers_that_die_at_once_harm_nobody),
		IN_SCENE(no_answer_is_an_error_in_time),
		IN_SCENE(an_asker_survives_a_restart),
		IN_SCENE(asks_again_by_itself),
		IN_SCENE(cancelled_is_silent),
		IN_SCENE(threads_share_an_asker),
		IN_SCENE(too_long_a_question_or_answer_fails_at_once),
		IN_SCENE(refused_askers_are_parted_from_however_many),
		IN_SCENE(another_user_is_hung_up_on),
	};

	signal(SIGPIPE, SIG_IGN);
	return apart_run(argc, argv, "bus ask", tests, sizeof tests / sizeof tests[0]);
}
