/* Strict JSON: the text is scanned by rules of our own before cJSON builds the
 * tree, because cJSON takes duplicate keys, loose numbers, broken UTF-8 and
 * control characters. */
#include "shared/json.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"

#define JSON_DEPTH_MAX 32
#define JSON_STRING_MAX 4096
#define JSON_ARRAY_MAX 1000
#define JSON_PRINTED_EXACTLY 1000000000000000 /* cJSON prints 15 digits */
#define JSON_SAFE_INTEGER 9007199254740991.0  /* 2^53 - 1: exact as a double */

struct scan {
	const char *text;
	size_t n;
	size_t at;
	struct err *e;
};

static void *allocate(size_t n)
{
	void *p = malloc(n);

	if (!p)
		err_out_of_memory();
	return p;
}

/* cJSON answers a refused allocation with a tree in which a part is missing, which would
 * then be stored or sent as if it were whole. */
__attribute__((constructor)) static void use_memory(void)
{
	cJSON_Hooks hooks = {.malloc_fn = allocate, .free_fn = free};

	cJSON_InitHooks(&hooks);
}

static int bad(const struct scan *s, const char *what)
{
	return err_set(s->e, ERR_INVALID, "JSON: %s at byte %zu", what, s->at);
}

static void skip_space(struct scan *s)
{
	while (s->at < s->n && s->text[s->at] && strchr(" \t\r\n", s->text[s->at]))
		s->at++;
}

static bool digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Reads the four digits of \uXXXX; s->at is behind the u. */
static int scan_hex(struct scan *s, unsigned *code)
{
	*code = 0;
	for (int i = 0; i < 4; i++, s->at++) {
		char c = s->at < s->n ? s->text[s->at] : '\0';
		unsigned v;

		if (digit(c))
			v = (unsigned)(c - '0');
		else if (c >= 'a' && c <= 'f')
			v = (unsigned)(c - 'a') + 10;
		else if (c >= 'A' && c <= 'F')
			v = (unsigned)(c - 'A') + 10;
		else
			return bad(s, "four hexadecimal digits must follow \\u");
		*code = *code << 4 | v;
	}
	return 0;
}

static int scan_escape(struct scan *s)
{
	char c = s->at < s->n ? s->text[s->at] : '\0';
	unsigned code;
	unsigned low;

	if (c != 'u') {
		if (!c || !strchr("\"\\/bfnrt", c))
			return bad(s, "unknown escape in a string");
		s->at++;
		return 0;
	}
	s->at++;
	if (scan_hex(s, &code) < 0)
		return -1;
	if (code == 0)
		return bad(s, "\\u0000 is not taken");
	if (code >= 0xdc00 && code <= 0xdfff)
		return bad(s, "half a surrogate pair");
	if (code < 0xd800 || code > 0xdbff)
		return 0;
	if (s->n - s->at < 2 || s->text[s->at] != '\\' || s->text[s->at + 1] != 'u')
		return bad(s, "half a surrogate pair");
	s->at += 2;
	if (scan_hex(s, &low) < 0)
		return -1;
	return low >= 0xdc00 && low <= 0xdfff ? 0 : bad(s, "half a surrogate pair");
}

static int scan_string(struct scan *s)
{
	if (s->at >= s->n || s->text[s->at] != '"')
		return bad(s, "a string was expected");
	s->at++;
	while (s->at < s->n) {
		unsigned char c = (unsigned char)s->text[s->at];

		if (c < 0x20)
			return bad(s, "control character in a string");
		s->at++;
		if (c == '"')
			return 0;
		if (c == '\\' && scan_escape(s) < 0)
			return -1;
	}
	return bad(s, "the string does not end");
}

static int scan_digits(struct scan *s)
{
	if (s->at >= s->n || !digit(s->text[s->at]))
		return bad(s, "a digit was expected");
	while (s->at < s->n && digit(s->text[s->at]))
		s->at++;
	return 0;
}

static int scan_number(struct scan *s)
{
	size_t start = s->at;

	if (s->text[s->at] == '-')
		s->at++;
	if (s->at < s->n && s->text[s->at] == '0') {
		s->at++;
	} else if (scan_digits(s) < 0) {
		return -1;
	}
	if (s->at < s->n && s->text[s->at] == '.') {
		s->at++;
		if (scan_digits(s) < 0)
			return -1;
	}
	if (s->at < s->n && (s->text[s->at] == 'e' || s->text[s->at] == 'E')) {
		s->at++;
		if (s->at < s->n && (s->text[s->at] == '+' || s->text[s->at] == '-'))
			s->at++;
		if (scan_digits(s) < 0)
			return -1;
	}
	/* cJSON copies a number into a buffer of 64 bytes. */
	return s->at - start < 64 ? 0 : bad(s, "the number is too long");
}

static int scan_word(struct scan *s, const char *word)
{
	size_t n = strlen(word);

	if (s->n - s->at < n || memcmp(s->text + s->at, word, n) != 0)
		return bad(s, "a value was expected");
	s->at += n;
	return 0;
}

/* Reads what follows an opening bracket or a value up to the next value of the
 * container; *closed tells that it ended. */
