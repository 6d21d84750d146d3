/* What a power cut may not take. A folder that is made beside its place is flushed before it
 * gets its name: first all its files are sent to the disk, then waited for, so that the disk
 * is asked once and not by turns. What libgit2 adds to one later is flushed file by file. */
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <libgen.h>
#include <stdio.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/log.h"
#include "worker/workspace_git.h"

#define FOLDERS_OPEN 16

int workspace_flush_each(bool on)
{
	return git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, on ? 1 : 0);
}

/* Where the file system cannot do that, it is done with the rest. */
static int begin_flush(const char *path, const struct stat *st, int kind, struct FTW *at)
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

static int end_flush(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	_cleanup_close_ int fd = -1;

	(void)st;
	(void)at;
	if (kind != FTW_F && kind != FTW_DP)
		return kind == FTW_SL ? 0 : -1;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	return fd < 0 || fsync(fd) < 0 ? -1 : 0;
}

static int flush_folder(const char *path, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	return fd < 0 || fsync(fd) < 0 ? err_errno(e, "write %s to the disk", path) : 0;
}

int workspace_place(const char *building, const char *flushed, const char *path, struct err *e)
{
	char parent[1100];

	if (nftw(flushed, begin_flush, FOLDERS_OPEN, FTW_PHYS) < 0 ||
		nftw(flushed, end_flush, FOLDERS_OPEN, FTW_PHYS | FTW_DEPTH) < 0)
		return err_errno(e, "write %s to the disk", flushed);
	if (rename(building, path) < 0)
		return err_errno(e, "rename %s to %s", building, path);
	snprintf(parent, sizeof parent, "%s", path);
	return flush_folder(dirname(parent), e);
}

void workspace_flush_commit(const char *path)
{
	static const char *const folders[] = {".git/refs/heads", ".git"};
	char folder[1100];
	struct err e;

	for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
		snprintf(folder, sizeof folder, "%s/%s", path, folders[i]);
		if (flush_folder(folder, &e) < 0)
			log_warn("%s", e.text);
	}
}
