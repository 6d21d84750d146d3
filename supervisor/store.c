#include "supervisor/store_sql.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BUSY_OPEN_MS 2000
#define BUSY_MS 50

int store_fail(struct store *s, struct err *e, const char *what)
{
	int code = sqlite3_errcode(s->db);
	const char *hint = "";

	if (code == SQLITE_FULL)
		hint = "; make room on the disk";
	else if (code == SQLITE_IOERR)
		hint = "; check the disk, and that it has room";
	else if (code == SQLITE_CORRUPT || code == SQLITE_NOTADB)
		hint = "; the file is damaged: restore a copy, or move it away to begin afresh";
	else if (code == SQLITE_BUSY)
		hint = "; another program holds it locked";
	else if (code == SQLITE_READONLY || code == SQLITE_CANTOPEN)
		hint = "; check the rights of the file and its folder";
	return err_set(e, ERR_SYS, "store: %s: %s%s", what, sqlite3_errmsg(s->db), hint);
}

static sqlite3_stmt *kept(struct store *s, const char *sql, struct err *e)
{
	int i;

	for (i = 0; i < s->n; i++) {
		if (s->kept[i].sql == sql) {
			sqlite3_reset(s->kept[i].statement);
			return s->kept[i].statement;
		}
	}
	assert(s->n < STORE_STATEMENTS);
	if (sqlite3_prepare_v3(s->db, sql, -1, SQLITE_PREPARE_PERSISTENT, &s->kept[s->n].statement,
		    NULL) != SQLITE_OK) {
		store_fail(s, e, "prepare");
		return NULL;
	}
	s->kept[s->n].sql = sql;
	return s->kept[s->n++].statement;
}

static sqlite3_stmt *query(
	struct store *s, struct err *e, const char *sql, const char *types, va_list ap)
{
	sqlite3_stmt *q = kept(s, sql, e);
	const char *text;
	int i, bad = 0;

	for (i = 1; q && types[i - 1]; i++) {
		switch (types[i - 1]) {
		case 'i':
			bad |= sqlite3_bind_int64(q, i, va_arg(ap, int64_t));
			break;
		case 'd':
			bad |= sqlite3_bind_double(q, i, va_arg(ap, double));
			break;
		case 's':
			bad |= sqlite3_bind_text(q, i, va_arg(ap, const char *), -1, SQLITE_STATIC);
			break;
		case 'b':
			text = va_arg(ap, const char *);
			bad |= sqlite3_bind_text64(
				q, i, text, va_arg(ap, size_t), SQLITE_STATIC, SQLITE_UTF8);
			break;
		case 'B':
			text = va_arg(ap, const char *);
			bad |= sqlite3_bind_blob64(q, i, text, va_arg(ap, size_t), SQLITE_STATIC);
			break;
		default:
			bad |= sqlite3_bind_null(q, i);
		}
	}
	if (!bad)
		return q;
	store_fail(s, e, "bind");
	return NULL;
}

sqlite3_stmt *store_query(struct store *s, struct err *e, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list ap;

	va_start(ap, types);
	q = query(s, e, sql, types, ap);
	va_end(ap);
	return q;
}

int store_step(struct store *s, sqlite3_stmt *q, struct err *e)
{
	int got = sqlite3_step(q);

	if (got == SQLITE_ROW)
		return 1;
	if (got == SQLITE_DONE) {
		sqlite3_reset(q);
		return 0;
	}
	store_fail(s, e, "write or read");
	sqlite3_reset(q);
	return -1;
}

cJSON *store_rows(cJSON *rows, sqlite3_stmt *q, int got)
{
	if (q)
		sqlite3_reset(q);
	if (got >= 0)
		return rows;
	cJSON_Delete(rows);
	return NULL;
}

int store_exec(struct store *s, struct err *e, const char *sql, const char *types, ...)
{
	sqlite3_stmt *q;
	va_list ap;

	va_start(ap, types);
	q = query(s, e, sql, types, ap);
	va_end(ap);
	return q && store_step(s, q, e) >= 0 ? 0 : -1;
}

