/* Copies of tasks.db beside it, in <state>/backups: made online by sqlite's own backup
 * (https://www.sqlite.org/backup.html), checked, and put in place only when a person
 * says so. */
#ifndef SUPERVISOR_STORE_BACKUP_H
#define SUPERVISOR_STORE_BACKUP_H

#include <stdbool.h>

#include "shared/err.h"
#include "shared/paths.h"

#define STORE_BACKUPS_KEPT 8 /* the newest ones */

/* Fills out (PATHS_MAX bytes) with the folder of the copies of the store at path;
 * returns out. */
const char *store_backup_folder(const char *path, char *out);

/* Makes a copy of the store at path over a connection of its own, from any thread; the
 * store may be written meanwhile. Complete, checked and on the disk before it gets its name;
 * the oldest ones above STORE_BACKUPS_KEPT go. made (PATHS_MAX bytes) gets its path. ERR_SYS:
 * the disk, or the store is damaged; the copies there are stay. */
int store_backup(const char *path, char *made, struct err *e);

/* sqlite's quick_check of the file at path. ERR_SYS: it is damaged (*damaged is true) or
 * cannot be read now (locked, rights). damaged may be NULL. */
int store_check(const char *path, bool *damaged, struct err *e);

/* Fills out (PATHS_MAX bytes) with the newest copy that passes store_check.
 * ERR_NOT_FOUND: there is none. */
int store_backup_newest(const char *path, char *out, struct err *e);

/* Puts the newest good copy in the store's place. What was there, its log included, is
 * kept beside it under kept (PATHS_MAX bytes): path.damaged-<ms>. On failure everything
 * is as it was, so that it can be tried again. ERR_NOT_FOUND: no good copy. */
int store_backup_restore(const char *path, char *kept, struct err *e);

#endif
