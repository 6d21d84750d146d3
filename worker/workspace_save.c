/* Before a workspace goes: what is only in there is kept in the mirror. A pack of the
 * commits is written into it, and a ref put upon them. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "worker/workspace_git.h"

#define HEADS "refs/heads/"

GIT_HANDLE(packbuilder, git_packbuilder_free)
GIT_HANDLE(revwalk, git_revwalk_free)
GIT_HANDLE(odb, git_odb_free)

/* The commit to keep: HEAD, with all that is not committed on top. GIT_ENOTFOUND: there
 * is none. */
static int commit_rest(git_repository *repo, git_oid *tip)
{
	_cleanup_git_(signature) git_signature *who = NULL;
	_cleanup_git_(commit) git_commit *head = NULL;
	_cleanup_git_(tree) git_tree *tree = NULL;
	const git_commit *parents[1];
	git_oid tree_id;
	int rc = git_reference_name_to_id(tip, repo, "HEAD");

	if (rc == 0)
		rc = git_commit_lookup(&head, repo, tip);
	if (rc == 0)
		rc = workspace_stage(repo, &tree_id);
	if (rc < 0 || git_oid_equal(git_commit_tree_id(head), &tree_id))
		return rc;
	rc = git_tree_lookup(&tree, repo, &tree_id);
	if (rc == 0)
		rc = git_signature_now(&who, "100x", WORKSPACE_REST_EMAIL);
	parents[0] = head;
	return rc < 0 ? rc
		      : git_commit_create(tip, repo, NULL, who, who, NULL, WORKSPACE_REST_MESSAGE,
				tree, 1, parents);
}

/* A branch of the agent's that HEAD is not on: with commits of its own, or any if all are to
 * be had again. They are kept below ref.heads/. */
struct branch {
	char name[300];
	git_oid tip;
};

#define BRANCHES_MAX 64

static int list_branches(
	git_repository *repo, const git_oid *kept, bool all, struct branch *branches, int *count)
{
	_cleanup_git_(reference) git_reference *head = NULL;
	_cleanup_git_(reference_iterator) git_reference_iterator *it = NULL;
	const char *current = NULL;
	git_reference *ref;
	int rc = git_reference_iterator_glob_new(&it, repo, HEADS "*");

	if (git_reference_lookup(&head, repo, "HEAD") == 0)
		current = git_reference_symbolic_target(head);
	*count = 0;
	while (rc == 0 && (rc = git_reference_next(&ref, it)) == 0) {
		const git_oid *tip = git_reference_target(ref);
		const char *name = git_reference_name(ref) + strlen(HEADS);
		bool wanted = all ? !current || strcmp(git_reference_name(ref), current) != 0
				  : tip && !git_oid_equal(tip, kept) &&
					      git_graph_descendant_of(repo, kept, tip) != 1;

		if (tip && wanted && strlen(name) < sizeof branches->name) {
			if (*count == BRANCHES_MAX) {
				git_reference_free(ref);
				git_error_set_str(GIT_ERROR_REFERENCE, "too many branches");
				return GIT_ERROR;
			}
			snprintf(branches[*count].name, sizeof branches->name, "%s", name);
			git_oid_cpy(&branches[(*count)++].tip, tip);
		}
		git_reference_free(ref);
	}
	return rc == GIT_ITEROVER ? 0 : rc;
}

/* The commits that the mirror lacks, as one pack in it. */
static int copy_commits(git_repository *repo, git_repository *mirror, const char *mirror_path,
	const git_oid *kept, const struct branch *branches, int count)
{
	_cleanup_git_(packbuilder) git_packbuilder *pack = NULL;
	_cleanup_git_(reference_iterator) git_reference_iterator *it = NULL;
	_cleanup_git_(revwalk) git_revwalk *walk = NULL;
	git_reference *ref;
	char folder[1100];
	int rc = git_revwalk_new(&walk, repo);

	if (rc == 0)
		rc = git_revwalk_push(walk, kept);
	for (int i = 0; rc == 0 && i < count; i++)
		rc = git_revwalk_push(walk, &branches[i].tip);
	/* What the mirror has itself, asked of it alone. */
	if (rc == 0)
		rc = git_reference_iterator_new(&it, mirror);
	while (rc == 0 && (rc = git_reference_next(&ref, it)) == 0) {
		const git_oid *has = git_reference_target(ref);

		if (has)
			git_revwalk_hide(walk, has); /* one that we do not know hides nothing */
		git_reference_free(ref);
	}
	if (rc == GIT_ITEROVER)
		rc = git_packbuilder_new(&pack, repo);
	if (rc == 0)
		rc = git_packbuilder_insert_walk(pack, walk);
	if (rc < 0 || git_packbuilder_object_count(pack) == 0)
		return rc;
	snprintf(folder, sizeof folder, "%s/objects/pack", mirror_path);
	return git_packbuilder_write(pack, folder, 0444, NULL, NULL);
}

