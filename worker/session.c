#include "worker/session.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "shared/log.h"
#include "shared/paths.h"

#define SESSION_VERSION 1

/* The plain numbers of struct manager: one table for both directions. */
#define MANAGER_INTS(X)                                                                            \
	X(turn)                                                                                    \
	X(granted_turns)                                                                           \
	X(granted_ms)                                                                              \
	X(active_ms) X(pending) X(bad_answers) X(test_failures) X(turn_errors) X(tells) X(holds)
#define MANAGER_BOOLS(X)                                                                           \
	X(turn_open)                                                                               \
	X(interrupted)                                                                             \
	X(resume_wanted) X(redo) X(prompt_queued) X(finish_wanted) X(by_limit) X(by_hold)
#define MANAGER_NUMBERS(X) X(granted_dollars) X(dollars)

void session_set(char **slot, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	if (text && !copy)
		err_out_of_memory();
	free(*slot);
	*slot = copy;
}

void session_append(char **slot, const char *text, size_t max)
{
	size_t have = *slot ? strlen(*slot) : 0, more = strlen(text);
	char *joined = malloc(have + more + 1), *from = joined;

	if (!joined)
		err_out_of_memory();
	if (have)
		memcpy(joined, *slot, have);
	memcpy(joined + have, text, more + 1);
	if (have + more > max) {
		/* Half goes at once, so that what stays keeps its beginning for many turns. */
		char *nl = strchr(joined + (have + more - max / 2), '\n');

		from = nl ? nl + 1 : joined + (have + more - max / 2);
		while (((unsigned char)*from & 0xc0) == 0x80)
			from++;
	}
	free(*slot);
	*slot = from == joined ? joined : strdup(from);
	if (from != joined)
		free(joined);
}

void session_drop_messages(struct session *s, int n)
{
	if (n > s->message_count)
		n = s->message_count;
	if (n <= 0)
		return;
	for (int i = 0; i < n; i++) {
		free(s->messages[i].from);
		free(s->messages[i].text);
	}
	s->message_count -= n;
	memmove(s->messages, s->messages + n, (size_t)s->message_count * sizeof *s->messages);
}

void session_add_message(struct session *s, const char *from, const char *text)
{
	struct session_message *m;

	if (s->message_count == SESSION_MAX_MESSAGES)
		session_drop_messages(s, 1);
	m = &s->messages[s->message_count++];
	m->from = NULL;
	m->text = NULL;
	session_set(&m->from, from);
	session_set(&m->text, text);
}

static cJSON *write_manager(const struct manager *m)
{
	cJSON *j = cJSON_CreateObject();

	json_add_int(j, "phase", m->phase);
	json_add_int(j, "source", m->source);
	json_add_str(j, "reason", m->reason);
#define X(name) json_add_int(j, #name, (int64_t)m->name);
	MANAGER_INTS(X)
#undef X
#define X(name) cJSON_AddBoolToObject(j, #name, m->name);
	MANAGER_BOOLS(X)
#undef X
#define X(name) cJSON_AddNumberToObject(j, #name, m->name);
	MANAGER_NUMBERS(X)
#undef X
	return j;
}

static void read_manager(const cJSON *j, struct manager *m)
{
	int64_t phase = json_int(j, "phase", 0), source = json_int(j, "source", 0);

	m->phase = phase >= 0 && phase <= MANAGER_STOPPED ? (enum manager_phase)phase
							  : MANAGER_STARTING;
	m->source =
		source >= 0 && source <= SOURCE_REDO ? (enum manager_source)source : SOURCE_TASK;
	snprintf(m->reason, sizeof m->reason, "%s", json_str(j, "reason", ""));
#define X(name) m->name = (__typeof__(m->name))json_int(j, #name, 0);
	MANAGER_INTS(X)
#undef X
#define X(name) m->name = json_bool(j, #name, false);
	MANAGER_BOOLS(X)
#undef X
#define X(name) m->name = json_num(j, #name, 0);
	MANAGER_NUMBERS(X)
#undef X
	m->active_since_ms = -1;
}

static cJSON *write_finish(const struct session_finish *f)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddBoolToObject(j, "open", f->open);
	json_add_str(j, "head", f->head);
	json_add_int(j, "step", f->step);
	json_add_str(j, "pushed", f->pushed);
	json_add_str(j, "remote", f->remote);
	json_add_str(j, "trying", f->trying);
	json_add_str(j, "title", f->title);
	json_add_str(j, "body", f->body);
	json_add_str(j, "pull_url", f->pull_url);
	if (f->labels)
		cJSON_AddItemToObject(j, "labels", cJSON_Duplicate(f->labels, true));
	if (f->reviewers)
		cJSON_AddItemToObject(j, "reviewers", cJSON_Duplicate(f->reviewers, true));
	return j;
}

