/* A store of its own for a test, in a folder that goes with it. */
#ifndef TESTS_UNIT_SUPERVISOR_PLACE_H
#define TESTS_UNIT_SUPERVISOR_PLACE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "supervisor/store.h"

struct place {
	char folder[64], path[80];
	struct store *store;
};

static const struct store_task place_task = {.repository = "/r",
	.base = "main",
	.title = "t",
	.description = "",
	.aider_arguments = "",
	.test_command = "",
	.permission = "allow",
	.agent_model = "",
	.aider_model = ""};

/* Also again: as who starts anew finds it. */
static inline void place_open(struct place *p)
{
	struct err e;

	store_close(p->store);
	p->store = store_open(p->path, &e);
	if (!p->store)
		fail_msg("%s", e.text);
}

static inline void place_make(struct place *p)
{
	snprintf(p->folder, sizeof p->folder, "/tmp/100x-store-XXXXXX");
	assert_non_null(mkdtemp(p->folder));
	snprintf(p->path, sizeof p->path, "%s/tasks.db", p->folder);
	place_open(p);
}

/* Nothing but the store may be left in it. */
static inline void place_remove(struct place *p)
{
	static const char *const leaves[] = {"", "-wal", "-shm"};
	char path[96];

	store_close(p->store);
	for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
		snprintf(path, sizeof path, "%s%s", p->path, leaves[i]);
		unlink(path);
	}
	assert_int_equal(rmdir(p->folder), 0);
}

/* What a query with at most one parameter gives, as somebody else reads it. */
static inline int64_t place_number(const struct place *p, const char *sql, int64_t parameter)
{
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;
	int64_t v;

	assert_int_equal(sqlite3_open(p->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &q, NULL), SQLITE_OK);
	if (sqlite3_bind_parameter_count(q))
		sqlite3_bind_int64(q, 1, parameter);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	v = sqlite3_column_int64(q, 0);
	sqlite3_finalize(q);
	sqlite3_close(db);
	return v;
}

#endif
