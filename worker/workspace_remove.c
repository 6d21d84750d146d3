/* Removes a tree that its owner may have made hostile: symlinks are unlinked, never
 * followed; folders without rights are opened up first; a tree deeper than we hold
 * descriptors is flattened on the way, so neither depth nor path length matter. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "worker/workspace.h"

#define REMOVE_MAX_DEPTH 64
#define REMOVE_MAX_ROUNDS 100000 /* each round takes away 64 levels of depth at least */

struct removal {
	int top_fd;
	int moved; /* folders brought up to the top so far */
};

static int empty_folder(struct removal *r, int fd, int depth);

static int open_folder(int parent_fd, const char *name)
{
	int fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0 && errno == EACCES && fchmodat(parent_fd, name, 0700, 0) == 0)
		fd = openat(parent_fd, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	return fd;
}

/* Brings a folder up to the top of the tree, where the next round finds it. */
static int lift(struct removal *r, int parent_fd, const char *name)
{
	char up[64];
	int rc;

	if (fchmodat(parent_fd, name, 0700, 0) < 0)
		return -1;
	do {
		snprintf(up, sizeof up, ".removing-%d", r->moved++);
		rc = renameat2(parent_fd, name, r->top_fd, up, RENAME_NOREPLACE);
	} while (rc < 0 && errno == EEXIST && r->moved < REMOVE_MAX_ROUNDS);
	return rc;
}

static int remove_folder(struct removal *r, int parent_fd, const char *name, int depth)
{
	int fd;

	if (depth >= REMOVE_MAX_DEPTH)
		return lift(r, parent_fd, name);
	fd = open_folder(parent_fd, name);
	if (fd < 0)
		return -1;
	if (empty_folder(r, fd, depth + 1) < 0)
		return -1;
	return unlinkat(parent_fd, name, AT_REMOVEDIR);
}

/* Takes fd. */
static int empty_folder(struct removal *r, int fd, int depth)
{
	struct stat st;
	_cleanup_closedir_ DIR *dir = NULL;
	const struct dirent *entry;

	if (fstat(fd, &st) == 0 && (st.st_mode & 0700) != 0700)
		fchmod(fd, 0700);
	dir = fdopendir(fd);
	if (!dir) {
		close(fd);
		return -1;
	}
	while ((entry = readdir(dir))) {
		if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
			continue;
		if (unlinkat(dirfd(dir), entry->d_name, 0) == 0 || errno == ENOENT)
			continue;
		if (errno != EISDIR && errno != EPERM)
			return -1;
		if (remove_folder(r, dirfd(dir), entry->d_name, depth) < 0)
			return -1;
	}
	return 0;
}

int workspace_remove(const char *path, struct err *e)
{
	struct removal r = {.top_fd = -1};
	_cleanup_close_ int top = -1;

	if (unlink(path) == 0 || errno == ENOENT || errno == ENOTDIR)
		return 0;
	top = open_folder(AT_FDCWD, path);
	if (top < 0)
		return err_errno(e, "open %s to remove it", path);
	r.top_fd = top;
	for (int round = 0; round < REMOVE_MAX_ROUNDS; round++) {
		int fd = openat(top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);

		if (fd < 0 || empty_folder(&r, fd, 0) < 0)
			return err_errno(e, "remove what is in %s", path);
		if (rmdir(path) == 0 || errno == ENOENT)
			return 0;
		if (errno != ENOTEMPTY && errno != EEXIST)
			return err_errno(e, "remove %s", path);
	}
	return err_set(e, ERR_LIMIT, "remove %s: it is nested too deep", path);
}
