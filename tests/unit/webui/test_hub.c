// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/bus.h"
#include "shared/clock.h"
#include "shared/event.h"
#include "shared/log.h"
#include "webui/hub.h"
#include "tests/unit/apart.h"

#define PATIENCE_MS 10000
#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define SCHEMA                                                                                     \
	"PRAGMA application_id = 825241720; PRAGMA user_version = " TEXT(                          \
		STORE_VERSION) ";"                                                                 \
			       "CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, stream " \
			       "TEXT NOT NULL, "                                                   \
			       "subject INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT "    \
			       "NULL, at INTEGER NOT "                                             \
			       "NULL, body TEXT NOT NULL) STRICT;"                                 \
			       "CREATE TABLE segments(id INTEGER PRIMARY KEY, agent_id INTEGER "   \
			       "NOT NULL, first_id "                                               \
			       "INTEGER NOT NULL, last_id INTEGER NOT NULL, last_at INTEGER NOT "  \
			       "NULL, n INTEGER NOT "                                              \
			       "NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"

struct fixture {
	char dir[64], path[96], url[96];
	struct store *store;
	struct hub *hub;
	struct bus_pub *pub;
};

static void sql(const struct fixture *f, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s", sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void insert(const struct fixture *f, int n)
{
	char text[256];

	snprintf(text, sizeof text,
		"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < %d) "
		"INSERT INTO events(stream, subject, seq, kind, at, body) "
		"SELECT 'agent', 7, x, 'output', 0, '{\"seq\":' || x || '}' FROM c",
		n);
	sql(f, text);
}

static void publish(const struct fixture *f, int64_t id)
{
	static const char body[] = "{\"seq\":1}";
	char head[EVENT_HEADER_MAX];
	struct err e;
	size_t n = event_header("agent", 7, EVENT_OUTPUT, id, head);

	assert_int_equal(bus_pub_send(f->pub, head, n, body, sizeof body - 1, &e), 0);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);
	struct err e;

	snprintf(f->dir, sizeof f->dir, "/tmp/100x-hub-XXXXXX");
	if (!mkdtemp(f->dir))
		return -1;
	snprintf(f->path, sizeof f->path, "%s/tasks.db", f->dir);
	snprintf(f->url, sizeof f->url, "ipc://%s/events.ipc", f->dir);
	f->pub = bus_pub_listen(f->url, &e);
	f->store = store_new(f->path);
	*state = f;
	return f->pub ? 0 : -1;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char socket[96];

	if (f->hub)
		hub_free(f->hub);
	store_free(f->store);
	bus_pub_free(f->pub);
	snprintf(socket, sizeof socket, "%s/events.ipc", f->dir);
	unlink(socket);
	unlink(f->path);
	int left = rmdir(f->dir);
	free(f);
	return left;
}

/* Publishes ids from *id on, until the hub, whose dial takes its time, has one. */
static struct hub_item *first_item(struct fixture *f, struct hub_position at, int64_t *id)
{
	int64_t end = clock_now_ms() + PATIENCE_MS;
	struct hub_item *item;

	while (clock_now_ms() < end) {
		publish(f, (*id)++);
		int n = hub_read(f->hub, &at, &item, 1, 20);
		if (n == 1)
			return item;
		if (n == HUB_BEHIND) {
			at = hub_now(f->hub);
			at.id--;
		}
	}
	fail_msg("nothing arrived");
	return NULL;
}

static void starts_without_a_store(void **state)
{
	struct fixture *f = *state;
	struct err e;
	int64_t id = 1;

	f->hub = hub_new(f->url, f->store, &e);
	assert_non_null(f->hub);
	assert_int_equal(hub_now(f->hub).id, 0);
	struct hub_item *item = first_item(f, hub_now(f->hub), &id);
	assert_int_equal(item->agent, 7);
	assert_string_equal(item->kind, "output");
	assert_memory_equal(item->text, "id: ", 4);
	hub_release(item);
}

static void a_gap_sends_readers_to_the_store(void **state)
{
	struct fixture *f = *state;
	struct hub_item *items[4];
	struct err e;
	int64_t id = 101;

	sql(f, SCHEMA);
	insert(f, 100);
	f->hub = hub_new(f->url, f->store, &e);
	struct hub_position start = hub_now(f->hub);
	assert_int_equal(start.id, 100);
	hub_release(first_item(f, start, &id));
	/* Frames 5 ids further on: what is between was lost on the way. */
	publish(f, id + 5);
	publish(f, id + 6);
	int64_t end = clock_now_ms() + PATIENCE_MS;
	while (hub_now(f->hub).id < id + 6 && clock_now_ms() < end)
		hub_read(f->hub, &(struct hub_position){.id = id + 5}, items, 0, 10);
	assert_int_equal(hub_now(f->hub).id, id + 6);
	assert_int_equal(hub_read(f->hub, &start, items, 4, 0), HUB_BEHIND);
	struct hub_position at = {.id = id + 4, .generation = start.generation};
	assert_int_equal(hub_read(f->hub, &at, items, 4, 0), 2);
	assert_int_equal(items[0]->id, id + 5);
	assert_int_equal(items[1]->id, id + 6);
	hub_release(items[0]);
	hub_release(items[1]);
}

