/* The bus: hints, and openings that fail in words. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "tests/unit/shared/bus_scene.h"

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
	const struct CMUnitTest tests[] = {
		IN_SCENE(a_listening_subscriber_hears_everything),
		IN_SCENE(frames_have_a_limit),
		IN_SCENE(prefixes_filter),
		IN_SCENE(a_subscriber_may_end_itself),
		IN_SCENE(a_dead_listeners_socket_is_replaced),
		IN_SCENE(a_feed_waits_times_out_and_wakes),
		IN_SCENE(what_is_no_address_is_refused_by_each),
		IN_SCENE(without_descriptors_openings_fail_in_words),
		IN_SCENE(a_feed_goes_with_its_frame),
	};

	signal(SIGPIPE, SIG_IGN);
	return apart_run(argc, argv, "bus", tests, sizeof tests / sizeof tests[0]);
}
