/* An agent's clone: made beside the mirror whose objects it borrows, whole or not at
 * all (built under another name, then renamed), opened again after a restart. */
#include "worker/workspace.h"

#include <errno.h>
#include <fcntl.h>
#include <git2/sys/repository.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/crash.h"
#include "shared/gittidy.h"
#include "shared/paths.h"
#include "worker/workspace_git.h"

#define HEADS "refs/heads/"
#define TAGS "refs/tags/"
#define TRACKING "refs/remotes/origin/"
#define PACKED_REFS_MAX (64 * 1024 * 1024)

int workspace_repository(const char *path, git_repository **out, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	_cleanup_git_(config) git_config *config = NULL;
	char git_dir[1100];
	struct stat st;
	int rc;

	snprintf(git_dir, sizeof git_dir, "%s/.git/commondir", path);
	if (lstat(git_dir, &st) == 0)
		return err_set(
			e, ERR_DENIED, "%s: a workspace must not borrow another's .git", path);
	snprintf(git_dir, sizeof git_dir, "%s/.git", path);
	if (lstat(git_dir, &st) < 0)
		return err_errno(e, "the workspace %s", git_dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_DENIED, "%s is not a folder any more", git_dir);
	/* This way of opening, alone, does not read the configuration. */
	rc = git_repository_open_bare(&repo, git_dir);
	if (rc == 0)
		rc = git_config_new(&config);
	if (rc == 0)
		rc = git_repository_set_config(repo, config);
	if (rc == 0)
		rc = git_repository_set_workdir(repo, path, 0);
	if (rc < 0)
		return workspace_git_error(e, rc, "open the workspace %s", path);
	*out = take_ptr(repo);
	return 0;
}

struct ref_line {
	char *name; /* as the clone calls it */
	git_oid oid;
};

struct ref_list {
	struct ref_line *line;
	size_t n, cap;
};

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct ref_line *)a)->name, ((const struct ref_line *)b)->name);
}

static void list_clear(struct ref_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free(l->line[i].name);
	free(l->line);
}

static void list_add(struct ref_list *l, const char *prefix, const char *name, const git_oid *oid)
{
	if (l->n == l->cap) {
		l->cap = l->cap ? l->cap * 2 : 64;
		l->line = reallocarray(l->line, l->cap, sizeof *l->line);
		if (!l->line)
			err_out_of_memory();
	}
	if (asprintf(&l->line[l->n].name, "%s%s", prefix, name) < 0)
		err_out_of_memory();
	git_oid_cpy(&l->line[l->n].oid, oid);
	l->n++;
}

/* The mirror's branches as origin's, its tags as they are. */
static int list_refs(git_repository *mirror, struct ref_list *l)
{
	_cleanup_git_(reference_iterator) git_reference_iterator *it = NULL;
	git_reference *ref;
	int rc = git_reference_iterator_new(&it, mirror);

	while (rc == 0 && (rc = git_reference_next(&ref, it)) == 0) {
		const char *name = git_reference_name(ref);
		const git_oid *oid = git_reference_target(ref);

		if (oid && strncmp(name, HEADS, strlen(HEADS)) == 0)
			list_add(l, TRACKING, name + strlen(HEADS), oid);
		else if (oid && strncmp(name, TAGS, strlen(TAGS)) == 0)
			list_add(l, TAGS, name + strlen(TAGS), oid);
		git_reference_free(ref);
	}
	return rc == GIT_ITEROVER ? 0 : rc;
}

static int write_file(const char *dir, const char *leaf, const char *text, size_t n, struct err *e)
{
	char path[1200];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof path, "%s/%s", dir, leaf);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
	if (fd < 0)
		return err_errno(e, "make %s", path);
	while (n) {
		ssize_t put = write(fd, text, n);

		if (put < 0)
			return err_errno(e, "write %s", path);
		text += put;
		n -= (size_t)put;
	}
	return 0;
}

/* All at once as packed-refs (gitrepository-layout(5)): a file per branch would make
 * a clone of a repository with thousands of them slow. */
