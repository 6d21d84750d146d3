/* The store as its readers find it: not there, not ours, replaced, locked, damaged. Each is
 * told, half an answer is never given, and the next question is answered again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/json.h"
#include "webui/store.h"

#define TEXT_OF(x) #x
#define TEXT(x) TEXT_OF(x)
#define OURS                                                                                       \
	"PRAGMA page_size = 1024; PRAGMA application_id = 825241720; PRAGMA user_version = " TEXT( \
		STORE_VERSION) ";"
/* The tables as far as the questions below go. */
#define TABLES                                                                                     \
	"CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL,"          \
	" subject INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT"      \
	" NULL, body TEXT NOT NULL) STRICT;"                                                       \
	"CREATE INDEX events_activity ON events(id) WHERE kind<>'output';"                         \
	"CREATE TABLE segments(id INTEGER PRIMARY KEY, agent_id INTEGER NOT NULL, first_id"        \
	" INTEGER NOT NULL, last_id INTEGER NOT NULL, last_at INTEGER NOT NULL, n INTEGER NOT"     \
	" NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"                               \
	"CREATE TABLE agents(id INTEGER PRIMARY KEY, state TEXT NOT NULL) STRICT;"                 \
	"CREATE TABLE diffs(agent_id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL) STRICT;"      \
	"CREATE TABLE usage(id INTEGER PRIMARY KEY, agent_id INTEGER NOT NULL, turn INTEGER NOT"   \
	" NULL, role TEXT NOT NULL, model TEXT NOT NULL, tokens_in INTEGER NOT NULL, tokens_out"   \
	" INTEGER NOT NULL, tokens_cached INTEGER NOT NULL, dollars REAL) STRICT;"                 \
	"CREATE TABLE turns(agent_id INTEGER NOT NULL, turn INTEGER NOT NULL, source TEXT,"        \
	" prompt TEXT, progress TEXT, thought TEXT, action TEXT, future TEXT, stop_reason TEXT,"   \
	" started_at INTEGER, ended_at INTEGER, idle_ms REAL) STRICT;"                             \
	"CREATE TABLE general_config(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;"           \
	"CREATE TABLE model_config(role TEXT PRIMARY KEY, model TEXT NOT NULL) STRICT;"            \
	"CREATE TABLE outputs(agent_id INTEGER PRIMARY KEY, newlines INTEGER NOT NULL, open"       \
	" INTEGER NOT NULL, block_line INTEGER NOT NULL, block_first INTEGER NOT NULL) STRICT;"    \
	"CREATE TABLE output_blocks(agent_id INTEGER NOT NULL, line INTEGER NOT NULL, first_id"    \
	" INTEGER NOT NULL, last_id INTEGER NOT NULL, grams BLOB) STRICT;"
#define EVENTS                                                                                     \
	"WITH RECURSIVE c(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM c WHERE x < 2000)"           \
	" INSERT INTO events(stream, subject, seq, kind, at, body) SELECT 'agent', 7, x,"          \
	" 'output', 0, '{\"text\":\"line ' || x || '\\n\"}' FROM c;"                               \
	"INSERT INTO outputs VALUES(7, 2000, 0, 0, 1);"                                            \
	"INSERT INTO agents VALUES(7, 'working'), (8, 'done');"

struct fixture {
	char dir[64], path[96];
	struct store *store;
	struct err e;
	int events; /* that store_events gave */
};

static void sql_at(const char *path, const char *text)
{
	sqlite3 *db;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
		fail_msg("%s: %s", text, sqlite3_errmsg(db));
	sqlite3_close(db);
}

static void sql(const struct fixture *f, const char *text)
{
	sql_at(f->path, text);
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
}

