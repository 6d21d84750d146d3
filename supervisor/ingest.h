/* Events from the workers: taken in order, committed in groups, then published
 * (docs/protocol.md, section 2). */
#ifndef SUPERVISOR_INGEST_H
#define SUPERVISOR_INGEST_H

#include <stddef.h>
#include <stdint.h>

#include "supervisor/outbox.h"

#define INGEST_BATCH_BYTES (4 * 1024 * 1024) /* a batch is committed before it grows past this */
#define INGEST_RESEND_MS 50		     /* between two requests to resend, for one agent */
#define INGEST_ACK_EVENTS 64
#define INGEST_ACK_MS 100

struct supervisor;

struct ingest {
	struct outbox batch; /* taken, in order per agent, not yet committed */
	int64_t complaints;  /* frames and bodies that were not as they should be */
	int64_t complained_ms;
};

/* -1: it was no event at all; its sender may be cut off. */
int ingest_frame(struct supervisor *s, const char *frame, size_t n);
void ingest_commit(struct supervisor *s);

#endif
