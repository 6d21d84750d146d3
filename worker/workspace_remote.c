/* Asking a remote, keeping its mirror, pushing to it. */
#include <errno.h>
#include <fcntl.h>
#include <git2/sys/repository.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/gittidy.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/paths.h"
#include "worker/workspace_git.h"

#define SHOWN_BRANCHES 8
#define HEADS "refs/heads/"

static int connect_to(git_remote *remote, struct workspace_session *s, git_direction direction)
{
	git_remote_connect_options options;

	git_remote_connect_options_init(&options, GIT_REMOTE_CONNECT_OPTIONS_VERSION);
	workspace_session_callbacks(s, &options.callbacks);
	options.proxy_opts = workspace_session_proxy(s);
	options.follow_redirects = GIT_REMOTE_REDIRECT_INITIAL;
	return git_remote_connect_ext(remote, direction, &options);
}

/* A local path is looked at before libgit2's own words, which are of no help. */
static int check_local(const struct giturl *url, struct err *e)
{
	struct stat st;

	if (url->scheme != GITURL_LOCAL)
		return 0;
	if (stat(url->path, &st) < 0)
		return err_errno(e, "the repository %s", url->path);
	if (git_repository_open_ext(NULL, url->path, GIT_REPOSITORY_OPEN_NO_SEARCH, NULL) < 0)
		return err_set(e, ERR_INVALID, "%s is not a git repository", url->path);
	return 0;
}

static const char *branch_of(const git_remote_head *head)
{
	return strncmp(head->name, HEADS, strlen(HEADS)) == 0 ? head->name + strlen(HEADS) : NULL;
}

static int no_such_branch(const struct giturl *url, const char *base, const git_remote_head **heads,
	size_t n, struct err *e)
{
	struct buf names;
	int shown = 0;
	size_t others = 0;

	buf_init(&names, 600);
	for (size_t i = 0; i < n; i++) {
		const char *name = branch_of(heads[i]);

		if (!name)
			continue;
		if (shown < SHOWN_BRANCHES && buf_addf(&names, "%s%s", shown ? ", " : "", name))
			shown++;
		else
			others++;
	}
	err_set(e, ERR_NOT_FOUND, "%s has no branch \"%.200s\"; it has %s%s", url->text, base,
		names.len ? names.data : "none at all", others ? " and others" : "");
	buf_clear(&names);
	return -1;
}

static int choose(git_remote *remote, const struct giturl *url, const char *base, char *branch,
	char *head, struct err *e)
{
	const git_remote_head **heads;
	git_buf default_name = {0};
	size_t n;
	int rc = git_remote_ls(&heads, &n, remote);

	if (rc < 0)
		return workspace_git_error(e, rc, "ask %s for its branches", url->text);
	branch[0] = '\0';
	if (base && *base) {
		snprintf(branch, 256, "%s", base);
	} else if (git_remote_default_branch(&default_name, remote) == 0) {
		if (strncmp(default_name.ptr, HEADS, strlen(HEADS)) == 0)
			snprintf(branch, 256, "%s", default_name.ptr + strlen(HEADS));
		git_buf_dispose(&default_name);
	}
	for (size_t i = 0; i < n; i++) {
		const char *name = branch_of(heads[i]);

		/* A detached or unborn HEAD names no branch: the first one has to do. */
		if (name && !branch[0])
			snprintf(branch, 256, "%s", name);
		if (name && strcmp(name, branch) == 0) {
			git_oid_tostr(head, GIT_OID_HEXSZ + 1, &heads[i]->oid);
			return 0;
		}
	}
	if (!branch[0])
		return err_set(e, ERR_INVALID, "%s is empty: push a first commit to it", url->text);
	return no_such_branch(url, branch, heads, n, e);
}

static cJSON *list(git_remote *remote, size_t max)
{
	cJSON *names = cJSON_CreateArray();
	const git_remote_head **heads;
	size_t n, bytes = 0;

	if (git_remote_ls(&heads, &n, remote) < 0)
		return names;
	for (size_t i = 0; i < n; i++) {
		const char *name = branch_of(heads[i]);

		if (!name || !utf8_valid(name, strlen(name)))
			continue;
		bytes += strlen(name) + 4;
		if (bytes > max)
			break;
		cJSON_AddItemToArray(names, cJSON_CreateString(name));
	}
	return names;
}

static void own_branch(git_remote *remote, char *out)
{
	git_buf name = {0};

	out[0] = '\0';
	if (git_remote_default_branch(&name, remote) == 0) {
		if (strncmp(name.ptr, HEADS, strlen(HEADS)) == 0)
			snprintf(out, 256, "%s", name.ptr + strlen(HEADS));
		git_buf_dispose(&name);
	}
}

int workspace_check_remote(const struct giturl *url, const struct workspace_auth *auth,
	const char *base, char *branch, char *head, struct err *e)
{
	return workspace_list_remote(url, auth, base, 0, branch, head, NULL, NULL, e);
}