static int copy_refs(git_repository *mirror, const char *git_dir, struct err *e)
{
	struct ref_list list = {0};
	struct buf text;
	int rc = list_refs(mirror, &list);

	if (rc < 0) {
		list_clear(&list);
		return workspace_git_error(e, rc, "read the mirror's branches");
	}
	if (list.n)
		qsort(list.line, list.n, sizeof *list.line, by_name);
	buf_init(&text, PACKED_REFS_MAX);
	buf_adds(&text, "# pack-refs with: sorted \n");
	for (size_t i = 0; i < list.n; i++) {
		char hex[GIT_OID_HEXSZ + 1];

		git_oid_tostr(hex, sizeof hex, &list.line[i].oid);
		buf_addf(&text, "%s %s\n", hex, list.line[i].name);
	}
	list_clear(&list);
	if (text.overflow)
		rc = err_set(e, ERR_LIMIT, "the repository has too many branches");
	else
		rc = write_file(git_dir, "packed-refs", text.data, text.len, e);
	buf_clear(&text);
	return rc;
}

/* What real git, run by the agent in here, shall keep to. */
static int write_config(const char *git_dir, const struct workspace *w, struct err *e)
{
	const char *const settings[][2] = {
		{"remote.origin.url", w->url.text},
		{"remote.origin.fetch", "+" HEADS "*:" TRACKING "*"},
		{"user.name", w->user_name},
		{"user.email", w->user_email},
		{"core.hooksPath", "/dev/null"},
		{"core.fsmonitor", "false"},
		{"core.fsync", "all"}, /* what was committed outlives a power cut */
		{"core.fsyncMethod", "batch"},
		{"submodule.recurse", "false"},
		{"protocol.ext.allow", "never"},
		{"commit.gpgSign", "false"},
		{"gc.auto", "0"},
		{"maintenance.auto", "false"},
	};
	_cleanup_git_(config) git_config *config = NULL;
	char path[1200];
	int rc;

	snprintf(path, sizeof path, "%s/config", git_dir);
	rc = git_config_open_ondisk(&config, path);
	for (size_t i = 0; rc == 0 && i < sizeof settings / sizeof settings[0]; i++)
		rc = git_config_set_string(config, settings[i][0], settings[i][1]);
	return rc < 0 ? workspace_git_error(e, rc, "write %s", path) : 0;
}

/* libgit2 puts a README there; nothing of ours ever runs what the agent may add. */
static int drop_hooks(const char *git_dir, struct err *e)
{
	char path[1200];

	snprintf(path, sizeof path, "%s/hooks", git_dir);
	return workspace_remove(path, e);
}

static int borrow_objects(const char *git_dir, const char *mirror, struct err *e)
{
	char line[1100];
	int n = snprintf(line, sizeof line, "%s/objects\n", mirror);

	return write_file(git_dir, "objects/info/alternates", line, (size_t)n, e);
}

static int resolve_base(git_repository *mirror, struct workspace *w, git_oid *base, struct err *e)
{
	_cleanup_git_(reference) git_reference *head = NULL;
	char ref[300];
	int rc;

	if (!w->base[0] && git_repository_head(&head, mirror) == 0)
		snprintf(w->base, sizeof w->base, "%s", git_reference_shorthand(head));
	snprintf(ref, sizeof ref, HEADS "%s", w->base);
	rc = git_reference_name_to_id(base, mirror, ref);
	if (rc == GIT_ENOTFOUND || rc == GIT_EINVALIDSPEC)
		return err_set(e, ERR_NOT_FOUND, "%s has no branch \"%s\"", w->url.text, w->base);
	return rc < 0 ? workspace_git_error(e, rc, "look up the branch %s", w->base) : 0;
}

static void on_checkout(const char *path, size_t done, size_t total, void *payload)
{
	(void)path;
	workspace_session_progress(payload, (int64_t)done, (int64_t)total, done == total);
}

