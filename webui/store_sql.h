/* Inside of the store, for store*.c alone: statements under its lock. */
#ifndef WEBUI_STORE_SQL_H
#define WEBUI_STORE_SQL_H

#include <sqlite3.h>

#include "webui/store.h"

#define SQL_MAX 1024

/* Takes the lock and prepares sql; format: a letter for each bound value ('i':
 * int64_t, 's': string, NULL binds null). NULL on failure, the lock released. */
sqlite3_stmt *store_begin(struct store *s, struct err *e, const char *sql, const char *format, ...);
/* 1: a row; 0: the end; -1: failed. */
int store_next(struct store *s, sqlite3_stmt *st, struct err *e);
void store_end(struct store *s, sqlite3_stmt *st); /* and gives the lock back */

/* Takes the lock and begins a read transaction: what is asked until store_snapshot_end is of
 * one moment. -1: the lock is not held. */
int store_snapshot(struct store *s, struct err *e);
void store_snapshot_end(struct store *s);
/* Under the lock already: as store_begin; the caller finalizes the statement. */
sqlite3_stmt *store_query(struct store *s, struct err *e, const char *sql, const char *format, ...);

/* A row as an object, by the names of its columns: "x?" is a boolean, "a.b" a field
 * of an object a. */
cJSON *store_row(sqlite3_stmt *st);
/* All rows as an array, and ends st (which may be NULL). */
cJSON *store_take_rows(struct store *s, sqlite3_stmt *st, struct err *e);
/* The one row there is, and ends st (which may be NULL). ERR_NOT_FOUND names what. */
cJSON *store_take_row(
	struct store *s, sqlite3_stmt *st, const char *what, int64_t id, struct err *e);
/* ERR_NOT_FOUND: there is no such agent. */
int store_check_agent(struct store *s, int64_t agent, struct err *e);

/* " AND column IN (?, ?)" with as many marks as there are words; "" for none. */
const char *store_in_list(const char *column, const struct words *w, char *out, size_t size);
void store_bind_words(sqlite3_stmt *st, int first, const struct words *w);

#endif