static void read_finish(const cJSON *j, struct session_finish *f)
{
	int64_t step = json_int(j, "step", 0);

	f->open = json_bool(j, "open", false);
	f->step = step >= 0 && step <= FINISH_STEPS ? (enum finish_step)step : FINISH_TEST;
	snprintf(f->head, sizeof f->head, "%s", json_str(j, "head", ""));
	snprintf(f->pushed, sizeof f->pushed, "%s", json_str(j, "pushed", ""));
	snprintf(f->remote, sizeof f->remote, "%s", json_str(j, "remote", ""));
	snprintf(f->trying, sizeof f->trying, "%s", json_str(j, "trying", ""));
	snprintf(f->pull_url, sizeof f->pull_url, "%s", json_str(j, "pull_url", ""));
	session_set(&f->title, json_str(j, "title", NULL));
	session_set(&f->body, json_str(j, "body", NULL));
	f->labels = cJSON_Duplicate(json_get(j, "labels"), true);
	f->reviewers = cJSON_Duplicate(json_get(j, "reviewers"), true);
}

static char *print(const struct session *s)
{
	_cleanup_json_ cJSON *j = cJSON_CreateObject();
	cJSON *list, *m;
	char fingerprint[24];

	snprintf(fingerprint, sizeof fingerprint, "%llx", (unsigned long long)s->fingerprint);
	json_add_int(j, "version", SESSION_VERSION);
	json_add_int(j, "saves", s->saves);
	cJSON_AddItemToObject(j, "manager", write_manager(&s->manager));
	json_add_int(j, "command", s->command);
	json_add_int(j, "telling", s->telling);
	json_add_int(j, "telling_seq", s->telling_seq);
	json_add_str(j, "acp_session", s->acp_session);
	json_add_str(j, "prompt", s->prompt);
	cJSON_AddBoolToObject(j, "prompt_open", s->prompt_open);
	json_add_str(j, "next_prompt", s->next_prompt);
	json_add_str(j, "note", s->note);
	json_add_str(j, "history", s->history);
	json_add_str(j, "head", s->head);
	json_add_str(j, "fingerprint", fingerprint);
	if (s->arguments)
		cJSON_AddItemToObject(j, "arguments", cJSON_Duplicate(s->arguments, true));
	json_add_int(j, "ended_seq", s->ended_seq);
	cJSON_AddNumberToObject(j, "cost_total", s->cost_total);
	list = cJSON_AddArrayToObject(j, "messages");
	for (int i = 0; i < s->message_count; i++) {
		m = cJSON_CreateObject();
		json_add_str(m, "from", s->messages[i].from);
		json_add_str(m, "text", s->messages[i].text);
		cJSON_AddItemToArray(list, m);
	}
	cJSON_AddItemToObject(j, "finish", write_finish(&s->finish));
	return json_print(j);
}

static void fill(struct session *s, const cJSON *j)
{
	const cJSON *m;

	s->saves = json_int(j, "saves", 0);
	read_manager(json_get(j, "manager"), &s->manager);
	s->command = json_int(j, "command", 0);
	s->telling = json_int(j, "telling", 0);
	s->telling_seq = json_int(j, "telling_seq", 0);
	session_set(&s->acp_session, json_str(j, "acp_session", NULL));
	session_set(&s->prompt, json_str(j, "prompt", NULL));
	s->prompt_open = json_bool(j, "prompt_open", false);
	session_set(&s->next_prompt, json_str(j, "next_prompt", NULL));
	session_set(&s->note, json_str(j, "note", NULL));
	session_set(&s->history, json_str(j, "history", NULL));
	snprintf(s->head, sizeof s->head, "%s", json_str(j, "head", ""));
	s->fingerprint = strtoull(json_str(j, "fingerprint", "0"), NULL, 16);
	s->arguments = cJSON_Duplicate(json_get(j, "arguments"), true);
	s->ended_seq = json_int(j, "ended_seq", 0);
	s->cost_total = json_num(j, "cost_total", 0);
	cJSON_ArrayForEach (m, json_get(j, "messages"))
		session_add_message(s, json_str(m, "from", "person"), json_str(m, "text", ""));
	read_finish(json_get(j, "finish"), &s->finish);
	s->fresh = false;
}

/* A whole, well-formed state of a version we know; else NULL. */
static cJSON *read_file(const char *folder, const char *name)
{
	char path[PATHS_MAX + 32];
	_cleanup_free_ char *text = NULL;
	_cleanup_close_ int fd = -1;
	struct stat st;
	const char *end;
	size_t n = 0;
	struct err e;
	cJSON *j;

	snprintf(path, sizeof path, "%s/%s", folder, name);
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	if (fd < 0 || fstat(fd, &st) < 0 || st.st_size <= 0 || st.st_size > SESSION_MAX_BYTES)
		return NULL;
	text = malloc((size_t)st.st_size);
	if (!text)
		err_out_of_memory();
	while (n < (size_t)st.st_size) {
		ssize_t r = read(fd, text + n, (size_t)st.st_size - n);

		if (r < 0 && errno == EINTR)
			continue;
		if (r <= 0)
			return NULL;
		n += (size_t)r;
	}
	/* Behind the line's end may lie what is left of a longer one. */
	end = memchr(text, '\n', n);
	j = json_parse(text, end ? (size_t)(end - text) : n, SESSION_MAX_BYTES, &e);
	if (!j) {
		log_warn("session: %s is not whole and is ignored: %s", name, e.text);
		return NULL;
	}
	if (json_int(j, "version", 0) == SESSION_VERSION && json_int(j, "saves", 0) > 0)
		return j;
	cJSON_Delete(j);
	return NULL;
}

