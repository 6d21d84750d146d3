/* What the workspace*.c files share: libgit2's handles, scope-bound, and one session
 * with a remote (who may be told which secret, who is told of progress). */
#ifndef WORKER_WORKSPACE_GIT_H
#define WORKER_WORKSPACE_GIT_H

#include <git2.h>
#include <git2/sys/transport.h>

#include "worker/workspace.h"

#define WORKSPACE_BASE_REF "refs/100x/base"
#define WORKSPACE_RESTORED_REF "refs/100x/restored" /* the saved commit it was made from */
/* The commit that holds what was not committed when a workspace was saved. */
#define WORKSPACE_REST_EMAIL "100x@localhost"
#define WORKSPACE_REST_MESSAGE "What was not committed when the workspace was removed"
#define WORKSPACE_CONNECT_MS 20000 /* to a git server */
#define WORKSPACE_SILENCE_S 120	   /* longest wait for its next byte */
#define WORKSPACE_SLOW_TIMES 5	   /* so many times that long with hardly a byte: too slow */
#define WORKSPACE_SLOW_BYTES 8192

struct workspace {
	char path[1024];
	struct giturl url;
	char branch[256]; /* short name */
	char base[256];
	char base_commit[GIT_OID_HEXSZ + 1];
	const char *saved; /* while it is made: the ref in the mirror it is made from, or NULL */
	char user_name[256];
	char user_email[256];
};

/* Lets libgit2 take its memory from us, for the life of the process (workspace_memory.c).
 * ERR_INTERNAL: it does not. */
int workspace_memory_init(struct err *e);

#define _cleanup_git_(type) __attribute__((cleanup(cleanup_git_##type)))
#define GIT_HANDLE(type, release)                                                                  \
	static inline void cleanup_git_##type(git_##type **p)                                      \
	{                                                                                          \
		release(*p);                                                                       \
	}
GIT_HANDLE(repository, git_repository_free)
GIT_HANDLE(reference, git_reference_free)
GIT_HANDLE(reference_iterator, git_reference_iterator_free)
GIT_HANDLE(config, git_config_free)
GIT_HANDLE(commit, git_commit_free)
GIT_HANDLE(object, git_object_free)
GIT_HANDLE(tree, git_tree_free)
GIT_HANDLE(index, git_index_free)
GIT_HANDLE(diff, git_diff_free)
GIT_HANDLE(remote, git_remote_free)
GIT_HANDLE(signature, git_signature_free)
GIT_HANDLE(status_list, git_status_list_free)

/* Fills e from libgit2's last error and its code. */
int workspace_git_error(struct err *e, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Opens the clone with a configuration of our own (an empty one): what the agent
 * writes into .git/config, .git/commondir or a .git file has no effect on us. */
int workspace_repository(const char *path, git_repository **out, struct err *e);

/* Puts all that is not ignored into the index, and that into a tree. libgit2's code. */
int workspace_stage(git_repository *repo, git_oid *tree_id);

/* <mirrors>/<hash><suffix> into out (1024 bytes). */
int workspace_mirror_path(const char *mirrors, const struct giturl *url, const char *suffix,
	char *out, struct err *e);

/* Whether libgit2 brings each object and ref to the disk before it goes on (it does from
 * workspace_library_init on), so that a power cut leaves no empty ones behind. libgit2's code. */
int workspace_flush_each(bool on);

/* Gives the finished folder `building` its name `path`, which is free. All that is in
 * `flushed`, which is it or a folder in it, is on the disk before it has the name, and it has
 * that for good when this returns. ERR_SYS. */
int workspace_place(const char *building, const char *flushed, const char *path, struct err *e);

/* If the machine was started anew since the clone at path was made or opened last: what is
 * committed is on the disk, but files of the working tree may end where the power cut has
 * stopped their writing. One of which just the beginning is left, is as in HEAD again. ERR_SYS. */
int workspace_mend(git_repository *repo, const char *path, struct err *e);
/* This is the start of the machine in which the clone was made; a failure is logged. */
void workspace_remember_boot(const char *path);

struct workspace_session;

/* In a clone that has the objects: branches, HEAD and files as they were when `saved` was
 * made (workspace_save). libgit2's code; base gets the commit it began from. */
int workspace_check_out_saved(git_repository *repo, git_repository *mirror, const char *saved,
	const char *branch, git_oid *base, struct workspace_session *s);

/* Talk with one remote: the payload of libgit2's callbacks. */
struct workspace_session {
	const struct giturl *url;
	const struct workspace_auth *auth;
	const char *what; /* mirror, clone, push */
	workspace_progress progress;
	void *progress_arg;
	int64_t told_ms;
	int asked; /* times that credentials were asked for */
	bool cancelled;
	struct err failure; /* the true reason, if libgit2 cannot know it */
	bool rejected;	    /* the remote refused the pushed branch */
};

void workspace_session_init(struct workspace_session *s, const struct giturl *url,
	const struct workspace_auth *auth, const char *what, workspace_progress progress,
	void *arg);
/* Options for git_remote_connect_ext, fetch and push; borrow the session. */
void workspace_session_callbacks(struct workspace_session *s, git_remote_callbacks *callbacks);
git_proxy_options workspace_session_proxy(const struct workspace_session *s);
/* As workspace_git_error, but the session's own reason first. */
int workspace_session_error(
	const struct workspace_session *s, struct err *e, int code, const char *doing);
/* Tells progress, at most every 100 ms unless last; false: called off. */
bool workspace_session_progress(
	struct workspace_session *s, int64_t done, int64_t total, bool last);

/* True if the token may be sent to this URL's host; over http to loopback alone. api and
 * token_host as in struct workspace_auth. */
bool workspace_token_may_go(const char *url, const char *api, const char *token_host);

/* WORKSPACE_SILENCE_S, or what HUNDREDX_GIT_SECONDS says; ms. */
int workspace_silence_ms(void);

/* Notices a server that is not silent but sends next to nothing. */
struct workspace_flow {
	int64_t since_ms; /* 0: nothing was read yet */
	int64_t bytes;	  /* since then */
};
/* n more bytes came at now_ms. False: too slow for too long. Pure. */
bool workspace_flow_add(struct workspace_flow *f, size_t n, int silence_ms, int64_t now_ms);

/* What a remote says about a ref that it refuses (git's report-status): ERR_CONFLICT: it
 * holds other commits; ERR_UNAVAILABLE: may pass; ERR_DENIED. Pure. */
enum err_kind workspace_refusal(const char *status);

/* Transport over the ssh program (payload: a workspace_session). */
int workspace_ssh_transport(git_transport **out, git_remote *owner, void *payload);
/* Makes libgit2's connections keep these deadlines. */
int workspace_stream_register(void);

/* While on, this thread's libgit2 reads files of the workspace instead of mapping them: one
 * that is cut off meanwhile must not be our death. For the printing of a diff, which takes
 * no file beyond its max_size. */
int workspace_filter_register(void);
void workspace_filter_read(bool on);

#endif
