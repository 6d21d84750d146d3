/* Where things lie. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/paths.h"

static int no_environment(void **state)
{
	static const char *const names[] = {"HUNDREDX_STATE_DIR", "HUNDREDX_RUN_DIR",
		"HUNDREDX_DATA_DIR", "HUNDREDX_ADAPTER_DIR", "HUNDREDX_WEB_DIR",
		"HUNDREDX_AIDER_PYTHON", "XDG_STATE_HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME"};

	(void)state;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		unsetenv(names[i]);
	setenv("HOME", "/home/ann", 1);
	return 0;
}

static void defaults(void **state)
{
	struct paths p;
	struct err e;
	char out[PATHS_MAX];

	(void)state;
	assert_int_equal(paths_init(&p, NULL, NULL, &e), 0);
	assert_string_equal(p.home, "/home/ann");
	assert_string_equal(p.state_dir, "/home/ann/.local/state/100x");
	assert_string_equal(p.run_dir, "/home/ann/.local/state/100x/run");
	assert_string_equal(p.data_dir, "/home/ann/.local/share/100x");
	assert_string_equal(
		paths_control_url(&p, out), "ipc:///home/ann/.local/state/100x/run/control.ipc");
	assert_string_equal(paths_store(&p, out), "/home/ann/.local/state/100x/tasks.db");
	assert_string_equal(
		paths_agent(&p, 7, "repo", out), "/home/ann/.local/state/100x/workspaces/7/repo");
	assert_string_equal(
		paths_agent(&p, 7, "", out), "/home/ann/.local/state/100x/workspaces/7");
}

static void options_beat_variables_beat_xdg(void **state)
{
	struct paths p;
	struct err e;

	(void)state;
	setenv("XDG_STATE_HOME", "/x/state", 1);
	setenv("XDG_RUNTIME_DIR", "/x/run", 1);
	setenv("XDG_DATA_HOME", "relative is ignored", 1);
	assert_int_equal(paths_init(&p, NULL, NULL, &e), 0);
	assert_string_equal(p.state_dir, "/x/state/100x");
	assert_string_equal(p.run_dir, "/x/run/100x");
	assert_string_equal(p.data_dir, "/home/ann/.local/share/100x");
	/* Another state directory is another instance, with sockets of its own. */
	assert_int_equal(paths_init(&p, "/tmp/s//", NULL, &e), 0);
	assert_string_equal(p.run_dir, "/tmp/s/run");
	setenv("HUNDREDX_STATE_DIR", "/v/state", 1);
	setenv("HUNDREDX_RUN_DIR", "/v/run", 1);
	setenv("HUNDREDX_DATA_DIR", "/v/data", 1);
	assert_int_equal(paths_init(&p, NULL, NULL, &e), 0);
	assert_string_equal(p.state_dir, "/v/state");
	assert_string_equal(p.run_dir, "/v/run");
	assert_string_equal(p.data_dir, "/v/data");
	assert_int_equal(paths_init(&p, "/o/state", "/o/run", &e), 0);
	assert_string_equal(p.state_dir, "/o/state");
	assert_string_equal(p.run_dir, "/o/run");
	assert_int_equal(paths_init(&p, "", NULL, &e), -1);
	no_environment(NULL);
}

static void relative_becomes_absolute(void **state)
{
	struct paths p;
	struct err e;
	char here[PATHS_MAX];
	char want[PATHS_MAX + 8];

	(void)state;
	assert_non_null(getcwd(here, sizeof(here)));
	snprintf(want, sizeof(want), "%s/sub", here);
	assert_int_equal(paths_init(&p, "sub", "/r", &e), 0);
	assert_string_equal(p.state_dir, want);
}

