#include "webui/auth.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/log.h"
#include "shared/paths.h"
#include "webui/sha256.h"

#define RANDOM_BYTES 32
#define FILE_MAX (16 * 1024)

struct session {
	char hash[SHA256_HEX];
	int64_t opened_ms;
};

struct auth {
	pthread_mutex_t lock;
	char token[AUTH_TOKEN_BYTES];
	char sessions_path[PATHS_MAX];
	struct session sessions[AUTH_SESSIONS_MAX]; /* oldest first */
	int count;
	int64_t failed_ms[AUTH_TRIES]; /* ring of the last wrong tries; 0: none */
	int next_failed;
};

void auth_random_hex(char *out, int n_bytes)
{
	for (int i = 0; i < n_bytes; i++) {
		unsigned char byte;

		if (getrandom(&byte, 1, 0) != 1)
			err_out_of_memory();
		snprintf(out + 2 * i, 3, "%02x", byte);
	}
}

static bool token_valid(const char *text, size_t n)
{
	return n == AUTH_TOKEN_BYTES - 1 && strspn(text, "0123456789abcdef") == n;
}

/* Reads a private file of ours. NULL with ERR_NOT_FOUND if there is none. */
static char *read_private(const char *path, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	_cleanup_free_ char *text = NULL;
	struct stat st;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) < 0) {
		err_errno(e, "open %s", path);
		return NULL;
	}
	if (!S_ISREG(st.st_mode) || st.st_uid != geteuid() || (st.st_mode & 077)) {
		err_set(e, ERR_DENIED,
			"%s must belong to you alone: chmod 600 it, or remove it to get a new one",
			path);
		return NULL;
	}
	text = malloc(FILE_MAX);
	if (!text)
		err_out_of_memory();
	n = read(fd, text, FILE_MAX - 1);
	if (n < 0) {
		err_errno(e, "read %s", path);
		return NULL;
	}
	text[n] = '\0';
	return take_ptr(text);
}

/* Whole or not at all: written beside, then renamed over. */
static int write_private(const char *path, const char *text, struct err *e)
{
	char beside[PATHS_MAX + 8];
	size_t n = strlen(text);

	snprintf(beside, sizeof beside, "%s.new", path);
	unlink(beside);
	_cleanup_close_ int fd = open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "create %s", beside);
	for (size_t done = 0; done < n;) {
		ssize_t w = write(fd, text + done, n - done);

		if (w < 0 && errno != EINTR)
			return err_errno(e, "write %s", beside);
		done += w > 0 ? (size_t)w : 0;
	}
	if (rename(beside, path) < 0)
		return err_errno(e, "rename %s", beside);
	return 0;
}

static int load_token(struct auth *a, const char *path, struct err *e)
{
	struct err why;
	_cleanup_free_ char *text = read_private(path, &why);

	if (!text && why.kind != ERR_NOT_FOUND) {
		*e = why;
		return -1;
	}
	if (text && token_valid(text, strcspn(text, "\n"))) {
		snprintf(a->token, sizeof a->token, "%.64s", text);
		return 0;
	}
	auth_random_hex(a->token, RANDOM_BYTES);
	char line[AUTH_TOKEN_BYTES + 1];
	snprintf(line, sizeof line, "%s\n", a->token);
	return write_private(path, line, e);
}

/* A damaged line is a session that is not there: people sign in again. */
static int load_sessions(struct auth *a, struct err *e)
{
	struct err why;
	_cleanup_free_ char *text = read_private(a->sessions_path, &why);
	char *save = NULL;

	if (!text && why.kind != ERR_NOT_FOUND) {
		*e = why;
		return -1;
	}
	for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
		line = strtok_r(NULL, "\n", &save)) {
		char *end;

		if (a->count == AUTH_SESSIONS_MAX || strlen(line) < SHA256_HEX ||
			!token_valid(line, strcspn(line, " ")))
			continue;
		struct session *s = &a->sessions[a->count];
		snprintf(s->hash, sizeof s->hash, "%.64s", line);
		s->opened_ms = strtoll(line + SHA256_HEX, &end, 10);
		if (*end == '\0')
			a->count++;
	}
	return 0;
}

static int save_sessions(struct auth *a, struct err *e)
{
	char text[AUTH_SESSIONS_MAX * (SHA256_HEX + 24)] = "";
	size_t n = 0;

	for (int i = 0; i < a->count; i++)
		n += (size_t)snprintf(text + n, sizeof text - n, "%s %lld\n", a->sessions[i].hash,
			(long long)a->sessions[i].opened_ms);
	return write_private(a->sessions_path, text, e);
}

struct auth *auth_new(const char *state_dir, struct err *e)
{
	struct auth *a = calloc(1, sizeof *a);
	char token_path[PATHS_MAX];

