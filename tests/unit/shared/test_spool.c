/* The spool: numbers without gaps, recovery after a torn end, space given back. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <signal.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/paths.h"
#include "shared/spool.h"

struct place {
	char dir[64];
	char file[96];
};

static int place_make(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/spool-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->file, sizeof(p->file), "%s/events", p->dir);
	*state = p;
	return 0;
}

static int place_remove(void **state)
{
	struct place *p = *state;

	unlink(p->file);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static struct spool *open_spool(const struct place *p, int64_t committed)
{
	struct err e;
	struct spool *s = spool_open(p->dir, 7, committed, &e);

	if (!s)
		fail_msg("%s", e.text);
	return s;
}

static void append(struct spool *s, const char *body, int64_t want)
{
	struct err e;
	int64_t seq = 0;

	if (spool_append(s, EVENT_OUTPUT, body, strlen(body), &seq, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(seq == want);
}

static void append_number(struct spool *s, int64_t seq)
{
	char body[64];

	snprintf(body, sizeof(body), "{\"text\":\"event %" PRId64 "\"}", seq);
	append(s, body, seq);
}

/* The frame seq is there and says so. */
static void expect_number(struct spool *s, int64_t seq)
{
	const char *frame;
	size_t n;
	struct event ev;
	struct err e;
	char text[64];

	if (spool_read(s, seq, &frame, &n, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(event_decode(frame, n, &ev, &e), 0);
	assert_true(ev.number == seq);
	assert_true(ev.subject == 7);
	snprintf(text, sizeof(text), "\"text\":\"event %" PRId64 "\"}", seq);
	assert_non_null(memmem(ev.body, ev.body_len, text, strlen(text)));
}

static void expect_body(struct spool *s, int64_t seq, enum event_kind kind, const char *part)
{
	const char *frame;
	size_t n;
	struct event ev;
	struct err e;

	if (spool_read(s, seq, &frame, &n, &e) < 0)
		fail_msg("%s", e.text);
	assert_int_equal(event_decode(frame, n, &ev, &e), 0);
	assert_true(ev.number == seq);
	assert_int_equal(ev.kind, kind);
	_cleanup_json_ cJSON *j = json_parse(ev.body, ev.body_len, EVENT_BODY_MAX, &e);
	assert_int_equal(json_int(j, "seq", 0), seq);
	if (!memmem(ev.body, ev.body_len, part, strlen(part)))
		fail_msg("not \"%s\": %.*s", part, (int)ev.body_len, ev.body);
}

static void expect_placeholder(struct spool *s, int64_t seq)
{
	expect_body(s, seq, EVENT_OUTPUT, "\"text\":\"\",\"broken\":true}");
}

/* The trouble seq tells what was lost. */
__attribute__((format(printf, 3, 4))) static void expect_words(
	struct spool *s, int64_t seq, const char *format, ...)
{
	char words[128];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	expect_body(s, seq, EVENT_TROUBLE, words);
}

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

static size_t slurp(const char *path, char *out, size_t cap)
{
	_cleanup_close_ int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, out, cap);

	assert_true(n >= 0);
	return (size_t)n;
}

static void spit(const char *path, const char *data, size_t n)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, data, n), n);
}

static void every_truncation_leaves_a_prefix(void **state)
{
	struct place *p = *state;
	struct spool *s = open_spool(p, 0);
	char whole[4096];
	int64_t ends[6] = {0};
	size_t n;

	for (int64_t i = 1; i <= 5; i++) {
		append_number(s, i);
		ends[i] = spool_bytes(s);
	}
	ends[0] = 32;
	spool_free(s);
	n = slurp(p->file, whole, sizeof(whole));
	assert_true((int64_t)n == ends[5]);
	for (size_t cut = 0; cut <= n; cut++) {
		int64_t want = 0;

		while (want < 5 && ends[want + 1] <= (int64_t)cut)
			want++;
		spit(p->file, whole, cut);
		s = open_spool(p, 0);
		assert_true(spool_last(s) == want);
		assert_true(spool_bytes(s) == ends[want]);
		append_number(s, want + 1);
		append_number(s, want + 2);
		for (int64_t i = 1; i <= want + 2; i++)
			expect_number(s, i);
		spool_free(s);
	}
}

