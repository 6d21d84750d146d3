/* Packed events: read as before, whoever asks and from where; removed ones are told. */
#include <string.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "tests/unit/supervisor/place.h"

#define AGENTS 5
#define EVENTS 4000

static int64_t next_seq[AGENTS + 1];

static int make(void **state)
{
	struct place *p = calloc(1, sizeof *p);
	int64_t task, agent;
	struct err e;

	assert_non_null(p);
	memset(next_seq, 0, sizeof next_seq);
	place_make(p);
	assert_int_equal(store_begin(p->store, false, &e), 0);
	assert_int_equal(store_task_add(p->store, &place_task, 1, &task, &e), 0);
	for (int i = 0; i < AGENTS; i++)
		assert_int_equal(store_agent_add(p->store, task, "done", 1, &agent, &e), 0);
	assert_int_equal(store_commit(p->store, &e), 0);
	*state = p;
	return 0;
}

static int tear(void **state)
{
	place_remove(*state);
	free(*state);
	return 0;
}

static int64_t number(const struct place *p, const char *sql)
{
	return place_number(p, sql, 0);
}

/* Events of all agents in turn, of many kinds; diffs among them. */
static void fill(struct place *p, int events)
{
	static const char *const kinds[] = {"output", "output", "output", "tool", "turn", "usage",
		"state", "diff", "output", "decision", "progress", "message"};
	struct err e;

	assert_int_equal(store_begin(p->store, false, &e), 0);
	for (int i = 0; i < events; i++) {
		const char *kind = kinds[rand() % 12];
		int64_t agent = 1 + rand() % AGENTS, id;
		char body[600];
		int n = snprintf(body, sizeof body,
			"{\"seq\":%lld,\"files\":[],\"text\":\"%0*d \\u00e9 \\\"\"}",
			(long long)next_seq[agent] + 1, 1 + rand() % 400, i);

		assert_int_equal(store_event_add(p->store, "agent", agent, ++next_seq[agent], kind,
					 1000 + i, body, (size_t)n, &id, &e),
			0);
		if (strcmp(kind, "diff") == 0)
			assert_int_equal(store_project(p->store, agent, EVENT_DIFF, body, (size_t)n,
						 id, 1000 + i, &e),
				0);
		if (i % 100 == 0)
			assert_int_equal(store_event_add(p->store, "system", 0, 0, "config", 1000,
						 "{}", 2, &id, &e),
				0);
	}
	assert_int_equal(store_commit(p->store, &e), 0);
}

/* Everything there is to read, in pages of `limit`. */
static char *all(struct store *s, int64_t agent, uint32_t kinds, int limit)
{
	_cleanup_json_ cJSON *every = cJSON_CreateArray();
	int64_t after = 0, last;
	struct err e;

	for (;;) {
		cJSON *page = store_events_after(s, after, agent, kinds, limit, &last, &e);

		if (!page)
			fail_msg("%s", e.text);
		if (!page->child && last == after) {
			cJSON_Delete(page);
			break;
		}
		after = last;
		while (page->child)
			cJSON_AddItemToArray(every, cJSON_DetachItemFromArray(page, 0));
		cJSON_Delete(page);
	}
	assert_int_equal(after, store_last_event(s));
	return json_print(every);
}

