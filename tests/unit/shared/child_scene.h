/* A loop with one child in it, what it said and how it ended. */
#ifndef TESTS_UNIT_SHARED_CHILD_SCENE_H
#define TESTS_UNIT_SHARED_CHILD_SCENE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>

#include "shared/buf.h"
#include "shared/child.h"

#define DEADLINE_MS 10000

struct scene {
	uv_loop_t loop;
	uv_timer_t deadline;
	struct child *child;
	struct buf out[2];
	int code;
	int done;		     /* how often */
	int closed, end_when_closed; /* bits of the streams */
};

static inline void too_late(uv_timer_t *t)
{
	(void)t;
	fail_msg("not over after %d ms", DEADLINE_MS);
}

static inline void output(void *arg, int stream, const char *data, size_t n)
{
	struct scene *s = arg;

	assert_true(stream == 1 || stream == 2);
	assert_int_equal(s->done, 0);
	buf_add(&s->out[stream - 1], data, n);
}

static inline void done(void *arg, int code)
{
	struct scene *s = arg;

	s->code = code;
	s->done++;
	uv_timer_stop(&s->deadline);
}

static inline void closed(void *arg, int stream)
{
	struct scene *s = arg;

	assert_int_equal(s->done, 0);
	s->closed |= 1 << stream;
	if (s->closed == s->end_when_closed)
		child_end(s->child, 0);
}

static const struct child_events events = {.output = output, .closed = closed, .done = done};

static inline int scene_open(void **state)
{
	struct scene *s = calloc(1, sizeof(*s));

	uv_loop_init(&s->loop);
	uv_timer_init(&s->loop, &s->deadline);
	uv_timer_start(&s->deadline, too_late, DEADLINE_MS, 0);
	uv_unref((uv_handle_t *)&s->deadline);
	buf_init(&s->out[0], 0);
	buf_init(&s->out[1], 0);
	*state = s;
	return 0;
}

static inline int scene_close(void **state)
{
	struct scene *s = *state;

	uv_close((uv_handle_t *)&s->deadline, NULL);
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&s->loop), 0);
	buf_clear(&s->out[0]);
	buf_clear(&s->out[1]);
	free(s);
	return 0;
}

static inline void run(struct scene *s)
{
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(s->done, 1);
}

/* Runs the loop until n bytes of stdout are here. */
static inline void await_output(struct scene *s, size_t n)
{
	while (s->out[0].len < n && !s->done)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_true(s->out[0].len >= n);
}

#define IN_SCENE(f) cmocka_unit_test_setup_teardown(f, scene_open, scene_close)

#endif
