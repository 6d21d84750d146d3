/* Children: output, input, ends, and what they leave behind. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/clock.h"
#include "tests/unit/shared/child_scene.h"

/* Starts sh -c script with all three pipes. */
static void start(struct scene *s, const char *script)
{
	const char *argv[] = {"/bin/sh", "-c", script, NULL};
	const char *env[] = {"PATH=/usr/bin:/bin", "GREETING=hello", NULL};
	struct child_spec spec = {.argv = argv,
		.env = env,
		.cwd = "/",
		.pipe_stdin = true,
		.pipe_stdout = true,
		.pipe_stderr = true,
		.stdout_fd = -1,
		.stderr_fd = -1};
	struct err e;

	s->child = child_start(&s->loop, &spec, &events, s, &e);
	if (!s->child)
		fail_msg("%s", e.text);
}

static void speaks_and_ends(void **state)
{
	struct scene *s = *state;

	start(s, "echo $GREETING; pwd; env | wc -l >&2; exit 7");
	assert_true(child_pid(s->child) > 0);
	run(s);
	assert_int_equal(s->code, 7);
	assert_string_equal(s->out[0].data, "hello\n/\n");
	assert_true(atoi(s->out[1].data) <= 4); /* ours, PWD and what the shell adds */
}

static void has_only_its_descriptors(void **state)
{
	struct scene *s = *state;
	int leaky = open("/dev/null", O_RDONLY); /* as a library without O_CLOEXEC */

	start(s, "exec ls /proc/self/fd");
	run(s);
	/* 3 is the folder that ls reads. */
	assert_string_equal(s->out[0].data, "0\n1\n2\n3\n");
	close(leaky);
}

static void leads_its_own_group(void **state)
{
	struct scene *s = *state;

	start(s, "read line; echo $line");
	assert_int_equal(getpgid(child_pid(s->child)), child_pid(s->child));
	assert_int_equal(child_write(s->child, "a word\n", 7, NULL), 0);
	run(s);
	assert_string_equal(s->out[0].data, "a word\n");
}

static void takes_much_input_and_its_end(void **state)
{
	struct scene *s = *state;
	size_t n = 1024 * 1024;
	char *big = malloc(n);
	struct err e;

	memset(big, 'x', n);
	start(s, "wc -c");
	assert_int_equal(child_write(s->child, big, n, &e), 0);
	child_close_stdin(s->child);
	assert_int_equal(child_write(s->child, "x", 1, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	run(s);
	assert_int_equal(atoi(s->out[0].data), 1024 * 1024);
	free(big);
}

static void bounds_what_is_not_read(void **state)
{
	struct scene *s = *state;
	size_t n = 1024 * 1024;
	char *big = calloc(1, n);
	struct err e = {0};
	int i;

	start(s, "exec sleep 100");
	for (i = 0; i < 20 && child_write(s->child, big, n, &e) == 0; i++)
		;
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_true(i == 8 || i == 9); /* the pipe itself takes a little */
	child_end(s->child, 0);
	run(s);
	assert_int_equal(s->code, -SIGKILL);
	free(big);
}

static void outlives_a_reader_that_is_gone(void **state)
{
	struct scene *s = *state;

	start(s, "exec 0<&-; echo ready; sleep 0.05; exit 3");
	await_output(s, 6);
	child_write(s->child, "into the void\n", 14, NULL);
	run(s);
	assert_int_equal(s->code, 3);
}

static void pausing_holds_the_child(void **state)
{
	struct scene *s = *state;

	start(s, "read x; head -c 300000 /dev/zero");
	child_pause_output(s->child, true);
	child_write(s->child, "go\n", 3, NULL);
	for (int i = 0; i < 5; i++)
		uv_run(&s->loop, UV_RUN_NOWAIT);
	assert_int_equal(s->out[0].len, 0);
	child_pause_output(s->child, false);
	run(s);
	assert_int_equal(s->out[0].len, 300000);
}

static void a_failed_exec_fails_the_start(void **state)
{
	struct scene *s = *state;
	const char *argv[] = {"/no/such/program", NULL};
	const char *no_env[] = {NULL};
	struct child_spec spec = {.argv = argv, .env = no_env, .stdout_fd = -1, .stderr_fd = -1};
	struct err e;

	assert_null(child_start(&s->loop, &spec, &events, s, &e));
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "/no/such/program"));
	spec.die_with_us = true;
	assert_null(child_start(&s->loop, &spec, &events, s, &e));
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	argv[0] = "/etc/passwd";
	spec.pipe_stdout = true;
	assert_null(child_start(&s->loop, &spec, &events, s, &e));
	assert_int_equal(e.kind, ERR_DENIED);
	argv[0] = "sh";
	assert_null(child_start(&s->loop, &spec, &events, s, &e));
	argv[0] = "/bin/true";
	spec.cwd = "/no/such/folder";
	assert_null(child_start(&s->loop, &spec, &events, s, &e));
	assert_non_null(strstr(e.text, "/no/such/folder"));
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_int_equal(s->done, 0);
}

