/* The schema and its versions. */
#include "supervisor/store_sql.h"

#include <stdio.h>

#include "shared/crash.h"
#include "shared/views.h"
#include "supervisor/store_backup.h"

#define VERSION_WITH_LINES 3

/* migrations[v] leads from user_version v to v + 1. */
static const char *const migrations[STORE_VERSION] = {
	"CREATE TABLE tasks(id INTEGER PRIMARY KEY AUTOINCREMENT, repository TEXT NOT NULL,"
	" base TEXT NOT NULL, title TEXT NOT NULL, description TEXT NOT NULL,"
	" agents INTEGER NOT NULL, aider_arguments TEXT NOT NULL, test_command TEXT NOT NULL,"
	" manager INTEGER NOT NULL, permission TEXT NOT NULL, pull_request INTEGER NOT NULL,"
	" limit_turns INTEGER NOT NULL, limit_minutes INTEGER NOT NULL,"
	" limit_dollars REAL NOT NULL, agent_model TEXT NOT NULL, aider_model TEXT NOT NULL,"
	" created_at INTEGER NOT NULL) STRICT;"
	"CREATE TABLE agents(id INTEGER PRIMARY KEY AUTOINCREMENT,"
	" task_id INTEGER NOT NULL REFERENCES tasks(id), branch TEXT NOT NULL,"
	" state TEXT NOT NULL, reason TEXT NOT NULL DEFAULT '', turn INTEGER NOT NULL DEFAULT 0,"
	" progress TEXT NOT NULL DEFAULT '', thought TEXT NOT NULL DEFAULT '',"
	" action TEXT NOT NULL DEFAULT '', future TEXT NOT NULL DEFAULT '',"
	" tokens_in INTEGER NOT NULL DEFAULT 0, tokens_out INTEGER NOT NULL DEFAULT 0,"
	" dollars REAL NOT NULL DEFAULT 0, files INTEGER NOT NULL DEFAULT 0,"
	" added INTEGER NOT NULL DEFAULT 0, removed INTEGER NOT NULL DEFAULT 0, tests TEXT,"
	" pull_request TEXT, epoch INTEGER NOT NULL DEFAULT 0, pid INTEGER, pid_started INTEGER,"
	" committed_seq INTEGER NOT NULL DEFAULT 0, command_done INTEGER NOT NULL DEFAULT 0,"
	" created_at INTEGER NOT NULL, started_at INTEGER, ended_at INTEGER,"
	" updated_at INTEGER NOT NULL) STRICT;"
	"CREATE INDEX agents_task ON agents(task_id);"
	"CREATE TABLE events(id INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL,"
	" subject INTEGER NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL, at INTEGER NOT NULL,"
	" body TEXT NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX events_seq ON events(subject, seq) WHERE stream = 'agent' AND seq > 0;"
	"CREATE INDEX events_subject ON events(stream, subject, id);"
	"CREATE TABLE turns(agent_id INTEGER NOT NULL, turn INTEGER NOT NULL, source TEXT NOT NULL,"
	" prompt TEXT NOT NULL, progress TEXT NOT NULL DEFAULT '', thought TEXT NOT NULL DEFAULT "
	"'',"
	" action TEXT NOT NULL DEFAULT '', future TEXT NOT NULL DEFAULT '', stop_reason TEXT,"
	" started_at INTEGER NOT NULL, ended_at INTEGER, PRIMARY KEY(agent_id, turn))"
	" STRICT, WITHOUT ROWID;"
	"CREATE TABLE usage(id INTEGER PRIMARY KEY, agent_id INTEGER NOT NULL, turn INTEGER NOT "
	"NULL,"
	" role TEXT NOT NULL, model TEXT NOT NULL, tokens_in INTEGER NOT NULL,"
	" tokens_out INTEGER NOT NULL, tokens_cached INTEGER NOT NULL, dollars REAL,"
	" at INTEGER NOT NULL) STRICT;"
	"CREATE INDEX usage_agent ON usage(agent_id, turn);"
	"CREATE TABLE commands(agent_id INTEGER NOT NULL, n INTEGER NOT NULL, kind TEXT NOT NULL,"
	" body TEXT NOT NULL, at INTEGER NOT NULL, PRIMARY KEY(agent_id, n)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE diffs(agent_id INTEGER PRIMARY KEY, event_id INTEGER NOT NULL) STRICT;"
	"CREATE TABLE model_config(role TEXT PRIMARY KEY, model TEXT NOT NULL) STRICT, WITHOUT "
	"ROWID;"
	"CREATE TABLE general_config(key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT "
	"ROWID;"
	"CREATE TABLE requests(id TEXT PRIMARY KEY, answer TEXT NOT NULL, at INTEGER NOT NULL)"
	" STRICT, WITHOUT ROWID;"
	"CREATE INDEX requests_at ON requests(at);",

	"ALTER TABLE agents ADD COLUMN archived INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE agents ADD COLUMN state_at INTEGER NOT NULL DEFAULT 0;"
	"UPDATE agents SET state_at=updated_at;"
	"ALTER TABLE tasks ADD COLUMN winner INTEGER;"
	"ALTER TABLE turns ADD COLUMN idle_ms REAL;"
	"CREATE TABLE costs(day TEXT NOT NULL, repository TEXT NOT NULL, model TEXT NOT NULL,"
	" role TEXT NOT NULL, calls INTEGER NOT NULL, tokens_in INTEGER NOT NULL,"
	" tokens_out INTEGER NOT NULL, tokens_cached INTEGER NOT NULL, dollars REAL,"
	" unpriced INTEGER NOT NULL, PRIMARY KEY(day, repository, model, role))"
	" STRICT, WITHOUT ROWID;"
	"INSERT INTO costs SELECT " VIEWS_DAY(
		"u.at") ",t.repository,u.model,u.role,count(*),"
			"sum(u.tokens_in),sum(u.tokens_out),sum(u.tokens_cached),sum(u.dollars),"
			"sum(u.dollars IS NULL) FROM usage u JOIN agents a ON a.id=u.agent_id"
			" JOIN tasks t ON t.id=a.task_id GROUP BY 1,2,3,4;"
			"CREATE INDEX events_activity ON events(id) WHERE kind<>'output';",

	"CREATE TABLE outputs(agent_id INTEGER PRIMARY KEY, newlines INTEGER NOT NULL,"
	" open INTEGER NOT NULL, block_line INTEGER NOT NULL, block_first INTEGER NOT NULL,"
	" last_id INTEGER NOT NULL, last_line TEXT NOT NULL) STRICT;"
	"CREATE TABLE output_blocks(agent_id INTEGER NOT NULL, line INTEGER NOT NULL,"
	" first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, grams BLOB,"
	" PRIMARY KEY(agent_id, line, first_id)) STRICT, WITHOUT ROWID;",

	"ALTER TABLE agents ADD COLUMN packed INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE agents ADD COLUMN removed_events INTEGER NOT NULL DEFAULT 0;"
	"ALTER TABLE agents ADD COLUMN removed_id INTEGER;"
	"ALTER TABLE agents ADD COLUMN reclaimed_at INTEGER;"
	"ALTER TABLE agents ADD COLUMN saved TEXT;"
	"CREATE TABLE segments(id INTEGER PRIMARY KEY, agent_id INTEGER NOT NULL,"
	" first_id INTEGER NOT NULL, last_id INTEGER NOT NULL, last_at INTEGER NOT NULL,"
	" n INTEGER NOT NULL, bytes INTEGER NOT NULL, body BLOB NOT NULL) STRICT;"
	"CREATE UNIQUE INDEX segments_agent ON segments(agent_id, last_id, first_id);"
	"CREATE INDEX segments_last ON segments(last_id, first_id, agent_id);",

	/* An agent's seq rises with id, and only its last is ever asked for. */
	"DROP INDEX IF EXISTS events_seq;",
};