static void every_damaged_byte_is_found(void **state)
{
	struct place *p = *state;
	struct spool *s = open_spool(p, 0);
	char whole[4096];
	int64_t ends[4] = {32};
	size_t n;

	for (int64_t i = 1; i <= 3; i++) {
		append_number(s, i);
		ends[i] = spool_bytes(s);
	}
	spool_free(s);
	n = slurp(p->file, whole, sizeof(whole));
	for (size_t at = 32; at < n; at++) {
		int64_t want = 0;

		while (ends[want + 1] <= (int64_t)at)
			want++;
		whole[at] ^= 0x20;
		spit(p->file, whole, n);
		whole[at] ^= 0x20;
		s = open_spool(p, 0);
		if (want == 2) { /* at the end: as if it had never been whole */
			assert_true(spool_last(s) == 2);
			assert_true(spool_lost(s) == 0);
			append_number(s, 3);
			expect_number(s, 3);
		} else {
			assert_true(spool_last(s) == 4);
			assert_true(spool_lost(s) == 1);
			for (int64_t i = 1; i <= 3; i++)
				if (i == want + 1)
					expect_placeholder(s, i);
				else
					expect_number(s, i);
			expect_words(s, 4, "1 event (number %" PRId64 ") could", want + 1);
			append_number(s, 5);
			spool_free(s);
			s = open_spool(p, want + 1);
			assert_true(spool_lost(s) == 0);
			assert_true(spool_last(s) == 5);
			expect_number(s, 5);
		}
		spool_free(s);
	}
}

/* The same under our hands, with the file open: each byte of the records in the middle,
 * acknowledged meanwhile or not. */
static void damage_while_it_is_open_is_mended(void **state)
{
	struct place *p = *state;
	int64_t ends[6] = {32};
	char byte;

	for (int64_t at = 32, end = 33; at < end; at++) {
		struct spool *s = open_spool(p, 0);
		_cleanup_close_ int fd = open(p->file, O_RDWR);
		int64_t hit = 1;
		struct err e;

		for (int64_t i = 1; i <= 5; i++) {
			append_number(s, i);
			ends[i] = spool_bytes(s);
		}
		end = ends[5];
		while (ends[hit] <= at)
			hit++;
		assert_int_equal(pread(fd, &byte, 1, at), 1);
		byte ^= 0x20;
		assert_int_equal(pwrite(fd, &byte, 1, at), 1);
		if (at % 2) /* what the supervisor has anyway is not missed */
			assert_int_equal(spool_acknowledge(s, 2, &e), 0);
		for (int64_t i = spool_acknowledged(s) + 1; i <= 4; i++)
			if (i == hit)
				expect_placeholder(s, i);
			else
				expect_number(s, i);
		append_number(s, spool_last(s) + 1); /* 5 is no longer held in memory */
		if (hit == 5)
			expect_placeholder(s, 5);
		else
			expect_number(s, 5);
		assert_true(spool_lost(s) == (hit > spool_acknowledged(s)));
		assert_true(spool_last(s) == 6 + spool_lost(s));
		if (hit > spool_acknowledged(s))
			expect_words(
				s, hit == 5 ? 7 : 6, "1 event (number %" PRId64 ") could", hit);
		assert_int_equal(spool_acknowledge(s, spool_last(s), &e), 0);
		spool_free(s);
		unlink(p->file);
	}
}

