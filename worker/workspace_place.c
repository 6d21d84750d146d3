/* What a power cut may not take. A folder that is made beside its place is flushed before it
 * gets its name: first all its files are sent to the disk, then waited for, so that the disk
 * is asked once and not by turns. What libgit2 adds to one later is flushed file by file. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "worker/workspace_git.h"

#define FOLDERS_OPEN 16

int workspace_flush_each(bool on)
{
	return git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, on ? 1 : 0);
}

/* Where the file system cannot do that, it is done with the rest. */
static int send(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	_cleanup_close_ int fd = -1;

	(void)st;
	(void)at;
	if (kind != FTW_F)
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd >= 0)
		sync_file_range(fd, 0, 0, SYNC_FILE_RANGE_WRITE);
	return fd < 0 ? -1 : 0;
}

static int await(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	_cleanup_close_ int fd = -1;

	(void)st;
	(void)at;
	if (kind != FTW_F && kind != FTW_DP)
		return kind == FTW_SL ? 0 : -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 || fsync(fd) < 0 ? -1 : 0;
}

static int sync_name(const char *path, struct err *e)
{
	char parent[1100];
	_cleanup_close_ int fd = -1;
	char *slash;

	snprintf(parent, sizeof parent, "%s", path);
	slash = strrchr(parent, '/');
	if (slash)
		*slash = '\0';
	fd = open(slash ? parent : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? err_errno(e, "write %s to the disk", parent) : 0;
}

int workspace_place(const char *building, const char *flushed, const char *path, struct err *e)
{
	if (nftw(flushed, send, FOLDERS_OPEN, FTW_PHYS) < 0 ||
		nftw(flushed, await, FOLDERS_OPEN, FTW_PHYS | FTW_DEPTH) < 0)
		return err_errno(e, "write %s to the disk", flushed);
	if (rename(building, path) < 0)
		return err_errno(e, "rename %s to %s", building, path);
	return sync_name(path, e);
}