	if (!a)
		err_out_of_memory();
	pthread_mutex_init(&a->lock, NULL);
	if (snprintf(token_path, sizeof token_path, "%s/webui.token", state_dir) >= PATHS_MAX ||
		snprintf(a->sessions_path, PATHS_MAX, "%s/webui.sessions", state_dir) >=
			PATHS_MAX) {
		err_set(e, ERR_INVALID, "%s: the path is too long", state_dir);
		auth_free(a);
		return NULL;
	}
	if (load_token(a, token_path, e) < 0 || load_sessions(a, e) < 0) {
		auth_free(a);
		return NULL;
	}
	log_secret(a->token);
	return a;
}

void auth_free(struct auth *a)
{
	if (!a)
		return;
	pthread_mutex_destroy(&a->lock);
	explicit_bzero(a->token, sizeof a->token);
	free(a);
}

const char *auth_token(const struct auth *a)
{
	return a->token;
}

/* Compares all of both, wherever they differ. */
static bool same_secret(const char *a, const char *b, size_t n)
{
	unsigned char difference = 0;

	for (size_t i = 0; i < n; i++)
		difference |= (unsigned char)(a[i] ^ b[i]);
	return difference == 0;
}

int auth_check_token(
	struct auth *a, const char *token, int64_t now_ms, int64_t *retry_ms, struct err *e)
{
	char given[SHA256_HEX], ours[SHA256_HEX];
	int result = 0;

	/* Hashes have one length, so not even the length of a wrong token shows. */
	sha256_hex(token, strlen(token), given);
	sha256_hex(a->token, strlen(a->token), ours);
	pthread_mutex_lock(&a->lock);
	int64_t oldest = a->failed_ms[a->next_failed];
	*retry_ms = 0;
	if (oldest && now_ms - oldest < AUTH_WINDOW_MS) {
		*retry_ms = AUTH_WINDOW_MS - (now_ms - oldest);
		result = err_set(e, ERR_LIMIT, "too many wrong tokens: try again in %lld seconds",
			(long long)(*retry_ms + 999) / 1000);
	} else if (!same_secret(given, ours, SHA256_HEX)) {
		a->failed_ms[a->next_failed] = now_ms > 0 ? now_ms : 1;
		a->next_failed = (a->next_failed + 1) % AUTH_TRIES;
		result = err_set(
			e, ERR_DENIED, "this token is not valid: `100x up` prints the sign-in URL");
	}
	pthread_mutex_unlock(&a->lock);
	return result;
}

static void remove_at(struct auth *a, int i)
{
	assert(i >= 0 && i < a->count);
	memmove(&a->sessions[i], &a->sessions[i + 1],
		(size_t)(a->count - i - 1) * sizeof *a->sessions);
	a->count--;
}

int auth_open_session(struct auth *a, int64_t wall_ms, char id[AUTH_TOKEN_BYTES], struct err *e)
{
	int result;

	auth_random_hex(id, RANDOM_BYTES);
	pthread_mutex_lock(&a->lock);
	if (a->count == AUTH_SESSIONS_MAX)
		remove_at(a, 0);
	struct session *s = &a->sessions[a->count++];
	sha256_hex(id, strlen(id), s->hash);
	s->opened_ms = wall_ms;
	result = save_sessions(a, e);
	if (result < 0)
		a->count--;
	pthread_mutex_unlock(&a->lock);
	return result;
}

static int find_session(struct auth *a, const char *id)
{
	char hash[SHA256_HEX];
	int found = -1;

	sha256_hex(id, strlen(id), hash);
	for (int i = 0; i < a->count; i++) {
		if (same_secret(hash, a->sessions[i].hash, SHA256_HEX))
			found = i;
	}
	return found;
}

bool auth_session_valid(struct auth *a, const char *id, int64_t wall_ms)
{
	pthread_mutex_lock(&a->lock);
	int i = find_session(a, id);
	bool valid = i >= 0 && wall_ms - a->sessions[i].opened_ms < AUTH_SESSION_MS;
	pthread_mutex_unlock(&a->lock);
	return valid;
}

void auth_close_session(struct auth *a, const char *id)
{
	struct err e;

	pthread_mutex_lock(&a->lock);
	int i = find_session(a, id);
	if (i >= 0) {
		remove_at(a, i);
		if (save_sessions(a, &e) < 0)
			log_warn("sessions not saved: %s", e.text);
	}
	pthread_mutex_unlock(&a->lock);
}

bool auth_cookie(const char *header, const char *name, char *out, int out_size)
{
	size_t n = strlen(name);

	for (const char *p = header; p && *p;) {
		p += strspn(p, " ;");
		size_t len = strcspn(p, ";");

		if (len > n && !strncmp(p, name, n) && p[n] == '=') {
			if (len - n - 1 >= (size_t)out_size)
				return false;
			snprintf(out, (size_t)out_size, "%.*s", (int)(len - n - 1), p + n + 1);
			return true;
		}
		p += len;
	}
	return false;
}