/* Instead of sqlite's own checkpoints inside a commit (see checkpoint.h). */
static int on_commit(void *arg, sqlite3 *db, const char *name, int pages)
{
	struct store *s = arg;

	(void)db;
	(void)name;
	s->log_pages = pages;
	return SQLITE_OK;
}

int store_log_pages(const struct store *s)
{
	return s->log_pages;
}

void store_checkpoint(struct store *s)
{
	sqlite3_wal_checkpoint_v2(s->db, NULL, SQLITE_CHECKPOINT_PASSIVE, NULL, NULL);
}

bool store_log_restart(struct store *s, bool shorten)
{
	int mode = shorten ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_RESTART;

	if (sqlite3_wal_checkpoint_v2(s->db, NULL, mode, NULL, NULL) != SQLITE_OK)
		return false;
	s->log_pages = 0;
	return true;
}

int store_checkpoint_file(const char *path, struct store_log *log, struct err *e)
{
	struct store s = {0};
	int done = sqlite3_open_v2(path, &s.db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX, NULL);

	/* Without a read before, sqlite does not know of the log and moves nothing. */
	if (done == SQLITE_OK)
		done = sqlite3_exec(s.db, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
	if (done == SQLITE_OK)
		done = sqlite3_wal_checkpoint_v2(
			s.db, NULL, SQLITE_CHECKPOINT_PASSIVE, &log->pages, &log->moved);
	if (done != SQLITE_OK)
		store_fail(&s, e, "checkpoint");
	sqlite3_close(s.db);
	return done == SQLITE_OK ? 0 : -1;
}

struct store *store_open(const char *path, struct err *e)
{
	struct store *s = calloc(1, sizeof(*s));
	mode_t mask;
	int opened;

	if (!s)
		err_out_of_memory();
	mask = umask(0077); /* what agents said is for this user alone */
	opened = sqlite3_open_v2(path, &s->db,
		SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL);
	if (opened != SQLITE_OK)
		store_fail(s, e, "open");
	else
		opened = sqlite3_busy_timeout(s->db, BUSY_OPEN_MS);
	if (opened != SQLITE_OK || store_migrate(s, e) < 0) {
		err_wrap(e, "%s", path);
		store_close(s);
		s = NULL;
	}
	umask(mask);
	/* From now on the loop waits for it: who gets no lock tries again later. */
	if (s) {
		sqlite3_busy_timeout(s->db, BUSY_MS);
		sqlite3_wal_hook(s->db, on_commit, s);
	}
	return s;
}

void store_close(struct store *s)
{
	int i;

	if (!s)
		return;
	store_rollback(s);
	for (i = 0; i < s->n; i++)
		sqlite3_finalize(s->kept[i].statement);
	/* A reader that is still there keeps sqlite from doing this by itself. */
	if (s->log_pages > 0)
		store_checkpoint(s);
	sqlite3_close(s->db);
	free(s);
}

int store_begin(struct store *s, bool durable, struct err *e)
{
	assert(!s->open);
	if (durable != s->full) { /* cannot be changed inside a transaction */
		if (sqlite3_exec(s->db,
			    durable ? "PRAGMA synchronous=FULL" : "PRAGMA synchronous=NORMAL", NULL,
			    NULL, NULL) != SQLITE_OK)
			return store_fail(s, e, "synchronous");
		s->full = durable;
	}
	if (store_exec(s, e, "BEGIN IMMEDIATE", "") < 0)
		return -1;
	s->open = true;
	return 0;
}

int store_commit(struct store *s, struct err *e)
{
	assert(s->open);
	if (store_exec(s, e, "COMMIT", "") < 0) {
		store_rollback(s);
		return -1;
	}
	s->open = false;
	return 0;
}

void store_rollback(struct store *s)
{
	/* A full disk may have rolled back by itself already. */
	if (s->open && !sqlite3_get_autocommit(s->db))
		store_exec(s, NULL, "ROLLBACK", "");
	s->open = false;
}