static void writes_into_a_named_descriptor(void **state)
{
	struct scene *s = *state;
	const char *argv[] = {"/bin/echo", "into the pipe", NULL};
	const char *no_env[] = {NULL};
	struct child_spec spec = {.argv = argv, .env = no_env, .stderr_fd = -1};
	int fds[2];
	char text[64] = "";
	struct err e;

	assert_int_equal(pipe(fds), 0);
	spec.stdout_fd = fds[1];
	s->child = child_start(&s->loop, &spec, &events, s, &e);
	assert_non_null(s->child);
	close(fds[1]);
	run(s);
	assert_true(read(fds[0], text, sizeof(text) - 1) == 14);
	assert_string_equal(text, "into the pipe\n");
	close(fds[0]);
}

static void term_then_kill(void **state)
{
	struct scene *s = *state;
	int64_t before_ms;

	start(s, "trap 'echo no' TERM; echo ready; while :; do sleep 0.01; done");
	await_output(s, 6);
	before_ms = clock_now_ms();
	child_end(s->child, 100);
	run(s);
	assert_int_equal(s->code, -SIGKILL);
	assert_true(clock_now_ms() - before_ms >= 99);
	assert_non_null(strstr(s->out[0].data, "no\n"));
}

static void term_is_enough(void **state)
{
	struct scene *s = *state;

	start(s, "echo ready; exec sleep 100");
	await_output(s, 6);
	child_end(s->child, 5000);
	run(s);
	assert_int_equal(s->code, -SIGTERM);
}

/* Dead, or a zombie that someone else has to reap. */
static bool gone(int pid)
{
	char path[64];
	char text[256] = "";
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "r");
	if (!f)
		return true;
	if (!fgets(text, sizeof(text), f))
		text[0] = '\0';
	fclose(f);
	return !strrchr(text, ')') || strrchr(text, ')')[2] == 'Z';
}

/* Killed is not yet dead: waits for it. */
static bool gone_soon(int pid)
{
	int64_t until_ms = clock_now_ms() + DEADLINE_MS;

	while (!gone(pid) && clock_now_ms() < until_ms)
		sched_yield();
	return gone(pid);
}

static void the_group_dies_with_its_leader(void **state)
{
	struct scene *s = *state;
	int64_t before_ms = clock_now_ms();
	int pid;

	/* The background job holds stdout open and would do so for 100 s. */
	start(s, "sleep 100 & echo $!; exit 0");
	run(s);
	assert_true(clock_now_ms() - before_ms < 5000);
	pid = atoi(s->out[0].data);
	assert_true(pid > 0);
	assert_true(gone_soon(pid));
}

static void what_left_the_group_is_swept(void **state)
{
	struct scene *s = *state;
	int pid = 0;
	int inner = 0;
	struct err e;

	assert_int_equal(child_subreaper(&e), 0);
	start(s, "setsid sh -c 'sleep 100 & echo $$ $!; wait' & sleep 0.01; read x; exit 0");
	while (!memchr(s->out[0].data ? s->out[0].data : "", '\n', s->out[0].len))
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_int_equal(sscanf(s->out[0].data, "%d %d", &pid, &inner), 2);
	assert_false(gone(pid));
	child_close_stdin(s->child);
	run(s);
	assert_true(gone(pid));
	assert_true(gone(inner));
	assert_int_equal(child_sweep(), 0);
}