int workspace_list_remote(const struct giturl *url, const struct workspace_auth *auth,
	const char *base, size_t max, char *branch, char *head, char *default_branch,
	cJSON **branches, struct err *e)
{
	_cleanup_git_(remote) git_remote *remote = NULL;
	struct workspace_session s;
	int rc;

	if (check_local(url, e) < 0)
		return -1;
	workspace_session_init(&s, url, auth, "check", NULL, NULL);
	rc = git_remote_create_detached(&remote, url->text);
	if (rc == 0)
		rc = connect_to(remote, &s, GIT_DIRECTION_FETCH);
	if (rc < 0)
		return workspace_session_error(&s, e, rc, "ask");
	if (choose(remote, url, base, branch, head, e) < 0)
		return -1;
	if (branches) {
		own_branch(remote, default_branch);
		*branches = list(remote, max);
	}
	return 0;
}

int workspace_mirror_path(
	const char *mirrors, const struct giturl *url, const char *suffix, char *out, struct err *e)
{
	char hash[17];

	giturl_hash(url, hash);
	if (snprintf(out, 1024, "%s/%s%s", mirrors, hash, suffix) >= 1024)
		return err_set(e, ERR_LIMIT, "%s: the path is too long", mirrors);
	return 0;
}

/* What is there and is no repository may keep work of agents all the same: it is kept. */
static int set_aside(const char *path, struct err *e)
{
	char kept[1100];

	snprintf(kept, sizeof kept, "%s.damaged-%lld", path, (long long)clock_wall_ms());
	if (rename(path, kept) < 0)
		return errno == ENOENT ? 0 : err_errno(e, "rename %s", path);
	log_warn("the mirror %s is damaged and is made anew; it is kept as %s", path, kept);
	return 0;
}

/* The mirror at path; where there is none, a new one, which is `building` until it is whole.
 * With an empty configuration: nothing rewrites the URL, and libgit2 1.5 matches no patterns
 * in it, which leaks 20 KB each with PCRE2. */
static int open_mirror(
	const char *path, const char *building, bool *fresh, git_repository **repo, struct err *e)
{
	_cleanup_git_(config) git_config *config = NULL;
	git_repository_init_options options;
	int rc = git_repository_open_bare(repo, path);

	*fresh = rc == GIT_ENOTFOUND;
	if (*fresh) {
		if (set_aside(path, e) < 0 || workspace_remove(building, e) < 0)
			return -1;
		git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
		options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKPATH |
				GIT_REPOSITORY_INIT_NO_REINIT;
		rc = git_repository_init_ext(repo, building, &options);
	}
	if (rc == 0)
		rc = git_config_new(&config);
	if (rc == 0)
		rc = git_repository_set_config(*repo, config);
	return rc < 0 ? workspace_git_error(e, rc, "open the mirror %s", path) : 0;
}

static int mirror_remote(git_remote **remote, git_repository *repo, const struct giturl *url)
{
	git_remote_create_options options;

	git_remote_create_options_init(&options, GIT_REMOTE_CREATE_OPTIONS_VERSION);
	options.repository = repo;
	options.fetchspec = "+" HEADS "*:" HEADS "*";
	options.flags = GIT_REMOTE_CREATE_SKIP_INSTEADOF;
	return git_remote_create_with_opts(remote, url->text, &options);
}

static int fetch(git_repository *repo, git_remote *remote, struct workspace_session *s)
{
	git_fetch_options options;
	git_buf default_name = {0};
	int rc;

	git_fetch_options_init(&options, GIT_FETCH_OPTIONS_VERSION);
	workspace_session_callbacks(s, &options.callbacks);
	options.proxy_opts = workspace_session_proxy(s);
	options.follow_redirects = GIT_REMOTE_REDIRECT_INITIAL;
	options.download_tags = GIT_REMOTE_DOWNLOAD_TAGS_AUTO;
	rc = connect_to(remote, s, GIT_DIRECTION_FETCH);
	if (rc == 0)
		rc = git_remote_download(remote, NULL, &options);
	/* Pruned before updated: a branch "a" may have made room for "a/b". */
	if (rc == 0)
		rc = git_remote_prune(remote, &options.callbacks);
	if (rc == 0)
		rc = git_remote_update_tips(
			remote, &options.callbacks, 0, GIT_REMOTE_DOWNLOAD_TAGS_AUTO, NULL);
	if (rc == 0 && git_remote_default_branch(&default_name, remote) == 0) {
		rc = git_repository_set_head(repo, default_name.ptr);
		git_buf_dispose(&default_name);
	}
	git_remote_disconnect(remote);
	return rc;
}

