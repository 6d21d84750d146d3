/* Spools that were cut off, overwritten or changed by others: what is whole stays, what is lost
 * is told. */
#include "tests/unit/shared/spool_scene.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(every_truncation_leaves_a_prefix),
		WITH_PLACE(every_damaged_byte_is_found),
		WITH_PLACE(damage_while_it_is_open_is_mended),
		WITH_PLACE(a_lost_sector_is_mended_when_there_is_room),
		WITH_PLACE(without_room_for_a_copy_nothing_is_lost),
		WITH_PLACE(changed_by_others_is_noticed),
	};

	setenv("HUNDREDX_LOG", "error", 1);
	log_init("test");
	return cmocka_run_group_tests_name("spool damage", tests, NULL, NULL);
}
