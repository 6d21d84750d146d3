/* Inside of the store, for store*.c alone: the connection and its kept statements. */
#ifndef SUPERVISOR_STORE_SQL_H
#define SUPERVISOR_STORE_SQL_H

#include <sqlite3.h>

#include "supervisor/store.h"

#define STORE_STATEMENTS 120
#define STORE_SKIP_EVENTS "UPDATE sqlite_sequence SET seq = seq + 1000000 WHERE name = 'events'"

struct store {
	sqlite3 *db;
	bool open, full; /* a transaction is open; synchronous is FULL */
	int log_pages;
	int n;
	struct {
		const char *sql; /* a literal: its address is the key */
		sqlite3_stmt *statement;
	} kept[STORE_STATEMENTS];
};

/* The kept statement for a literal, reset and bound: types has one letter a parameter:
 * i int64_t, d double, s const char * (NULL binds null), b const char * and size_t, B
 * the same as a blob, n null. Bound text is borrowed until the next use. NULL with ERR_SYS. */
sqlite3_stmt *store_query(struct store *s, struct err *e, const char *sql, const char *types, ...);
/* The same for a statement without rows, executed. */
int store_exec(struct store *s, struct err *e, const char *sql, const char *types, ...);
/* 1: a row; 0: no more (the statement is reset); -1: failed (reset too). */
int store_step(struct store *s, sqlite3_stmt *q, struct err *e);
int store_fail(struct store *s, struct err *e, const char *what);
/* Ends a list after its last store_step: resets q (NULL is fine) and gives the rows back, or
 * frees them and gives NULL if got tells that reading failed. */
cJSON *store_rows(cJSON *rows, sqlite3_stmt *q, int got);

/* Makes or checks the schema (store_schema.c). */
int store_migrate(struct store *s, struct err *e);
/* Counts the lines of all output that there is (store_lines.c). */
int store_lines_fill(struct store *s, struct err *e);

#endif
