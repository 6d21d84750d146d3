/* Where things lie, and how the folders are made. */
#include "shared/paths.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <pwd.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define SOCKET_PATH_MAX 108 /* sun_path, with its NUL */
#define LONGEST_SOCKET "/control.ipc"

/* "%s%s" into out; what names the thing for the error. */
static int join(char *out, const char *base, const char *rest, const char *what, struct err *e)
{
	int n = snprintf(out, PATHS_MAX, "%s%s", base, rest);

	if (n < 0 || n >= PATHS_MAX)
		return err_set(e, ERR_INVALID, "%s: the path is longer than %d bytes: %.64s…", what,
			PATHS_MAX - 1, base);
	return 0;
}

static const char *env(const char *name)
{
	const char *v = getenv(name);

	return v && v[0] ? v : NULL;
}

/* Strips trailing slashes and makes a relative path absolute. */
static int settle(char *path, const char *what, struct err *e)
{
	char here[PATHS_MAX];
	char rest[PATHS_MAX + 1];
	size_t n = strlen(path);

	while (n > 1 && path[n - 1] == '/')
		path[--n] = '\0';
	if (path[0] == '/')
		return 0;
	if (!getcwd(here, sizeof(here)))
		return err_errno(e, "find the working directory for %s", what);
	snprintf(rest, sizeof(rest), "/%s", path);
	return join(path, strcmp(here, "/") == 0 ? "" : here, rest, what, e);
}

static int find_home(char *out, struct err *e)
{
	const char *home = env("HOME");
	char text[4096];
	struct passwd pw;
	struct passwd *found = NULL;

	if (home && home[0] == '/')
		return join(out, home, "", "HOME", e);
	if (getpwuid_r(getuid(), &pw, text, sizeof(text), &found) != 0 || !found)
		return err_set(e, ERR_NOT_FOUND,
			"no home directory: HOME is not set and user %u is not in the "
			"password database; set HOME",
			(unsigned)getuid());
	return join(out, found->pw_dir, "", "home directory", e);
}

/* The XDG rule: a relative path in the variable is ignored. */
static const char *xdg(const char *name)
{
	const char *v = env(name);

	return v && v[0] == '/' ? v : NULL;
}

static int find_state(struct paths *p, const char *given, struct err *e)
{
	const char *own = given ? given : env("HUNDREDX_STATE_DIR");
	const char *base = xdg("XDG_STATE_HOME");

	if (given && !given[0])
		return err_set(e, ERR_INVALID, "--state-dir: the directory's name is empty");
	if (own)
		return join(p->state_dir, own, "", "--state-dir", e);
	if (base)
		return join(p->state_dir, base, "/100x", "XDG_STATE_HOME", e);
	return join(p->state_dir, p->home, "/.local/state/100x", "HOME", e);
}

static int find_run(struct paths *p, const char *given, bool own_state, struct err *e)
{
	const char *own = given ? given : env("HUNDREDX_RUN_DIR");
	const char *base = xdg("XDG_RUNTIME_DIR");

	if (given && !given[0])
		return err_set(e, ERR_INVALID, "--run-dir: the directory's name is empty");
	if (own)
		return join(p->run_dir, own, "", "--run-dir", e);
	/* Another state directory is another instance: it must not share sockets. */
	if (base && !own_state)
		return join(p->run_dir, base, "/100x", "XDG_RUNTIME_DIR", e);
	return join(p->run_dir, p->state_dir, "/run", "--state-dir", e);
}

static int find_data(struct paths *p, struct err *e)
{
	const char *own = env("HUNDREDX_DATA_DIR");
	const char *base = xdg("XDG_DATA_HOME");

	if (own)
		return join(p->data_dir, own, "", "HUNDREDX_DATA_DIR", e);
	if (base)
		return join(p->data_dir, base, "/100x", "XDG_DATA_HOME", e);
	return join(p->data_dir, p->home, "/.local/share/100x", "HOME", e);
}