struct verify {
	git_odb *odb;
	git_oid missing;
};

static int is_there(const char *root, const git_tree_entry *entry, void *payload)
{
	struct verify *v = payload;

	(void)root;
	if (git_tree_entry_type(entry) == GIT_OBJECT_COMMIT || /* a submodule's */
		git_odb_exists(v->odb, git_tree_entry_id(entry)))
		return 0;
	git_oid_cpy(&v->missing, git_tree_entry_id(entry));
	return -1;
}

/* Every commit down to what the mirror had, and each file of the newest one. */
static int verify(const char *mirror_path, const git_oid *kept)
{
	_cleanup_git_(repository) git_repository *mirror = NULL;
	_cleanup_git_(commit) git_commit *commit = NULL;
	_cleanup_git_(revwalk) git_revwalk *walk = NULL;
	_cleanup_git_(tree) git_tree *tree = NULL;
	_cleanup_git_(odb) git_odb *odb = NULL;
	struct verify v = {0};
	git_oid id;
	int rc = git_repository_open_bare(&mirror, mirror_path);

	if (rc == 0)
		rc = git_repository_odb(&odb, mirror);
	if (rc == 0)
		rc = git_revwalk_new(&walk, mirror);
	if (rc == 0)
		rc = git_revwalk_push(walk, kept);
	if (rc == 0)
		rc = git_revwalk_hide_glob(walk, HEADS "*");
	while (rc == 0 && (rc = git_revwalk_next(&id, walk)) == 0)
		;
	if (rc == GIT_ITEROVER)
		rc = git_commit_lookup(&commit, mirror, kept);
	if (rc == 0)
		rc = git_commit_tree(&tree, commit);
	v.odb = odb;
	return rc < 0 ? rc : git_tree_walk(tree, GIT_TREEWALK_PRE, is_there, &v);
}

/* What another agent of that number left (the store was begun afresh) is kept beside it;
 * what this workspace was made from is in there. */
static int keep_other(
	git_repository *repo, git_repository *mirror, const char *ref, const git_oid *kept)
{
	_cleanup_git_(reference) git_reference *other = NULL;
	git_oid old, restored;
	char name[700];
	int rc = git_reference_name_to_id(&old, mirror, ref);

	if (rc == GIT_ENOTFOUND)
		return 0;
	if (rc < 0 || git_oid_equal(&old, kept))
		return rc;
	if (git_reference_name_to_id(&restored, repo, WORKSPACE_RESTORED_REF) == 0 &&
		git_oid_equal(&restored, &old))
		return 0;
	if (git_graph_descendant_of(mirror, kept, &old) == 1)
		return 0;
	snprintf(name, sizeof name, "%s.old-%.12s", ref, git_oid_tostr_s(&old));
	return git_reference_create(&other, mirror, name, &old, 1, "saved before");
}

static int put_refs(git_repository *repo, git_repository *mirror, const char *ref,
	const git_oid *kept, const git_oid *base, const struct branch *branches, int count)
{
	_cleanup_git_(reference) git_reference *made = NULL, *begun = NULL;
	char name[700];
	int rc = keep_other(repo, mirror, ref, kept);

	snprintf(name, sizeof name, "%s.base", ref);
	if (rc == 0 && base)
		rc = git_reference_create(&begun, mirror, name, base, 1, "saved");
	if (rc == 0)
		rc = git_reference_create(&made, mirror, ref, kept, 1, "saved");

	for (int i = 0; rc == 0 && i < count; i++) {
		_cleanup_git_(reference) git_reference *other = NULL;

		snprintf(name, sizeof name, "%s.heads/%s", ref, branches[i].name);
		rc = git_reference_create(&other, mirror, name, &branches[i].tip, 1, "saved");
	}
	return rc;
}

static int lock_mirror(const char *mirrors, const struct giturl *url, struct err *e)
{
	char path[1024];
	int fd;

	if (workspace_mirror_path(mirrors, url, ".lock", path, e) < 0)
		return -1;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	while (flock(fd, LOCK_EX) < 0) {
		if (errno != EINTR) {
			err_errno(e, "lock %s", path);
			close(fd);
			return -1;
		}
	}
	return fd;
}

/* So that who has nothing but the mirror knows what it is of. */
static int put_origin(const char *mirror_path, const struct giturl *url)
{
	_cleanup_git_(config) git_config *config = NULL;
	char path[1100];
	int rc;

	snprintf(path, sizeof path, "%s/config", mirror_path);
	rc = git_config_open_ondisk(&config, path);
	return rc < 0 ? rc : git_config_set_string(config, "remote.origin.url", url->text);
}