static int set_up(void **state)
{
	struct fixture *f = calloc(1, sizeof *f);

	snprintf(f->dir, sizeof f->dir, "/tmp/100x-read-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->path, sizeof f->path, "%s/tasks.db", f->dir);
	f->store = store_new(f->path);
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	char command[128];

	store_free(f->store);
	snprintf(command, sizeof command, "rm -rf %s", f->dir);
	free(f);
	return system(command);
}

static void count(void *arg, const struct store_event *ev)
{
	struct fixture *f = arg;

	assert_non_null(ev->body);
	f->events++;
}

static int all_events(struct fixture *f)
{
	const struct store_range range = {.limit = 10000, .max_bytes = 1 << 30};
	struct store_looked looked;

	f->events = 0;
	return store_events(f->store, &range, count, f, &looked, &f->e);
}

static int output_page(struct fixture *f)
{
	struct store_page page;

	f->events = 0;
	return store_page(f->store, 7, 0, 100000, 1 << 30, count, f, &page, &f->e);
}

static void on_hit(void *arg, int64_t line, int64_t id, const char *text, size_t n)
{
	(void)line;
	(void)id;
	(void)text;
	(void)n;
	((struct fixture *)arg)->events++;
}

static int search(struct fixture *f, const char *text)
{
	const struct store_search want = {
		.agent = 7, .text = text, .after_line = -1, .limit = 100, .cb = on_hit, .arg = f};
	struct store_found found;

	f->events = 0;
	return store_search(f->store, &want, &found, &f->e);
}

static int last(struct fixture *f, int64_t *id, int64_t *generation)
{
	return store_last(f->store, id, generation, &f->e);
}

static void assert_told(const struct fixture *f, enum err_kind kind, const char *words)
{
	assert_int_equal(f->e.kind, kind);
	if (!strstr(f->e.text, words) || !strstr(f->e.text, f->path))
		fail_msg("\"%s\" tells not: %s, %s", f->e.text, words, f->path);
}

static void what_is_not_there_or_not_ours_is_told_apart(void **state)
{
	struct fixture *f = *state;
	int64_t id, generation;

	assert_int_equal(last(f, &id, &generation), -1);
	assert_told(f, ERR_UNAVAILABLE, "100x up");
	write_file(f->path, "");
	assert_int_equal(last(f, &id, &generation), -1);
	assert_told(f, ERR_UNAVAILABLE, "just being made");
	unlink(f->path);
	sql(f, "PRAGMA application_id = 42; CREATE TABLE mine(x)");
	assert_int_equal(last(f, &id, &generation), -1);
	assert_told(f, ERR_CONFLICT, "not a store of 100x");
	sql(f, "PRAGMA application_id = 825241720; PRAGMA user_version = 3");
	assert_int_equal(last(f, &id, &generation), -1);
	assert_told(f, ERR_CONFLICT, "version 3");
	unlink(f->path);
	write_file(f->path, "This is no database, but long enough to be looked at as one; and so "
			    "on and so on and so on and so on.");
	assert_int_equal(last(f, &id, &generation), -1);
	assert_told(f, ERR_SYS, "not a database");
	unlink(f->path);
	sql(f, OURS TABLES);
	assert_int_equal(last(f, &id, &generation), 0);
	assert_int_equal(id, 0);
}

static void a_store_that_was_replaced_is_read_anew(void **state)
{
	struct fixture *f = *state;
	int64_t id, generation, before;
	char other[128];

	sql(f, OURS TABLES EVENTS);
	assert_int_equal(last(f, &id, &before), 0);
	assert_int_equal(id, 2000);
	assert_int_equal(last(f, &id, &generation), 0);
	assert_int_equal(generation, before);
	snprintf(other, sizeof other, "%s/other.db", f->dir);
	sql_at(other, OURS TABLES "INSERT INTO agents VALUES(1, 'done');");
	assert_int_equal(rename(other, f->path), 0);
	assert_int_equal(last(f, &id, &generation), 0);
	assert_int_equal(id, 0);
	assert_true(generation != before);
	/* Taken away and back: no answer out of a file that is gone. */
	assert_int_equal(rename(f->path, other), 0);
	assert_int_equal(last(f, &id, &generation), -1);
	assert_told(f, ERR_UNAVAILABLE, "100x up");
	assert_int_equal(rename(other, f->path), 0);
	assert_int_equal(last(f, &id, &generation), 0);
}

/* An answer out of rows: {"name", what it is}. NULL failed. */
static cJSON *answer(struct fixture *f, int which)
{
	const struct words none = {0};
	char *text = NULL;
	cJSON *made = NULL;

	switch (which) {
	case 0:
		return store_tasks(f->store, &f->e);
	case 1:
		return store_task(f->store, 1, &f->e);
	case 2:
		return store_agents(f->store, &none, 0, true, &f->e);
	case 3:
		return store_agent(f->store, 7, &f->e);
	case 4:
		return store_turns(f->store, 7, 0, 10, &f->e);
	case 5:
		return store_usage(f->store, 7, &f->e);
	case 6:
		text = store_diff(f->store, 7, &f->e);
		break;
	case 7:
		text = store_judgement(f->store, 1, &f->e);
		break;
	case 8:
		return store_config(f->store, &f->e);
	case 9:
		return store_counts(f->store, &f->e);
	case 10:
		return store_repositories(f->store, &f->e);
	case 11:
		return store_costs(f->store, 0, 0, &f->e);
	default:
		return NULL;
	}
	if (text)
		made = cJSON_CreateObject();
	free(text);
	return made;
}

#define ANSWERS 12

/* Tables that a broken upgrade left out: every question fails in words, with the lock given
 * back, or the one after it would wait for ever. */
static void missing_tables_fail_each_question_in_words(void **state)
{
	struct fixture *f = *state;
	struct store_activity activity = {.limit = 10, .max_bytes = 1000};
	bool more;

	sql(f, OURS "CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT)");
	for (int round = 0; round < 2; round++) {
		for (int which = 0; which < ANSWERS; which++) {
			f->e = (struct err){0};
			assert_null(answer(f, which));
			assert_told(f, ERR_SYS, "no such ");
		}
		assert_int_equal(all_events(f), -1);
		assert_told(f, ERR_SYS, "no such column");
		assert_int_equal(output_page(f), -1);
		assert_told(f, ERR_SYS, "no such table: agents");
		assert_int_equal(search(f, "line"), -1);
		assert_told(f, ERR_SYS, "no such table: agents");
		assert_int_equal(store_activity(f->store, &activity, count, f, &more, &f->e), -1);
		assert_told(f, ERR_SYS, "no such ");
	}
	/* Some of them: what needs the others still fails as a whole. */
	sql(f, "CREATE TABLE agents(id INTEGER PRIMARY KEY); INSERT INTO agents VALUES(7);"
	       "CREATE TABLE turns(agent_id, turn, source, prompt, progress, thought, action,"
	       " future, stop_reason, started_at, ended_at, idle_ms);"
	       "CREATE TABLE model_config(role, model);");
	for (int which = 4; which <= 8; which++) {
		f->e = (struct err){0};
		assert_null(answer(f, which));
		assert_told(f, ERR_SYS, "no such ");
	}
	assert_int_equal(output_page(f), -1);
	assert_told(f, ERR_SYS, "no such table: outputs");
}

static void sums_and_turns_belong_together(void **state)
{
	struct fixture *f = *state;
	cJSON *turns, *usage, *roles, *config;

	sql(f, OURS TABLES EVENTS
		"INSERT INTO turns(agent_id, turn, source) VALUES(7, 2, 'task'), (7, 3, 'test'),"
		" (8, 3, 'task');"
		"INSERT INTO usage(agent_id, turn, role, model, tokens_in, tokens_out,"
		" tokens_cached, dollars) VALUES(7, 1, 'agent', 'm', 1, 1, 0, 0.5),"
		" (7, 2, 'aider', 'm', 10, 1, 0, 0.25), (7, 2, 'agent', 'n', 20, 2, 5, NULL),"
		" (7, 9, 'agent', 'n', 40, 4, 0, 0.25), (8, 2, 'agent', 'n', 99, 9, 0, 9);"
		"INSERT INTO general_config VALUES('limit_turns', '5'), ('broken', '{'),"
		" ('instructions', '\"Be brief.\"');"
		"INSERT INTO model_config VALUES('agent', 'openai/x');");
	turns = store_turns(f->store, 7, 0, 10, &f->e);
	assert_non_null(turns);
	assert_int_equal(cJSON_GetArraySize(turns), 2);
	roles = cJSON_GetObjectItem(cJSON_GetArrayItem(turns, 0), "roles");
	assert_int_equal(cJSON_GetArraySize(roles), 2);
	assert_int_equal(json_int(cJSON_GetObjectItem(roles, "agent"), "tokens_in", 0), 20);
	assert_int_equal(json_int(cJSON_GetObjectItem(roles, "aider"), "tokens_in", 0), 10);
	assert_int_equal(json_int(cJSON_GetArrayItem(turns, 0), "tokens_in", 0), 30);
	/* The last turn has cost nothing yet. */
	roles = cJSON_GetObjectItem(cJSON_GetArrayItem(turns, 1), "roles");
	assert_int_equal(cJSON_GetArraySize(roles), 0);
	cJSON_Delete(turns);
	turns = store_turns(f->store, 7, 3, 10, &f->e);
	assert_int_equal(cJSON_GetArraySize(turns), 1);
	cJSON_Delete(turns);

	usage = store_usage(f->store, 7, &f->e);
	assert_int_equal(json_int(cJSON_GetObjectItem(usage, "total"), "tokens_in", 0), 71);
	assert_int_equal(json_int(cJSON_GetObjectItem(usage, "total"), "calls", 0), 4);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(usage, "models")), 3);
	assert_int_equal(cJSON_GetArraySize(cJSON_GetObjectItem(usage, "turns")), 3);
	cJSON_Delete(usage);
	for (int which = 4; which <= 5; which++) {
		sql(f, "DELETE FROM agents WHERE id = 7");
		assert_null(answer(f, which));
		assert_int_equal(f->e.kind, ERR_NOT_FOUND);
		assert_string_equal(f->e.text, "there is no agent 7");
	}
	assert_null(store_diff(f->store, 7, &f->e));
	assert_int_equal(f->e.kind, ERR_NOT_FOUND);
	assert_null(store_diff(f->store, 8, &f->e));
	assert_int_equal(f->e.kind, ERR_NONE);
	sql(f, "INSERT INTO diffs VALUES(8, 3)");
	char *body = store_diff(f->store, 8, &f->e);
	assert_string_equal(body, "{\"text\":\"line 3\\n\"}");
	free(body);

	/* A value that is no JSON is left out, the others are told. */
	config = store_config(f->store, &f->e);
	assert_int_equal(json_int(cJSON_GetObjectItem(config, "general"), "limit_turns", 0), 5);
	assert_null(cJSON_GetObjectItem(cJSON_GetObjectItem(config, "general"), "broken"));
	assert_string_equal(
		json_str(cJSON_GetObjectItem(config, "models"), "agent", ""), "openai/x");
	cJSON_Delete(config);
}