static int check_out(
	git_repository *repo, const git_oid *base, const char *branch, struct workspace_session *s)
{
	git_checkout_options options;
	_cleanup_git_(reference) git_reference *made = NULL;
	_cleanup_git_(reference) git_reference *kept = NULL;
	_cleanup_git_(object) git_object *commit = NULL;
	char ref[300];
	int rc;

	snprintf(ref, sizeof ref, HEADS "%s", branch);
	rc = git_reference_create(&made, repo, ref, base, 0, "branch made");
	if (rc == 0)
		rc = git_reference_create(&kept, repo, WORKSPACE_BASE_REF, base, 0, NULL);
	if (rc == 0)
		rc = git_repository_set_head(repo, ref);
	if (rc == 0)
		rc = git_object_lookup(&commit, repo, base, GIT_OBJECT_COMMIT);
	git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
	options.checkout_strategy = GIT_CHECKOUT_FORCE;
	options.disable_filters = 1;
	options.progress_cb = on_checkout;
	options.progress_payload = s;
	if (rc == 0)
		rc = git_checkout_tree(repo, commit, &options);
	return rc;
}

static int fill(const char *path, const char *mirror_path, git_repository *mirror,
	struct workspace *w, struct workspace_session *s, struct err *e)
{
	git_repository_init_options options;
	_cleanup_git_(repository) git_repository *fresh = NULL;
	_cleanup_git_(repository) git_repository *repo = NULL;
	char git_dir[1100];
	git_oid base;
	int rc;

	if (!w->saved && resolve_base(mirror, w, &base, e) < 0)
		return -1;
	git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	options.flags = GIT_REPOSITORY_INIT_NO_REINIT | GIT_REPOSITORY_INIT_MKPATH;
	rc = git_repository_init_ext(&fresh, path, &options);
	if (rc < 0)
		return workspace_git_error(e, rc, "make the workspace %s", path);
	crash_point(CRASH_CLONE_BEGIN);
	snprintf(git_dir, sizeof git_dir, "%s/.git", path);
	if (drop_hooks(git_dir, e) < 0 || write_config(git_dir, w, e) < 0 ||
		borrow_objects(git_dir, mirror_path, e) < 0 || copy_refs(mirror, git_dir, e) < 0 ||
		write_file(git_dir, "info/exclude", ".aider*\n", 8, e) < 0 ||
		workspace_repository(path, &repo, e) < 0)
		return -1;
	crash_point(CRASH_CLONE_CONFIGURED);
	rc = git_repository_set_ident(repo, w->user_name, w->user_email);
	if (rc == 0)
		rc = w->saved ? workspace_check_out_saved(
					repo, mirror, w->saved, w->branch, &base, s)
			      : check_out(repo, &base, w->branch, s);
	if (rc == 0 && s->cancelled)
		rc = GIT_EUSER;
	git_oid_tostr(w->base_commit, sizeof w->base_commit, &base);
	return rc < 0 ? workspace_session_error(s, e, rc, "check out") : 0;
}

static int make(
	struct workspace *w, const char *mirrors, struct workspace_session *s, struct err *e)
{
	_cleanup_git_(repository) git_repository *mirror = NULL;
	char mirror_path[1024], building[1040], git_dir[1050], parent[1024];
	char *slash;
	int rc;

	if (workspace_mirror_path(mirrors, &w->url, ".git", mirror_path, e) < 0)
		return -1;
	rc = git_repository_open_bare(&mirror, mirror_path);
	if (rc < 0)
		return workspace_git_error(e, rc, "open the mirror %s", mirror_path);
	snprintf(building, sizeof building, "%s.new", w->path);
	snprintf(parent, sizeof parent, "%s", w->path);
	slash = strrchr(parent, '/');
	if (slash && slash != parent) {
		*slash = '\0';
		if (paths_mkdirs(parent, 0700, e) < 0)
			return -1;
	}
	if (workspace_remove(building, e) < 0)
		return -1;
	if (fill(building, mirror_path, mirror, w, s, e) < 0) {
		workspace_remove(building, NULL);
		return -1;
	}
	crash_point(CRASH_CLONE_CHECKED_OUT);
	workspace_remember_boot(building);
	/* The working tree is mended from the rest. */
	snprintf(git_dir, sizeof git_dir, "%s/.git", building);
	if (workspace_place(building, git_dir, w->path, e) < 0)
		return -1;
	crash_point(CRASH_CLONE_RENAMED);
	return 0;
}

