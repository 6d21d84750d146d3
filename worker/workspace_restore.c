/* Work that workspace_save kept in a mirror, brought back: as the workspace it was, or as a
 * repository of its own. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "worker/workspace_git.h"

#define HEADS "refs/heads/"

GIT_HANDLE(packbuilder, git_packbuilder_free)
GIT_HANDLE(revwalk, git_revwalk_free)

bool workspace_is_saved(
	const char *mirrors, const struct giturl *url, const char *ref, char *mirror_path)
{
	_cleanup_git_(repository) git_repository *mirror = NULL;
	git_oid id;

	mirror_path[0] = '\0';
	return workspace_mirror_path(mirrors, url, ".git", mirror_path, NULL) == 0 &&
	       git_repository_open_bare(&mirror, mirror_path) == 0 &&
	       git_reference_name_to_id(&id, mirror, ref) == 0;
}

/* Is it the commit of what was not committed? Then *below is what it lies on. */
static bool is_rest(git_repository *repo, const git_oid *tip, git_oid *below)
{
	_cleanup_git_(commit) git_commit *commit = NULL;

	if (git_commit_lookup(&commit, repo, tip) < 0 || git_commit_parentcount(commit) != 1 ||
		strcmp(git_commit_committer(commit)->email, WORKSPACE_REST_EMAIL) != 0 ||
		strcmp(git_commit_message(commit), WORKSPACE_REST_MESSAGE) != 0)
		return false;
	git_oid_cpy(below, git_commit_parent_id(commit, 0));
	return true;
}

/* Branches kept below saved.heads/. One with the agent's own name means that HEAD was
 * elsewhere: then HEAD gets a branch of another name, *taken. */
static int make_branches(git_repository *repo, git_repository *mirror, const char *saved,
	const char *branch, bool *taken)
{
	_cleanup_git_(reference_iterator) git_reference_iterator *it = NULL;
	char glob[300], name[700];
	git_reference *ref;
	size_t skip;
	int rc;

	*taken = false;
	snprintf(glob, sizeof glob, "%s.heads/*", saved);
	skip = strlen(glob) - 1;
	rc = git_reference_iterator_glob_new(&it, mirror, glob);
	while (rc == 0 && (rc = git_reference_next(&ref, it)) == 0) {
		_cleanup_git_(reference) git_reference *made = NULL;
		const git_oid *tip = git_reference_target(ref);
		const char *leaf = git_reference_name(ref) + skip;

		snprintf(name, sizeof name, HEADS "%s", leaf);
		if (tip)
			rc = git_reference_create(&made, repo, name, tip, 1, "restored");
		*taken = *taken || strcmp(leaf, branch) == 0;
		git_reference_free(ref);
	}
	return rc == GIT_ITEROVER ? 0 : rc;
}

static int put(git_repository *repo, const char *name, const git_oid *id)
{
	_cleanup_git_(reference) git_reference *made = NULL;

	return git_reference_create(&made, repo, name, id, 1, "restored");
}

static void on_checkout(const char *path, size_t done, size_t total, void *payload)
{
	(void)path;
	if (payload)
		workspace_session_progress(payload, (int64_t)done, (int64_t)total, done == total);
}

/* The files of tip, the index of what is committed. */
static int put_files(git_repository *repo, const git_oid *tip, const git_oid *committed,
	struct workspace_session *s)
{
	_cleanup_git_(object) git_object *all = NULL, *below = NULL;
	git_checkout_options options;
	int rc;

	git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
	options.checkout_strategy = GIT_CHECKOUT_FORCE;
	options.disable_filters = 1;
	options.progress_cb = on_checkout;
	options.progress_payload = s;
	rc = git_object_lookup(&all, repo, tip, GIT_OBJECT_COMMIT);
	if (rc == 0)
		rc = git_checkout_tree(repo, all, &options);
	if (rc < 0 || git_oid_equal(tip, committed))
		return rc;
	rc = git_object_lookup(&below, repo, committed, GIT_OBJECT_COMMIT);
	return rc < 0 ? rc : git_reset(repo, below, GIT_RESET_MIXED, NULL);
}

int workspace_check_out_saved(git_repository *repo, git_repository *mirror, const char *saved,
	const char *branch, git_oid *base, struct workspace_session *s)
{
	char name[700];
	git_oid tip, committed;
	bool taken;
	int rc = git_reference_name_to_id(&tip, mirror, saved);

	if (rc < 0)
		return rc;
	if (!is_rest(repo, &tip, &committed))
		git_oid_cpy(&committed, &tip);
	snprintf(name, sizeof name, "%s.base", saved);
	if (git_reference_name_to_id(base, mirror, name) < 0)
		git_oid_cpy(base, &committed);
	rc = make_branches(repo, mirror, saved, branch, &taken);
	snprintf(name, sizeof name, HEADS "%s%s", branch, taken ? "-restored" : "");
	if (rc == 0)
		rc = put(repo, name, &committed);
	if (rc == 0)
		rc = put(repo, WORKSPACE_BASE_REF, base);
	if (rc == 0)
		rc = put(repo, WORKSPACE_RESTORED_REF, &tip);
	if (rc == 0)
		rc = git_repository_set_head(repo, name);
	return rc < 0 ? rc : put_files(repo, &tip, &committed, s);
}

