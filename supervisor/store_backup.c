#include "supervisor/store_backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "supervisor/store_sql.h"

#define STEP_PAGES 2048
#define STEP_PAUSE_MS 5		     /* for the writer, when it holds the lock */
#define LOG_MAX (40LL * 1000 * 1000) /* bytes that the store's log may have for our sake, */
#define LOG_MORE_MAX (LOG_MAX / 2)   /* or get more where it is that long already */
#define STEP_TRIES 2000
#define BUSY_MS 2000
#define NAME_FORMAT "tasks-%013" PRId64 ".db"

static void close_db(sqlite3 **db)
{
	sqlite3_close(*db);
}

const char *store_backup_folder(const char *path, char *out)
{
	const char *slash = strrchr(path, '/');

	snprintf(out, PATHS_MAX, "%.*s/backups", slash ? (int)(slash - path) : 1,
		slash ? path : ".");
	return out;
}

static int join(char *out, const char *folder, const char *name, struct err *e)
{
	if (snprintf(out, PATHS_MAX, "%s/%s", folder, name) < PATHS_MAX)
		return 0;
	return err_set(e, ERR_INVALID, "the path of %s is too long: %.64s…", name, folder);
}

static int fail(sqlite3 *db, const char *doing, const char *path, struct err *e)
{
	return err_set(e, ERR_SYS, "%s %s: %s", doing, path, sqlite3_errmsg(db));
}

static int open_db(const char *path, int flags, sqlite3 **db, struct err *e)
{
	if (sqlite3_open_v2(path, db, flags | SQLITE_OPEN_FULLMUTEX, NULL) != SQLITE_OK)
		return fail(*db, "open", path, e);
	sqlite3_busy_timeout(*db, BUSY_MS);
	return 0;
}

static int64_t log_bytes(sqlite3 *db)
{
	struct stat st;

	return stat(sqlite3_filename_wal(sqlite3_db_filename(db, "main")), &st) < 0 ? 0
										    : st.st_size;
}

/* The store as it is at this moment, however much is written meanwhile: without this,
 * sqlite begins afresh after each commit of others and comes to no end. What is written
 * stays in the log as long, so the log bounds it. */
static int hold(sqlite3 *from, const char *path, struct err *e)
{
	if (sqlite3_exec(from, "BEGIN; SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL) !=
		SQLITE_OK)
		return fail(from, "copy the store to", path, e);
	return 0;
}

static int copy_pages(sqlite3 *from, sqlite3 *to, const char *path, struct err *e)
{
	sqlite3_backup *b = sqlite3_backup_init(to, "main", from, "main");
	int64_t most = log_bytes(from) + LOG_MORE_MAX;
	int code = SQLITE_OK;
	int tries = 0;

	if (!b)
		return fail(to, "copy the store to", path, e);
	if (most < LOG_MAX)
		most = LOG_MAX;
	while (code == SQLITE_OK || code == SQLITE_BUSY || code == SQLITE_LOCKED) {
		if (log_bytes(from) > most) {
			sqlite3_backup_finish(b);
			return err_set(e, ERR_UNAVAILABLE,
				"copy the store to %s: it is written faster than it is copied; it "
				"is tried again within the hour",
				path);
		}
		code = sqlite3_backup_step(b, STEP_PAGES);
		if (code == SQLITE_BUSY || code == SQLITE_LOCKED) {
			if (++tries > STEP_TRIES)
				break;
			sqlite3_sleep(STEP_PAUSE_MS);
		}
	}
	if (sqlite3_backup_finish(b) == SQLITE_OK && code == SQLITE_DONE)
		return 0;
	return fail(to, "copy the store to", path, e);
}

static int sync_path(const char *path, int flags, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | flags);

	return fd < 0 || fsync(fd) < 0 ? err_errno(e, "write %s to the disk", path) : 0;
}

static int is_copy(const struct dirent *d)
{
	int64_t ms;
	char name[64];

	if (sscanf(d->d_name, "tasks-%" SCNd64 ".db", &ms) != 1)
		return 0;
	snprintf(name, sizeof name, NAME_FORMAT, ms);
	return strcmp(name, d->d_name) == 0;
}

