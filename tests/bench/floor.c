/* The floors of this machine, printed beside every benchmark: what the kernel and the
 * libraries cost before any code of ours runs. One JSON object a line:
 * {"floor":"pipe","p50_us":12.1,"p99_us":40.2}. */
#include <errno.h>
#include <inttypes.h>
#include <poll.h>
#include <pthread.h>
#include <spawn.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "shared/bus.h"
#include "shared/clock.h"

#define ROUNDS 3000
#define SPAWN_ROUNDS 200
#define COMMIT_ROUNDS 1000

extern char **environ;

static int compare(const void *a, const void *b)
{
	int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;

	return (x > y) - (x < y);
}

static void print_floor(const char *name, int64_t *ns, size_t n)
{
	if (n == 0)
		return;
	qsort(ns, n, sizeof *ns, compare);
	printf("{\"floor\":\"%s\",\"p50_us\":%.1f,\"p99_us\":%.1f}\n", name,
		(double)ns[n / 2] / 1e3, (double)ns[n * 99 / 100] / 1e3);
	fflush(stdout);
}

static void die(const char *what)
{
	fprintf(stderr, "floor: %s: %s\n", what, strerror(errno));
	exit(1);
}

struct reader {
	int fd;
	size_t count;
	int64_t ns[ROUNDS];
};

static void *read_stamps(void *arg)
{
	struct reader *r = arg;
	int epoll = epoll_create1(EPOLL_CLOEXEC);
	struct epoll_event ev = {.events = EPOLLIN};
	int64_t sent;

	if (epoll < 0 || epoll_ctl(epoll, EPOLL_CTL_ADD, r->fd, &ev) < 0)
		die("epoll");
	while (r->count < ROUNDS) {
		if (epoll_wait(epoll, &ev, 1, -1) < 1)
			continue;
		if (read(r->fd, &sent, sizeof sent) != (ssize_t)sizeof sent)
			break;
		r->ns[r->count++] = clock_now_ns() - sent;
	}
	close(epoll);
	return NULL;
}

static void pace(void)
{
	struct timespec ts = {.tv_nsec = 200000};

	nanosleep(&ts, NULL);
}

static void measure_stream(const char *name, const int fd[2])
{
	struct reader *r = calloc(1, sizeof *r);
	pthread_t thread;

	if (!r)
		die("memory");
	r->fd = fd[0];
	if (pthread_create(&thread, NULL, read_stamps, r) != 0)
		die("thread");
	for (int i = 0; i < ROUNDS; i++) {
		int64_t now = clock_now_ns();

		if (write(fd[1], &now, sizeof now) < 0)
			die("write");
		pace();
	}
	pthread_join(thread, NULL);
	print_floor(name, r->ns, r->count);
	free(r);
	close(fd[0]);
	close(fd[1]);
}

struct feed_reader {
	struct bus_feed *feed;
	size_t count;
	int64_t ns[ROUNDS];
};

static void *read_feed(void *arg)
{
	struct feed_reader *r = arg;
	const char *frame;
	struct err e;
	size_t n;

	while (r->count < ROUNDS && bus_feed_next(r->feed, 1000, &frame, &n, &e) == 1)
		r->ns[r->count++] = clock_now_ns() - strtoll(frame, NULL, 10);
	return NULL;
}

static void measure_bus(void)
{
	char url[64], head[200];
	struct feed_reader *r = calloc(1, sizeof *r);
	struct bus_pub *pub;
	pthread_t thread;
	struct err e;

	if (!r)
		die("memory");
	snprintf(url, sizeof url, "ipc:///tmp/100x-floor-%d.ipc", (int)getpid());
	pub = bus_pub_listen(url, &e);
	r->feed = pub ? bus_feed_dial(url, "", &e) : NULL;
	if (!r->feed) {
		fprintf(stderr, "floor: %s\n", e.text);
		exit(1);
	}
	if (pthread_create(&thread, NULL, read_feed, r) != 0)
		die("thread");
	usleep(200000); /* the subscription travels on its own */
	for (int i = 0; i < ROUNDS; i++) {
		snprintf(head, sizeof head, "%" PRId64 " ", clock_now_ns());
		memset(head + strlen(head), 'x', sizeof head - strlen(head) - 1);
		bus_pub_send(pub, head, sizeof head, "", 0, &e);
		usleep(500);
	}
	pthread_join(thread, NULL);
	print_floor("nng pub/sub ipc 200 B", r->ns, r->count);
	bus_feed_free(r->feed);
	bus_pub_free(pub);
	free(r);
}

static void measure_spawn(void)
{
	int64_t ns[SPAWN_ROUNDS];
	char *argv[] = {"/bin/true", NULL};

	for (int i = 0; i < SPAWN_ROUNDS; i++) {
		int64_t start = clock_now_ns();
		pid_t pid;

		if (posix_spawn(&pid, argv[0], NULL, NULL, argv, environ) != 0)
			die("spawn");
		waitpid(pid, NULL, 0);
		ns[i] = clock_now_ns() - start;
	}
	print_floor("posix_spawn /bin/true to exit", ns, SPAWN_ROUNDS);
}

static void sql(sqlite3 *db, const char *text)
{
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK) {
		fprintf(stderr, "floor: sqlite: %s\n", sqlite3_errmsg(db));
		exit(1);
	}
}

static void measure_commit(const char *dir, const char *level)
{
	int64_t ns[COMMIT_ROUNDS];
	char path[512], text[256];
	sqlite3 *db;

	snprintf(path, sizeof path, "%s/floor-%s.db", dir, level);
	if (sqlite3_open(path, &db) != SQLITE_OK)
		die("sqlite");
	sql(db, "PRAGMA journal_mode=WAL; CREATE TABLE line(id INTEGER PRIMARY KEY, text TEXT)");
	snprintf(text, sizeof text, "PRAGMA synchronous=%s", level);
	sql(db, text);
	for (int i = 0; i < COMMIT_ROUNDS; i++) {
		int64_t start = clock_now_ns();

		sql(db, "INSERT INTO line(text) VALUES('a line of an agent, about a hundred "
			"bytes long, as they are when it tells what it did to a file')");
		ns[i] = clock_now_ns() - start;
	}
	snprintf(text, sizeof text, "SQLite WAL commit, %s", level);
	print_floor(text, ns, COMMIT_ROUNDS);
	sqlite3_close(db);
	unlink(path);
}

int main(void)
{
	char dir[] = "/tmp/100x-floor-XXXXXX";
	int fd[2];

	if (!mkdtemp(dir))
		die("mkdtemp");
	if (pipe(fd) < 0)
		die("pipe");
	measure_stream("pipe write to epoll to read", fd);
	if (socketpair(AF_UNIX, SOCK_STREAM, 0, fd) < 0)
		die("socketpair");
	measure_stream("socketpair", fd);
	measure_bus();
	measure_spawn();
	measure_commit(dir, "NORMAL");
	measure_commit(dir, "FULL");
	rmdir(dir);
	return 0;
}
