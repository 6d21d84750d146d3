/* The wire to the supervisor, with one of the test's own: what it answers wrongly, what it
 * refuses. Nothing of it may lose or double an event. */
#include "shared/spool.h"
#include "tests/unit/worker/link_scene.h"

static void what_is_sent_arrives_in_order_and_is_let_go(void **state)
{
	struct scene *s = *state;

	start(s);
	for (int i = 1; i <= 3000; i++)
		say(s, i); /* more than one window */
	assert_int_equal(link_last(s->link), 3000);
	assert_false(link_drained(s->link));
	take_up_to(s, 3000);
	assert_int_equal(s->last_number, 3000);
	assert_true(s->drained > 0);
	assert_int_equal(s->blocked, 0);
	assert_int_equal(json_int(s->next.params, "have", 0), 3000);
}

/* A supervisor that claims to have what was never sent: nothing is dropped for it. */
static void a_false_acknowledgement_drops_nothing(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	say(s, 2);
	acknowledge(s, 99, false);
	assert_false(link_drained(s->link));
	assert_int_equal(s->drained, 0);
	take_up_to(s, 2);
	say(s, 3);
	take_up_to(s, 3);
}

static void a_hello_that_is_refused_ends_it(void **state)
{
	struct scene *s = *state;

	link_start(s->link, 0);
	UNTIL(s, s->hello.open);
	refuse(&s->hello, ERR_DENIED, "replaced by epoch 4");
	UNTIL(s, s->refused);
	assert_int_equal(s->why, ERR_DENIED);
	assert_int_equal(s->hellos, 0);
}

static void a_hello_answered_with_rubbish_ends_it(void **state)
{
	struct scene *s = *state;

	link_start(s->link, 0);
	UNTIL(s, s->hello.open);
	reply(&s->hello, "{\"jsonrpc\":");
	UNTIL(s, s->refused);
	assert_int_equal(s->why, ERR_PROTOCOL);
}

static void a_spool_of_another_agent_is_not_taken(void **state)
{
	struct scene *s = *state;
	char folder[PATHS_MAX];
	struct spool *theirs;
	int64_t seq;

	paths_agent(&s->paths, AGENT, "spool", folder);
	theirs = spool_open(folder, AGENT + 1, 0, NULL);
	assert_non_null(theirs);
	assert_int_equal(spool_append(theirs, EVENT_OUTPUT, "{\"n\":1}", 7, &seq, NULL), 0);
	spool_free(theirs);

	link_start(s->link, 0);
	UNTIL(s, s->hello.open);
	answer(&s->hello, HELLO);
	UNTIL(s, s->refused);
	assert_int_equal(s->why, ERR_CONFLICT);
	assert_int_equal(s->hellos, 0);
	theirs = spool_open(folder, AGENT + 1, 0, NULL);
	assert_int_equal(spool_last(theirs), 1);
	spool_free(theirs);
}

static void a_next_that_is_refused_for_good_ends_it(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	UNTIL(s, s->next.open);
	refuse(&s->next, ERR_NOT_FOUND, "there is no agent 7");
	UNTIL(s, s->refused);
	assert_int_equal(s->why, ERR_NOT_FOUND);
	assert_int_equal(s->nexts, 1);
}

/* Broken answers and passing troubles are asked about again, and cost no event. */
static void a_broken_answer_costs_nothing(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	UNTIL(s, s->next.open);
	reply(&s->next, "[\"no\", \"object\"]");
	UNTIL(s, s->nexts == 2);
	assert_int_equal(s->refused, 0);
	take_up_to(s, 1);
	say(s, 2);
	take_up_to(s, 2);
}

static void a_command_comes_until_it_is_taken(void **state)
{
	static const char both[] = "{\"version\":1,\"committed\":0,\"commands\":["
				   "{\"n\":1,\"kind\":\"tell\",\"body\":{\"text\":\"one\"}},"
				   "{\"n\":2,\"kind\":\"pause\"}]}";
	struct scene *s = *state;

	start(s);
	turn_next(s, both); /* the second is asked for again */
	assert_int_equal(s->commands, 2);
	assert_string_equal(s->kind, "pause -");
	assert_int_equal(json_int(s->next.params, "after", -1), 0);
	link_taken(s->link, 1);
	turn_next(s, both);
	assert_int_equal(s->commands, 3);
	assert_int_equal(s->command, 2);
	link_taken(s->link, 2);
	turn_next(s, both);
	assert_int_equal(s->commands, 3);
	assert_int_equal(json_int(s->next.params, "after", -1), 2);
	turn_next(s, "{\"version\":1,\"committed\":0,\"retire\":true}");
	assert_int_equal(s->retired, 1);
	assert_true(json_bool(s->next.params, "retiring", false));
}

