/* A killed git leaves its lock files behind (index.lock, HEAD.lock, refs/…/main.lock), and
 * every git after it refuses to write. */
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/log.h"
#include "worker/workspace.h"

#define UNLOCK_MAX_DEPTH 32 /* of folders below refs */

static bool is_lock(const char *name)
{
	size_t n = strlen(name);

	return n > 5 && strcmp(name + n - 5, ".lock") == 0;
}

static int unlock_folder(int parent_fd, const char *name, int depth)
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
	while ((entry = readdir(dir))) {
		if (entry->d_type == DT_DIR && depth > 0 && entry->d_name[0] != '.')
			removed += unlock_folder(dirfd(dir), entry->d_name, depth - 1);
		else if (entry->d_type == DT_REG && is_lock(entry->d_name) &&
			 unlinkat(dirfd(dir), entry->d_name, 0) == 0)
			removed++;
	}
	return removed;
}

void workspace_unlock(const char *git_dir)
{
	int fd = open(git_dir, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	_cleanup_close_ int folder = fd;
	int removed;

	if (fd < 0)
		return;
	removed = unlock_folder(folder, ".", 0) + unlock_folder(folder, "refs", UNLOCK_MAX_DEPTH);
	if (removed > 0)
		log_info("%s: removed %d lock files of a killed git", git_dir, removed);
}
