/* The manager: what people want of it, and what holds it. */
#include "tests/unit/worker/manager_steps.h"

static void pause_and_resume(void **state)
{
	struct manager m = in_turn(false);

	(void)state;
	assert_int_equal(step(&m, MANAGER_EV_PAUSE, 0), DO_CANCEL_TURN);
	assert_string_equal(manager_state(&m), "paused");
	assert_int_equal(step(&m, MANAGER_EV_CANCELLED, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_PAUSE, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_REDO);
	assert_int_equal(m.turn, 2);

	m = managed();
	step(&m, MANAGER_EV_READY, 0);
	assert_int_equal(step(&m, MANAGER_EV_PAUSE, 0), DO_CANCEL_ASK);
	assert_int_equal(step(&m, MANAGER_EV_ACTION, 0), DO_ILLEGAL);
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), DO_ASK);
	step(&m, MANAGER_EV_DONE, 0);
	assert_int_equal(step(&m, MANAGER_EV_PAUSE, 0), DO_CANCEL_FINISH);
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), DO_FINISH);
}

static void a_full_disk(void **state)
{
	struct manager m = in_turn(false);

	(void)state;
	assert_int_equal(step(&m, MANAGER_EV_FULL, 0), DO_CANCEL_TURN);
	assert_string_equal(manager_state(&m), "paused");
	assert_string_equal(m.reason, "why");
	assert_int_equal(step(&m, MANAGER_EV_FULL, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_ROOM, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_FULL, 0), 0); /* again, before the turn has ended */
	assert_int_equal(step(&m, MANAGER_EV_CANCELLED, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_RESUME, 0), 0); /* by a person: not yet */
	assert_int_equal(step(&m, MANAGER_EV_ROOM, 0), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_REDO);

	/* Who is paused by a person, or waits for one, goes on so. */
	step(&m, MANAGER_EV_FULL, 0);
	step(&m, MANAGER_EV_CANCELLED, 0);
	step(&m, MANAGER_EV_PAUSE, 0);
	assert_string_equal(m.reason, "paused by a person");
	assert_int_equal(step(&m, MANAGER_EV_ROOM, 0), 0);
	assert_string_equal(manager_state(&m), "paused");
	step(&m, MANAGER_EV_FULL, 0);
	assert_int_equal(step(&m, MANAGER_EV_FINISH, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_ROOM, 0), DO_FINISH);

	/* A new worker takes the pause up, and goes on when it hears that there is room. */
	m = managed();
	step(&m, MANAGER_EV_READY, 0);
	assert_int_equal(step(&m, MANAGER_EV_FULL, 0), DO_CANCEL_ASK);
	manager_resume(&m);
	assert_int_equal(step(&m, MANAGER_EV_ROOM, 0), 0);
	assert_string_equal(manager_state(&m), "starting");
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_ASK);

	/* Nothing is granted by it. */
	m = in_turn(false);
	m.granted_turns = m.limits.turns = 1;
	step(&m, MANAGER_EV_FULL, 0);
	step(&m, MANAGER_EV_CANCELLED, 0);
	assert_int_equal(step(&m, MANAGER_EV_ROOM, 0), 0);
	assert_string_equal(m.reason, "turn limit of 1 reached");
}

static void interrupt(void **state)
{
	struct manager m = in_turn(false);

	(void)state;
	assert_int_equal(step(&m, MANAGER_EV_INTERRUPT, 0), DO_CANCEL_TURN);
	assert_int_equal(step(&m, MANAGER_EV_CANCELLED, 0), 0);
	assert_string_equal(manager_state(&m), "waiting");
	m = in_turn(true);
	step(&m, MANAGER_EV_INTERRUPT, 0);
	assert_int_equal(step(&m, MANAGER_EV_CANCELLED, 0), DO_ASK);
	/* An agent that dies instead of stopping does not start the turn again by itself. */
	m = in_turn(false);
	step(&m, MANAGER_EV_INTERRUPT, 0);
	step(&m, MANAGER_EV_LOST, 0);
	assert_string_equal(manager_state(&m), "waiting");
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), 0);
}

