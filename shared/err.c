/* Errors as values: kind for the caller's reaction, text for people. */
#include "shared/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *const err_words[] = {
	[ERR_NONE] = "none",
	[ERR_INVALID] = "invalid",
	[ERR_NOT_FOUND] = "not_found",
	[ERR_CONFLICT] = "conflict",
	[ERR_DENIED] = "denied",
	[ERR_LIMIT] = "limit",
	[ERR_UNAVAILABLE] = "unavailable",
	[ERR_PROTOCOL] = "protocol",
	[ERR_SYS] = "sys",
	[ERR_CANCELLED] = "cancelled",
	[ERR_INTERNAL] = "internal",
};

/* Drops the bytes of a character that the cut at the end of the buffer split. */
static void cut_at_border(char *text)
{
	size_t n = strlen(text);
	size_t at = n;
	unsigned char lead;
	size_t want;

	if (n + 1 < ERR_TEXT_BYTES)
		return;
	while (at > 0 && n - at < 3 && ((unsigned char)text[at - 1] & 0xc0) == 0x80)
		at--;
	if (at == 0)
		return;
	lead = (unsigned char)text[at - 1];
	want = lead >= 0xf0 ? 4 : lead >= 0xe0 ? 3 : lead >= 0xc0 ? 2 : 1;
	if (n - (at - 1) < want)
		text[at - 1] = '\0';
}

static void put(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
	__attribute__((format(printf, 3, 0)));

static void put(struct err *e, enum err_kind kind, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_BYTES];

	/* The arguments may point into e->text itself. */
	if (vsnprintf(text, sizeof(text), fmt, ap) < 0)
		text[0] = '\0';
	cut_at_border(text);
	e->kind = kind;
	memcpy(e->text, text, strlen(text) + 1);
}

/* Appends or prepends: writes "a: b" into the text. */
static void join(struct err *e, const char *a, const char *b)
{
	char text[ERR_TEXT_BYTES];
	size_t n = strnlen(a, sizeof(text) - 1);
	size_t m;

	memcpy(text, a, n);
	for (const char *p = ": "; *p && n < sizeof(text) - 1; p++)
		text[n++] = *p;
	m = strnlen(b, sizeof(text) - 1 - n);
	memcpy(text + n, b, m);
	text[n + m] = '\0';
	cut_at_border(text);
	memcpy(e->text, text, n + m + 1);
}

int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
{
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	put(e, kind, fmt, ap);
	va_end(ap);
	return -1;
}

int err_errno(struct err *e, const char *fmt, ...)
{
	int code = errno;
	enum err_kind kind = ERR_SYS;
	char reason[128];
	va_list ap;

	if (!e)
		return -1;
	if (code == ENOENT)
		kind = ERR_NOT_FOUND;
	else if (code == EACCES || code == EPERM)
		kind = ERR_DENIED;
	va_start(ap, fmt);
	put(e, kind, fmt, ap);
	va_end(ap);
	join(e, e->text, strerror_r(code, reason, sizeof(reason)));
	return -1;
}

int err_wrap(struct err *e, const char *fmt, ...)
{
	char context[ERR_TEXT_BYTES];
	va_list ap;

	if (!e)
		return -1;
	va_start(ap, fmt);
	if (vsnprintf(context, sizeof(context), fmt, ap) < 0)
		context[0] = '\0';
	va_end(ap);
	join(e, context, e->text);
	return -1;
}

const char *err_kind_name(enum err_kind kind)
{
	if ((unsigned)kind >= sizeof(err_words) / sizeof(err_words[0]))
		return err_words[ERR_INTERNAL];
	return err_words[kind];
}

enum err_kind err_kind_parse(const char *name)
{
	for (size_t i = 0; name && i < sizeof(err_words) / sizeof(err_words[0]); i++)
		if (strcmp(name, err_words[i]) == 0)
			return (enum err_kind)i;
	return ERR_INTERNAL;
}

void err_out_of_memory(void)
{
	static const char text[] =
		"out of memory: ended, to be started again. Free memory, or run fewer agents at "
		"once (100x config set max_working=N)\n";

	/* Nothing here may ask for memory, or run what does at an orderly end. */
	if (write(STDERR_FILENO, text, sizeof(text) - 1) < 0)
		_exit(ERR_MEMORY_EXIT);
	_exit(ERR_MEMORY_EXIT);
}