static void too_long_an_event_is_left_out_alone(void **state)
{
	struct scene *s = *state;
	char *big = malloc(EVENT_BODY_MAX + 1);
	cJSON *body = cJSON_CreateObject();

	start(s);
	memset(big, 'x', EVENT_BODY_MAX);
	big[EVENT_BODY_MAX] = '\0';
	json_add_str(body, "text", big);
	free(big);
	link_send(s->link, EVENT_OUTPUT, body);
	assert_int_equal(link_last(s->link), 0);
	assert_int_equal(s->blocked, 0);
	say(s, 1);
	take_up_to(s, 1);
}

static void what_is_held_back_is_told_at_its_release(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	take_up_to(s, 1);
	link_hold(s->link);
	say(s, 2);
	s->frames = 0;
	for (int i = 0; i < 20; i++)
		acknowledge(s, 1, true);
	assert_int_equal(s->frames, 0);
	link_release(s->link);
	take_up_to(s, 2);
}

static void questions_are_answered_or_fail(void **state)
{
	struct scene *s = *state;

	start(s);
	link_ask(s->link, "one", "agent.tell", NULL, on_answer, s);
	UNTIL(s, s->asked.open);
	answer(&s->asked, "{\"said\":\"yes\"}");
	UNTIL(s, s->answers);
	assert_string_equal(s->answer, "yes");

	link_ask(s->link, "two", "agent.tell", NULL, on_answer, s);
	UNTIL(s, s->asked.open);
	refuse(&s->asked, ERR_NOT_FOUND, "there is no agent 8");
	UNTIL(s, s->failures);
	assert_int_equal(s->why, ERR_NOT_FOUND);

	link_ask(s->link, "three", "agent.tell", NULL, on_answer, s);
	UNTIL(s, s->asked.open);
	reply(&s->asked, "{\"jsonrpc\":\"2.0\",\"id\":\"three\",\"method\":\"agent.tell\"}");
	UNTIL(s, s->failures == 2);
	assert_int_equal(s->why, ERR_PROTOCOL);

	/* And two that are open at the end. */
	link_ask(s->link, "four", "agent.tell", NULL, on_answer, s);
	UNTIL(s, s->asked.open);
	assert_int_equal(s->answers, 1);
}

static void silence_is_told_and_its_end(void **state)
{
	struct scene *s = *state;

	start(s);
	link_alone_after(s->link, 30);
	UNTIL(s, s->alone);
	assert_int_equal(s->back, 0);
	turn_next(s, "{\"version\":1,\"committed\":0}");
	assert_int_equal(s->back, 1);
	link_alone_after(s->link, 0);
}

/* nng drops what is published before the connection stands: nobody asks here, so it is
 * the worker that publishes again. */
static void what_is_not_acknowledged_is_published_again(void **state)
{
	struct scene *s = *state;

	start(s);
	say(s, 1);
	UNTIL(s, s->frames >= 2); /* the first time, or again, and again */
	assert_int_equal(s->in_order, 1);
	take_up_to(s, 1);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		IN_SCENE(what_is_sent_arrives_in_order_and_is_let_go),
		IN_SCENE(a_false_acknowledgement_drops_nothing),
		IN_SCENE(a_hello_that_is_refused_ends_it),
		IN_SCENE(a_hello_answered_with_rubbish_ends_it),
		IN_SCENE(a_spool_of_another_agent_is_not_taken),
		IN_SCENE(a_next_that_is_refused_for_good_ends_it),
		IN_SCENE(a_broken_answer_costs_nothing),
		IN_SCENE(a_command_comes_until_it_is_taken),
		IN_SCENE(too_long_an_event_is_left_out_alone),
		IN_SCENE(what_is_held_back_is_told_at_its_release),
		IN_SCENE(questions_are_answered_or_fail),
		IN_SCENE(silence_is_told_and_its_end),
		IN_SCENE(what_is_not_acknowledged_is_published_again),
	};

	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	return apart_run(argc, argv, "link", tests, sizeof tests / sizeof tests[0]);
}