int workspace_mirror(const char *mirrors, const struct giturl *url,
	const struct workspace_auth *auth, workspace_progress progress, void *arg, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	_cleanup_git_(remote) git_remote *remote = NULL;
	_cleanup_close_ int lock = -1;
	struct workspace_session s;
	char path[1024], building[1024], lock_path[1024];
	bool fresh;
	int rc;

	if (check_local(url, e) < 0 || paths_mkdirs(mirrors, 0700, e) < 0 ||
		workspace_mirror_path(mirrors, url, ".git", path, e) < 0 ||
		workspace_mirror_path(mirrors, url, ".git.new", building, e) < 0 ||
		workspace_mirror_path(mirrors, url, ".lock", lock_path, e) < 0)
		return -1;
	workspace_session_init(&s, url, auth, "mirror", progress, arg);
	if (!workspace_session_progress(&s, 0, 0, true))
		return workspace_session_error(&s, e, GIT_EUSER, "fetch");
	lock = open(lock_path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (lock < 0)
		return err_errno(e, "open %s", lock_path);
	while (flock(lock, LOCK_EX) < 0)
		if (errno != EINTR)
			return err_errno(e, "lock %s", lock_path);
	if (open_mirror(path, building, &fresh, &repo, e) < 0)
		return -1;
	if (!fresh)
		gittidy(path, INT_MAX); /* under the lock nobody else works in it */
	crash_point(CRASH_MIRROR_BEGIN);
	rc = mirror_remote(&remote, repo, url);
	if (rc == 0)
		rc = workspace_flush_each(!fresh);
	if (rc == 0)
		rc = fetch(repo, remote, &s);
	workspace_flush_each(true);
	if (rc < 0)
		return workspace_session_error(&s, e, rc, "fetch");
	if (fresh && workspace_place(building, building, path, e) < 0)
		return -1;
	crash_point(CRASH_MIRROR_FETCHED);
	if (!workspace_session_progress(&s, 1, 1, true))
		return workspace_session_error(&s, e, GIT_EUSER, "fetch");
	return 0;
}

/* 1: the remote has the branch at this commit; 0: not; < 0: libgit2's code. */
static int already_there(
	git_remote *remote, struct workspace_session *s, const char *ref, const git_oid *tip)
{
	const git_remote_head **heads;
	size_t n = 0;
	int rc = connect_to(remote, s, GIT_DIRECTION_PUSH);

	if (rc < 0 || (rc = git_remote_ls(&heads, &n, remote)) < 0)
		return rc;
	for (size_t i = 0; i < n; i++)
		if (strcmp(heads[i]->name, ref) == 0)
			return git_oid_equal(&heads[i]->oid, tip) ? 1 : 0;
	return 0;
}

int workspace_push(struct workspace *w, const char *name, const struct workspace_auth *auth,
	workspace_progress progress, void *arg, struct err *e)
{
	_cleanup_git_(repository) git_repository *repo = NULL;
	_cleanup_git_(remote) git_remote *remote = NULL;
	git_push_options options;
	char local[300], ref[300], spec[620];
	char *specs[] = {spec};
	const git_strarray refspecs = {.strings = specs, .count = 1};
	struct workspace_session s;
	git_oid tip;
	int rc;

	if (workspace_repository(w->path, &repo, e) < 0)
		return -1;
	snprintf(local, sizeof local, HEADS "%s", w->branch);
	snprintf(ref, sizeof ref, HEADS "%s", name ? name : w->branch);
	snprintf(spec, sizeof spec, "%s:%s", local, ref);
	rc = git_reference_name_to_id(&tip, repo, local);
	if (rc < 0)
		return workspace_git_error(e, rc, "push %s", w->branch);
	workspace_session_init(&s, &w->url, auth, "push", progress, arg);
	if (!workspace_session_progress(&s, 0, 0, true))
		return workspace_session_error(&s, e, GIT_EUSER, "push to");
	rc = git_remote_create_anonymous(&remote, repo, w->url.text);
	if (rc == 0)
		rc = already_there(remote, &s, ref, &tip);
	if (rc == 0) {
		git_push_options_init(&options, GIT_PUSH_OPTIONS_VERSION);
		workspace_session_callbacks(&s, &options.callbacks);
		options.proxy_opts = workspace_session_proxy(&s);
		options.follow_redirects = GIT_REMOTE_REDIRECT_INITIAL;
		crash_point(CRASH_PUSH_BEFORE);
		rc = git_remote_upload(remote, &refspecs, &options);
		if (rc == 0 && s.rejected)
			rc = -1;
	}
	git_remote_disconnect(remote);
	if (rc < 0) {
		workspace_session_error(&s, e, rc, "push to");
		if (rc == GIT_EBAREREPO)
			err_set(e, ERR_DENIED,
				"push to %s: it has a working tree of its own and takes no pushes",
				w->url.text);
		return -1;
	}
	crash_point(CRASH_PUSH_DONE);
	workspace_session_progress(&s, 1, 1, true);
	return 0;
}
