/* A worker's append-only file of events not yet acknowledged: the truth behind
 * pub/sub (docs/protocol.md, "From worker to supervisor"). One per agent, kept by the
 * worker that holds the agent's lock. Records survive our crash (written before
 * they are published), not power loss.
 *
 * File: 32 bytes of header (magic, seq before the first record, agent, CRC-32C),
 * then records: 4-byte little-endian length of the frame, 4-byte CRC-32C of it,
 * frame (event header line and body). A torn or damaged tail is cut off at open.
 *
 * Records that are damaged on disk, found at open or when they are read back, are mended:
 * the file is made anew with all that is whole; in the place of each lost event stands an
 * empty output with "broken": true, and one event more, a trouble, tells how many. */
#ifndef SHARED_SPOOL_H
#define SHARED_SPOOL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"
#include "shared/event.h"

#define SPOOL_MAX_BYTES (256LL * 1024 * 1024) /* unacknowledged; "full" refuses with ERR_LIMIT */

struct spool;

/* Opens or makes the spool in folder dir. committed: highest seq the supervisor
 * has; the next seq is one more than the larger of it and the spool's last.
 * agent: for the header lines. The caller frees. ERR_SYS, ERR_DENIED; ERR_CONFLICT:
 * the file there is another agent's. */
struct spool *spool_open(const char *dir, int64_t agent, int64_t committed, struct err *e);
void spool_free(struct spool *s);

/* Appends one event and returns its seq in *seq (1, 2, 3, ...). body: JSON
 * object text, borrowed, must not hold "seq"; the spool puts {"seq":N,"at":MS,
 * in front of it and blots out registered secrets (log_secret) in its strings.
 * ERR_INVALID: not an object, or broken UTF-8. ERR_LIMIT: body too long or spool
 * full. ERR_SYS: disk. After a failure the seq is not used up. */
int spool_append(struct spool *s, enum event_kind kind, const char *body, size_t n, int64_t *seq,
	struct err *e);

/* Reads the frame with this seq (must be > acknowledged). *frame is owned by the
 * spool and valid until its next call. ERR_NOT_FOUND. ERR_SYS: it cannot be read, or was damaged
 * and there is no room to mend it; nothing is given up, ask again. Sequential reads are
 * O(1). */
int spool_read(struct spool *s, int64_t seq, const char **frame, size_t *n, struct err *e);

/* Everything up to and with seq is committed: it may be dropped. Space is given
 * back now and then, not at each call. ERR_PROTOCOL: seq was never appended. */
int spool_acknowledge(struct spool *s, int64_t seq, struct err *e);

int64_t spool_last(const struct spool *s);	   /* last seq appended; 0 if none ever */
int64_t spool_acknowledged(const struct spool *s); /* highest acknowledged */
int64_t spool_bytes(const struct spool *s);	   /* on disk */
int64_t spool_lost(const struct spool *s);	   /* damaged on disk since it was opened */

#endif
