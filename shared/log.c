/* Lines for people on stderr, without secrets and without foreign control bytes. */
#include "shared/log.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"

#define LOG_TEXT_BYTES 4096
#define LOG_SECRET_MIN 8
#define LOG_LOOK_LINES 32 /* between two looks how long the file is */

static struct {
	pthread_mutex_t mutex;
	const char *program;
	enum log_level level;
	long long limit; /* of the file's bytes; 0: none */
	char folder[4096];
	unsigned lines;
	size_t secrets;
	struct {
		char *text;
		size_t n;
	} secret[LOG_MAX_SECRETS];
} the_log = {.mutex = PTHREAD_MUTEX_INITIALIZER, .program = "100x", .level = LOG_INFO};

static const char *const level_words[] = {"debug", "info", "warn", "error"};

void log_init(const char *program)
{
	const char *wanted = getenv("HUNDREDX_LOG");

	pthread_mutex_lock(&the_log.mutex);
	the_log.program = program;
	the_log.level = LOG_INFO;
	for (size_t i = 0; wanted && i < sizeof(level_words) / sizeof(level_words[0]); i++)
		if (strcmp(wanted, level_words[i]) == 0)
			the_log.level = (enum log_level)i;
	pthread_mutex_unlock(&the_log.mutex);
}

void log_limit(const char *folder, long long bytes)
{
	_cleanup_free_ char *real = realpath(folder, NULL);

	pthread_mutex_lock(&the_log.mutex);
	the_log.limit = real ? bytes : 0;
	snprintf(the_log.folder, sizeof(the_log.folder), "%s/", real ? real : "");
	pthread_mutex_unlock(&the_log.mutex);
}

/* Looked at now and then; the mutex is held. What fails leaves the file as it is. */
static void turn_over(void)
{
	char path[4096], old[4096 + 4];
	struct stat st, now;
	ssize_t n;
	int fd;

	if (the_log.limit == 0 || ++the_log.lines % LOG_LOOK_LINES != 0 ||
		fstat(STDERR_FILENO, &st) < 0 || !S_ISREG(st.st_mode) ||
		st.st_size <= the_log.limit)
		return;
	n = readlink("/proc/self/fd/2", path, sizeof(path) - 1);
	path[n > 0 ? n : 0] = '\0';
	if (strncmp(path, the_log.folder, strlen(the_log.folder)) != 0)
		return;
	snprintf(old, sizeof(old), "%s.1", path);
	if (rename(path, old) < 0)
		return;
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		return;
	/* The supervisor's stdout is its log too. */
	if (fstat(STDOUT_FILENO, &now) == 0 && now.st_ino == st.st_ino && now.st_dev == st.st_dev)
		dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	close(fd);
}

static bool text_char(unsigned char c)
{
	return c >= 0x20 && c != 0x7f;
}

/* Copies text to out, \xNN for what is neither printable ASCII nor good UTF-8. */
static size_t escape(const char *text, size_t n, char *out, size_t cap)
{
	static const char hex[] = "0123456789abcdef";
	size_t used = 0;

	for (size_t i = 0; i < n;) {
		unsigned char c = (unsigned char)text[i];
		size_t step = 1;

		if (c >= 0x80) {
			for (size_t len = 2; len <= 4 && i + len <= n; len++)
				if (utf8_valid(text + i, len)) {
					step = len;
					break;
				}
		}
		/* C1 control characters (U+0080 to U+009F) reach terminals too. */
		bool c1 = step == 2 && c == 0xc2 && (unsigned char)text[i + 1] < 0xa0;
		if ((step > 1 && !c1) || (c < 0x80 && text_char(c))) {
			if (step > cap - used)
				break;
			memcpy(out + used, text + i, step);
			used += step;
		} else {
			if (4 * step > cap - used)
				break;
			for (size_t k = 0; k < step; k++) {
				unsigned char b = (unsigned char)text[i + k];
				out[used++] = '\\';
				out[used++] = 'x';
				out[used++] = hex[b >> 4];
				out[used++] = hex[b & 15];
			}
		}
		i += step;
	}
	return used;
}

