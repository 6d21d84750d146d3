/* ~/.env: read line by line, never expanded, never written. */
#include "shared/dotenv.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/log.h"

#define DOTENV_MAX_ENTRIES 4096

struct entry {
	char *name;
	char *value;
};

struct dotenv {
	struct entry *entries;
	size_t n;
	int skipped;
};

static bool name_start(char c)
{
	return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '_';
}

static size_t name_length(const char *p, const char *end)
{
	const char *start = p;

	if (p < end && name_start(*p))
		while (p < end && (name_start(*p) || (*p >= '0' && *p <= '9')))
			p++;
	return (size_t)(p - start);
}

static const char *skip_blanks(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t'))
		p++;
	return p;
}

static bool is_secret(const char *name, size_t n)
{
	static const char *const endings[] = {"_KEY", "_TOKEN", "_SECRET", "_PASSWORD"};

	for (size_t i = 0; i < sizeof(endings) / sizeof(endings[0]); i++) {
		size_t len = strlen(endings[i]);
		if (n >= len && memcmp(name + n - len, endings[i], len) == 0)
			return true;
	}
	return false;
}

static char *copy(const char *text, size_t n)
{
	char *out = strndup(text, n);

	if (!out)
		err_out_of_memory();
	return out;
}

/* Writes the quoted value whose opening quote is *p into out, which has room for
 * all up to end. False if it does not end or is followed by anything but a comment. */
static bool unquote(const char *p, const char *end, char *out)
{
	char quote = *p++;

	for (; p < end && *p != quote; p++) {
		char c = *p;

		if (quote == '"' && c == '\\' && p + 1 < end && strchr("nt\"\\$", p[1])) {
			p++;
			c = *p == 'n' ? '\n' : *p == 't' ? '\t' : *p;
		}
		*out++ = c;
	}
	*out = '\0';
	if (p == end)
		return false;
	p = skip_blanks(p + 1, end);
	return p == end || *p == '#';
}

static char *read_quoted(const char *p, const char *end)
{
	char *out = copy(p, (size_t)(end - p));

	if (unquote(p, end, out))
		return out;
	free(out);
	return NULL;
}

/* The value of NAME=value; a comment starts at a # behind a blank. */
static char *read_value(const char *p, const char *end)
{
	const char *stop;

	p = skip_blanks(p, end);
	if (p < end && (*p == '"' || *p == '\''))
		return read_quoted(p, end);
	for (stop = p; stop < end; stop++)
		if (*stop == '#' && (stop == p || stop[-1] == ' ' || stop[-1] == '\t'))
			break;
	while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t'))
		stop--;
	return copy(p, (size_t)(stop - p));
}

/* The last line with a name counts, as in a shell. */
static bool keep(struct dotenv *d, const char *name, size_t n, char *value)
{
	struct entry *slot = NULL;

	for (size_t i = 0; i < d->n && !slot; i++)
		if (strncmp(d->entries[i].name, name, n) == 0 && !d->entries[i].name[n])
			slot = &d->entries[i];
	if (!slot) {
		if (d->n == DOTENV_MAX_ENTRIES)
			return false;
		slot = &d->entries[d->n++];
		slot->name = copy(name, n);
	}
	free(slot->value);
	slot->value = value;
	if (is_secret(name, n))
		log_secret(value);
	return true;
}

static void read_line(struct dotenv *d, const char *p, const char *end)
{
	size_t n;
	const char *name;
	char *value;

	if (end > p && end[-1] == '\r')
		end--;
	p = skip_blanks(p, end);
	if (p == end || *p == '#')
		return;
	if (end - p > 7 && memcmp(p, "export", 6) == 0 && (p[6] == ' ' || p[6] == '\t'))
		p = skip_blanks(p + 6, end);
	name = p;
	n = name_length(p, end);
	p = skip_blanks(p + n, end);
	if (n == 0 || p == end || *p != '=') {
		d->skipped++;
		return;
	}
	value = read_value(p + 1, end);
	if (!value || !keep(d, name, n, value)) {
		free(value);
		d->skipped++;
	}
}

struct dotenv *dotenv_parse(const char *text, size_t n, struct err *e)
{
	struct dotenv *d;
	const char *end = text + n;

	if (n > DOTENV_MAX_BYTES) {
		err_set(e, ERR_LIMIT, ".env: %zu bytes, at most %d are read", n, DOTENV_MAX_BYTES);
		return NULL;
	}
	if (n > 0 && memchr(text, '\0', n)) {
		err_set(e, ERR_INVALID, ".env: holds a NUL byte, so it is not a text file");
		return NULL;
	}
	d = calloc(1, sizeof(*d));
	if (!d)
		err_out_of_memory();
	d->entries = calloc(DOTENV_MAX_ENTRIES, sizeof(*d->entries));
	if (!d->entries)
		err_out_of_memory();
	if (n >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	while (text < end) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));
		const char *stop = newline ? newline : end;

		read_line(d, text, stop);
		text = newline ? newline + 1 : end;
	}
	return d;
}

static void register_environment(void)
{
	for (char **v = environ; v && *v; v++) {
		const char *equals = strchr(*v, '=');
		if (equals && is_secret(*v, (size_t)(equals - *v)))
			log_secret(equals + 1);
	}
}

/* Reads at most DOTENV_MAX_BYTES + 1 bytes into text, so that a longer file shows. A
 * missing file is an empty one. */
static int read_file(const char *path, char *text, size_t *n, struct err *e)
{
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	*n = 0;
	if (fd < 0)
		return errno == ENOENT ? 0 : err_errno(e, "read %s", path);
	if (fstat(fd, &st) < 0 || S_ISDIR(st.st_mode))
		return err_set(e, ERR_INVALID, "read %s: is not a file", path);
	while (*n <= DOTENV_MAX_BYTES) {
		ssize_t got = read(fd, text + *n, DOTENV_MAX_BYTES + 1 - *n);

		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_errno(e, "read %s", path);
		if (got == 0)
			break;
		*n += (size_t)got;
	}
	return 0;
}

struct dotenv *dotenv_load(const char *path, struct err *e)
{
	struct dotenv *d = NULL;
	char *text = malloc(DOTENV_MAX_BYTES + 1);
	size_t n;

	if (!text)
		err_out_of_memory();
	if (read_file(path, text, &n, e) == 0) {
		d = dotenv_parse(text, n, e);
		if (!d)
			err_wrap(e, "%s", path);
	}
	explicit_bzero(text, n);
	free(text);
	if (d)
		register_environment();
	return d;
}

void dotenv_free(struct dotenv *d)
{
	if (!d)
		return;
	for (size_t i = 0; i < d->n; i++) {
		explicit_bzero(d->entries[i].value, strlen(d->entries[i].value));
		free(d->entries[i].value);
		free(d->entries[i].name);
	}
	free(d->entries);
	free(d);
}

const char *dotenv_get(const struct dotenv *d, const char *name)
{
	const char *v = getenv(name);

	if (v && v[0]) {
		if (is_secret(name, strlen(name)))
			log_secret(v);
		return v;
	}
	for (size_t i = 0; i < d->n; i++)
		if (strcmp(d->entries[i].name, name) == 0)
			return d->entries[i].value[0] ? d->entries[i].value : NULL;
	return NULL;
}

int dotenv_skipped(const struct dotenv *d)
{
	return d->skipped;
}
