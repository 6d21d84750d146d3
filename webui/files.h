/* The page's files, read once at start into a table: a request is looked up in it
 * and never touches the file system. */
#ifndef WEBUI_FILES_H
#define WEBUI_FILES_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/err.h"

#define FILES_MAX 512
#define FILES_FILE_BYTES (8 * 1024 * 1024)
#define FILES_DEPTH 8

struct file {
	char path[256];	  /* "/index.html" */
	const char *type; /* static */
	char *body;
	size_t size;
	char *gzip; /* the same, compressed ("x.gz" beside it); NULL if there is none */
	size_t gzip_size;
	char tag[20];	/* entity tag, with its quotes */
	bool immutable; /* its name has a hash of its content */
};

struct files;

/* Hidden files, symbolic links and files larger than FILES_FILE_BYTES are left out.
 * ERR_NOT_FOUND, ERR_DENIED: the folder; ERR_LIMIT: more than FILES_MAX files. */
struct files *files_load(const char *dir, struct err *e);
void files_free(struct files *f);

/* Borrowed; NULL if there is none. f may be NULL. */
const struct file *files_find(const struct files *f, const char *path);

/* True if the page itself answers this path ("/", "/agents/7"), so that index.html
 * is meant. Pure. */
bool files_page_path(const char *path);

/* "main-3F2A9C1B.js" has a hash in its name, "main.js" has not. Pure. */
bool files_hashed_name(const char *name);

#endif
