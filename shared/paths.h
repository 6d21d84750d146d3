/* Where things lie. Command line beats HUNDREDX_STATE_DIR / HUNDREDX_RUN_DIR /
 * HUNDREDX_DATA_DIR beats the XDG directories. */
#ifndef SHARED_PATHS_H
#define SHARED_PATHS_H

#include <stdint.h>

#include "shared/err.h"

#define PATHS_MAX 1024

struct paths {
	char state_dir[PATHS_MAX]; /* $XDG_STATE_HOME/100x, default ~/.local/state/100x */
	char run_dir[PATHS_MAX];   /* $XDG_RUNTIME_DIR/100x; <state_dir>/run if that is not
				    * set, or if the state directory was chosen (option or
				    * HUNDREDX_STATE_DIR): two instances share no sockets */
	char data_dir[PATHS_MAX];  /* $XDG_DATA_HOME/100x: the aider venv, the price list */
	char home[PATHS_MAX];	   /* $HOME, else from the password database */
};

/* Fills p; state_dir and run_dir (both may be NULL) override. Makes no
 * directory. ERR_INVALID: a path too long (a socket path must stay below 108
 * bytes; the text says which option to use). */
int paths_init(struct paths *p, const char *state_dir, const char *run_dir, struct err *e);

/* Makes state_dir and run_dir with mode 0700 if missing; refuses a run_dir that
 * belongs to another user or is open to others. ERR_DENIED, ERR_SYS: the text
 * names the directory. */
int paths_make(const struct paths *p, struct err *e);

/* Each writes into out (PATHS_MAX bytes) and returns out. */
const char *paths_control_url(const struct paths *p, char *out); /* ipc://<run>/control.ipc */
const char *paths_ingest_url(const struct paths *p, char *out);	 /* ipc://<run>/ingest.ipc */
const char *paths_events_url(const struct paths *p, char *out);	 /* ipc://<run>/events.ipc */
const char *paths_store(const struct paths *p, char *out);	 /* <state>/tasks.db */
const char *paths_boot(const struct paths *p, char *out);	 /* <state>/boot */
const char *paths_mirrors(const struct paths *p, char *out);	 /* <state>/mirrors */
const char *paths_agent(const struct paths *p, int64_t agent, const char *leaf,
	char *out); /* <state>/workspaces/<agent>/<leaf>; leaf may be "" */
#define PATHS_SESSION_NEW "session/state.json.new" /* of a save under way, or of one cut off */

/* Full path of another program of ours ("100x-worker"): beside this executable.
 * ERR_NOT_FOUND names the path looked at. */
int paths_program(const char *name, char *out, struct err *e);

/* Full path of a folder shipped with us: what = "aider" or "web". Looked for at
 * $HUNDREDX_ADAPTER_DIR / $HUNDREDX_WEB_DIR, then <exe>/../share/100x/<what>,
 * then in the source tree (<exe>/../../worker/aider, <exe>/../../webui/app/dist). */
int paths_shipped(const char *what, char *out, struct err *e);

/* The interpreter that has aider: $HUNDREDX_AIDER_PYTHON, else <data>/aider/bin/python.
 * It need not be there. Writes into out (PATHS_MAX bytes) and returns it. */
const char *paths_aider_python(const struct paths *p, char *out);

/* The command that installs aider there, to be told to people: the full path of
 * 100x-setup-aider beside this executable (an installed copy) or of the source tree's
 * scripts/setup-aider; just a name if neither is there. Writes into out (PATHS_MAX bytes)
 * and returns it. */
const char *paths_setup_aider(char *out);

/* mkdir -p with the mode for every folder made. */
int paths_mkdirs(const char *path, unsigned mode, struct err *e);

#endif
