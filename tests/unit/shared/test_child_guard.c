/* Children below 100x-guard, with and without a namespace of their own. */
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "tests/unit/shared/child_scene.h"

/* The guard as it was built: two folders up from here. */
static const char *guard_path(char *out, size_t size)
{
	ssize_t n = readlink("/proc/self/exe", out, size - 1);

	assert_true(n > 0);
	out[n] = '\0';
	for (int up = 0; up < 3; up++)
		*strrchr(out, '/') = '\0';
	strcat(out, "/100x-guard");
	assert_int_equal(access(out, X_OK), 0);
	return out;
}

static void start_guarded(struct scene *s, const char *way, const char *script)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	const char *env[] = {"PATH=/usr/bin:/bin", NULL};
	char guard[4096];
	struct child_spec spec = {.argv = argv,
		.env = env,
		.pipe_stdin = true,
		.pipe_stdout = true,
		.stderr_fd = -1,
		.guard = guard_path(guard, sizeof(guard)),
		.pid_namespace = way};
	struct err e;

	buf_reset(&s->out[0]);
	s->done = s->closed = 0;
	s->child = child_start(&s->loop, &spec, &events, s, &e);
	if (!s->child)
		fail_msg("%s", e.text);
}

/* Its code or signal is the program's, its pid is found, what it closes is closed, and
 * nothing of it is left. */
static void guarded(struct scene *s, const char *way)
{
	int pid;

	assert_int_equal(child_subreaper(NULL), 0);
	start_guarded(s, way, "echo ready; read x; setsid sleep 100 & exit 9");
	await_output(s, 6);
	pid = process_guarded(child_pid(s->child));
	assert_true(pid > 0 && pid != child_pid(s->child));
	kill(pid, SIGSTOP);
	while (process_state(pid) != 'T')
		sched_yield();
	assert_int_not_equal(process_state(child_pid(s->child)), 'T');
	kill(pid, SIGCONT);
	child_write(s->child, "go\n", 3, NULL);
	run(s);
	assert_int_equal(s->code, 9);
	assert_int_equal(child_sweep(), 0);

	start_guarded(s, way, "echo ready; exec sleep 100");
	await_output(s, 6);
	child_end(s->child, 5000);
	run(s);
	assert_int_equal(s->code, -SIGTERM);

	s->end_when_closed = 1 << 1;
	start_guarded(s, way, "exec >&-; exec sleep 100");
	run(s);
	assert_int_equal(s->code, -SIGKILL);
}

static void guarded_without_a_namespace(void **state)
{
	guarded(*state, "off");
}

static void guarded_in_a_namespace_if_possible(void **state)
{
	guarded(*state, "auto");
}

static void guarded_in_a_user_namespace_if_possible(void **state)
{
	guarded(*state, "user");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(guarded_without_a_namespace),
		IN_SCENE(guarded_in_a_namespace_if_possible),
		IN_SCENE(guarded_in_a_user_namespace_if_possible),
	};

	return cmocka_run_group_tests_name("child guard", tests, NULL, NULL);
}
