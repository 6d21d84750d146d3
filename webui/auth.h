/* Signing in: a random token, kept in <state>/webui.token (0600) so that it
 * survives a restart, is exchanged for a cookie. Of the sessions only hashes are
 * kept (<state>/webui.sessions, 0600). Thread-safe. */
#ifndef WEBUI_AUTH_H
#define WEBUI_AUTH_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/err.h"

#define AUTH_TOKEN_BYTES 65 /* 256 bits as 64 hex digits, and the NUL */
#define AUTH_SESSIONS_MAX 64
#define AUTH_SESSION_MS (30LL * 24 * 3600 * 1000)
#define AUTH_TRIES 10	     /* wrong tokens ... */
#define AUTH_WINDOW_MS 30000 /* ... within this time; then nobody may try until it is over */

struct auth;

/* Reads or makes token and sessions in state_dir. The caller frees. ERR_SYS,
 * ERR_DENIED: the file is named; a token file open to others is refused. */
struct auth *auth_new(const char *state_dir, struct err *e);
void auth_free(struct auth *a);

const char *auth_token(const struct auth *a);

/* 0 if token is ours, compared in constant time. ERR_DENIED if not; ERR_LIMIT:
 * too many wrong ones lately, *retry_ms tells when to try again. now_ms: monotonic. */
int auth_check_token(
	struct auth *a, const char *token, int64_t now_ms, int64_t *retry_ms, struct err *e);

/* Makes a session; its id (never stored) into id. wall_ms: clock_wall_ms(). The
 * oldest gives way when there are too many. ERR_SYS: not saved. */
int auth_open_session(struct auth *a, int64_t wall_ms, char id[AUTH_TOKEN_BYTES], struct err *e);
bool auth_session_valid(struct auth *a, const char *id, int64_t wall_ms);
void auth_close_session(struct auth *a, const char *id);

/* Value of a cookie in a Cookie header into out; false if it is not there or too
 * long. Pure. */
bool auth_cookie(const char *header, const char *name, char *out, int out_size);

/* n random bytes as 2n hex digits. Ends the process if the kernel has none. */
void auth_random_hex(char *out, int n_bytes);

#endif
