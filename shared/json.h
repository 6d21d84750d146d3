/* Strict JSON on top of cJSON: bounded input, exact types, no unknown field. */
#ifndef SHARED_JSON_H
#define SHARED_JSON_H

#include <cjson/cJSON.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"

static inline void cleanup_json(cJSON **j)
{
	cJSON_Delete(*j);
}
#define _cleanup_json_ __attribute__((cleanup(cleanup_json)))

/* Parses exactly one JSON value of at most max_bytes, at most 32 levels deep,
 * valid UTF-8, no raw NUL, no \u0000, no duplicate key in an object, nothing
 * behind it. The caller owns the result. NULL with ERR_INVALID (says where) or
 * ERR_LIMIT. */
cJSON *json_parse(const char *text, size_t n, size_t max_bytes, struct err *e);

/* Compact text; the caller frees it. */
char *json_print(const cJSON *j);

enum json_type { JSON_STRING, JSON_INT, JSON_NUMBER, JSON_BOOL, JSON_OBJECT, JSON_ARRAY };

/* One field of a known shape. min/max bound an int or number (both 0: none),
 * a string's bytes (max 0: 4096) or an array's length (max 0: 1000). */
struct json_field {
	const char *name;
	enum json_type type;
	bool required;
	double min, max;
};

/* Checks that j is an object with these fields only. A null value counts as
 * absent. n: number of fields. ERR_INVALID names the field, what it is and
 * what it should be. */
int json_check(const cJSON *j, const struct json_field *fields, size_t n, struct err *e);
/* The same for a peer that may be newer than we are: unknown fields are skipped. */
int json_check_known(const cJSON *j, const struct json_field *fields, size_t n, struct err *e);

/* Borrowed values of an object's field; the default when absent or null. */
const char *json_str(const cJSON *j, const char *name, const char *otherwise);
int64_t json_int(const cJSON *j, const char *name, int64_t otherwise);
double json_num(const cJSON *j, const char *name, double otherwise);
bool json_bool(const cJSON *j, const char *name, bool otherwise);
const cJSON *json_get(const cJSON *j, const char *name); /* NULL if absent or null */

/* Appends: a string that may be broken UTF-8 or carry NULs is cleaned first
 * (U+FFFD for each bad byte); NULL adds null. */
void json_add_text(cJSON *j, const char *name, const char *text, size_t n);
void json_add_str(cJSON *j, const char *name, const char *text);
void json_add_int(cJSON *j, const char *name, int64_t v);

/* True if the n bytes are well-formed UTF-8 without NUL. */
bool utf8_valid(const char *text, size_t n);
/* Longest prefix of at most max bytes that ends at a character border. */
size_t utf8_cut(const char *text, size_t n, size_t max);
/* A clean copy (bad bytes and NUL become U+FFFD); the caller frees it. */
char *utf8_clean(const char *text, size_t n);

#endif