/* A sector of zeros over many small records, and no room for the copy at first. */
static void a_lost_sector_is_mended_when_there_is_room(void **state)
{
	static const char zeros[4096];
	struct place *p = *state;
	struct spool *s = open_spool(p, 0);
	_cleanup_close_ int fd = open(p->file, O_RDWR);
	const char *frame;
	char copy[128];
	int64_t lost;
	struct err e;
	size_t n;

	for (int64_t i = 1; i <= 500; i++)
		append_number(s, i);
	assert_int_equal(pwrite(fd, zeros, sizeof(zeros), 8192), sizeof(zeros));
	snprintf(copy, sizeof(copy), "%s.new", p->file);
	assert_int_equal(mkdir(copy, 0700), 0);
	expect_number(s, 1);
	assert_int_equal(spool_read(s, 150, &frame, &n, &e), -1);
	assert_non_null(strstr(e.text, copy));
	assert_true(spool_last(s) == 500);
	append_number(s, 501);
	expect_number(s, 400); /* what is whole is there all the same */
	assert_int_equal(rmdir(copy), 0);
	for (int64_t i = 1; i <= 501; i++) {
		struct event ev;

		assert_int_equal(spool_read(s, i, &frame, &n, &e), 0);
		assert_int_equal(event_decode(frame, n, &ev, &e), 0);
		assert_true(ev.number == i);
	}
	lost = spool_lost(s);
	assert_true(lost > 30 && lost < 80);
	assert_true(spool_last(s) == 502);
	expect_words(s, 502, "%" PRId64 " events (number ", lost);
	for (int64_t i = 502; i > 0; i -= 37)
		assert_int_equal(spool_read(s, i, &frame, &n, &e), 0);
	append_number(s, 503);
	expect_number(s, 503);
	expect_number(s, 1);
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

/* Space is given back by way of a second file. Where there is no room for that one, nothing
 * is lost, and it is tried again. */
static void without_room_for_a_copy_nothing_is_lost(void **state)
{
	struct place *p = *state;
	struct spool *s = open_spool(p, 0);
	char body[16 * 1024], copy[128];
	struct rlimit old, limit;
	struct err e;
	int64_t last = 0;

	memset(body, 'x', sizeof(body));
	memcpy(body, "{\"text\":\"", 9);
	memcpy(body + sizeof(body) - 3, "\"}", 3);
	while (spool_bytes(s) < 6 * 1024 * 1024)
		append(s, body, ++last);
	append_number(s, ++last);
	snprintf(copy, sizeof(copy), "%s.new", p->file);
	assert_int_equal(mkdir(copy, 0700), 0);
	assert_int_equal(spool_acknowledge(s, last - 20, &e), -1);
	assert_non_null(strstr(e.text, copy));
	assert_int_equal(rmdir(copy), 0);

	signal(SIGXFSZ, SIG_IGN);
	getrlimit(RLIMIT_FSIZE, &old);
	limit = old;
	limit.rlim_cur = 100 * 1024;
	setrlimit(RLIMIT_FSIZE, &limit);
	assert_int_equal(spool_acknowledge(s, last - 19, &e), -1);
	setrlimit(RLIMIT_FSIZE, &old);
	assert_int_equal(e.kind, ERR_SYS);
	assert_int_equal(access(copy, F_OK), -1);
	assert_true(spool_acknowledged(s) == last - 19);
	expect_number(s, last);

	append_number(s, ++last);
	assert_int_equal(spool_acknowledge(s, last - 18, &e), 0);
	assert_true(spool_bytes(s) < 1024 * 1024);
	expect_number(s, last);
	spool_free(s);
	s = open_spool(p, 0);
	assert_true(spool_last(s) == last);
	expect_number(s, last);
	spool_free(s);
}

/* What another process did to the file under our hands is noticed, not told as ours. */
static void changed_by_others_is_noticed(void **state)
{
	struct place *p = *state;
	struct spool *s = open_spool(p, 0);
	const char *frame;
	struct err e;
	size_t n;

	for (int64_t i = 1; i <= 200; i++)
		append_number(s, i);
	assert_int_equal(truncate(p->file, 40), 0);
	assert_int_equal(spool_acknowledge(s, 100, &e), 0);
	assert_true(spool_lost(s) == 100);
	for (int64_t i = 101; i <= 200; i++)
		expect_placeholder(s, i);
	expect_words(s, 201, "100 events (number 101 to 200) could");
	assert_int_equal(spool_read(s, 202, &frame, &n, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
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
#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)
	const struct CMUnitTest tests[] = {
		WITH_PLACE(numbers_and_reads_back),
		WITH_PLACE(refuses_bad_events),
		WITH_PLACE(survives_reopening),
		WITH_PLACE(follows_the_larger_number),
		WITH_PLACE(every_truncation_leaves_a_prefix),
		WITH_PLACE(every_damaged_byte_is_found),
		WITH_PLACE(damage_while_it_is_open_is_mended),
		WITH_PLACE(a_lost_sector_is_mended_when_there_is_room),
		WITH_PLACE(gives_space_back),
		WITH_PLACE(emptied_but_killed_before_the_cut),
		WITH_PLACE(a_full_disk_uses_no_number),
		WITH_PLACE(without_room_for_a_copy_nothing_is_lost),
		WITH_PLACE(changed_by_others_is_noticed),
		WITH_PLACE(where_no_spool_can_be_is_told),
		WITH_PLACE(secrets_stay_out),
		WITH_PLACE(random_walk),
	};

	setenv("HUNDREDX_LOG", "error", 1);
	log_init("test");
	return cmocka_run_group_tests_name("spool", tests, NULL, NULL);
}