int session_open(struct session *s, const char *folder, struct err *e)
{
	static const char *const names[] = {"state.json", "state.hot.0", "state.hot.1"};
	_cleanup_json_ cJSON *newest = NULL;

	memset(s, 0, sizeof *s);
	s->manager.active_since_ms = -1;
	s->fresh = true;
	s->hot_fd[0] = s->hot_fd[1] = -1;
	if (strlen(folder) >= sizeof s->folder)
		return err_set(e, ERR_INVALID, "%s: path too long", folder);
	memcpy(s->folder, folder, strlen(folder) + 1);
	if (paths_mkdirs(folder, 0700, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		cJSON *j = read_file(folder, names[i]);

		if (j && (!newest || json_int(j, "saves", 0) > json_int(newest, "saves", 0))) {
			cJSON_Delete(newest);
			newest = j;
		} else {
			cJSON_Delete(j);
		}
	}
	if (newest)
		fill(s, newest);
	return 0;
}

static int write_whole(int fd, const char *text, size_t n)
{
	while (n) {
		ssize_t w = write(fd, text, n);

		if (w < 0 && errno == EINTR)
			continue;
		if (w < 0)
			return -1;
		text += w;
		n -= (size_t)w;
	}
	return 0;
}

/* Over the older of two files that stay open: no folder is changed, so that nothing
 * waits for the file system's journal. */
static int save_hot(struct session *s, const char *text, size_t n, struct err *e)
{
	int which = (int)(s->saves & 1);
	int *fd = &s->hot_fd[which];
	char path[PATHS_MAX + 32];
	ssize_t w;

	snprintf(path, sizeof path, "%s/state.hot.%d", s->folder, which);
	if (*fd < 0)
		*fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (*fd < 0)
		return err_errno(e, "open %s", path);
	crash_point(CRASH_SESSION_HOT_BEFORE);
	w = pwrite(*fd, text, n, 0);
	crash_point(CRASH_SESSION_HOT_AFTER);
	if (w < 0 || (size_t)w < n)
		return w < 0 ? err_errno(e, "write %s", path)
			     : err_set(e, ERR_SYS, "write %s: the disk is full", path);
	return 0;
}

static int save_cold(struct session *s, const char *text, size_t n, struct err *e)
{
	char path[PATHS_MAX + 32], temp[PATHS_MAX + 32];
	_cleanup_close_ int fd = -1, dir = -1;

	snprintf(path, sizeof path, "%s/state.json", s->folder);
	snprintf(temp, sizeof temp, "%s/state.json.new", s->folder);
	fd = open(temp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno(e, "open %s", temp);
	if (write_whole(fd, text, n) < 0) {
		err_errno(e, "write %s", temp);
		unlink(temp);
		return -1;
	}
	crash_point(CRASH_SESSION_COLD_WRITTEN);
	if (fsync(fd) < 0)
		return err_errno(e, "sync %s", temp);
	if (rename(temp, path) < 0)
		return err_errno(e, "rename %s", temp);
	crash_point(CRASH_SESSION_COLD_RENAMED);
	dir = open(s->folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0 || fsync(dir) < 0)
		return err_errno(e, "sync %s", s->folder);
	return 0;
}

int session_save(struct session *s, bool sync, struct err *e)
{
	_cleanup_free_ char *text = NULL;
	size_t n;

	s->saves++;
	text = print(s);
	n = strlen(text);
	text[n] = '\n'; /* over the NUL: the line's end is the record's */
	if ((sync ? save_cold(s, text, n + 1, e) : save_hot(s, text, n + 1, e)) == 0)
		return 0;
	s->saves--; /* the next try goes over the same file, never over the last good one */
	return -1;
}

void session_clear(struct session *s)
{
	for (int i = 0; i < 2; i++) {
		if (s->hot_fd[i] > 0)
			close(s->hot_fd[i]);
	}
	session_drop_messages(s, s->message_count);
	free(s->acp_session);
	free(s->prompt);
	free(s->next_prompt);
	free(s->note);
	free(s->history);
	cJSON_Delete(s->arguments);
	free(s->finish.title);
	free(s->finish.body);
	cJSON_Delete(s->finish.labels);
	cJSON_Delete(s->finish.reviewers);
	memset(s, 0, sizeof *s);
}
