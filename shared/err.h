/* What failed, on what, why, and what the user can do: filled exactly when a
 * function fails. kind picks the caller's reaction, text is for people. */
#ifndef SHARED_ERR_H
#define SHARED_ERR_H

enum err_kind {
	ERR_NONE = 0,
	ERR_INVALID,	 /* bad input: the asker must change it */
	ERR_NOT_FOUND,	 /* no such agent, task, file, key */
	ERR_CONFLICT,	 /* not possible in the present state */
	ERR_DENIED,	 /* refused: credentials, rights, policy */
	ERR_LIMIT,	 /* a named bound was reached */
	ERR_UNAVAILABLE, /* outside party unreachable or busy: may pass */
	ERR_PROTOCOL,	 /* a peer broke the protocol */
	ERR_SYS,	 /* the operating system said no (disk, memory, fork) */
	ERR_CANCELLED,	 /* our side called it off */
	ERR_INTERNAL,	 /* our bug */
};

#define ERR_TEXT_BYTES 1024

struct err {
	enum err_kind kind;
	char text[ERR_TEXT_BYTES];
};

/* Each returns -1, so that a caller can `return err_set(...)`. e may be NULL.
 * Text longer than ERR_TEXT_BYTES is cut at a character border. */
int err_set(struct err *e, enum err_kind kind, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* As err_set with kind ERR_SYS, appending ": " and strerror(errno).
 * ENOENT becomes ERR_NOT_FOUND, EACCES and EPERM become ERR_DENIED. */
int err_errno(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* Puts "context: " in front of the text of an error already filled. */
int err_wrap(struct err *e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* The stable lower-case word for a kind ("invalid", "not_found", ...), as used
 * in control answers; and back (ERR_INTERNAL for an unknown word). */
const char *err_kind_name(enum err_kind kind);
enum err_kind err_kind_parse(const char *name);

/* Memory is exhausted: says so on stderr and ends the process with ERR_MEMORY_EXIT,
 * which whoever watches it takes for "temporary": start it again a little later. What
 * is durable is on disk by then, so nothing is lost. */
#define ERR_MEMORY_EXIT 111
void err_out_of_memory(void) __attribute__((noreturn));

#endif
