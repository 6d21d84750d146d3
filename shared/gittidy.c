#include "shared/gittidy.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/log.h"

#define TIDY_MAX_DEPTH 32 /* of folders below refs */

static bool is_lock(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".lock") == 0;
}

/* As git and libgit2 name what is being written. */
static bool is_torn(const char *name)
{
	return strncmp(name, "tmp_", 4) == 0 || strncmp(name, "pack_git2_", 10) == 0;
}

static int tidy_folder(
	int parent_fd, const char *name, int depth, bool (*goes)(const char *), int *left)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int removed = 0;

	if (!dir) {
		if (fd >= 0)
			close(fd);
		return 0;
	}
	while ((*left)-- > 0 && (entry = readdir(dir))) {
		if (entry->d_type == DT_DIR && depth > 0 && entry->d_name[0] != '.')
			removed += tidy_folder(dirfd(dir), entry->d_name, depth - 1, goes, left);
		else if (entry->d_type == DT_REG && goes(entry->d_name) &&
			 unlinkat(dirfd(dir), entry->d_name, 0) == 0)
			removed++;
	}
	return removed;
}

static bool is_any(const char *name)
{
	(void)name;
	return true;
}

/* A folder that holds files and folders of files. */
static bool drop_folder(int parent_fd, const char *name, int *left)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;

	while (dir && (*left)-- > 0 && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && entry->d_name[0] != '.') {
			tidy_folder(fd, entry->d_name, 0, is_any, left);
			unlinkat(fd, entry->d_name, AT_REMOVEDIR);
		}
	tidy_folder(parent_fd, name, 0, is_any, left);
	return unlinkat(parent_fd, name, AT_REMOVEDIR) == 0;
}

/* Where git gathers objects that it brings to the disk together (core.fsyncMethod=batch). */
static int drop_gathering(int git_fd, int *left)
{
	int fd = openat(git_fd, "objects", O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_closedir_ DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	const struct dirent *entry;
	int removed = 0;

	while (dir && (*left)-- > 0 && (entry = readdir(dir)))
		if (entry->d_type == DT_DIR && strncmp(entry->d_name, "tmp_objdir-", 11) == 0)
			removed += drop_folder(fd, entry->d_name, left);
	return removed;
}

void gittidy(const char *git_dir, int entries_max)
{
	_cleanup_close_ int fd = open(git_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	int removed, left = entries_max;

	if (fd < 0)
		return;
	removed = tidy_folder(fd, ".", 0, is_lock, &left);
	removed += tidy_folder(fd, "refs", TIDY_MAX_DEPTH, is_lock, &left);
	removed += drop_gathering(fd, &left);
	removed += tidy_folder(fd, "objects", 1, is_torn, &left);
	if (removed > 0)
		log_info("%s: removed %d files that a killed git left", git_dir, removed);
}