static size_t heard;

static void ignore_output(void *arg, int stream, const char *data, size_t n)
{
	(void)arg;
	(void)stream;
	(void)data;
	heard += n;
}

struct heirs {
	uv_loop_t *loop;
	struct child *heir;
	int code, done;
	bool stray_at_exit;
};

static void heir_done(void *arg, int code)
{
	struct heirs *h = arg;

	h->done++;
	h->code = code;
}

/* The old one has ended, what it left lives: a new one that starts now is spared. */
static void old_exited(void *arg, int code)
{
	static const char *const argv[] = {"/bin/sleep", "100", NULL};
	static const struct child_spec spec = {.argv = argv, .stdout_fd = -1, .stderr_fd = -1};
	static const struct child_events on = {.done = heir_done};
	struct heirs *h = arg;

	assert_int_equal(code, -SIGKILL);
	assert_int_equal(h->done, 0);
	h->stray_at_exit = !child_no_strays();
	h->heir = child_start(h->loop, &spec, &on, h, NULL);
	assert_non_null(h->heir);
}

static void old_done(void *arg, int code)
{
	struct heirs *h = arg;

	(void)code;
	assert_true(child_no_strays());
	assert_int_equal(process_state(child_pid(h->heir)) == 'Z', false);
	child_end(h->heir, 0);
}

static void a_successor_starts_before_the_sweep(void **state)
{
	static const char *const argv[] = {
		"/bin/sh", "-c", "setsid sh -c 'echo; exec sleep 100' & read x", NULL};
	static const struct child_spec spec = {
		.argv = argv, .pipe_stdin = true, .pipe_stdout = true, .stderr_fd = -1};
	static const struct child_events on = {
		.output = ignore_output, .exited = old_exited, .done = old_done};
	struct scene *s = *state;
	struct heirs h = {.loop = &s->loop};
	struct child *old;
	struct err e;

	assert_int_equal(child_subreaper(&e), 0);
	heard = 0;
	old = child_start(&s->loop, &spec, &on, &h, &e);
	assert_non_null(old);
	while (heard == 0)
		uv_run(&s->loop, UV_RUN_ONCE);
	kill(child_pid(old), SIGKILL);
	while (h.done == 0)
		uv_run(&s->loop, UV_RUN_ONCE);
	assert_true(h.stray_at_exit);
	assert_int_equal(h.code, -SIGKILL);
}

static void a_sweep_spares_the_running(void **state)
{
	struct scene *s = *state;

	start(s, "read x; echo $x");
	assert_int_equal(child_sweep(), 0);
	child_write(s->child, "alive\n", 6, NULL);
	run(s);
	assert_string_equal(s->out[0].data, "alive\n");
}

static void what_it_closes_is_told(void **state)
{
	struct scene *s = *state;

	s->end_when_closed = 1 << 1 | 1 << 2;
	start(s, "exec >&- 2>&-; sleep 100");
	run(s);
	assert_int_equal(s->code, -SIGKILL);
}

static void input_that_it_does_not_take_is_told(void **state)
{
	struct scene *s = *state;

	s->end_when_closed = 1 << 0;
	start(s, "exec <&-; echo ready; sleep 100");
	await_output(s, 6);
	assert_int_equal(child_write(s->child, "x", 1, NULL), 0);
	run(s);
	assert_int_equal(s->code, -SIGKILL);
}

static void none_is_left_when_all_are_dead(void **state)
{
	struct scene *s = *state;

	assert_true(child_none_left());
	start(s, "echo ready; sleep 100");
	await_output(s, 6);
	assert_false(child_none_left());
	child_end_all(5000);
	run(s);
	assert_int_equal(s->code, -SIGTERM);
	assert_true(child_none_left());
}