/* Held by another program for longer than we wait: may pass, and does. */
static void a_locked_store_is_unavailable_until_it_is_free(void **state)
{
	struct fixture *f = *state;
	int64_t id, generation;
	sqlite3 *db;

	sql(f, OURS TABLES EVENTS);
	assert_int_equal(last(f, &id, &generation), 0);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN EXCLUSIVE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(all_events(f), -1);
	assert_told(f, ERR_UNAVAILABLE, "locked");
	assert_int_equal(sqlite3_exec(db, "COMMIT", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(last(f, &id, &generation), 0);
	assert_int_equal(id, 2000);
}

/* Overwrites the middle of the file: pages of events, not the schema. */
static void damage(const struct fixture *f)
{
	char rubbish[8192];
	struct stat st;
	int fd = open(f->path, O_WRONLY | O_CLOEXEC);

	memset(rubbish, 0xa5, sizeof rubbish);
	assert_int_equal(fstat(fd, &st), 0);
	assert_true(st.st_size > 64 * 1024);
	assert_int_equal(
		pwrite(fd, rubbish, sizeof rubbish, st.st_size / 2 / 1024 * 1024), sizeof rubbish);
	close(fd);
}

static void damaged_rows_end_the_answer_with_an_error(void **state)
{
	struct fixture *f = *state;
	int64_t id, generation;

	sql(f, OURS TABLES EVENTS);
	damage(f);
	assert_int_equal(all_events(f), -1);
	assert_told(f, ERR_SYS, "malformed");
	assert_true(f->events < 2000);
	assert_int_equal(output_page(f), -1);
	assert_told(f, ERR_SYS, "malformed");
	assert_int_equal(search(f, "no such text"), -1);
	assert_told(f, ERR_SYS, "malformed");
	/* What lies elsewhere is told as ever. */
	assert_int_equal(last(f, &id, &generation), 0);
	assert_int_equal(id, 2000);
	cJSON *counts = store_counts(f->store, &f->e);
	assert_int_equal(json_int(counts, "done", 0), 1);
	cJSON_Delete(counts);
}

/* Packed output that cannot be unpacked: which events it was is told. */
static void a_damaged_segment_is_named(void **state)
{
	struct fixture *f = *state;

	sql(f, OURS TABLES EVENTS "DELETE FROM events WHERE id BETWEEN 11 AND 1990;"
				  "INSERT INTO segments VALUES(1, 7, 11, 1990, 0, 1980, 9,"
				  " x'28b52ffd0102030405060708');");
	assert_int_equal(all_events(f), -1);
	assert_int_equal(f->e.kind, ERR_SYS);
	assert_non_null(strstr(f->e.text, "agent 7, events 11 to 1990"));
	assert_int_equal(output_page(f), -1);
	assert_non_null(strstr(f->e.text, "agent 7, events 11 to 1990"));
	assert_int_equal(search(f, "line"), -1);
	assert_non_null(strstr(f->e.text, "agent 7, events 11 to 1990"));
	sql(f, "DELETE FROM segments");
	assert_int_equal(all_events(f), 0);
	assert_int_equal(f->events, 20);
}

/* Output without a text takes no line and hides none. */
static void an_output_without_text_is_passed_over(void **state)
{
	struct fixture *f = *state;

	sql(f, OURS TABLES EVENTS "UPDATE events SET body = '{\"stream\":\"out\"}' WHERE id = 1000;"
				  "UPDATE outputs SET newlines = 1999;");
	assert_int_equal(output_page(f), 0);
	assert_int_equal(f->events, 1999);
	assert_int_equal(search(f, "line 1001"), 0);
	assert_int_equal(f->events, 1);
	assert_int_equal(search(f, "line 1000"), 0);
	assert_int_equal(f->events, 0);
}

int main(void)
{
#define WITH_STORE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		WITH_STORE(what_is_not_there_or_not_ours_is_told_apart),
		WITH_STORE(a_store_that_was_replaced_is_read_anew),
		WITH_STORE(missing_tables_fail_each_question_in_words),
		WITH_STORE(sums_and_turns_belong_together),
		WITH_STORE(a_locked_store_is_unavailable_until_it_is_free),
		WITH_STORE(damaged_rows_end_the_answer_with_an_error),
		WITH_STORE(a_damaged_segment_is_named),
		WITH_STORE(an_output_without_text_is_passed_over),
	};

	store_free(NULL);
	return cmocka_run_group_tests_name("store", tests, NULL, NULL);
}