/* The one mirror that has ref. */
static int find_mirror(const char *mirrors, const char *ref, char *out, struct err *e)
{
	_cleanup_closedir_ DIR *dir = opendir(mirrors);
	const struct dirent *entry;
	int found = 0;

	while (dir && (entry = readdir(dir))) {
		_cleanup_git_(repository) git_repository *mirror = NULL;
		size_t n = strlen(entry->d_name);
		char path[1024];
		git_oid id;

		if (n < 5 || strcmp(entry->d_name + n - 4, ".git") != 0 ||
			snprintf(path, sizeof path, "%s/%s", mirrors, entry->d_name) >=
				(int)sizeof path)
			continue;
		if (git_repository_open_bare(&mirror, path) < 0 ||
			git_reference_name_to_id(&id, mirror, ref) < 0)
			continue;
		if (found++)
			return err_set(e, ERR_CONFLICT,
				"%s is in several mirrors, %s and %s among them: take it from the "
				"right one with `git clone`",
				ref, out, path);
		snprintf(out, 1024, "%s", path);
	}
	return found ? 0
		     : err_set(e, ERR_NOT_FOUND, "no mirror in %s keeps work as %s", mirrors, ref);
}

/* Everything that ref, its base and its branches lead to, as one pack. */
static int copy_objects(git_repository *mirror, const char *ref, const char *git_dir)
{
	_cleanup_git_(packbuilder) git_packbuilder *pack = NULL;
	_cleanup_git_(revwalk) git_revwalk *walk = NULL;
	char name[400], folder[1300];
	int rc = git_revwalk_new(&walk, mirror);

	if (rc == 0)
		rc = git_revwalk_push_ref(walk, ref);
	snprintf(name, sizeof name, "%s.base", ref);
	if (rc == 0)
		git_revwalk_push_ref(walk, name); /* older saved work has none */
	snprintf(name, sizeof name, "%s.heads/*", ref);
	if (rc == 0)
		rc = git_revwalk_push_glob(walk, name);
	if (rc == 0)
		rc = git_packbuilder_new(&pack, mirror);
	if (rc == 0)
		rc = git_packbuilder_insert_walk(pack, walk);
	snprintf(folder, sizeof folder, "%s/objects/pack", git_dir);
	return rc < 0 ? rc : git_packbuilder_write(pack, folder, 0444, NULL, NULL);
}

/* The user's own repository: origin is where the mirror is from. */
static int set_origin(git_repository *repo, const char *mirror_path)
{
	_cleanup_git_(config) git_config *config = NULL, *seen = NULL;
	_cleanup_git_(remote) git_remote *made = NULL;
	const char *url = NULL;
	char path[1100];
	int rc;

	snprintf(path, sizeof path, "%s/config", mirror_path);
	rc = git_config_open_ondisk(&config, path);
	if (rc == 0)
		rc = git_config_snapshot(&seen, config);
	if (rc == 0)
		rc = git_config_get_string(&url, seen, "remote.origin.url");
	if (rc == GIT_ENOTFOUND) /* saved by an older release */
		return 0;
	return rc < 0 ? rc : git_remote_create(&made, repo, "origin", url);
}

static int fill(const char *path, git_repository *mirror, const char *mirror_path,
	const struct workspace_source *s)
{
	_cleanup_git_(repository) git_repository *fresh = NULL, *repo = NULL;
	git_repository_init_options options;
	char git_dir[1200];
	git_oid base;
	int rc;

	git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	options.flags = GIT_REPOSITORY_INIT_NO_REINIT | GIT_REPOSITORY_INIT_MKPATH;
	rc = git_repository_init_ext(&fresh, path, &options);
	snprintf(git_dir, sizeof git_dir, "%s/.git", path);
	if (rc == 0)
		rc = copy_objects(mirror, s->ref, git_dir);
	if (rc == 0)
		rc = set_origin(fresh, mirror_path);
	if (rc == 0) /* afresh: it sees the new pack */
		rc = git_repository_open(&repo, path);
	return rc < 0 ? rc
		      : workspace_check_out_saved(repo, mirror, s->ref, s->branch, &base, NULL);
}

int workspace_export(
	const char *path, const struct workspace_source *s, char *mirror_path, struct err *e)
{
	_cleanup_git_(repository) git_repository *mirror = NULL;
	char building[1100];
	struct stat st;
	int rc;

	if (lstat(path, &st) == 0)
		return err_set(
			e, ERR_CONFLICT, "%s is there already: name a folder that is not", path);
	if (!s->url && find_mirror(s->mirrors, s->ref, mirror_path, e) < 0)
		return -1;
	if (s->url && !workspace_is_saved(s->mirrors, s->url, s->ref, mirror_path))
		return err_set(
			e, ERR_NOT_FOUND, "%s does not keep work as %s", mirror_path, s->ref);
	rc = git_repository_open_bare(&mirror, mirror_path);
	snprintf(building, sizeof building, "%s.restoring-%d", path, (int)getpid());
	if (rc == 0)
		rc = fill(building, mirror, mirror_path, s);
	if (rc < 0) {
		workspace_git_error(e, rc, "restore %s to %s", s->ref, path);
	} else if (renameat2(AT_FDCWD, building, AT_FDCWD, path, RENAME_NOREPLACE) < 0) {
		rc = err_errno(e, "rename %s to %s", building, path);
	}
	if (rc < 0)
		workspace_remove(building, NULL);
	return rc < 0 ? -1 : 0;
}
