/* Commits what the agent left uncommitted, on its own branch, whatever it did to HEAD. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/crash.h"
#include "worker/workspace_git.h"

#define HEADS "refs/heads/"

bool workspace_dirty(struct workspace *w)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	_cleanup_git_(status_list) git_status_list *list = NULL;
	git_status_options options;

	if (workspace_repository(w->path, &repo, NULL) < 0)
		return false;
	git_status_options_init(&options, GIT_STATUS_OPTIONS_VERSION);
	options.show = GIT_STATUS_SHOW_INDEX_AND_WORKDIR;
	options.flags = GIT_STATUS_OPT_INCLUDE_UNTRACKED | GIT_STATUS_OPT_EXCLUDE_SUBMODULES;
	return git_status_list_new(&list, repo, &options) == 0 &&
	       git_status_list_entrycount(list) > 0;
}

/* The agent's own notes and repositories inside the repository are not for the branch. */
static bool is_for_branch(const char *path)
{
	const char *leaf = path;

	if (path[0] && path[strlen(path) - 1] == '/')
		return false;
	for (const char *slash = path; slash; slash = strchr(leaf, '/')) {
		leaf = slash == path ? path : slash + 1;
		if (strncmp(leaf, ".aider", 6) == 0)
			return false;
	}
	return true;
}

/* Makes HEAD name the agent's branch. Commits made elsewhere (another branch, a
 * detached HEAD) are its work too: the branch follows them. */
static int settle_head(
	git_repository *repo, const struct workspace *w, const char *ref, git_oid *tip)
{
	_cleanup_git_(reference) git_reference *head = NULL;
	_cleanup_git_(reference) git_reference *moved = NULL;
	git_oid branch_tip, base;
	bool known = git_reference_name_to_id(&branch_tip, repo, ref) == 0;
	int rc = git_reference_lookup(&head, repo, "HEAD");
	bool ours = rc == 0 && git_reference_type(head) == GIT_REFERENCE_SYMBOLIC &&
		    strcmp(git_reference_symbolic_target(head), ref) == 0;

	rc = git_oid_fromstr(&base, w->base_commit);
	if (rc < 0)
		return rc;
	if (git_reference_name_to_id(tip, repo, "HEAD") < 0)
		git_oid_cpy(tip, known ? &branch_tip : &base);
	if (ours && known)
		return 0;
	rc = git_reference_create(&moved, repo, ref, tip, 1, "branch follows HEAD");
	return rc < 0 ? rc : git_repository_set_head(repo, ref);
}

/* As git_index_add_all does, but that maps each changed file into memory to compare it,
 * which one that is cut off meanwhile turns into a SIGBUS. What is added here streams. */
static int add_changes(git_repository *repo, git_index *index)
{
	_cleanup_git_(diff) git_diff *diff = NULL;
	git_diff_options options;
	int rc;

	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	options.flags = GIT_DIFF_INCLUDE_TYPECHANGE | GIT_DIFF_INCLUDE_UNTRACKED |
			GIT_DIFF_RECURSE_UNTRACKED_DIRS;
	rc = git_diff_index_to_workdir(&diff, repo, index, &options);
	for (size_t i = 0; rc == 0 && i < git_diff_num_deltas(diff); i++) {
		const git_diff_delta *delta = git_diff_get_delta(diff, i);

		if (!is_for_branch(delta->old_file.path))
			continue;
		rc = delta->status == GIT_DELTA_DELETED
			     ? git_index_remove_bypath(index, delta->old_file.path)
			     : git_index_add_bypath(index, delta->new_file.path);
	}
	return rc;
}

int workspace_stage(git_repository *repo, git_oid *tree_id)
{
	_cleanup_git_(index) git_index *index = NULL;
	int rc = git_repository_index(&index, repo);

	if (rc == 0)
		rc = add_changes(repo, index);
	if (rc == 0)
		rc = git_index_write(index);
	return rc < 0 ? rc : git_index_write_tree(tree_id, index);
}

static int commit_tree(git_repository *repo, const struct workspace *w, const char *ref,
	const git_oid *tree_id, const git_oid *parent_id, const char *message, char *hash)
{
	_cleanup_git_(signature) git_signature *who = NULL;
	_cleanup_git_(commit) git_commit *parent = NULL;
	_cleanup_git_(tree) git_tree *tree = NULL;
	const git_commit *parents[1];
	git_oid made;
	int rc = git_commit_lookup(&parent, repo, parent_id);

	if (rc < 0)
		return rc;
	if (git_oid_equal(git_commit_tree_id(parent), tree_id))
		return 0;
	rc = git_tree_lookup(&tree, repo, tree_id);
	if (rc == 0)
		rc = git_signature_now(&who, w->user_name, w->user_email);
	parents[0] = parent;
	if (rc == 0)
		rc = git_commit_create(&made, repo, ref, who, who, NULL, message, tree, 1, parents);
	if (rc == 0)
		git_oid_tostr(hash, GIT_OID_HEXSZ + 1, &made);
	return rc;
}

int workspace_commit_all(struct workspace *w, const char *message, char *hash, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	git_oid tip, tree_id;
	char ref[300];
	int rc;

	hash[0] = '\0';
	if (workspace_repository(w->path, &repo, e) < 0)
		return -1;
	snprintf(ref, sizeof ref, HEADS "%s", w->branch);
	rc = git_repository_set_ident(repo, w->user_name, w->user_email);
	if (rc == 0)
		rc = settle_head(repo, w, ref, &tip);
	if (rc == 0)
		rc = workspace_stage(repo, &tree_id);
	crash_point(CRASH_COMMIT_STAGED);
	if (rc == 0)
		rc = commit_tree(repo, w, ref, &tree_id, &tip, message, hash);
	return rc < 0 ? workspace_git_error(e, rc, "commit in %s", w->path) : 0;
}
