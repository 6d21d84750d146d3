/* A loop, an address, and what came by it: frames, questions, answers. */
#ifndef TESTS_UNIT_SHARED_BUS_SCENE_H
#define TESTS_UNIT_SHARED_BUS_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/bus.h"
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

static inline void too_late(uv_timer_t *t)
{
	(void)t;
	fail_msg("nothing came within %d ms", DEADLINE_MS);
}

static inline int scene_open(void **state)
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

static inline int scene_close(void **state)
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

static inline void asked(void *arg, struct bus_request *r, const char *data, size_t n)
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

static inline void answered(void *arg, const char *data, size_t n, const struct err *e)
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

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_open, scene_close)

#endif
