/* Lines out of an agent's stdout, however they are cut into reads. A protocol line
 * starts with "{"; anything else is stray output of a chatty program: its first
 * ACP_STRAY_MAX bytes are told, the rest is dropped without being kept. Pure. */
#ifndef WORKER_ACP_FRAME_H
#define WORKER_ACP_FRAME_H

#include <stdbool.h>
#include <stddef.h>

#include "shared/buf.h"
#include "shared/err.h"

#define ACP_LINE_MAX (16 * 1024 * 1024)
#define ACP_STRAY_MAX 4096

struct acp_frame {
	struct buf line;
	bool stray; /* the line under way is no protocol line */
	size_t max;
};

/* line is borrowed for the call, without its newline. */
typedef void (*acp_line_cb)(void *arg, const char *line, size_t n, bool stray);

void acp_frame_init(struct acp_frame *f, size_t max_bytes);
void acp_frame_clear(struct acp_frame *f);
/* ERR_LIMIT: a protocol line is longer than max; nothing more can be read. */
int acp_frame_feed(
	struct acp_frame *f, const char *data, size_t n, acp_line_cb cb, void *arg, struct err *e);

#endif
