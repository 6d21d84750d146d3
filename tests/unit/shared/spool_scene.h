/* A spool in a folder of its own, and what its tests do with it. */
#ifndef TESTS_SPOOL_SCENE_H
#define TESTS_SPOOL_SCENE_H

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

static inline int place_make(void **state)
{
	struct place *p = calloc(1, sizeof(*p));

	strcpy(p->dir, "/tmp/spool-test-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->file, sizeof(p->file), "%s/events", p->dir);
	*state = p;
	return 0;
}

static inline int place_remove(void **state)
{
	struct place *p = *state;

	unlink(p->file);
	assert_int_equal(rmdir(p->dir), 0);
	free(p);
	return 0;
}

static inline struct spool *open_spool(const struct place *p, int64_t committed)
{
	struct err e;
	struct spool *s = spool_open(p->dir, 7, committed, &e);

	if (!s)
		fail_msg("%s", e.text);
	return s;
}

static inline void append(struct spool *s, const char *body, int64_t want)
{
	struct err e;
	int64_t seq = 0;

	if (spool_append(s, EVENT_OUTPUT, body, strlen(body), &seq, &e) < 0)
		fail_msg("%s", e.text);
	assert_true(seq == want);
}

static inline void append_number(struct spool *s, int64_t seq)
{
	char body[64];

	snprintf(body, sizeof(body), "{\"text\":\"event %" PRId64 "\"}", seq);
	append(s, body, seq);
}

/* The frame seq is there and says so. */
static inline void expect_number(struct spool *s, int64_t seq)
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

static inline void expect_body(struct spool *s, int64_t seq, enum event_kind kind, const char *part)
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

static inline void expect_placeholder(struct spool *s, int64_t seq)
{
	expect_body(s, seq, EVENT_OUTPUT, "\"text\":\"\",\"broken\":true}");
}

/* The trouble seq tells what was lost. */
__attribute__((format(printf, 3, 4))) static inline void expect_words(
	struct spool *s, int64_t seq, const char *format, ...)
{
	char words[128];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	expect_body(s, seq, EVENT_TROUBLE, words);
}

static inline size_t slurp(const char *path, char *out, size_t cap)
{
	_cleanup_close_ int fd = open(path, O_RDONLY);
	ssize_t n = read(fd, out, cap);

	assert_true(n >= 0);
	return (size_t)n;
}

static inline void spit(const char *path, const char *data, size_t n)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_int_equal(write(fd, data, n), n);
}

#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, place_make, place_remove)

#endif
