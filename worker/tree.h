/* The agent's workspace as the loop sees it: every question to libgit2 runs on a work
 * thread, one after another, and is answered by a callback in the loop. */
#ifndef WORKER_TREE_H
#define WORKER_TREE_H

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "shared/err.h"
#include "shared/giturl.h"
#include "worker/workspace.h"

#define TREE_PROGRESS_MS 200 /* between two progress reports */

struct tree;

struct tree_spec { /* all borrowed for the tree's life */
	const char *path, *mirrors;
	const struct giturl *url;
	const char *base, *branch;
	const char *saved; /* ref in the mirror it is made from when it is missing; "" */
	const char *user_name, *user_email; /* "": from the user's git configuration */
	struct workspace_auth auth;
};

struct tree_look {
	char head[41];
	uint64_t fingerprint;
	bool dirty;
	int ahead;	  /* commits past the base */
	const char *diff; /* JSON text, borrowed; NULL if the diff failed */
};

typedef void (*tree_progress_cb)(void *arg, const char *what, int64_t done, int64_t total);
typedef void (*tree_done_cb)(void *arg, const struct err *e);
typedef void (*tree_look_cb)(void *arg, const struct tree_look *look, const struct err *e);
typedef void (*tree_commit_cb)(void *arg, const char *hash, const struct err *e);

struct tree *tree_new(
	uv_loop_t *loop, const struct tree_spec *spec, tree_progress_cb progress, void *arg);
/* No callback follows. Work under way is waited for by the loop, then everything is freed. */
void tree_free(struct tree *t);

/* Opens the workspace; at the first time fetches the mirror and makes the clone. */
void tree_open(struct tree *t, tree_done_cb cb, void *arg);
/* e set: it could not be looked at. */
void tree_look(struct tree *t, tree_look_cb cb, void *arg);
/* hash "": there was nothing to commit. */
void tree_commit(struct tree *t, const char *message, tree_commit_cb cb, void *arg);
/* name: of the branch at the remote. */
void tree_push(struct tree *t, const char *name, tree_done_cb cb, void *arg);
/* Removes what a killed git left, after the coding agent that ran it has died. */
void tree_tidy(struct tree *t, tree_done_cb cb, void *arg);
/* Calls off what is under way (clone, fetch, push): its callback gets ERR_CANCELLED. */
void tree_cancel(struct tree *t);
bool tree_idle(const struct tree *t);

#endif
