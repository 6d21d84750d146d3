/* What a repository holds, as far as a reader needs: file names and README, from its
 * mirror. Nothing is checked out. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/buf.h"
#include "shared/json.h"
#include "worker/workspace_git.h"

#define FILES_LOOKED_AT 200000

struct listing {
	struct buf names;
	int looked, left_out;
};

static int on_entry(const char *root, const git_tree_entry *entry, void *payload)
{
	struct listing *l = payload;

	if (git_tree_entry_type(entry) != GIT_OBJECT_BLOB)
		return 0;
	if (++l->looked > FILES_LOOKED_AT)
		return -1;
	/* Names may be any bytes but NUL and "/". */
	if (!utf8_valid(root, strlen(root)) ||
		!utf8_valid(git_tree_entry_name(entry), strlen(git_tree_entry_name(entry))) ||
		!buf_addf(&l->names, "%s%s\n", root, git_tree_entry_name(entry)))
		l->left_out++;
	return 0;
}

static char *read_readme(git_repository *repo, git_tree *tree, size_t max)
{
	for (size_t i = 0; i < git_tree_entrycount(tree); i++) {
		const git_tree_entry *entry = git_tree_entry_byindex(tree, i);
		git_blob *blob = NULL;
		const char *text;
		char *copy = NULL;
		size_t n;

		if (strncasecmp(git_tree_entry_name(entry), "readme", 6) != 0 ||
			git_tree_entry_type(entry) != GIT_OBJECT_BLOB ||
			git_blob_lookup(&blob, repo, git_tree_entry_id(entry)) < 0)
			continue;
		text = git_blob_rawcontent(blob);
		n = (size_t)git_blob_rawsize(blob);
		if (memchr(text, 0, n < max ? n : max) == NULL)
			copy = strndup(text, utf8_cut(text, n, max));
		git_blob_free(blob);
		if (copy && utf8_valid(copy, strlen(copy)))
			return copy;
		free(copy);
	}
	return NULL;
}

int workspace_files(const char *mirrors, const struct giturl *url, const char *branch,
	size_t files_max, size_t readme_max, char **files, char **readme, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	_cleanup_git_(object) git_object *object = NULL;
	struct listing l = {0};
	char path[1024], spec[300];
	git_tree *tree;
	int rc;

	if (workspace_mirror_path(mirrors, url, ".git", path, e) < 0)
		return -1;
	snprintf(spec, sizeof spec, "refs/heads/%s^{tree}", branch);
	rc = git_repository_open_bare(&repo, path);
	if (rc == 0)
		rc = git_revparse_single(&object, repo, spec);
	if (rc < 0)
		return workspace_git_error(e, rc, "read %s of %s", branch, url->text);
	tree = (git_tree *)object;
	buf_init(&l.names, files_max);
	git_tree_walk(tree, GIT_TREEWALK_PRE, on_entry, &l);
	*readme = read_readme(repo, tree, readme_max);
	if (!*readme)
		*readme = strdup("");
	if (asprintf(files, "%s%s", l.names.len ? l.names.data : "",
		    l.left_out || l.looked > FILES_LOOKED_AT ? "… and more\n" : "") < 0 ||
		!*readme)
		abort();
	buf_clear(&l.names);
	return 0;
}