static void messages(void **state)
{
	struct manager m = in_turn(false);

	(void)state;
	assert_int_equal(tell(&m, true), 0);
	assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), DO_PROMPT);
	assert_int_equal(m.source, SOURCE_PERSON);
	assert_int_equal(m.pending, 0);
	assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), DO_FINISH);
	/* One that comes while it hands in makes another turn before it is done. */
	tell(&m, true);
	assert_int_equal(step(&m, MANAGER_EV_FINISHED, 0), DO_PROMPT);
	/* One that comes during a question is not lost with the answer. */
	m = managed();
	step(&m, MANAGER_EV_READY, 0);
	tell(&m, true);
	step(&m, MANAGER_EV_ACTION, 0);
	assert_int_equal(m.pending, 1);
	assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), DO_ASK);
	step(&m, MANAGER_EV_ACTION, 0);
	assert_int_equal(m.pending, 0);
}

static void retiring(void **state)
{
	struct manager m = in_turn(true);

	(void)state;
	assert_int_equal(step(&m, MANAGER_EV_RETIRE, 0), 0);
	assert_string_equal(manager_state(&m), "working");
	assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), 0);
	manager_resume(&m); /* by the next worker */
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_ASK);
	m = in_turn(false);
	step(&m, MANAGER_EV_RETIRE, 0);
	assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), 0);
	manager_resume(&m);
	assert_int_equal(step(&m, MANAGER_EV_READY, 0), DO_FINISH);
}

static void permission_waits(void **state)
{
	struct manager m = in_turn(true);
	struct manager_event asked = {.kind = MANAGER_EV_ASKED, .reason = "asks: Create a.txt?"};

	(void)state;
	manager_step(&m, &asked, 0);
	assert_string_equal(manager_state(&m), "waiting");
	assert_string_equal(m.reason, "asks: Create a.txt?");
	step(&m, MANAGER_EV_PERMITTED, 0);
	assert_string_equal(manager_state(&m), "working");
	assert_string_equal(m.reason, "");
}

static void finish_by_a_person(void **state)
{
	struct manager m = in_turn(true);

	(void)state;
	assert_int_equal(step(&m, MANAGER_EV_FINISH, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_ENDED, 0), DO_FINISH);
	m = managed();
	step(&m, MANAGER_EV_READY, 0);
	assert_int_equal(step(&m, MANAGER_EV_FINISH, 0), DO_CANCEL_ASK | DO_FINISH);
	m = in_turn(true);
	step(&m, MANAGER_EV_PAUSE, 0);
	assert_int_equal(step(&m, MANAGER_EV_FINISH, 0), 0);
	assert_int_equal(step(&m, MANAGER_EV_CANCELLED, 0), DO_FINISH);
}

static void stop_from_everywhere(void **state)
{
	struct manager m = managed();

	(void)state;
	assert_int_equal(step(&m, MANAGER_EV_STOP, 0), DO_END);
	m = in_turn(true);
	assert_int_equal(step(&m, MANAGER_EV_STOP, 0), DO_CANCEL_TURN | DO_END);
	assert_string_equal(manager_state(&m), "stopped");
	m = managed();
	step(&m, MANAGER_EV_READY, 0);
	assert_int_equal(step(&m, MANAGER_EV_STOP, 0), DO_CANCEL_ASK | DO_END);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pause_and_resume),
		cmocka_unit_test(a_full_disk),
		cmocka_unit_test(interrupt),
		cmocka_unit_test(messages),
		cmocka_unit_test(retiring),
		cmocka_unit_test(permission_waits),
		cmocka_unit_test(finish_by_a_person),
		cmocka_unit_test(stop_from_everywhere),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
