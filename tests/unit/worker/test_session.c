/* The durable state: whole after a restart, torn files ignored. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "worker/session.h"

static char folder[] = "/tmp/100x-session-XXXXXX";

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "/tmp/100x-session-XXXXXX");
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	static const char *const names[] = {
		"state.json", "state.json.new", "state.hot.0", "state.hot.1"};
	char path[256];

	(void)state;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", folder, names[i]);
		unlink(path);
	}
	return rmdir(folder);
}

static void put(const char *name, const char *text)
{
	char path[256];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void open_session(struct session *s)
{
	struct err e;

	assert_int_equal(session_open(s, folder, &e), 0);
}

static void save(struct session *s, bool sync)
{
	struct err e;

	assert_int_equal(session_save(s, sync, &e), 0);
}

static void everything_comes_back(void **state)
{
	struct manager_limits limits = {.turns = 5, .minutes = 6, .dollars = 7};
	struct session s;

	(void)state;
	open_session(&s);
	assert_true(s.fresh);
	manager_init(&s.manager, true, &limits);
	s.manager.phase = MANAGER_PAUSED;
	snprintf(s.manager.reason, sizeof s.manager.reason, "turn \"limit\"\n");
	s.manager.turn = 12;
	s.manager.redo = true;
	s.manager.dollars = 0.125;
	s.command = 9;
	s.prompt_open = true;
	s.fingerprint = 0xfedcba9876543210u;
	s.ended_seq = 77;
	session_set(&s.acp_session, "abc");
	session_set(&s.prompt, "do é this");
	session_add_message(&s, "person", "hello");
	session_add_message(&s, "agent/3", "hi");
	s.finish.open = true;
	s.finish.step = FINISH_PUSH;
	snprintf(s.finish.trying, sizeof s.finish.trying, "push:agent-1:00");
	session_set(&s.finish.title, "A title");
	s.finish.labels = cJSON_Parse("[\"bug\"]");
	save(&s, true);
	session_clear(&s);

	open_session(&s);
	assert_false(s.fresh);
	assert_int_equal(s.manager.phase, MANAGER_PAUSED);
	assert_string_equal(s.manager.reason, "turn \"limit\"\n");
	assert_int_equal(s.manager.turn, 12);
	assert_int_equal(s.manager.granted_turns, 5);
	assert_true(s.manager.redo && s.prompt_open);
	assert_true(s.manager.dollars == 0.125);
	assert_int_equal(s.command, 9);
	assert_true(s.fingerprint == 0xfedcba9876543210u);
	assert_int_equal(s.ended_seq, 77);
	assert_string_equal(s.acp_session, "abc");
	assert_string_equal(s.prompt, "do é this");
	assert_int_equal(s.message_count, 2);
	assert_string_equal(s.messages[1].from, "agent/3");
	assert_int_equal(s.finish.step, FINISH_PUSH);
	assert_string_equal(s.finish.title, "A title");
	assert_int_equal(cJSON_GetArraySize(s.finish.labels), 1);
	assert_null(s.note);
	session_clear(&s);
}

static void the_newest_counts(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	for (int i = 1; i <= 20; i++) {
		s.command = i;
		save(&s, i % 7 == 0);
		session_clear(&s);
		open_session(&s);
		assert_int_equal(s.command, i);
	}
	session_clear(&s);
}

static void a_shorter_state_hides_a_longer_one(void **state)
{
	struct session s;

	(void)state;
	open_session(&s);
	for (int i = 0; i < 4; i++) {
		session_set(&s.prompt,
			i < 2 ? "a very long prompt that is followed by a short one" : "short");
		save(&s, false);
	}
	session_clear(&s);
	open_session(&s);
	assert_string_equal(s.prompt, "short");
	session_clear(&s);
}

static void torn_files_are_ignored(void **state)
{
	static const char *const torn[] = {"", "{", "{\"version\":1,\"saves\":99,\"mana", "[]\n",
		"{\"version\":2,\"saves\":99}\n", "nonsense\n"};
	struct session s;

	(void)state;
	open_session(&s);
	s.command = 5;
	save(&s, true);
	session_clear(&s);
	for (size_t i = 0; i < sizeof torn / sizeof *torn; i++) {
		put("state.hot.0", torn[i]);
		put("state.hot.1", torn[i]);
		open_session(&s);
		assert_false(s.fresh);
		assert_int_equal(s.command, 5);
		session_clear(&s);
	}
	/* The other way round: the synced one is torn, a hot one is whole. */
	open_session(&s);
	s.command = 6;
	save(&s, false);
	session_clear(&s);
	put("state.json", "{\"version\":1,");
	open_session(&s);
	assert_int_equal(s.command, 6);
	session_clear(&s);
}

static void odd_values_do_no_harm(void **state)
{
	struct session s;

	(void)state;
	put("state.json", "{\"version\":1,\"saves\":1,\"manager\":{\"phase\":99,\"source\":-4},"
			  "\"finish\":{\"step\":1000},\"messages\":[1,null,{\"from\":3}]}\n");
	open_session(&s);
	assert_int_equal(s.manager.phase, MANAGER_STARTING);
	assert_int_equal(s.manager.source, SOURCE_TASK);
	assert_int_equal(s.finish.step, FINISH_TEST);
	session_clear(&s);
}

static void bounds(void **state)
{
	struct session s;
	char text[32], *slot = NULL;

	(void)state;
	open_session(&s);
	for (int i = 0; i < SESSION_MAX_MESSAGES + 10; i++) {
		snprintf(text, sizeof text, "%d", i);
		session_add_message(&s, "person", text);
	}
	assert_int_equal(s.message_count, SESSION_MAX_MESSAGES);
	assert_string_equal(s.messages[0].text, "10");
	session_drop_messages(&s, 1000);
	assert_int_equal(s.message_count, 0);
	session_clear(&s);
	for (int i = 0; i < 1000; i++) {
		snprintf(text, sizeof text, "line %d\n", i);
		session_append(&slot, text, 200);
		assert_true(strlen(slot) <= 200);
		assert_memory_equal(slot, "line", 4);
	}
	assert_non_null(strstr(slot, "line 999\n"));
	free(slot);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(everything_comes_back, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(the_newest_counts, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(
			a_shorter_state_hides_a_longer_one, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(torn_files_are_ignored, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(odd_values_do_no_harm, make_folder, remove_folder),
		cmocka_unit_test_setup_teardown(bounds, make_folder, remove_folder),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