static int reopen(struct workspace *w, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	git_oid base;
	char ref[600], git_dir[1100];
	int rc;

	/* Whoever worked in here before is dead. */
	snprintf(git_dir, sizeof git_dir, "%s/.git", w->path);
	gittidy(git_dir, INT_MAX);
	if (workspace_repository(w->path, &repo, e) < 0 || workspace_mend(repo, w->path, e) < 0)
		return -1;
	rc = git_reference_name_to_id(&base, repo, WORKSPACE_BASE_REF);
	if (rc < 0) {
		snprintf(ref, sizeof ref, TRACKING "%s", w->base);
		rc = git_reference_name_to_id(&base, repo, ref);
	}
	if (rc < 0)
		return workspace_git_error(e, rc, "find the base commit of %s", w->path);
	git_oid_tostr(w->base_commit, sizeof w->base_commit, &base);
	return 0;
}

static int copy(char *out, size_t size, const char *text, const char *what, struct err *e)
{
	if (snprintf(out, size, "%s", text) >= (int)size)
		return err_set(e, ERR_LIMIT, "the %s is longer than %zu bytes", what, size - 1);
	return 0;
}

static int describe(struct workspace *w, const char *path, const char *base, const char *branch,
	const char *user_name, const char *user_email, struct err *e)
{
	if (copy(w->path, sizeof w->path - 16, path, "workspace's path", e) < 0 ||
		copy(w->base, sizeof w->base, base ? base : "", "base branch's name", e) < 0 ||
		copy(w->branch, sizeof w->branch, branch, "branch's name", e) < 0 ||
		copy(w->user_name, sizeof w->user_name, user_name, "user's name", e) < 0 ||
		copy(w->user_email, sizeof w->user_email, user_email, "user's address", e) < 0)
		return -1;
	return 0;
}

int workspace_restore(const char *path, const struct workspace_source *from,
	workspace_progress progress, void *arg, struct err *e)
{
	struct workspace w = {.url = *from->url, .saved = from->ref};
	char mirror[1024];
	struct workspace_session s;

	if (describe(&w, path, from->base, from->branch, from->user_name, from->user_email, e) < 0)
		return -1;
	if (!workspace_is_saved(from->mirrors, from->url, from->ref, mirror))
		return err_set(e, ERR_NOT_FOUND,
			"the work was kept as %s in %s, and is not there any more", from->ref,
			mirror);
	workspace_session_init(&s, &w.url, NULL, "clone", progress, arg);
	return make(&w, from->mirrors, &s, e);
}

int workspace_open(const char *path, const char *mirrors, const struct giturl *url,
	const char *base, const char *branch, const char *user_name, const char *user_email,
	workspace_progress progress, void *arg, struct workspace **out, struct err *e)
{
	struct workspace w = {.url = *url};
	struct workspace_session s;
	struct stat st;

	if (describe(&w, path, base, branch, user_name, user_email, e) < 0)
		return -1;
	workspace_session_init(&s, &w.url, NULL, "clone", progress, arg);
	if ((lstat(path, &st) == 0 ? reopen(&w, e) : make(&w, mirrors, &s, e)) < 0)
		return -1;
	*out = malloc(sizeof w);
	if (!*out)
		err_out_of_memory();
	**out = w;
	return 0;
}

void workspace_free(struct workspace *w)
{
	free(w);
}

const char *workspace_base_commit(const struct workspace *w)
{
	return w->base_commit;
}

int workspace_head(struct workspace *w, char *head, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	git_oid oid;
	int rc;

	if (workspace_repository(w->path, &repo, e) < 0)
		return -1;
	rc = git_reference_name_to_id(&oid, repo, "HEAD");
	if (rc < 0)
		return workspace_git_error(e, rc, "read HEAD of %s", w->path);
	git_oid_tostr(head, GIT_OID_HEXSZ + 1, &oid);
	return 0;
}

int workspace_commits_ahead(struct workspace *w, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	char ref[300];
	git_oid tip, base;
	size_t ahead = 0, behind = 0;
	int rc;

	if (workspace_repository(w->path, &repo, e) < 0)
		return -1;
	snprintf(ref, sizeof ref, HEADS "%s", w->branch);
	rc = git_oid_fromstr(&base, w->base_commit);
	if (rc == 0)
		rc = git_reference_name_to_id(&tip, repo, ref);
	if (rc == 0)
		rc = git_graph_ahead_behind(&ahead, &behind, repo, &tip, &base);
	if (rc < 0)
		return workspace_git_error(e, rc, "count the commits of %s", w->branch);
	return (int)ahead;
}
