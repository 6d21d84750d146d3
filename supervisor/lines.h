/* How an agent's output falls into lines: counted as it comes, so that any line is found
 * and any text is searched for without reading it all. Blocks of some 256 lines, each
 * with a filter of what is in it (shared/grams.h). Pure.
 *
 * A line ends at '\n' in the concatenation of all output texts, by rising event id. */
#ifndef SUPERVISOR_LINES_H
#define SUPERVISOR_LINES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/grams.h"

#define LINES_BLOCK 256		      /* a block ends behind so many, with a line */
#define LINES_BLOCK_MAX 2048	      /* and in the middle of one behind these */
#define LINES_BLOCK_BYTES (64 * 1024) /* the same for its text */
#define LINES_BYTES_MAX (256 * 1024)
#define LINES_LAST_BYTES 200 /* of the line that is shown */
#define LINES_RAW_BYTES 1024 /* of a line that is looked at for it */

struct lines_block {
	int64_t line;		   /* line ends before it */
	int64_t first_id, last_id; /* its events */
	bool filtered;		   /* grams hold all of it */
	unsigned char grams[GRAMS_BYTES];
};

struct lines {
	int64_t newlines;
	bool open;		  /* text behind the last line end */
	struct lines_block block; /* the one that grows; first_id 0: none yet */
	size_t block_bytes;
	unsigned char before[3];	 /* the last bytes, folded */
	char last[LINES_LAST_BYTES + 1]; /* the last line that is not blank, made harmless */
	char raw[LINES_RAW_BYTES];	 /* the beginning of the open line */
	size_t raw_len;
	bool returned; /* a carriage return was the last byte */
	bool changed;  /* since it was last saved */
};

/* Takes an event's text (decoded). True if that ended the block before, which is then in
 * *ended; the event is in the next one. */
bool lines_add(
	struct lines *l, int64_t event_id, const char *text, size_t n, struct lines_block *ended);

/* The last line that is not blank, of which as much as is there: no control characters,
 * escape sequences or overrides of direction; out has LINES_LAST_BYTES + 1 bytes. */
void lines_last(const struct lines *l, char *out);

#endif
