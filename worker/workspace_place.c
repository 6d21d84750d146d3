/* What a power cut may not take. A folder that is made beside its place is flushed as a whole,
 * once: to wait for each of its files, thousands of branches among them, would take minutes.
 * What libgit2 adds to one later is flushed file by file. */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "worker/workspace_git.h"

int workspace_flush_each(bool on)
{
	return git_libgit2_opts(GIT_OPT_ENABLE_FSYNC_GITDIR, on ? 1 : 0);
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

int workspace_place(const char *building, const char *path, struct err *e)
{
	_cleanup_close_ int fd = open(building, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0 || syncfs(fd) < 0)
		return err_errno(e, "write %s to the disk", building);
	if (rename(building, path) < 0)
		return err_errno(e, "rename %s to %s", building, path);
	return sync_name(path, e);
}
