/* What a power cut does to a working tree: a file's new name and length may be on the disk
 * before what is in it, and git, which looks at names and times, then takes the rest for
 * removed by the agent. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/boot.h"
#include "shared/cleanup.h"
#include "shared/log.h"
#include "worker/workspace_git.h"

#define BOOT_FILE ".git/100x-boot"
#define BLOCK 65536

GIT_HANDLE(blob, git_blob_free)

static const char *boot_file(const char *path, char out[1100])
{
	snprintf(out, 1100, "%s/" BOOT_FILE, path);
	return out;
}

/* The file at path holds a beginning of these bytes and nothing else. */
static bool begins(const char *path, const char *data, size_t n)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	struct stat st;
	char block[BLOCK];
	ssize_t got;

	if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return false;
	for (size_t at = 0; (got = read(fd, block, sizeof block)) > 0; at += (size_t)got)
		if ((size_t)got > n - at || memcmp(block, data + at, (size_t)got) != 0)
			return false;
	return got == 0;
}

/* 1: what is there of the file is cut off; 0: not; libgit2's code. */
static int is_cut(git_repository *repo, const char *path, const git_diff_delta *delta)
{
	_cleanup_git_(blob) git_blob *blob = NULL;
	_cleanup_free_ char *file = NULL;
	int rc;

	if (delta->status != GIT_DELTA_MODIFIED || delta->old_file.mode == GIT_FILEMODE_LINK ||
		delta->old_file.mode == GIT_FILEMODE_COMMIT)
		return 0;
	rc = git_blob_lookup(&blob, repo, &delta->old_file.id);
	if (rc < 0)
		return rc;
	if (delta->new_file.size >= (uint64_t)git_blob_rawsize(blob))
		return 0;
	if (asprintf(&file, "%s/%s", path, delta->new_file.path) < 0)
		err_out_of_memory();
	return begins(file, git_blob_rawcontent(blob), (size_t)git_blob_rawsize(blob));
}

static int as_in_head(git_repository *repo, const git_tree *head, char **paths, size_t n)
{
	git_checkout_options options;

	git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
	options.checkout_strategy = GIT_CHECKOUT_FORCE | GIT_CHECKOUT_DISABLE_PATHSPEC_MATCH;
	options.disable_filters = 1;
	options.paths = (git_strarray){.strings = paths, .count = n};
	return n ? git_checkout_tree(repo, (const git_object *)head, &options) : 0;
}

static int mend(git_repository *repo, const char *path, size_t *mended)
{
	git_diff_options options;
	_cleanup_git_(object) git_object *head = NULL;
	_cleanup_git_(diff) git_diff *diff = NULL;
	_cleanup_free_ char **paths = NULL;
	int rc = git_revparse_single(&head, repo, "HEAD^{tree}");
	size_t n;

	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	options.ignore_submodules = GIT_SUBMODULE_IGNORE_ALL;
	if (rc == 0)
		rc = git_diff_tree_to_workdir(&diff, repo, (git_tree *)head, &options);
	if (rc < 0)
		return rc;
	n = git_diff_num_deltas(diff);
	paths = calloc(n + 1, sizeof *paths);
	if (!paths)
		err_out_of_memory();
	for (size_t i = 0; i < n; i++) {
		const git_diff_delta *delta = git_diff_get_delta(diff, i);

		rc = is_cut(repo, path, delta);
		if (rc < 0)
			return rc;
		if (rc == 1)
			paths[(*mended)++] = (char *)delta->new_file.path;
	}
	return as_in_head(repo, (git_tree *)head, paths, *mended);
}

int workspace_mend(git_repository *repo, const char *path, struct err *e)
{
	char file[1100];
	bool again = boot_again(boot_file(path, file));
	size_t mended = 0;
	int rc = again ? mend(repo, path, &mended) : 0;

	if (rc < 0)
		return workspace_git_error(e, rc, "look what a power cut has left of %s", path);
	if (mended)
		log_warn("%s: a power cut had cut off %zu files; they are as in HEAD again", path,
			mended);
	if (again)
		workspace_remember_boot(path);
	return 0;
}

void workspace_remember_boot(const char *path)
{
	char file[1100];
	struct err e;

	if (boot_remember(boot_file(path, file), &e) < 0)
		log_warn("%s", e.text);
}