/* Names of the copies, oldest first; the caller frees each and the list. */
static int list_copies(const char *folder, struct dirent ***names)
{
	return scandir(folder, names, is_copy, alphasort);
}

static void free_copies(struct dirent **names, int n)
{
	while (n-- > 0)
		free(names[n]);
	free(names);
}

static void drop_old(const char *folder)
{
	struct dirent **names = NULL;
	int n = list_copies(folder, &names);
	char path[PATHS_MAX];

	for (int i = 0; i < n - STORE_BACKUPS_KEPT; i++) {
		if (join(path, folder, names[i]->d_name, NULL) == 0)
			unlink(path);
	}
	if (n >= 0)
		free_copies(names, n);
}

/* Names tell the order in which copies were made, also when the clock was set back. */
static void next_name(const char *folder, char *out, size_t size)
{
	struct dirent **names = NULL;
	int n = list_copies(folder, &names);
	int64_t ms = clock_wall_ms(), newest;

	if (n > 0 && sscanf(names[n - 1]->d_name, "tasks-%" SCNd64, &newest) == 1 && newest >= ms)
		ms = newest + 1;
	if (n >= 0)
		free_copies(names, n);
	snprintf(out, size, NAME_FORMAT, ms);
}

/* The copy grows under this name; one that was never finished is begun afresh. */
static int copy_to(const char *path, const char *part, struct err *e)
{
	_cleanup_(close_db) sqlite3 *from = NULL, *to = NULL;

	if (unlink(part) < 0 && errno != ENOENT)
		return err_errno(e, "remove %s", part);
	if (open_db(path, SQLITE_OPEN_READONLY, &from, e) < 0 ||
		open_db(part, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, &to, e) < 0)
		return -1;
	if (hold(from, part, e) < 0 || copy_pages(from, to, part, e) < 0)
		return -1;
	/* Without a log beside it, so that it can be read where nothing can be written. */
	return sqlite3_exec(to, "PRAGMA journal_mode=DELETE", NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : fail(to, "copy the store to", part, e);
}

int store_check(const char *path, bool *damaged, struct err *e)
{
	_cleanup_(close_db) sqlite3 *db = NULL;
	const char *word = NULL;
	sqlite3_stmt *q = NULL;
	bool good, bad;
	int code;

	if (damaged)
		*damaged = false;
	if (open_db(path, SQLITE_OPEN_READONLY, &db, e) < 0)
		return -1;
	code = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &q, NULL);
	if (code == SQLITE_OK && (code = sqlite3_step(q)) == SQLITE_ROW)
		word = (const char *)sqlite3_column_text(q, 0);
	good = word && strcmp(word, "ok") == 0;
	bad = !good && (word || code == SQLITE_CORRUPT || code == SQLITE_NOTADB);
	if (!good)
		err_set(e, ERR_SYS, "%s %s: %s", path, bad ? "is damaged" : "cannot be checked",
			word ? word : sqlite3_errmsg(db));
	if (damaged)
		*damaged = bad;
	sqlite3_finalize(q);
	return good ? 0 : -1;
}

/* A damaged store has damaged copies, which would push out the good ones. */
static int finish_copy(const char *path, const char *part, struct err *e)
{
	if (chmod(part, 0600) < 0)
		return err_errno(e, "set the rights of %s", part);
	if (store_check(part, NULL, e) < 0)
		return err_wrap(e, "%s", path);
	return sync_path(part, 0, e);
}

int store_backup(const char *path, char *made, struct err *e)
{
	char folder[PATHS_MAX], part[PATHS_MAX], name[64];

	store_backup_folder(path, folder);
	next_name(folder, name, sizeof name);
	if (paths_mkdirs(folder, 0700, e) < 0 || join(part, folder, "unfinished", e) < 0 ||
		join(made, folder, name, e) < 0)
		return -1;
	if (copy_to(path, part, e) < 0 || finish_copy(path, part, e) < 0) {
		unlink(part);
		return -1;
	}
	if (rename(part, made) < 0)
		return err_errno(e, "rename %s", part);
	drop_old(folder);
	return sync_path(folder, O_DIRECTORY, e);
}