/* The newest of what a mirror is changed by, in ms. */
static int64_t last_used_ms(const char *path)
{
	static const char *const leaves[] = {
		"", "/FETCH_HEAD", "/packed-refs", "/refs", "/objects/pack"};
	int64_t last = 0;
	struct stat st;
	char at[1100];

	for (size_t i = 0; i < sizeof leaves / sizeof *leaves; i++) {
		snprintf(at, sizeof at, "%s%s", path, leaves[i]);
		if (stat(at, &st) == 0 && (int64_t)st.st_mtim.tv_sec * 1000 > last)
			last = (int64_t)st.st_mtim.tv_sec * 1000;
	}
	return last;
}

int workspace_mirror_drop(const char *path, int64_t before_ms, bool *gone, struct err *e)
{
	_cleanup_git_(repository) git_repository *mirror = NULL;
	_cleanup_git_(reference_iterator) git_reference_iterator *it = NULL;
	_cleanup_close_ int lock = -1;
	char lock_path[1024], moved[1100];
	const char *name, *end = strstr(strrchr(path, '/'), ".git");
	int rc;

	*gone = false;
	if (last_used_ms(path) >= before_ms)
		return 0;
	snprintf(lock_path, sizeof lock_path, "%.*s.lock", (int)(end - path), path);
	lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0 || flock(lock, LOCK_EX | LOCK_NB) < 0)
		return err_errno(e, "lock %s", lock_path);
	if (strcmp(end, ".git") != 0) { /* half made: nothing was ever kept in it */
		*gone = workspace_remove(path, e) == 0;
		return *gone ? 0 : -1;
	}
	rc = git_repository_open_bare(&mirror, path);
	if (rc == 0)
		rc = git_reference_iterator_glob_new(&it, mirror, "refs/100x/*");
	if (rc == 0)
		rc = git_reference_next_name(&name, it);
	if (rc != GIT_ITEROVER)
		return rc < 0 ? workspace_git_error(e, rc, "look into %s", path) : 0;
	snprintf(moved, sizeof moved, "%s.removed", path);
	if (workspace_remove(moved, e) < 0)
		return -1;
	if (rename(path, moved) < 0)
		return err_errno(e, "rename %s", path);
	*gone = true;
	return workspace_remove(moved, e);
}

int workspace_save(const char *path, const char *mirrors, const struct giturl *url, const char *ref,
	bool always, bool *saved, char *mirror_path, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	_cleanup_git_(repository) git_repository *mirror = NULL;
	_cleanup_git_(repository) git_repository *after = NULL;
	_cleanup_free_ struct branch *branches = calloc(BRANCHES_MAX, sizeof *branches);
	_cleanup_close_ int lock = -1;
	git_oid kept, base;
	bool based;
	int rc, count = 0;

	*saved = false;
	if (!branches)
		err_out_of_memory();
	if (workspace_mirror_path(mirrors, url, ".git", mirror_path, e) < 0)
		return -1;
	if (access(path, F_OK) < 0)
		return 0; /* it was never cloned */
	/* The workspace borrows what it began from: without it not even that can be read. */
	if (access(mirror_path, F_OK) < 0)
		return err_set(e, ERR_NOT_FOUND,
			"the mirror %s is not there: put it back, or take what is needed out of %s",
			mirror_path, path);
	if (workspace_repository(path, &repo, e) < 0)
		return -1;
	rc = commit_rest(repo, &kept);
	if (rc == 0)
		rc = list_branches(repo, &kept, always, branches, &count);
	if (rc < 0)
		return workspace_git_error(e, rc, "look for work in %s", path);
	based = git_reference_name_to_id(&base, repo, WORKSPACE_BASE_REF) == 0;
	if (!always && count == 0 && based && git_oid_equal(&base, &kept))
		return 0;
	lock = lock_mirror(mirrors, url, e);
	if (lock < 0)
		return -1;
	rc = git_repository_open_bare(&mirror, mirror_path);
	if (rc == 0)
		rc = copy_commits(repo, mirror, mirror_path, &kept, branches, count);
	if (rc == 0) /* afresh: it sees the new pack */
		rc = git_repository_open_bare(&after, mirror_path);
	if (rc == 0)
		rc = put_refs(repo, after, ref, &kept, based ? &base : NULL, branches, count);
	if (rc == 0)
		rc = put_origin(mirror_path, url);
	if (rc == 0)
		rc = verify(mirror_path, &kept);
	for (int i = 0; rc == 0 && i < count; i++)
		rc = verify(mirror_path, &branches[i].tip);
	if (rc < 0)
		return workspace_git_error(e, rc, "save the work in %s to %s", path, mirror_path);
	*saved = true;
	return 0;
}