int paths_init(struct paths *p, const char *state_dir, const char *run_dir, struct err *e)
{
	bool own_state = state_dir || env("HUNDREDX_STATE_DIR");

	memset(p, 0, sizeof(*p));
	if (find_home(p->home, e) < 0 || find_state(p, state_dir, e) < 0 ||
		settle(p->state_dir, "--state-dir", e) < 0 ||
		find_run(p, run_dir, own_state, e) < 0 || settle(p->run_dir, "--run-dir", e) < 0 ||
		find_data(p, e) < 0 || settle(p->data_dir, "HUNDREDX_DATA_DIR", e) < 0)
		return -1;
	if (strlen(p->state_dir) > PATHS_MAX / 2)
		return err_set(e, ERR_INVALID,
			"state directory: longer than %d bytes; use --state-dir with a shorter one",
			PATHS_MAX / 2);
	if (strlen(p->run_dir) + sizeof(LONGEST_SOCKET) > SOCKET_PATH_MAX)
		return err_set(e, ERR_INVALID,
			"run directory %.200s: a socket's path must stay below %d bytes; use "
			"--run-dir with a shorter one",
			p->run_dir, SOCKET_PATH_MAX);
	return 0;
}

int paths_mkdirs(const char *path, unsigned mode, struct err *e)
{
	char part[PATHS_MAX];
	size_t n = strlen(path);

	if (n == 0 || n >= sizeof(part))
		return err_set(e, ERR_INVALID, "make directory: path of %zu bytes", n);
	memcpy(part, path, n + 1);
	for (size_t i = 1; i <= n; i++) {
		if (part[i] != '/' && part[i] != '\0')
			continue;
		part[i] = '\0';
		if (mkdir(part, (mode_t)mode) < 0 && errno != EEXIST) {
			struct stat st;
			int why = errno;

			/* A read-only or foreign parent that is there already will do. */
			if (stat(part, &st) < 0 || !S_ISDIR(st.st_mode)) {
				errno = why;
				return err_errno(e, "make directory %s", part);
			}
		}
		if (i < n)
			part[i] = '/';
	}
	return 0;
}

/* Makes dir if missing; refuses what is not a folder of ours. */
static int own_dir(const char *dir, bool closed, struct err *e)
{
	struct stat st;

	if (paths_mkdirs(dir, 0700, e) < 0)
		return -1;
	if (stat(dir, &st) < 0)
		return err_errno(e, "look at directory %s", dir);
	if (!S_ISDIR(st.st_mode))
		return err_set(e, ERR_DENIED, "%s: is not a directory", dir);
	if (st.st_uid != geteuid())
		return err_set(e, ERR_DENIED,
			"%s: belongs to user %u, not to us (%u); choose another directory", dir,
			(unsigned)st.st_uid, (unsigned)geteuid());
	if (closed && (st.st_mode & 0077) != 0)
		return err_set(e, ERR_DENIED,
			"%s: is open to other users (mode %04o); run: chmod 700 %s", dir,
			(unsigned)(st.st_mode & 07777), dir);
	if (access(dir, W_OK | X_OK) < 0)
		return err_errno(e, "write into directory %s", dir);
	return 0;
}

int paths_make(const struct paths *p, struct err *e)
{
	if (own_dir(p->state_dir, false, e) < 0)
		return -1;
	return own_dir(p->run_dir, true, e);
}

static const char *put(char *out, const char *before, const char *dir, const char *leaf)
{
	/* paths_init bounds both directories far below PATHS_MAX. */
	if (snprintf(out, PATHS_MAX, "%s%s%s", before, dir, leaf) >= PATHS_MAX)
		out[0] = '\0';
	return out;
}

const char *paths_control_url(const struct paths *p, char *out)
{
	return put(out, "ipc://", p->run_dir, LONGEST_SOCKET);
}

const char *paths_ingest_url(const struct paths *p, char *out)
{
	return put(out, "ipc://", p->run_dir, "/ingest.ipc");
}

