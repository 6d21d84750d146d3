/* An event on the wire: one header line and one JSON object (docs/protocol.md).
 *
 *   agent/7 output 1042 v1\n{"seq":1042,"at":1763870000123,"text":"..."}
 *
 * The one table of kinds. Kinds and fields are only added, never renamed or
 * reused; unknown ones are skipped by readers. */
#ifndef SHARED_EVENT_H
#define SHARED_EVENT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"

#define EVENT_VERSION 1		     /* what this program speaks */
#define EVENT_VERSION_OLDEST 1	     /* the lowest it understands */
#define EVENT_BODY_MAX (1024 * 1024) /* bytes of a body; writers cut text before */
#define EVENT_HEADER_MAX 128
#define EVENT_TEXT_MAX (64 * 1024) /* bytes of one piece of streamed text */

/* X(NAME, "word", durable, projected)
 * durable: committed with synchronous=FULL (states and outside effects).
 * projected: the supervisor reads the body and keeps it in its tables. */
#define EVENT_KINDS(X)                                                                             \
	X(OUTPUT, "output", false, false)                                                          \
	X(STATE, "state", true, true)                                                              \
	X(TURN, "turn", false, true)                                                               \
	X(DECISION, "decision", false, true)                                                       \
	X(TOOL, "tool", false, false)                                                              \
	X(COMMIT, "commit", true, false)                                                           \
	X(USAGE, "usage", false, true)                                                             \
	X(MESSAGE, "message", true, false)                                                         \
	X(PERMISSION, "permission", true, false)                                                   \
	X(PROGRESS, "progress", false, false)                                                      \
	X(DIFF, "diff", false, true)                                                               \
	X(TEST, "test", false, true)                                                               \
	X(FINISH, "finish", true, false)                                                           \
	X(PULL_REQUEST, "pull_request", true, true)                                                \
	X(TROUBLE, "trouble", false, false)                                                        \
	X(CREATED, "created", true, false)                                                         \
	X(DELETED, "deleted", true, false)                                                         \
	X(CONFIG, "config", true, false)                                                           \
	X(WORKER, "worker", true, false)                                                           \
	X(ARCHIVE, "archive", true, false)                                                         \
	X(JUDGEMENT, "judgement", true, false)                                                     \
	X(WINNER, "winner", true, false)                                                           \
	X(WORKSPACE, "workspace", true, false)

enum event_kind {
#define X(name, word, durable, projected) EVENT_##name,
	EVENT_KINDS(X)
#undef X
		EVENT_KIND_COUNT,
	EVENT_UNKNOWN = EVENT_KIND_COUNT,
};

const char *event_kind_word(enum event_kind kind);
enum event_kind event_kind_parse(const char *word, size_t n); /* EVENT_UNKNOWN if not ours */
bool event_kind_durable(enum event_kind kind);
bool event_kind_projected(enum event_kind kind);
bool event_kind_of_worker(enum event_kind kind); /* not one that the supervisor alone makes */

/* A decoded frame; all pointers borrow from the frame. */
struct event {
	char stream[32];      /* "agent", "task" or "system" */
	int64_t subject;      /* agent or task id; 0 for "system" (written "system/0") */
	enum event_kind kind; /* EVENT_UNKNOWN: word tells */
	char word[32];
	int64_t number;	  /* seq on the way in, the store's id on the way out; >= 1 */
	int version;	  /* 1.. */
	const char *body; /* one JSON object's text, no newline needed; not parsed here */
	size_t body_len;
};

/* The range of protocol versions of this program. For tests, HUNDREDX_PROTOCOL
 * ("OLDEST-OWN") makes it another. */
int event_version(void);
int event_version_oldest(void);
/* The version to speak with a peer of this range: the lower of the two, if both
 * understand it; else 0. */
int event_version_common(int64_t oldest, int64_t own);
/* Writes the header of a frame into out (EVENT_HEADER_MAX bytes) with another version
 * and returns its length; *rest: the bytes of frame from the body on. 0: not a frame. */
size_t event_restamp(const char *frame, size_t n, int version, char *out, size_t *rest);

/* Writes the header line (with \n) into out (EVENT_HEADER_MAX bytes); returns its length. */
size_t event_header(
	const char *stream, int64_t subject, enum event_kind kind, int64_t number, char *out);

/* Decodes a frame of n bytes. Checks lengths, characters, that the body is valid
 * UTF-8 and starts and ends as an object. ERR_PROTOCOL says what is wrong. */
int event_decode(const char *frame, size_t n, struct event *ev, struct err *e);

#endif