static int scan_next(struct scan *s, char close, bool first, bool *closed)
{
	skip_space(s);
	*closed = s->at < s->n && s->text[s->at] == close;
	if (*closed) {
		s->at++;
		return 0;
	}
	if (first)
		return 0;
	if (s->at >= s->n || s->text[s->at] != ',')
		return bad(s, close == '}' ? "\",\" or \"}\" was expected"
					   : "\",\" or \"]\" was expected");
	s->at++;
	skip_space(s);
	return 0;
}

static int scan_scalar(struct scan *s)
{
	char c = s->at < s->n ? s->text[s->at] : '\0';

	if (c == '"')
		return scan_string(s);
	if (c == '-' || digit(c))
		return scan_number(s);
	if (c == 't')
		return scan_word(s, "true");
	if (c == 'f')
		return scan_word(s, "false");
	return scan_word(s, "null");
}

/* One value without recursion: the stack is the list of open brackets. */
static int scan_value(struct scan *s)
{
	char open[JSON_DEPTH_MAX];
	size_t depth = 0;
	bool first = false;
	bool closed;

	skip_space(s);
	for (;;) {
		char c = s->at < s->n ? s->text[s->at] : '\0';

		if (c == '{' || c == '[') {
			if (depth == JSON_DEPTH_MAX)
				return bad(s, "nested deeper than 32 levels");
			open[depth++] = c == '{' ? '}' : ']';
			s->at++;
			first = true;
		} else if (scan_scalar(s) < 0) {
			return -1;
		}
		do {
			if (depth == 0)
				return 0;
			if (scan_next(s, open[depth - 1], first, &closed) < 0)
				return -1;
			first = false;
			if (closed)
				depth--;
		} while (closed);
		if (open[depth - 1] == '}') {
			if (scan_string(s) < 0)
				return -1;
			skip_space(s);
			if (s->at >= s->n || s->text[s->at] != ':')
				return bad(s, "\":\" was expected");
			s->at++;
			skip_space(s);
		}
	}
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* The tree is at most 32 deep, so recursion is bounded. */
static int refuse_duplicates(const cJSON *j, struct err *e)
{
	_cleanup_free_ const char **names = NULL;
	size_t n = 0;
	const cJSON *child;

	cJSON_ArrayForEach (child, j) {
		n++;
		if ((cJSON_IsObject(child) || cJSON_IsArray(child)) &&
			refuse_duplicates(child, e) < 0)
			return -1;
	}
	if (!cJSON_IsObject(j) || n < 2)
		return 0;
	names = calloc(n, sizeof(*names));
	if (!names)
		err_out_of_memory();
	n = 0;
	cJSON_ArrayForEach (child, j)
		names[n++] = child->string;
	qsort(names, n, sizeof(*names), compare_names);
	for (size_t i = 1; i < n; i++)
		if (strcmp(names[i - 1], names[i]) == 0)
			return err_set(
				e, ERR_INVALID, "JSON: the key \"%.64s\" is there twice", names[i]);
	return 0;
}

cJSON *json_parse(const char *text, size_t n, size_t max_bytes, struct err *e)
{
	_cleanup_json_ cJSON *j = NULL;
	struct scan s = {.text = text, .n = n, .e = e};

	if (n > max_bytes) {
		err_set(e, ERR_LIMIT, "JSON: %zu bytes, at most %zu are taken", n, max_bytes);
		return NULL;
	}
	if (!utf8_valid(text, n)) {
		err_set(e, ERR_INVALID, "JSON: not valid UTF-8, or a NUL byte");
		return NULL;
	}
	if (scan_value(&s) < 0)
		return NULL;
	skip_space(&s);
	if (s.at != n) {
		bad(&s, "something follows the value");
		return NULL;
	}
	j = cJSON_ParseWithLength(text, n);
	if (!j) {
		err_set(e, ERR_INVALID, "JSON: cannot be read");
		return NULL;
	}
	if (refuse_duplicates(j, e) < 0)
		return NULL;
	return take_ptr(j);
}

char *json_print(const cJSON *j)
{
	char *text = cJSON_PrintUnformatted(j);

	if (!text)
		err_out_of_memory();
	return text;
}

static const char *type_name(enum json_type type)
{
	switch (type) {
	case JSON_STRING:
		return "a string";
	case JSON_INT:
		return "an integer";
	case JSON_NUMBER:
		return "a number";
	case JSON_BOOL:
		return "true or false";
	case JSON_OBJECT:
		return "an object";
	case JSON_ARRAY:
		return "an array";
	}
	return "a value";
}

static bool is_integer(const cJSON *j)
{
	return cJSON_IsNumber(j) && fabs(j->valuedouble) <= JSON_SAFE_INTEGER &&
	       j->valuedouble == trunc(j->valuedouble);
}

static bool has_type(const cJSON *j, enum json_type type)
{
	switch (type) {
	case JSON_STRING:
		return cJSON_IsString(j);
	case JSON_INT:
		return is_integer(j);
	case JSON_NUMBER:
		return cJSON_IsNumber(j) && isfinite(j->valuedouble);
	case JSON_BOOL:
		return cJSON_IsBool(j);
	case JSON_OBJECT:
		return cJSON_IsObject(j);
	case JSON_ARRAY:
		return cJSON_IsArray(j);
	}
	return false;
}

static int check_bounds(const cJSON *j, const struct json_field *f, struct err *e)
{
	double size;
	double max;

	switch (f->type) {
	case JSON_INT:
	case JSON_NUMBER:
		if (f->min == 0 && f->max == 0)
			return 0;
		if (j->valuedouble < f->min || j->valuedouble > f->max)
			return err_set(e, ERR_INVALID, "%s: is %.15g, must be from %.15g to %.15g",
				f->name, j->valuedouble, f->min, f->max);
		return 0;
	case JSON_STRING:
		size = (double)strlen(j->valuestring);
		max = f->max > 0 ? f->max : JSON_STRING_MAX;
		if (size < f->min || size > max)
			return err_set(e, ERR_INVALID,
				"%s: is %.0f bytes long, must be from %.0f to %.0f", f->name, size,
				f->min, max);
		return 0;
	case JSON_ARRAY:
		size = (double)cJSON_GetArraySize(j);
		max = f->max > 0 ? f->max : JSON_ARRAY_MAX;
		if (size < f->min || size > max)
			return err_set(e, ERR_INVALID,
				"%s: has %.0f elements, must have from %.0f to %.0f", f->name, size,
				f->min, max);
		return 0;
	case JSON_BOOL:
	case JSON_OBJECT:
		return 0;
	}
	return 0;
}

static int check(
	const cJSON *j, const struct json_field *fields, size_t n, bool open, struct err *e)
{
	const cJSON *child;

	if (!cJSON_IsObject(j))
		return err_set(e, ERR_INVALID, "an object was expected");
	cJSON_ArrayForEach (child, j) {
		size_t i = 0;

		while (i < n && strcmp(fields[i].name, child->string) != 0)
			i++;
		if (i == n && open)
			continue;
		if (i == n)
			return err_set(e, ERR_INVALID, "%.64s: no such field", child->string);
		if (cJSON_IsNull(child))
			continue;
		if (!has_type(child, fields[i].type))
			return err_set(e, ERR_INVALID, "%s: must be %s", fields[i].name,
				type_name(fields[i].type));
		if (check_bounds(child, &fields[i], e) < 0)
			return -1;
	}
	for (size_t i = 0; i < n; i++)
		if (fields[i].required && !json_get(j, fields[i].name))
			return err_set(e, ERR_INVALID, "%s: is missing, must be %s", fields[i].name,
				type_name(fields[i].type));
	return 0;
}

int json_check(const cJSON *j, const struct json_field *fields, size_t n, struct err *e)
{
	return check(j, fields, n, false, e);
}

int json_check_known(const cJSON *j, const struct json_field *fields, size_t n, struct err *e)
{
	return check(j, fields, n, true, e);
}

const cJSON *json_get(const cJSON *j, const char *name)
{
	const cJSON *v = cJSON_IsObject(j) ? cJSON_GetObjectItemCaseSensitive(j, name) : NULL;

	return v && !cJSON_IsNull(v) ? v : NULL;
}

const char *json_str(const cJSON *j, const char *name, const char *otherwise)
{
	const cJSON *v = json_get(j, name);

	return cJSON_IsString(v) ? v->valuestring : otherwise;
}

int64_t json_int(const cJSON *j, const char *name, int64_t otherwise)
{
	const cJSON *v = json_get(j, name);

	return v && is_integer(v) ? (int64_t)v->valuedouble : otherwise;
}

double json_num(const cJSON *j, const char *name, double otherwise)
{
	const cJSON *v = json_get(j, name);

	return v && cJSON_IsNumber(v) ? v->valuedouble : otherwise;
}

bool json_bool(const cJSON *j, const char *name, bool otherwise)
{
	const cJSON *v = json_get(j, name);

	return cJSON_IsBool(v) ? cJSON_IsTrue(v) : otherwise;
}

static void add(cJSON *j, const char *name, cJSON *v)
{
	if (!v || !cJSON_AddItemToObject(j, name, v))
		err_out_of_memory();
}

void json_add_text(cJSON *j, const char *name, const char *text, size_t n)
{
	_cleanup_free_ char *clean = NULL;

	if (!text) {
		add(j, name, cJSON_CreateNull());
		return;
	}
	clean = utf8_clean(text, n);
	add(j, name, cJSON_CreateString(clean));
}

void json_add_str(cJSON *j, const char *name, const char *text)
{
	json_add_text(j, name, text, text ? strlen(text) : 0);
}

void json_add_int(cJSON *j, const char *name, int64_t v)
{
	char text[24];

	if (v > -JSON_PRINTED_EXACTLY && v < JSON_PRINTED_EXACTLY) {
		add(j, name, cJSON_CreateNumber((double)v));
		return;
	}
	snprintf(text, sizeof(text), "%" PRId64, v);
	add(j, name, cJSON_CreateRaw(text));
}
