/* A deleted agent's log goes in pieces, also when who removes it dies in between. */
#include "tests/unit/supervisor/place.h"

#define EVENTS 5000 /* of each of two agents */
#define PIECE 700

static int64_t agents[2];

static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof *p);
	struct err e;

	assert_non_null(p);
	place_make(p);
	assert_int_equal(store_begin(p->store, false, &e), 0);
	for (int i = 0; i < 2; i++) {
		struct lines lines = {0};
		int64_t task, id;

		assert_int_equal(store_task_add(p->store, &place_task, 1, &task, &e), 0);
		assert_int_equal(store_agent_add(p->store, task, "done", 1, &agents[i], &e), 0);
		for (int n = 1; n <= EVENTS; n++) {
			static const char body[] = "{\"stream\":\"log\",\"text\":\"line\\n\"}";

			assert_int_equal(store_event_add(p->store, "agent", agents[i], n,
						 n % 50 ? "output" : "progress", n, body,
						 sizeof body - 1, &id, &e),
				0);
			if (n % 50)
				assert_int_equal(store_lines_take(p->store, agents[i], &lines, id,
							 body, sizeof body - 1, &e),
					0);
		}
	}
	assert_int_equal(store_commit(p->store, &e), 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	place_remove(*state);
	free(*state);
	return 0;
}

static int64_t rows(const struct place *p, int64_t agent)
{
	return place_number(p,
		"SELECT (SELECT count(*) FROM events WHERE stream='agent' AND subject=?1)"
		"+(SELECT count(*) FROM segments WHERE agent_id=?1)"
		"+(SELECT count(*) FROM output_blocks WHERE agent_id=?1)",
		agent);
}

/* Packs the first half, so that there is something of everything. */
static void pack_some(struct place *p, int64_t agent)
{
	struct err e;
	bool done;

	assert_int_equal(store_begin(p->store, false, &e), 0);
	for (int i = 0; i < 5; i++)
		assert_int_equal(store_pack(p->store, agent, EVENTS / 10, &done, &e), 0);
	assert_int_equal(store_commit(p->store, &e), 0);
	assert_true(place_number(p, "SELECT count(*) FROM segments WHERE agent_id=?", agent) > 1);
	assert_true(
		place_number(p, "SELECT count(*) FROM output_blocks WHERE agent_id=?", agent) > 1);
}

static void delete_it(struct place *p, int64_t agent)
{
	struct err e;
	int64_t id;

	assert_int_equal(store_begin(p->store, true, &e), 0);
	assert_int_equal(store_agent_delete(p->store, agent, &e), 0);
	assert_int_equal(
		store_event_add(p->store, "agent", agent, 0, "deleted", 9, "{}", 2, &id, &e), 0);
	assert_int_equal(store_commit(p->store, &e), 0);
}

static void a_long_log_goes_in_pieces(void **state)
{
	struct place *p = *state;
	int64_t agent = agents[0], found, before, now;
	bool done = false;
	int pieces = 0;
	struct err e;

	pack_some(p, agent);
	before = rows(p, agent);
	delete_it(p, agent);
	assert_int_equal(place_number(p, "SELECT count(*) FROM agents WHERE id=?", agent), 0);
	now = rows(p, agent);
	assert_in_range(now, before / 2, before - 1); /* bounded: most of it is there yet */
	for (; !done; pieces++) {
		/* Nobody remembers: it is found each time. */
		place_open(p);
		assert_int_equal(store_forgotten(p->store, &found, &e), 0);
		assert_int_equal(found, agent);
		before = rows(p, agent);
		assert_int_equal(store_begin(p->store, false, &e), 0);
		assert_int_equal(store_forget(p->store, agent, PIECE, &done, &e), 0);
		if (pieces == 1) { /* killed before the commit */
			store_rollback(p->store);
			assert_int_equal(rows(p, agent), before);
			continue;
		}
		assert_int_equal(store_commit(p->store, &e), 0);
		now = rows(p, agent);
		assert_in_range(before - now, 1, PIECE);
	}
	assert_true(pieces > 3);
	/* What was said last stays; nothing of the other one went. */
	assert_int_equal(rows(p, agent), 1);
	assert_int_equal(
		place_number(
			p, "SELECT count(*) FROM events WHERE subject=? AND kind='deleted'", agent),
		1);
	assert_int_equal(
		place_number(p, "SELECT count(*) FROM events WHERE subject=?", agents[1]), EVENTS);
	assert_int_equal(store_forgotten(p->store, &found, &e), 0);
	assert_int_equal(found, 0);
}

static void a_short_log_goes_at_once(void **state)
{
	struct place *p = *state;
	int64_t task, agent, id, found;
	struct err e;

	assert_int_equal(store_begin(p->store, true, &e), 0);
	assert_int_equal(store_task_add(p->store, &place_task, 1, &task, &e), 0);
	assert_int_equal(store_agent_add(p->store, task, "done", 1, &agent, &e), 0);
	for (int n = 1; n <= 100; n++)
		assert_int_equal(
			store_event_add(p->store, "agent", agent, n, "output", n, "{}", 2, &id, &e),
			0);
	assert_int_equal(store_commit(p->store, &e), 0);
	delete_it(p, agent);
	assert_int_equal(rows(p, agent), 1);
	assert_int_equal(store_forgotten(p->store, &found, &e), 0);
	assert_int_equal(found, 0);
}

#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(a_long_log_goes_in_pieces),
		WITH_PLACE(a_short_log_goes_at_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