static int number(struct store *s, const char *sql, int64_t *v, struct err *e)
{
	sqlite3_stmt *q = NULL;
	int ok = sqlite3_prepare_v2(s->db, sql, -1, &q, NULL) == SQLITE_OK &&
		 sqlite3_step(q) == SQLITE_ROW;

	if (ok)
		*v = sqlite3_column_int64(q, 0);
	else
		store_fail(s, e, "open");
	sqlite3_finalize(q);
	return ok ? 0 : -1;
}

static int run(struct store *s, const char *sql, struct err *e)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : store_fail(s, e, "prepare the tables");
}

static int upgrade(struct store *s, int64_t from, struct err *e)
{
	char pragma[64];
	bool lines = false;

	if (run(s, "BEGIN IMMEDIATE", e) < 0)
		return -1;
	if (from > 0 && from < VERSION_WITH_LINES)
		lines = true;
	for (; from < STORE_VERSION; from++) {
		if (run(s, migrations[from], e) < 0)
			goto undo;
	}
	if (lines && store_lines_fill(s, e) < 0)
		goto undo;
	snprintf(pragma, sizeof(pragma), "PRAGMA application_id=%d", STORE_APPLICATION_ID);
	if (run(s, pragma, e) < 0)
		goto undo;
	snprintf(pragma, sizeof(pragma), "PRAGMA user_version=%d", STORE_VERSION);
	crash_point(CRASH_STORE_MIGRATE_BEFORE);
	if (run(s, pragma, e) < 0 || run(s, "COMMIT", e) < 0)
		goto undo;
	crash_point(CRASH_STORE_MIGRATE_AFTER);
	return 0;
undo:
	sqlite3_exec(s->db, "ROLLBACK", NULL, NULL, NULL);
	return -1;
}

int store_migrate(struct store *s, struct err *e)
{
	int64_t application, version, tables;
	char copy[PATHS_MAX];

	if (number(s, "PRAGMA application_id", &application, e) < 0 ||
		number(s, "PRAGMA user_version", &version, e) < 0 ||
		number(s, "SELECT count(*) FROM sqlite_schema", &tables, e) < 0)
		return -1;
	if (application != STORE_APPLICATION_ID && (application || version || tables))
		return err_set(e, ERR_CONFLICT,
			"this is a database of another program; it was left as it is: move it "
			"away, or "
			"choose another folder with --state-dir");
	if (version > STORE_VERSION)
		return err_set(e, ERR_CONFLICT,
			"this database has version %lld, this program knows up to %d; it was left "
			"as it "
			"is: use the newer program that wrote it",
			(long long)version, STORE_VERSION);
	/* Decided before the first table is made; later it would only take a lock. */
	if (tables == 0 && run(s, "PRAGMA page_size=1024;PRAGMA auto_vacuum=INCREMENTAL", e) < 0)
		return -1;
	if (run(s,
		    "PRAGMA page_size=1024;PRAGMA "
		    "journal_mode=WAL;PRAGMA synchronous=FULL;PRAGMA "
		    "foreign_keys=ON;"
		    "PRAGMA journal_size_limit=67108864;PRAGMA temp_store=MEMORY",
		    e) < 0)
		return -1;
	s->full = true;
	if (version == STORE_VERSION)
		return 0;
	if (version > 0 && store_backup(sqlite3_db_filename(s->db, "main"), copy, e) < 0)
		return err_wrap(e, "before the tables are brought to version %d", STORE_VERSION);
	return upgrade(s, version, e);
}
