/* libgit2 maps a file of the workspace into memory to print its diff, unless a filter
 * applies to it. The coding agent may cut the file off meanwhile, and the next touch of the
 * map is a SIGBUS. So while a diff is printed a filter that changes nothing applies to
 * every file: it is read. All else (hashing, committing) streams, maps nothing, and stays
 * without: a filter would have it read files of any size as a whole. */
#include <git2/sys/filter.h>

#include "worker/workspace_git.h"

static _Thread_local bool reading;

static int on_check(
	git_filter *self, void **payload, const git_filter_source *src, const char **attributes)
{
	(void)self;
	(void)payload;
	(void)src;
	(void)attributes;
	return reading ? 0 : GIT_PASSTHROUGH;
}

static int on_apply(git_filter *self, void **payload, git_buf *to, const git_buf *from,
	const git_filter_source *src)
{
	(void)self;
	(void)payload;
	(void)to;
	(void)from;
	(void)src;
	return GIT_PASSTHROUGH;
}

int workspace_filter_register(void)
{
	static git_filter filter = {
		.version = GIT_FILTER_VERSION, .check = on_check, .apply = on_apply};
	int rc = git_filter_register("100x-read", &filter, GIT_FILTER_DRIVER_PRIORITY + 1);

	return rc == GIT_EEXISTS ? 0 : rc;
}

void workspace_filter_read(bool on)
{
	reading = on;
}