static void abandoned_it_goes_on(void **state)
{
	struct scene *s = *state;
	int pid;

	start(s, "exec sleep 100");
	pid = child_pid(s->child);
	child_abandon(s->child);
	/* It keeps the loop no longer. */
	uv_run(&s->loop, UV_RUN_DEFAULT);
	assert_false(gone(pid));
	assert_true(process_started(pid) > 0);
	kill(pid, SIGKILL);
	uv_ref((uv_handle_t *)&s->deadline);
	while (process_started(pid))
		uv_run(&s->loop, UV_RUN_ONCE);
	uv_unref((uv_handle_t *)&s->deadline);
	assert_int_equal(s->done, 0);
}

static void dies_with_us(void **state)
{
	struct scene *s = *state;
	int fds[2];
	int pid = 0;
	pid_t middle;

	(void)s;
	if (access("/usr/bin/setpriv", X_OK) < 0)
		skip();
	assert_int_equal(pipe(fds), 0);
	/* A process between us and the child, which is killed. */
	middle = fork();
	if (middle == 0) {
		const char *argv[] = {"/bin/sleep", "100", NULL};
		const char *no_env[] = {NULL};
		struct child_spec spec = {.argv = argv,
			.env = no_env,
			.stdout_fd = -1,
			.stderr_fd = -1,
			.die_with_us = true};
		struct child_events none = {0};
		uv_loop_t loop;
		struct child *c;

		uv_loop_init(&loop);
		c = child_start(&loop, &spec, &none, NULL, NULL);
		pid = c ? child_pid(c) : -1;
		/* setpriv has become the program when its name has changed. */
		for (;;) {
			char path[64];
			char name[32] = "";
			FILE *f;

			snprintf(path, sizeof(path), "/proc/%d/comm", pid);
			f = fopen(path, "r");
			if (f && !fgets(name, sizeof(name), f))
				name[0] = '\0';
			if (f)
				fclose(f);
			if (strcmp(name, "sleep\n") == 0)
				break;
			sched_yield();
		}
		if (write(fds[1], &pid, sizeof(pid)) != sizeof(pid))
			_exit(1);
		pause();
		_exit(0);
	}
	assert_int_equal(read(fds[0], &pid, sizeof(pid)), sizeof(pid));
	assert_false(gone(pid));
	kill(middle, SIGKILL);
	waitpid(middle, NULL, 0);
	assert_true(gone_soon(pid));
	close(fds[0]);
	close(fds[1]);
	child_sweep();
}

static void names_a_process_for_good(void **state)
{
	(void)state;
	assert_true(process_started(getpid()) > 0);
	assert_true(process_started(getpid()) == process_started(getpid()));
	assert_true(process_started(INT32_MAX) == 0);
	assert_int_equal(process_state(getpid()), 'R');
	assert_int_equal(process_state(INT32_MAX), 0);
	assert_int_equal(child_die_with_parent(1234567, NULL), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(speaks_and_ends),
		IN_SCENE(has_only_its_descriptors),
		IN_SCENE(leads_its_own_group),
		IN_SCENE(takes_much_input_and_its_end),
		IN_SCENE(bounds_what_is_not_read),
		IN_SCENE(outlives_a_reader_that_is_gone),
		IN_SCENE(pausing_holds_the_child),
		IN_SCENE(a_failed_exec_fails_the_start),
		IN_SCENE(writes_into_a_named_descriptor),
		IN_SCENE(term_then_kill),
		IN_SCENE(term_is_enough),
		IN_SCENE(the_group_dies_with_its_leader),
		IN_SCENE(what_left_the_group_is_swept),
		IN_SCENE(a_successor_starts_before_the_sweep),
		IN_SCENE(a_sweep_spares_the_running),
		IN_SCENE(what_it_closes_is_told),
		IN_SCENE(input_that_it_does_not_take_is_told),
		IN_SCENE(none_is_left_when_all_are_dead),
		IN_SCENE(abandoned_it_goes_on),
		IN_SCENE(dies_with_us),
		cmocka_unit_test(names_a_process_for_good),
	};

	return cmocka_run_group_tests_name("child", tests, NULL, NULL);
}