/* A last frame that was lost is found by asking the store in a silence. */
static void a_lost_tail_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct hub_item *item;
	struct err e;

	sql(f, SCHEMA);
	f->hub = hub_new(f->url, f->store, &e);
	struct hub_position at = hub_now(f->hub);
	insert(f, 3);
	assert_int_equal(hub_read(f->hub, &at, &item, 1, PATIENCE_MS), HUB_BEHIND);
	assert_int_equal(hub_now(f->hub).id, 3);
}

static void a_replaced_store_is_noticed(void **state)
{
	struct fixture *f = *state;
	struct hub_item *item;
	struct err e;
	char kept[128];

	sql(f, SCHEMA);
	insert(f, 50);
	f->hub = hub_new(f->url, f->store, &e);
	struct hub_position at = hub_now(f->hub);
	assert_int_equal(at.id, 50);
	/* Kept until the end, so that the new file cannot get the old one's number. */
	snprintf(kept, sizeof kept, "%s.old", f->path);
	assert_int_equal(rename(f->path, kept), 0);
	sql(f, SCHEMA);
	insert(f, 2);
	assert_int_equal(hub_read(f->hub, &at, &item, 1, PATIENCE_MS), HUB_REPLACED);
	assert_int_equal(hub_now(f->hub).id, 2);
	unlink(kept);
}

static void closing_ends_readers(void **state)
{
	struct fixture *f = *state;
	struct hub_item *item;
	struct err e;

	f->hub = hub_new(f->url, f->store, &e);
	struct hub_position at = hub_now(f->hub);
	assert_int_equal(hub_read(f->hub, &at, &item, 1, 0), 0);
	hub_close(f->hub);
	assert_int_equal(hub_read(f->hub, &at, &item, 1, PATIENCE_MS), HUB_CLOSED);
}

struct seen {
	int count;
	int64_t ids[8];
};

static void on_event(void *arg, const struct store_event *ev)
{
	struct seen *seen = arg;

	seen->ids[seen->count++] = ev->id;
}

static void ranges_of_the_store(void **state)
{
	struct fixture *f = *state;
	struct store_range r = {.after = 2, .limit = 3, .max_bytes = 1 << 20};
	struct store_looked looked;
	struct seen seen = {0};
	struct err e;

	assert_int_equal(store_events(f->store, &r, on_event, &seen, &looked, &e), -1);
	assert_int_equal(e.kind, ERR_UNAVAILABLE);
	sql(f, SCHEMA);
	insert(f, 10);
	assert_int_equal(store_events(f->store, &r, on_event, &seen, &looked, &e), 0);
	assert_int_equal(seen.count, 3);
	assert_int_equal(seen.ids[0], 3);
	assert_int_equal(looked.last, 5);
	assert_true(looked.more);

	seen.count = 0;
	r = (struct store_range){.newest = true, .before = 9, .limit = 2, .max_bytes = 1};
	assert_int_equal(store_events(f->store, &r, on_event, &seen, &looked, &e), 0);
	assert_int_equal(seen.count, 1); /* bytes ended it, but one is always given */
	assert_int_equal(seen.ids[0], 8);
	assert_int_equal(looked.first, 8);
	assert_int_equal(looked.last, 8);

	seen.count = 0;
	r = (struct store_range){.after = 0, .limit = 5, .max_bytes = 1, .kinds = {1, {"state"}}};
	assert_int_equal(store_events(f->store, &r, on_event, &seen, &looked, &e), 0);
	assert_int_equal(seen.count, 0);
	assert_int_equal(looked.last, 10);
	assert_false(looked.more);
}

static void a_foreign_file_is_refused(void **state)
{
	struct fixture *f = *state;
	int64_t last, generation;
	struct err e;

	sql(f, "PRAGMA application_id = 5; CREATE TABLE t(x)");
	assert_int_equal(store_last(f->store, &last, &generation, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	sql(f, "PRAGMA application_id = 825241720; PRAGMA user_version = 99");
	assert_int_equal(store_last(f->store, &last, &generation, &e), -1);
	assert_int_equal(e.kind, ERR_CONFLICT);
	assert_non_null(strstr(e.text, "version 99"));
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(starts_without_a_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			a_gap_sends_readers_to_the_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_lost_tail_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_replaced_store_is_noticed, set_up, tear_down),
		cmocka_unit_test_setup_teardown(closing_ends_readers, set_up, tear_down),
		cmocka_unit_test_setup_teardown(ranges_of_the_store, set_up, tear_down),
		cmocka_unit_test_setup_teardown(a_foreign_file_is_refused, set_up, tear_down),
	};

	log_init("test");
	return apart_run(argc, argv, "webui/hub", tests, sizeof tests / sizeof tests[0]);
}