static void pack(struct place *p, int64_t agent, int rows)
{
	bool done = false;
	struct err e;

	while (!done) {
		assert_int_equal(store_begin(p->store, false, &e), 0);
		if (store_pack(p->store, agent, rows, &done, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(store_commit(p->store, &e), 0);
	}
}

struct reading {
	int64_t agent;
	uint32_t kinds;
	int limit;
	char *text;
};

static void test_same_bytes(void **state)
{
	struct place *p = *state;
	struct reading r[] = {{0, 0, 1000, NULL}, {2, 0, 7, NULL}, {3, 0, 1000, NULL},
		{0, 1u << EVENT_STATE, 1000, NULL}, {0, 1u << EVENT_OUTPUT, 333, NULL},
		{4, 1u << EVENT_TOOL | 1u << EVENT_TURN, 50, NULL}};
	size_t n = sizeof r / sizeof *r;

	srand(11);
	fill(p, EVENTS);
	/* One packed after the other, the last one never; then more comes, as by a retry. */
	for (int64_t agent = 0; agent < AGENTS; agent++) {
		for (size_t i = 0; i < n; i++)
			r[i].text = all(p->store, r[i].agent, r[i].kinds, r[i].limit);
		if (agent)
			pack(p, agent, agent == 2 ? 10 : 1000);
		for (size_t i = 0; i < n; i++) {
			_cleanup_free_ char *now =
				all(p->store, r[i].agent, r[i].kinds, r[i].limit);

			assert_string_equal(now, r[i].text);
			free(r[i].text);
		}
		if (agent == 3)
			fill(p, 500);
	}
	assert_int_equal(number(p, "SELECT count(*) FROM events WHERE subject=4 AND stream='agent'"
				   " AND (kind='output' OR (kind='tool' AND body LIKE '%text%'))"),
		0);
	/* The newest diff of each stays as it is. */
	assert_int_equal(
		number(p, "SELECT count(*) FROM diffs d JOIN events e ON e.id=d.event_id"), AGENTS);
	assert_true(number(p, "SELECT max(bytes) FROM segments") <= 64 * 1024);
	assert_true(number(p, "SELECT sum(bytes)>4*sum(length(body)) FROM segments"));
}

struct loaded {
	int64_t seq[AGENTS + 1];
	bool packed[AGENTS + 1];
};

static void on_agent(void *arg, const struct store_agent_row *row)
{
	struct loaded *l = arg;

	l->seq[row->id] = row->committed_seq;
	l->packed[row->id] = row->packed && row->segments;
}

static void test_sequence_kept(void **state)
{
	struct place *p = *state;
	struct loaded l = {0};
	struct err e;

	srand(5);
	fill(p, 1000);
	for (int64_t agent = 1; agent <= AGENTS; agent++)
		pack(p, agent, 1000);
	store_close(p->store);
	p->store = store_open(p->path, &e);
	assert_int_equal(store_agents_load(p->store, on_agent, &l, &e), 0);
	for (int i = 1; i <= AGENTS; i++) {
		assert_int_equal(l.seq[i], next_seq[i]);
		assert_true(l.packed[i]);
	}
}

static void test_removed_is_told(void **state)
{
	struct place *p = *state;
	cJSON *event, *events;
	int64_t packed, last;
	bool done = false;
	int markers = 0, states = 0;
	struct err e;

	srand(9);
	fill(p, EVENTS);
	pack(p, 3, 1000);
	packed = number(p, "SELECT sum(n) FROM segments");
	assert_true(number(p, "SELECT count(*) FROM segments") > 1);
	while (!done) {
		assert_int_equal(store_begin(p->store, false, &e), 0);
		if (store_drop(p->store, 3, 1, "older than 3 days (keep_days)", 77, &done, &e) < 0)
			fail_msg("%s", e.text);
		assert_int_equal(store_commit(p->store, &e), 0);
	}
	assert_int_equal(number(p, "SELECT count(*) FROM segments"), 0);
	events = store_events_after(p->store, 0, 3, 0, 1000, &last, &e);
	assert_non_null(events);
	cJSON_ArrayForEach (event, events) {
		const char *kind = json_str(event, "kind", "");

		assert_true(strcmp(kind, "output") != 0);
		if (strcmp(kind, "tool") == 0) /* what is short of it is still there */
			assert_null(strstr(json_get(event, "body")->valuestring, "text"));
		states += strcmp(kind, "state") == 0;
		if (strcmp(kind, "trouble") != 0)
			continue;
		char want[64];
		snprintf(want, sizeof want, "not whole: %lld events", (long long)packed);
		assert_non_null(strstr(json_get(event, "body")->valuestring, want));
		markers++;
	}
	cJSON_Delete(events);
	assert_int_equal(markers, 1);
	assert_true(states > 10);
	/* Of the others nothing is gone. */
	assert_int_equal(
		number(p, "SELECT count(*) FROM events WHERE subject=2 AND seq>0"), next_seq[2]);
}

static void test_room_given_back(void **state)
{
	struct place *p = *state;
	int64_t used, spare, before;
	bool done = false, given;
	struct err e;

	fill(p, EVENTS);
	for (int64_t agent = 1; agent <= AGENTS; agent++)
		pack(p, agent, 1000);
	assert_int_equal(store_bytes(p->store, &used, &before, &e), 0);
	assert_true(before > 100000); /* much is free now */
	for (spare = before; spare > 50000;) {
		assert_int_equal(store_shrink(p->store, 100, &given, &e), 0);
		assert_true(given);
		assert_int_equal(store_bytes(p->store, &used, &spare, &e), 0);
	}
	store_checkpoint(p->store);
	assert_true(number(p, "PRAGMA page_count") * 1024 < used + 60000);
	assert_int_equal(number(p, "SELECT count(*) FROM pragma_integrity_check WHERE "
				   "integrity_check='ok'"),
		1);
	(void)done;
}

static void test_damage_is_told(void **state)
{
	struct place *p = *state;
	int64_t last;
	struct err e;
	sqlite3 *db;

	fill(p, 1000);
	pack(p, 1, 1000);
	assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
	assert_int_equal(
		sqlite3_exec(db, "UPDATE segments SET body=x'0128b52ffd00'", NULL, NULL, NULL),
		SQLITE_OK);
	sqlite3_close(db);
	assert_null(store_events_after(p->store, 0, 1, 0, 1000, &last, &e));
	assert_non_null(strstr(e.text, "agent 1"));
	assert_non_null(strstr(e.text, "damaged"));
	/* Others are read. */
	cJSON *events = store_events_after(p->store, 0, 2, 0, 1000, &last, &e);
	assert_non_null(events);
	cJSON_Delete(events);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_same_bytes, make, tear),
		cmocka_unit_test_setup_teardown(test_sequence_kept, make, tear),
		cmocka_unit_test_setup_teardown(test_removed_is_told, make, tear),
		cmocka_unit_test_setup_teardown(test_room_given_back, make, tear),
		cmocka_unit_test_setup_teardown(test_damage_is_told, make, tear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