const char *paths_events_url(const struct paths *p, char *out)
{
	return put(out, "ipc://", p->run_dir, "/events.ipc");
}

const char *paths_store(const struct paths *p, char *out)
{
	return put(out, "", p->state_dir, "/tasks.db");
}

const char *paths_boot(const struct paths *p, char *out)
{
	return put(out, "", p->state_dir, "/boot");
}

const char *paths_mirrors(const struct paths *p, char *out)
{
	return put(out, "", p->state_dir, "/mirrors");
}

const char *paths_agent(const struct paths *p, int64_t agent, const char *leaf, char *out)
{
	int n = snprintf(out, PATHS_MAX, "%s/workspaces/%" PRId64 "%s%s", p->state_dir, agent,
		leaf[0] ? "/" : "", leaf);

	if (n < 0 || n >= PATHS_MAX)
		out[0] = '\0';
	return out;
}

/* Folder of the running program, without a trailing slash. */
static int own_folder(char *out, struct err *e)
{
	ssize_t n = readlink("/proc/self/exe", out, PATHS_MAX - 1);
	char *slash;

	if (n < 0)
		return err_errno(e, "find our own program (/proc/self/exe)");
	out[n] = '\0';
	slash = strrchr(out, '/');
	if (slash)
		*slash = '\0';
	return 0;
}

int paths_program(const char *name, char *out, struct err *e)
{
	char dir[PATHS_MAX];
	char leaf[PATHS_MAX];

	if (own_folder(dir, e) < 0)
		return -1;
	snprintf(leaf, sizeof(leaf), "/%s", name);
	if (join(out, dir, leaf, name, e) < 0)
		return -1;
	if (access(out, X_OK) < 0)
		return err_errno(e, "find program %s", out);
	return 0;
}

static bool is_folder(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode);
}

int paths_shipped(const char *what, char *out, struct err *e)
{
	bool aider = strcmp(what, "aider") == 0;
	const char *variable = aider ? "HUNDREDX_ADAPTER_DIR" : "HUNDREDX_WEB_DIR";
	const char *given = env(variable);
	char dir[PATHS_MAX];
	char leaf[PATHS_MAX];

	if (!aider && strcmp(what, "web") != 0)
		return err_set(e, ERR_INTERNAL, "nothing called %s is shipped", what);
	if (given) {
		if (join(out, given, "", variable, e) < 0)
			return -1;
		return is_folder(out) ? 0
				      : err_set(e, ERR_NOT_FOUND, "%s=%s: is not a directory",
						variable, out);
	}
	if (own_folder(dir, e) < 0)
		return -1;
	snprintf(leaf, sizeof(leaf), "/../share/100x/%s", what);
	if (join(out, dir, leaf, what, e) == 0 && is_folder(out))
		return 0;
	if (join(out, dir, aider ? "/../../worker/aider" : "/../../webui/app/dist", what, e) == 0 &&
		is_folder(out))
		return 0;
	return err_set(e, ERR_NOT_FOUND,
		"the folder \"%s\" that belongs to this program was found neither at "
		"%s/../share/100x/%s nor in the source tree; set %s",
		what, dir, what, variable);
}

const char *paths_aider_python(const struct paths *p, char *out)
{
	const char *given = env("HUNDREDX_AIDER_PYTHON");

	return given ? put(out, "", given, "") : put(out, "", p->data_dir, "/aider/bin/python");
}

const char *paths_setup_aider(char *out)
{
	static const char *const places[] = {"/100x-setup-aider", "/../../scripts/setup-aider"};
	char dir[PATHS_MAX];
	struct err e;

	for (size_t i = 0; own_folder(dir, &e) == 0 && i < sizeof(places) / sizeof(*places); i++) {
		_cleanup_free_ char *real = NULL;

		if (join(out, dir, places[i], "setup-aider", &e) < 0)
			continue;
		real = realpath(out, NULL);
		if (real && access(real, X_OK) == 0)
			return put(out, "", real, "");
	}
	return put(out, "", "100x-setup-aider", "");
}
