/* The spool: numbers without gaps, recovery after a torn end, space given back. */
#include "tests/unit/shared/spool_scene.h"

static void numbers_and_reads_back(void **state)
{
	struct spool *s = open_spool(*state, 0);
	const char *frame;
	size_t n;
	struct event ev;
	struct err e;
	int64_t seq;

	assert_int_equal(spool_last(s), 0);
	append(s, "{\"text\":\"x\"}", 1);
	append(s, "{}", 2);
	append(s, "{ }", 3);
	assert_int_equal(spool_read(s, 1, &frame, &n, &e), 0);
	assert_memory_equal(frame, "agent/7 output 1 v1\n{\"seq\":1,\"at\":1", 35);
	assert_memory_equal(frame + n - 11, "\"text\":\"x\"}", 11);
	for (seq = 1; seq <= 3; seq++) {
		assert_int_equal(spool_read(s, seq, &frame, &n, &e), 0);
		assert_int_equal(event_decode(frame, n, &ev, &e), 0);
		_cleanup_json_ cJSON *j = json_parse(ev.body, ev.body_len, EVENT_BODY_MAX, &e);
		assert_int_equal(json_int(j, "seq", 0), seq);
		assert_true(json_int(j, "at", 0) > 1700000000000);
	}
	assert_int_equal(spool_read(s, 4, &frame, &n, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_int_equal(spool_read(s, 0, &frame, &n, &e), -1);
	spool_free(s);
}

static void refuses_bad_events(void **state)
{
	static const char *const bad[] = {"", "x", "[]", "{", "}", "{\"a\":\"\xff\"}"};
	struct spool *s = open_spool(*state, 0);
	char *big = malloc(EVENT_BODY_MAX + 1);
	struct err e;
	int64_t seq;

	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(
			spool_append(s, EVENT_OUTPUT, bad[i], strlen(bad[i]), &seq, &e), -1);
		assert_int_equal(e.kind, ERR_INVALID);
	}
	memset(big, ' ', EVENT_BODY_MAX);
	big[0] = '{';
	big[EVENT_BODY_MAX - 1] = '}';
	assert_int_equal(spool_append(s, EVENT_DIFF, big, EVENT_BODY_MAX, &seq, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	big[EVENT_BODY_MAX - 65] = '}';
	assert_int_equal(spool_append(s, EVENT_DIFF, big, EVENT_BODY_MAX - 64, &seq, &e), 0);
	assert_true(seq == 1);
	assert_int_equal(spool_append(s, EVENT_UNKNOWN, "{}", 2, &seq, &e), -1);
	append(s, "{}", 2);
	free(big);
	spool_free(s);
}

static void survives_reopening(void **state)
{
	struct spool *s = open_spool(*state, 0);
	struct err e;

	for (int64_t i = 1; i <= 200; i++)
		append_number(s, i);
	spool_free(s);
	s = open_spool(*state, 50);
	assert_true(spool_last(s) == 200);
	assert_true(spool_acknowledged(s) == 50);
	for (int64_t i = 51; i <= 200; i++)
		expect_number(s, i);
	expect_number(s, 130); /* backwards, by the index */
	expect_number(s, 51);
	append_number(s, 201);
	spool_free(s);
	assert_null(spool_open(((struct place *)*state)->dir, 8, 0, &e));
	assert_int_equal(e.kind, ERR_CONFLICT);
}

static void follows_the_larger_number(void **state)
{
	struct spool *s = open_spool(*state, 41);

	append_number(s, 42);
	spool_free(s);
	s = open_spool(*state, 100); /* the supervisor has more than the file */
	assert_true(spool_last(s) == 100);
	append_number(s, 101);
	expect_number(s, 101);
	spool_free(s);
	s = open_spool(*state, 3);
	assert_true(spool_last(s) == 101);
	assert_true(spool_acknowledged(s) == 100);
	expect_number(s, 101);
	spool_free(s);
}

static void gives_space_back(void **state)
{
	struct place *p = *state;
	struct spool *s = open_spool(p, 0);
	struct stat st;
	struct err e;
	int64_t last = 0;
	char body[1024];

	memset(body, 'x', sizeof(body));
	memcpy(body, "{\"text\":\"", 9);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	while (spool_bytes(s) < 100 * 1024)
		append(s, body, ++last);
	assert_int_equal(spool_acknowledge(s, last - 1, &e), 0);
	assert_true(spool_bytes(s) > 100 * 1024);
	assert_int_equal(spool_acknowledge(s, last, &e), 0);
	assert_int_equal(spool_bytes(s), 32);
	assert_int_equal(spool_acknowledge(s, last + 1, &e), -1);
	assert_int_equal(e.kind, ERR_PROTOCOL);
	spool_free(s);
	/* An empty file still knows how far it was. */
	s = open_spool(p, 0);
	assert_true(spool_last(s) == last);
	assert_true(spool_acknowledged(s) == last);

	while (spool_bytes(s) < 10 * 1024 * 1024)
		append(s, body, ++last);
	append_number(s, ++last);
	assert_int_equal(spool_acknowledge(s, last - 2000, &e), 0);
	assert_true(spool_bytes(s) < 3 * 1024 * 1024);
	assert_int_equal(stat(p->file, &st), 0);
	assert_true(st.st_size == spool_bytes(s));
	expect_number(s, last);
	append_number(s, ++last);
	for (int64_t i = spool_acknowledged(s) + 1; i <= last; i++) {
		const char *frame;
		size_t n;

		assert_int_equal(spool_read(s, i, &frame, &n, &e), 0);
	}
	for (int64_t i = last; i > spool_acknowledged(s); i -= 37) {
		const char *frame;
		size_t n;

		assert_int_equal(spool_read(s, i, &frame, &n, &e), 0);
	}
	assert_int_equal(spool_acknowledge(s, last - 900, &e), 0);
	expect_number(s, last);
	spool_free(s);
	s = open_spool(p, 0);
	expect_number(s, last);
	assert_true(spool_last(s) == last);
	spool_free(s);
}

static void emptied_but_killed_before_the_cut(void **state)
{
	struct place *p = *state;
	struct spool *s = open_spool(p, 0);
	char whole[4096];
	char header[32];
	size_t n;

	for (int64_t i = 1; i <= 3; i++)
		append_number(s, i);
	spool_free(s);
	n = slurp(p->file, whole, sizeof(whole));
	/* The header of an emptied file in front of the old records. */
	s = open_spool(p, 9);
	spool_free(s);
	assert_int_equal(slurp(p->file, header, sizeof(header)), 32);
	memcpy(whole, header, 32);
	spit(p->file, whole, n);
	s = open_spool(p, 9);
	assert_true(spool_last(s) == 9);
	assert_int_equal(spool_bytes(s), 32);
	append_number(s, 10);
	spool_free(s);
}

static void a_full_disk_uses_no_number(void **state)
{
	struct spool *s = open_spool(*state, 0);
	struct rlimit old;
	struct rlimit limit;
	struct err e;
	int64_t seq;

	append_number(s, 1);
	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = (rlim_t)spool_bytes(s) + 20;
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(spool_append(s, EVENT_OUTPUT, "{\"a\":\"bcd\"}", 11, &seq, &e), -1);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(e.kind, ERR_SYS);
	expect_number(s, 1);
	append_number(s, 2);
	expect_number(s, 2);
	spool_free(s);
	s = open_spool(*state, 0);
	assert_true(spool_last(s) == 2);
	spool_free(s);
}

static void where_no_spool_can_be_is_told(void **state)
{
	struct place *p = *state;
	char longest[2 * PATHS_MAX];
	struct err e;
	int64_t seq;

	memset(longest, 'x', sizeof(longest));
	longest[0] = '/';
	longest[sizeof(longest) - 1] = '\0';
	assert_null(spool_open(longest, 7, 0, &e));
	assert_int_equal(e.kind, ERR_INVALID);
	assert_null(spool_open(p->dir, 0, 0, &e));
	assert_int_equal(e.kind, ERR_INVALID);
	assert_null(spool_open(p->dir, 7, -1, &e));
	assert_int_equal(e.kind, ERR_INVALID);
	/* A link that somebody has put there is not followed. */
	assert_int_equal(symlink("/etc/passwd", p->file), 0);
	assert_null(spool_open(p->dir, 7, 0, &e));
	assert_non_null(strstr(e.text, p->file));
	unlink(p->file);
	struct spool *s = open_spool(p, 0);

	assert_int_equal(spool_append(s, EVENT_UNKNOWN, "{\"a\":1}", 7, &seq, &e), -1);
	assert_int_equal(e.kind, ERR_INTERNAL);
	append_number(s, 1);
	spool_free(s);
}

static void secrets_stay_out(void **state)
{
	struct spool *s = open_spool(*state, 0);
	static const char body[] = "{\"text\":\"a sk-very-secret b\\nsk-very-secret\","
				   "\"n\":12345678,\"t\":\"12345678\"}";
	const char *frame;
	size_t n;
	struct event ev;
	struct err e;

	log_secret("sk-very-secret");
	log_secret("12345678");
	append(s, body, 1);
	assert_int_equal(spool_read(s, 1, &frame, &n, &e), 0);
	assert_null(memmem(frame, n, "secret", 6));
	assert_int_equal(event_decode(frame, n, &ev, &e), 0);
	_cleanup_json_ cJSON *j = json_parse(ev.body, ev.body_len, EVENT_BODY_MAX, &e);
	assert_non_null(j);
	assert_string_equal(json_str(j, "text", ""), "a ************** b\n**************");
	assert_int_equal(json_int(j, "n", 0), 12345678);
	assert_string_equal(json_str(j, "t", ""), "********");
	spool_free(s);
}

static void random_walk(void **state)
{
	struct place *p = *state;
	struct spool *s = open_spool(p, 0);
	unsigned seed = 20261123;
	int64_t last = 0;
	int64_t acked = 0;
	struct err e;

	for (int step = 0; step < 20000; step++) {
		int what = rand_r(&seed) % 100;

		if (what < 60) {
			append_number(s, ++last);
		} else if (what < 85 && last > acked) {
			expect_number(s, acked + 1 + rand_r(&seed) % (last - acked));
		} else if (what < 98 && last > acked) {
			acked += rand_r(&seed) % (last - acked + 1);
			assert_int_equal(spool_acknowledge(s, acked, &e), 0);
		} else {
			spool_free(s);
			s = open_spool(p, acked);
		}
		if (spool_last(s) != last || spool_acknowledged(s) != acked)
			fail_msg("step %d: last %" PRId64 " acked %" PRId64, step, spool_last(s),
				spool_acknowledged(s));
	}
	spool_free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(numbers_and_reads_back),
		WITH_PLACE(refuses_bad_events),
		WITH_PLACE(survives_reopening),
		WITH_PLACE(follows_the_larger_number),
		WITH_PLACE(gives_space_back),
		WITH_PLACE(emptied_but_killed_before_the_cut),
		WITH_PLACE(a_full_disk_uses_no_number),
		WITH_PLACE(where_no_spool_can_be_is_told),
		WITH_PLACE(secrets_stay_out),
		WITH_PLACE(random_walk),
	};

	setenv("HUNDREDX_LOG", "error", 1);
	log_init("test");
	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
