/* Inside of the store: an agent's output, for store_output.c and store_search.c. */
#ifndef WEBUI_STORE_OUTPUT_H
#define WEBUI_STORE_OUTPUT_H

#include "webui/store_sql.h"

struct store_output {
	struct store_event event;
	const char *raw; /* its text, still escaped (jsonscan.h); borrowed for the call */
	size_t raw_len;
};
/* False ends the reading. */
typedef bool (*store_output_cb)(void *arg, const struct store_output *o);

/* The one way to an agent's output: its events from id `from` to `to` (0: the end), in
 * order, at most `limit` (-1: all), wherever they lie. The lock is held meanwhile. */
int store_outputs(struct store *s, int64_t agent, int64_t from, int64_t to, int limit,
	store_output_cb cb, void *arg, struct err *e);

struct store_lines {
	int64_t newlines;
	bool open;
	int64_t block_line, block_first; /* of the block that still grows; 0: no output */
};
/* ERR_NOT_FOUND: there is no such agent. */
int store_lines(struct store *s, int64_t agent, struct store_lines *l, struct err *e);

#endif
