/* Streamed text on its way into events: at once when the stream was quiet for
 * OUTPUT_QUIET_MS (a hundred lines a second still count as that), gathered for at most
 * OUTPUT_GATHER_MS or OUTPUT_GATHER_BYTES while it flows faster. Pieces end at
 * character borders; one longer than EVENT_TEXT_MAX is cut and marked, and so is a line of
 * raw bytes that never ends. Pure: the time comes in, pieces go out by a callback. */
#ifndef WORKER_OUTPUT_H
#define WORKER_OUTPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/buf.h"

#define OUTPUT_QUIET_MS 8
#define OUTPUT_GATHER_MS 33
#define OUTPUT_GATHER_BYTES 4096
#define OUTPUT_RAW_BYTES                                                                           \
	(16 * 1024) /* of stderr in one piece: cleaned it may be three times that */

enum output_stream { OUTPUT_AGENT, OUTPUT_THOUGHT, OUTPUT_TOOL, OUTPUT_LOG, OUTPUT_STDERR };

const char *output_stream_word(enum output_stream s);

typedef void (*output_cb)(
	void *arg, enum output_stream stream, const char *text, size_t n, bool cut);

struct output {
	output_cb cb;
	void *arg;
	struct buf text;
	enum output_stream stream; /* of what is gathered */
	int64_t last_ms;	   /* when a piece went out last */
	size_t line_bytes;	   /* of stderr's present line */
};

void output_init(struct output *o, output_cb cb, void *arg);
void output_clear(struct output *o);
/* n bytes; from stderr they may be no UTF-8. */
void output_add(
	struct output *o, enum output_stream stream, const char *text, size_t n, int64_t now_ms);
/* When output_flush is due; -1: nothing is gathered. */
int64_t output_deadline(const struct output *o);
void output_flush(struct output *o, int64_t now_ms);

#endif