static void sockets_need_short_paths(void **state)
{
	struct paths p;
	struct err e;
	char text[2 * PATHS_MAX];

	(void)state;
	memset(text, 'a', sizeof(text));
	text[0] = '/';
	text[95] = '\0';
	assert_int_equal(paths_init(&p, "/s", text, &e), 0);
	text[95] = 'a';
	text[96] = '\0';
	assert_int_equal(paths_init(&p, "/s", text, &e), -1);
	assert_int_equal(e.kind, ERR_INVALID);
	assert_non_null(strstr(e.text, "--run-dir"));
	text[96] = 'a';
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(paths_init(&p, text, "/r", &e), -1);
	assert_int_equal(paths_init(&p, "/s", text, &e), -1);
}

static void makes_folders_and_refuses_open_ones(void **state)
{
	char dir[] = "/tmp/paths-test-XXXXXX";
	char text[128];
	struct paths p;
	struct stat st;
	struct err e;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(text, sizeof(text), "%s/a/b", dir);
	assert_int_equal(paths_init(&p, text, NULL, &e), 0);
	assert_int_equal(paths_make(&p, &e), 0);
	assert_int_equal(paths_make(&p, &e), 0);
	assert_int_equal(stat(p.run_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	assert_int_equal(stat(p.state_dir, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0700);
	chmod(p.run_dir, 0755);
	assert_int_equal(paths_make(&p, &e), -1);
	assert_int_equal(e.kind, ERR_DENIED);
	assert_non_null(strstr(e.text, "chmod 700"));
	rmdir(p.run_dir);
	fclose(fopen(p.run_dir, "w"));
	assert_int_equal(paths_make(&p, &e), -1);
	unlink(p.run_dir);
	rmdir(p.state_dir);
	snprintf(text, sizeof(text), "%s/a", dir);
	rmdir(text);
	assert_int_equal(rmdir(dir), 0);
}

static void finds_what_is_shipped(void **state)
{
	char out[PATHS_MAX];
	struct err e;

	(void)state;
	assert_int_equal(paths_program("no-such-program", out, &e), -1);
	assert_int_equal(e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "no-such-program"));
	assert_int_equal(paths_program("test_paths", out, &e), 0);
	setenv("HUNDREDX_WEB_DIR", "/tmp", 1);
	assert_int_equal(paths_shipped("web", out, &e), 0);
	assert_string_equal(out, "/tmp");
	setenv("HUNDREDX_WEB_DIR", "/nowhere", 1);
	assert_int_equal(paths_shipped("web", out, &e), -1);
	assert_non_null(strstr(e.text, "HUNDREDX_WEB_DIR=/nowhere"));
	unsetenv("HUNDREDX_WEB_DIR");
	assert_int_equal(paths_shipped("kitchen", out, &e), -1);
}

static void finds_aider(void **state)
{
	struct paths p;
	struct err e;
	char out[PATHS_MAX];

	(void)state;
	assert_int_equal(paths_init(&p, NULL, NULL, &e), 0);
	assert_string_equal(
		paths_aider_python(&p, out), "/home/ann/.local/share/100x/aider/bin/python");
	setenv("HUNDREDX_AIDER_PYTHON", "/opt/python", 1);
	assert_string_equal(paths_aider_python(&p, out), "/opt/python");
	unsetenv("HUNDREDX_AIDER_PYTHON");
	/* Neither an installed copy's nor a source tree's lies where this test lies. */
	assert_string_equal(paths_setup_aider(out), "100x-setup-aider");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(defaults, no_environment),
		cmocka_unit_test_setup(options_beat_variables_beat_xdg, no_environment),
		cmocka_unit_test_setup(relative_becomes_absolute, no_environment),
		cmocka_unit_test_setup(sockets_need_short_paths, no_environment),
		cmocka_unit_test_setup(makes_folders_and_refuses_open_ones, no_environment),
		cmocka_unit_test_setup(finds_what_is_shipped, no_environment),
		cmocka_unit_test_setup(finds_aider, no_environment),
	};

	return cmocka_run_group_tests_name("paths", tests, NULL, NULL);
}
