/* What reaches the terminal: colour only where it is wanted, foreign bytes made
 * harmless, columns aligned by display width. */
#ifndef CTL_TERM_H
#define CTL_TERM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "shared/buf.h"

enum term_style {
	TERM_PLAIN,
	TERM_BOLD,
	TERM_DIM,
	TERM_RED,
	TERM_GREEN,
	TERM_YELLOW,
	TERM_BLUE,
	TERM_CYAN,
};

struct term {
	bool colour;
	int width; /* columns; 0: not a terminal, do not cut */
};

/* Colour if fd is a terminal, NO_COLOR is unset or empty and TERM is not "dumb". */
void term_init(struct term *t, int fd);
/* The escape sequences around a styled text; "" without colour. */
const char *term_on(const struct term *t, enum term_style style);
const char *term_off(const struct term *t, enum term_style style);
/* The style that goes with an agent's state. */
enum term_style term_state_style(const char *state);

/* Takes escape sequences and control characters out of a stream of text that may be
 * cut anywhere. Keeps line ends and tabs; a lone carriage return becomes a line end;
 * broken UTF-8 and text-direction overrides become U+FFFD. */
struct term_filter {
	int state;
	size_t skipped; /* bytes of the sequence being skipped */
	bool returned;	/* the last byte was a carriage return */
	unsigned char part[4];
	size_t part_len, part_want;
};
#define TERM_SEQUENCE_MAX 4096 /* longer is no sequence: text goes on after it */
void term_filter_add(struct term_filter *f, struct buf *out, const char *text, size_t n);

/* The same for a text that must stay on one line: line ends and tabs become one
 * space. Cut to max_columns (0: not cut) with "…". Appends to out. */
void term_line(struct buf *out, const char *text, int max_columns);
/* Display columns of clean UTF-8. */
int term_columns(const char *text);

/* Rows of cells, aligned. The last column is cut at the terminal's width. */
struct term_table;
struct term_column {
	const char *head;
	bool right;
};
struct term_table *term_table_new(const struct term_column *columns, size_t n);
void term_table_free(struct term_table *t);
/* Appends the next cell, row by row; text is copied and made harmless. */
void term_table_cell(struct term_table *t, enum term_style style, const char *text);
void term_table_print(const struct term_table *t, const struct term *term, FILE *out);

/* People's numbers, into out (32 bytes), returning out. */
const char *term_count(int64_t n, char *out);	  /* 987, 12.3k, 4.56M */
const char *term_dollars(double v, char *out);	  /* $0.0123 */
const char *term_duration(int64_t ms, char *out); /* 0.8s, 42s, 3m12s, 5h03m */
const char *term_bytes(int64_t n, char *out);	  /* 3.4 GiB */

#endif
