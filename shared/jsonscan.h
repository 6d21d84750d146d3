/* One string member of a JSON object, found and decoded without building a tree: for
 * texts of which there are millions. Pure; safe on any bytes, exact on valid JSON. */
#ifndef SHARED_JSONSCAN_H
#define SHARED_JSONSCAN_H

#include <stdbool.h>
#include <stddef.h>

/* Points *raw at the value, still escaped and without its quotes, of the first member
 * `name` (written without escapes) of the object. False: none, or not a string. */
bool jsonscan_string(
	const char *json, size_t n, const char *name, const char **raw, size_t *raw_len);

/* Decodes what jsonscan_string found into out (at least n bytes); returns the length.
 * U+0000 and broken surrogates become U+FFFD. */
size_t jsonscan_decode(const char *raw, size_t n, char *out);

/* Line ends in it, decoded; *open: text follows the last one. */
size_t jsonscan_lines(const char *raw, size_t n, bool *open);

#endif
