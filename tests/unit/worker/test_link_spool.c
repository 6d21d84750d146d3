/* The wire to the supervisor over a spool that takes no more, or is damaged. */
#include <fcntl.h>
#include <sys/resource.h>

#include "shared/spool.h"
#include "tests/unit/worker/link_scene.h"

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

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(what_the_disk_refuses_is_held_and_comes_in_order),
		IN_SCENE(what_is_held_goes_with_the_link),
		IN_SCENE(a_damaged_event_is_told_as_lost),
		IN_SCENE(an_event_damaged_before_hello_is_told_as_lost),
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return apart_run(argc, argv, "link spool", tests, sizeof tests / sizeof tests[0]);
}
