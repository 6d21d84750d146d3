/* One line per incident on stderr: "2026-11-23T08:00:00.123Z warn worker[123] text".
 * Foreign bytes (control characters, broken UTF-8) are escaped as \xNN.
 * Registered secrets are replaced by "[secret]" before anything is written.
 * The only global state of the project. Thread-safe. */
#ifndef SHARED_LOG_H
#define SHARED_LOG_H

#include <stddef.h>

enum log_level { LOG_DEBUG, LOG_INFO, LOG_WARN, LOG_ERROR };

/* program: static string such as "supervisor". Level from HUNDREDX_LOG
 * (debug|info|warn|error), default info. */
void log_init(const char *program);
/* From now on stderr, if it is a file in folder (copied), is renamed to <its path>.1 and begun
 * afresh when it is longer than bytes. By one process for each file. */
void log_limit(const char *folder, long long bytes);
void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_debug(...) log_line(LOG_DEBUG, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)

/* Remembers a secret of at least 8 bytes (shorter ones are ignored; at most
 * LOG_MAX_SECRETS are kept). The text is copied. */
#define LOG_MAX_SECRETS 64
void log_secret(const char *secret);

/* Replaces every registered secret in text (NUL-terminated) by asterisks of
 * the same length, in place. Used on everything that leaves a process:
 * events, errors, prompts. */
void log_redact(char *text);
void log_redact_bytes(char *text, size_t n);

#endif