int store_backup_newest(const char *path, char *out, struct err *e)
{
	struct dirent **names = NULL;
	char folder[PATHS_MAX];
	int n = list_copies(store_backup_folder(path, folder), &names);
	int found = -1;

	for (int i = n - 1; i >= 0 && found < 0; i--) {
		if (join(out, folder, names[i]->d_name, NULL) == 0 &&
			store_check(out, NULL, NULL) == 0)
			found = 0;
	}
	if (n >= 0)
		free_copies(names, n);
	return found < 0 ? err_set(e, ERR_NOT_FOUND, "no good copy of the store in %s", folder) : 0;
}

static int copy_file(const char *from, const char *to, struct err *e)
{
	_cleanup_close_ int in = open(from, O_RDONLY | O_CLOEXEC);
	_cleanup_close_ int out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	char piece[65536];
	ssize_t n;

	if (in < 0 || out < 0)
		return err_errno(e, "copy %s to %s", from, to);
	while ((n = read(in, piece, sizeof piece)) > 0) {
		for (ssize_t done = 0, put; done < n; done += put) {
			put = write(out, piece + done, (size_t)(n - done));
			if (put < 0)
				return err_errno(e, "write %s", to);
		}
	}
	return n < 0 || fsync(out) < 0 ? err_errno(e, "copy %s to %s", from, to) : 0;
}

/* The log and its index belong to the file beside which they lie. */
static int move_log(const char *from, const char *to, struct err *e)
{
	static const char *const parts[] = {"-wal", "-shm"};
	char a[PATHS_MAX + 8], b[PATHS_MAX + 8];

	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
		snprintf(a, sizeof a, "%s%s", from, parts[i]);
		snprintf(b, sizeof b, "%s%s", to, parts[i]);
		if (rename(a, b) < 0 && errno != ENOENT)
			return err_errno(e, "rename %s", a);
	}
	return 0;
}

/* Wherever it ends, there is a store at path: where there is none, the next start begins an
 * empty one. */
static int exchange(const char *path, const char *part, char *kept, struct err *e)
{
	if (snprintf(kept, PATHS_MAX, "%s.damaged-%" PRId64, path, clock_wall_ms()) >= PATHS_MAX)
		return err_set(e, ERR_INVALID, "the path is too long: %.64s…", path);
	if (link(path, kept) < 0 && errno != ENOENT)
		return err_errno(e, "keep %s as %s", path, kept);
	if (move_log(path, kept, e) == 0) {
		if (rename(part, path) == 0)
			return 0;
		err_errno(e, "rename %s", part);
	}
	move_log(kept, path, NULL);
	unlink(kept);
	return -1;
}

/* What was given away after the copy was made is not given twice: workers' epochs, numbers
 * of agents, tasks and events. */
static int skip_numbers(const char *path, struct err *e)
{
	_cleanup_(close_db) sqlite3 *db = NULL;

	if (open_db(path, SQLITE_OPEN_READWRITE, &db, e) < 0)
		return -1;
	return sqlite3_exec(db,
		       "BEGIN;"
		       "UPDATE agents SET epoch = epoch + 1000, pid = NULL;" STORE_SKIP_EVENTS ";"
		       "UPDATE sqlite_sequence SET seq = seq + 1000"
		       " WHERE name IN ('agents', 'tasks');"
		       "COMMIT",
		       NULL, NULL, NULL) == SQLITE_OK
		       ? 0
		       : fail(db, "prepare", path, e);
}

/* Makes the file that takes the damaged one's place. */
static int prepare(const char *path, const char *part, struct err *e)
{
	char good[PATHS_MAX];

	if (store_backup_newest(path, good, e) < 0 || copy_file(good, part, e) < 0 ||
		skip_numbers(part, e) < 0)
		return -1;
	return sync_path(part, 0, e);
}

int store_backup_restore(const char *path, char *kept, struct err *e)
{
	char part[PATHS_MAX], folder[PATHS_MAX];

	if (join(part, store_backup_folder(path, folder), "restoring", e) < 0)
		return -1;
	if (prepare(path, part, e) < 0 || exchange(path, part, kept, e) < 0) {
		unlink(part);
		return -1;
	}
	return 0;
}
