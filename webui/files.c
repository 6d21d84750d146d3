#include "webui/files.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "shared/cleanup.h"
#include "shared/log.h"
#include "webui/sha256.h"

#define HASH_LENGTH 8 /* of esbuild's [hash] */

struct files {
	int count;
	struct file file[FILES_MAX];
};

static const char *type_of(const char *path)
{
	static const char *const types[][2] = {{".html", "text/html; charset=utf-8"},
		{".js", "text/javascript; charset=utf-8"}, {".css", "text/css; charset=utf-8"},
		{".svg", "image/svg+xml"}, {".png", "image/png"}, {".ico", "image/x-icon"},
		{".woff2", "font/woff2"}, {".json", "application/json"},
		{".webmanifest", "application/manifest+json"}, {".map", "application/json"},
		{".txt", "text/plain; charset=utf-8"}};
	const char *dot = strrchr(path, '.');

	for (size_t i = 0; dot && i < sizeof types / sizeof *types; i++) {
		if (!strcmp(dot, types[i][0]))
			return types[i][1];
	}
	return "application/octet-stream";
}

bool files_hashed_name(const char *name)
{
	/* main-HASH.js, main-HASH.js.map, main.HASH.js */
	for (const char *hash = name; *hash; hash++) {
		size_t n = 0;

		if (*hash != '-' && *hash != '.')
			continue;
		while (isupper((unsigned char)hash[1 + n]) || isdigit((unsigned char)hash[1 + n]))
			n++;
		if (n == HASH_LENGTH && hash[1 + n] == '.')
			return true;
	}
	return false;
}

bool files_page_path(const char *path)
{
	if (path[0] != '/' || strstr(path, "//"))
		return false;
	for (const char *p = path; *p; p++) {
		if (!isalnum((unsigned char)*p) && !strchr("/_-", *p))
			return false;
	}
	return true;
}

const struct file *files_find(const struct files *f, const char *path)
{
	for (int i = 0; f && i < f->count; i++) {
		if (!strcmp(f->file[i].path, path))
			return &f->file[i];
	}
	return NULL;
}

static char *read_file(int dir_fd, const char *name, size_t *size, struct err *e)
{
	_cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_free_ char *body = NULL;
	struct stat st;
	size_t len = 0;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(e, "open %s", name);
		return NULL;
	}
	if (st.st_size > FILES_FILE_BYTES) {
		err_set(e, ERR_LIMIT, "%s is larger than %d bytes", name, FILES_FILE_BYTES);
		return NULL;
	}
	body = malloc((size_t)st.st_size + 1);
	if (!body)
		err_out_of_memory();
	while (len < (size_t)st.st_size) {
		ssize_t n = read(fd, body + len, (size_t)st.st_size - len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			err_errno(e, "read %s", name);
			return NULL;
		}
		len += (size_t)n;
	}
	*size = len;
	return take_ptr(body);
}

static int add(struct files *f, int dir_fd, const char *name, const char *path, struct err *e)
{
	char digest[SHA256_HEX];
	size_t size;

	if (f->count == FILES_MAX)
		return err_set(e, ERR_LIMIT, "more than %d files", FILES_MAX);
	char *body = read_file(dir_fd, name, &size, e);
	if (!body) {
		log_warn("page: left out: %s", e->text);
		return 0;
	}
	struct file *file = &f->file[f->count++];
	memcpy(file->path, path, strlen(path) + 1); /* walk() made it short enough */
	file->type = type_of(path);
	file->body = body;
	file->size = size;
	file->immutable = files_hashed_name(name);
	sha256_hex(body, size, digest);
	snprintf(file->tag, sizeof file->tag, "\"%.16s\"", digest);
	return 0;
}

static int walk(struct files *f, int dir_fd, const char *at, int depth, struct err *e)
{
	_cleanup_closedir_ DIR *d = fdopendir(dir_fd);
	char path[sizeof f->file[0].path];
	struct stat st;

	for (struct dirent *entry; d && (entry = readdir(d));) {
		if (entry->d_name[0] == '.' ||
			fstatat(dirfd(d), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
			snprintf(path, sizeof path, "%s/%s", at, entry->d_name) >= (int)sizeof path)
			continue;
		if (S_ISREG(st.st_mode) && add(f, dirfd(d), entry->d_name, path, e) < 0)
			return -1;
		if (S_ISDIR(st.st_mode) && depth < FILES_DEPTH) {
			int fd = openat(dirfd(d), entry->d_name,
				O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

			if (fd >= 0 && walk(f, fd, path, depth + 1, e) < 0)
				return -1;
		}
	}
	return 0;
}

/* "x.js.gz" becomes the compressed form of "x.js" and is no file of its own. */
static void pair_gzip(struct files *f)
{
	int kept = 0;

	for (int i = 0; i < f->count; i++) {
		struct file *file = &f->file[i], *plain = NULL;
		size_t n = strlen(file->path);
		char name[sizeof file->path];

		if (n > 3 && !strcmp(file->path + n - 3, ".gz")) {
			snprintf(name, sizeof name, "%.*s", (int)n - 3, file->path);
			for (int k = 0; k < f->count; k++) {
				if (!strcmp(f->file[k].path, name))
					plain = &f->file[k];
			}
		}
		if (plain) {
			plain->gzip = file->body;
			plain->gzip_size = file->size;
			file->path[0] = '\0';
		}
	}
	for (int i = 0; i < f->count; i++) {
		if (f->file[i].path[0])
			f->file[kept++] = f->file[i];
	}
	f->count = kept;
}

struct files *files_load(const char *dir, struct err *e)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct files *f;

	if (fd < 0) {
		err_errno(e, "open %s", dir);
		return NULL;
	}
	f = calloc(1, sizeof *f);
	if (!f)
		err_out_of_memory();
	if (walk(f, fd, "", 0, e) < 0) {
		err_wrap(e, "%s", dir);
		files_free(f);
		return NULL;
	}
	pair_gzip(f);
	return f;
}

void files_free(struct files *f)
{
	for (int i = 0; f && i < f->count; i++) {
		free(f->file[i].body);
		free(f->file[i].gzip);
	}
	free(f);
}