/* Length of the longest secret that starts at text; the mutex is held. */
static size_t secret_at(const char *text, size_t n)
{
	size_t longest = 0;

	for (size_t k = 0; k < the_log.secrets; k++) {
		size_t len = the_log.secret[k].n;
		if (len > longest && len <= n && text[0] == the_log.secret[k].text[0] &&
			memcmp(text, the_log.secret[k].text, len) == 0)
			longest = len;
	}
	return longest;
}

static bool has_secret(const char *text, size_t n)
{
	for (size_t k = 0; k < the_log.secrets; k++)
		if (memmem(text, n, the_log.secret[k].text, the_log.secret[k].n))
			return true;
	return false;
}

/* Asterisks over every secret in text, overlapping ones too; the mutex is held. */
static void blot(char *text, size_t n)
{
	size_t covered = 0;

	if (!has_secret(text, n))
		return;
	for (size_t i = 0; i < n; i++) {
		size_t len = secret_at(text + i, n - i);

		if (i + len > covered)
			covered = i + len;
		if (i < covered)
			text[i] = '*';
	}
}

/* Copies text to out with "[secret]" for each secret; the mutex is held. */
static size_t hide(const char *text, size_t n, char *out, size_t cap)
{
	static const char word[] = "[secret]";
	size_t used = 0;
	size_t covered = 0;

	for (size_t i = 0; i < n && used < cap; i++) {
		size_t len = secret_at(text + i, n - i);

		if (len > 0 && i >= covered) {
			if (sizeof(word) - 1 > cap - used)
				break;
			memcpy(out + used, word, sizeof(word) - 1);
			used += sizeof(word) - 1;
		}
		if (len > 0 && i + len > covered)
			covered = i + len;
		if (i >= covered)
			out[used++] = text[i];
	}
	return used;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	_cleanup_free_ char *text = NULL;
	char hidden[LOG_TEXT_BYTES];
	char line[4 * LOG_TEXT_BYTES + 128];
	struct timespec now;
	struct tm tm;
	size_t n;
	int head;
	int len;
	va_list ap;

	pthread_mutex_lock(&the_log.mutex);
	bool wanted = level >= the_log.level;
	pthread_mutex_unlock(&the_log.mutex);
	if (!wanted)
		return;

	va_start(ap, fmt);
	/* Whole first: a cut through a secret would show its first half. */
	len = vasprintf(&text, fmt, ap);
	va_end(ap);
	if (len < 0) {
		text = NULL;
		return;
	}
	n = (size_t)len;
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &tm);

	pthread_mutex_lock(&the_log.mutex);
	head = snprintf(line, 128, "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s %.32s[%d] ",
		tm.tm_year + 1900, tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec,
		(int)(now.tv_nsec / 1000000), level_words[level], the_log.program, (int)getpid());
	n = hide(text, n, hidden, sizeof(hidden));
	turn_over();
	pthread_mutex_unlock(&the_log.mutex);
	if (head < 0)
		return;
	n = (size_t)head + escape(hidden, n, line + head, sizeof(line) - (size_t)head - 1);
	line[n++] = '\n';
	/* One write: lines of several processes on one stderr stay whole. */
	while (write(STDERR_FILENO, line, n) < 0 && errno == EINTR)
		;
}

void log_secret(const char *secret)
{
	size_t n = secret ? strlen(secret) : 0;
	bool known = n < LOG_SECRET_MIN;

	pthread_mutex_lock(&the_log.mutex);
	for (size_t i = 0; i < the_log.secrets && !known; i++)
		known = strcmp(the_log.secret[i].text, secret) == 0;
	if (!known && the_log.secrets < LOG_MAX_SECRETS) {
		char *copy = strdup(secret);
		if (!copy)
			err_out_of_memory();
		the_log.secret[the_log.secrets].text = copy;
		the_log.secret[the_log.secrets].n = n;
		the_log.secrets++;
	}
	pthread_mutex_unlock(&the_log.mutex);
}

void log_redact_bytes(char *text, size_t n)
{
	pthread_mutex_lock(&the_log.mutex);
	blot(text, n);
	pthread_mutex_unlock(&the_log.mutex);
}

void log_redact(char *text)
{
	log_redact_bytes(text, strlen(text));
}
