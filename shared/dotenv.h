/* Keys from ~/.env and the environment (the environment wins). Read, never
 * rewritten. Values of names that end in _KEY, _TOKEN, _SECRET or _PASSWORD are registered
 * with log_secret. */
#ifndef SHARED_DOTENV_H
#define SHARED_DOTENV_H

#include <stddef.h>

#include "shared/err.h"

#define DOTENV_MAX_BYTES (256 * 1024)

struct dotenv;

/* Parses text: NAME=value, optional "export ", single quotes (literal), double
 * quotes (\n \t \" \\ \$), # comments, blank lines; no expansion. A line that is
 * none of these is skipped and counted. NUL or too long: ERR_INVALID, ERR_LIMIT. */
struct dotenv *dotenv_parse(const char *text, size_t n, struct err *e);

/* path (usually ~/.env); a missing file gives an empty set, an unreadable one fails. */
struct dotenv *dotenv_load(const char *path, struct err *e);
void dotenv_free(struct dotenv *d);

/* Borrowed value: environment first, then the file; NULL if unset or empty. */
const char *dotenv_get(const struct dotenv *d, const char *name);
int dotenv_skipped(const struct dotenv *d);

#endif
