/* The only home of libgit2: mirrors, clones, branches, diffs, commits, pushes.
 * Every function blocks and is called from a libuv work thread, never from the
 * loop; a struct workspace is used by one thread at a time. Repositories are
 * hostile: no hooks, no filters, no submodules, no symlink followed out of it. */
#ifndef WORKER_WORKSPACE_H
#define WORKER_WORKSPACE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"
#include "shared/giturl.h"

struct cJSON;

/* Once per process: initialises libgit2, ignores system and user configuration,
 * sets owner validation off for our own folders. */
int workspace_library_init(struct err *e);

/* Credentials: https token (may be NULL) for hosts that are GitHub's, that api_url
 * stands for, or that equal token_host; ssh as the ssh program does it (agent, ~/.ssh,
 * the user's configuration), with home where it differs from the password database's. */
struct workspace_auth {
	const char *token;	/* GITHUB_TOKEN or NULL; borrowed */
	const char *api_url;	/* GITHUB_API_URL or NULL: then taken from the environment */
	const char *token_host; /* the only other host the token may be sent to; NULL */
	const char *home;	/* for ~/.ssh and known_hosts */
};

/* Called from the work thread; what: "mirror", "clone", "push". Returning false
 * cancels (ERR_CANCELLED). */
typedef bool (*workspace_progress)(void *arg, const char *what, int64_t done, int64_t total);

/* Asks the remote. base NULL or "": its default branch. Fills branch (256 bytes)
 * and head (41 bytes). ERR_UNAVAILABLE: unreachable; ERR_DENIED: credentials;
 * ERR_NOT_FOUND: no such branch (the text lists some that exist); ERR_INVALID:
 * empty repository, not a repository. */
int workspace_check_remote(const struct giturl *url, const struct workspace_auth *auth,
	const char *base, char *branch, char *head, struct err *e);

/* The same, and in *branches (the caller's, a JSON list, at most max bytes of it) the names
 * of all branches, in default_branch (256 bytes) the remote's own ("": it names none). */
int workspace_list_remote(const struct giturl *url, const struct workspace_auth *auth,
	const char *base, size_t max, char *branch, char *head, char *default_branch,
	struct cJSON **branches, struct err *e);

/* Names of the files on a branch of the mirror, one a line, and its README ("": none), each
 * cut; both are the caller's. */
int workspace_files(const char *mirrors, const struct giturl *url, const char *branch,
	size_t files_max, size_t readme_max, char **files, char **readme, struct err *e);

/* Brings the bare mirror <mirrors>/<hash>.git up to date under a lock file shared by all
 * workers. A new one is <hash>.git.new until it is whole and on the disk; what lies in its
 * place and is no repository is kept as <hash>.git.damaged-<ms>. */
int workspace_mirror(const char *mirrors, const struct giturl *url,
	const struct workspace_auth *auth, workspace_progress progress, void *arg, struct err *e);

struct workspace;

/* Opens path, or makes it: a clone that borrows the mirror's objects, own refs and
 * config, no hooks, `.aider*` in info/exclude, user.name and user.email set, branch
 * checked out from base (origin/<base>); its .git is on the disk before it has its name. An
 * existing one is opened as it is, with everything in it kept; but after another start of the
 * machine, files that a power cut has cut off are as in HEAD again. */
int workspace_open(const char *path, const char *mirrors, const struct giturl *url,
	const char *base, const char *branch, const char *user_name, const char *user_email,
	workspace_progress progress, void *arg, struct workspace **out, struct err *e);
void workspace_free(struct workspace *w);

/* Commit the base pointed at when the branch was made, and HEAD, in hex (41 bytes). */
int workspace_head(struct workspace *w, char *head, struct err *e);
const char *workspace_base_commit(const struct workspace *w);
bool workspace_dirty(struct workspace *w);

/* Diff of base commit .. working tree (untracked files included, ignored ones not),
 * as the body fields of a `diff` event: JSON text {"files":[…],"added":…,"removed":…,
 * "patch":…,"cut":…}; the caller frees. fingerprint: equal for equal diffs. */
char *workspace_diff(struct workspace *w, uint64_t *fingerprint, struct err *e);

/* A git of the agent's has committed in the clone at path: its objects are on the disk, but
 * index and branch have just been renamed into place. Brings that to the disk; called before
 * the commit is told, from the loop: it waits for the disk alone. A failure is logged. */
void workspace_flush_commit(const char *path);

/* Commits everything uncommitted (ignored files not) on the branch. *hash (41
 * bytes) is "" when there was nothing. */
int workspace_commit_all(struct workspace *w, const char *message, char *hash, struct err *e);

/* Number of commits on the branch past the base. -1 on error. */
int workspace_commits_ahead(struct workspace *w, struct err *e);

/* Pushes the branch to origin's branch `name` (NULL: its own name), never forced, never
 * another ref. Looks first: already there with the same commit counts as success.
 * ERR_CONFLICT: the remote's branch holds other commits; ERR_DENIED, ERR_UNAVAILABLE. */
int workspace_push(struct workspace *w, const char *name, const struct workspace_auth *auth,
	workspace_progress progress, void *arg, struct err *e);

/* Before path is removed: keeps what is only in it (commits beyond the base, and what is
 * neither committed nor ignored, as one more commit) in the mirror under ref
 * ("refs/100x/agent-7"), other branches under ref.heads/, and checks that it is all there.
 * The commit it began from is put under ref.base. always: also when there is nothing beyond
 * that, and every branch. *saved false: there was nothing. ERR_NOT_FOUND: the mirror
 * is not there. mirror_path: 1024 bytes. */
int workspace_save(const char *path, const char *mirrors, const struct giturl *url, const char *ref,
	bool always, bool *saved, char *mirror_path, struct err *e);

/* What a folder made from saved work is made from. */
struct workspace_source {
	const char *mirrors, *ref, *base, *branch, *user_name, *user_email;
	const struct giturl *url;
};
/* Makes the workspace at path again as it was when it was saved under s->ref: branches, HEAD,
 * and what was not committed is not committed again. It borrows the mirror's objects.
 * ERR_NOT_FOUND: there is no such ref any more. */
int workspace_restore(const char *path, const struct workspace_source *s,
	workspace_progress progress, void *arg, struct err *e);
/* Makes a repository of its own at path (which is not there yet) from s->ref, likewise;
 * s->url may be NULL: every mirror is asked for the ref. mirror_path: 1024 bytes.
 * ERR_NOT_FOUND: no mirror has it; ERR_CONFLICT: several have, or path is there. */
int workspace_export(
	const char *path, const struct workspace_source *s, char *mirror_path, struct err *e);
/* True if the mirror has ref; mirror_path (1024 bytes) is filled. */
bool workspace_is_saved(
	const char *mirrors, const struct giturl *url, const char *ref, char *mirror_path);

/* Removes the mirror at path (<hash>.git, or <hash>.git.new, which somebody died over) if it
 * keeps nobody's work (refs/100x/) and nothing was fetched or saved since before_ms. *gone: it
 * is removed. */
int workspace_mirror_drop(const char *path, int64_t before_ms, bool *gone, struct err *e);

/* Removes a folder tree without following symlinks. */
int workspace_remove(const char *path, struct err *e);

#endif
