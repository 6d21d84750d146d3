/* Repository URLs: parsed and checked, never given to a shell. Pure. */
#ifndef SHARED_GITURL_H
#define SHARED_GITURL_H

#include <stdbool.h>

#include "shared/err.h"

#define GITURL_MAX 2048

enum giturl_scheme { GITURL_HTTPS, GITURL_HTTP, GITURL_SSH, GITURL_LOCAL };

struct giturl {
	enum giturl_scheme scheme; /* git@host:path counts as ssh */
	char text[GITURL_MAX];	   /* canonical, what libgit2 gets */
	char host[256];		   /* "" for local */
	char path[GITURL_MAX];	   /* without leading slash for remote; absolute for local */
	char owner[256];	   /* of a remote path of exactly two parts (forges); else "" */
	char name[256];		   /* last part, without .git */
};

/* https://, http:// (loopback hosts only), ssh://, git@host:path, and (if
 * allow_local) an absolute path or file:///path. Refused with ERR_INVALID, saying
 * why: empty, too long, other schemes, control characters or spaces, a user name
 * or password in the URL of http(s), a part that starts with "-", "ext::" and the
 * like, an empty path. */
int giturl_parse(const char *text, bool allow_local, struct giturl *u, struct err *e);

/* 64-bit FNV-1a of the canonical text in 16 hex digits: the mirror's folder name. */
void giturl_hash(const struct giturl *u, char out[17]);

#endif
