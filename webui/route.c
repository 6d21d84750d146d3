#include "webui/route.h"

#include <ctype.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"

#define ID_DIGITS_MAX 15

static const struct {
	const char *method, *path;
} table[] = {
#define X(name, method, path) {method, path},
	ROUTES(X)
#undef X
};

const char *route_method(enum route r)
{
	return table[r].method;
}

const char *route_path(enum route r)
{
	return table[r].path;
}

/* Length of a plain positive number (no leading zero) at the start of text; 0: none. */
static size_t number_length(const char *text)
{
	size_t n = strspn(text, "0123456789");

	return n > ID_DIGITS_MAX || text[0] == '0' ? 0 : n;
}

static bool path_matches(const char *pattern, const char *path, int64_t *id)
{
	while (*pattern) {
		if (!strncmp(pattern, "{id}", 4)) {
			size_t n = number_length(path);

			if (n == 0)
				return false;
			*id = strtoll(path, NULL, 10);
			path += n;
			pattern += 4;
		} else if (*pattern++ != *path++) {
			return false;
		}
	}
	return *path == '\0';
}

int route_find(const char *method, const char *path, enum route *r, int64_t *id, char *allow)
{
	size_t prefix = strlen(ROUTE_PREFIX), used = 0;

	allow[0] = '\0';
	*id = 0;
	if (strncmp(path, ROUTE_PREFIX, prefix) != 0)
		return 404;
	if (!strcmp(method, "HEAD"))
		method = "GET";
	for (int i = 0; i < ROUTE_COUNT; i++) {
		if (!path_matches(table[i].path, path + prefix, id))
			continue;
		if (!strcmp(table[i].method, method)) {
			*r = (enum route)i;
			return 200;
		}
		used += (size_t)snprintf(allow + used, ROUTE_ALLOW_MAX - used, "%s%s",
			used ? ", " : "", table[i].method);
	}
	return used ? 405 : 404;
}

static int hex(char c)
{
	if (isdigit((unsigned char)c))
		return c - '0';
	return isxdigit((unsigned char)c) ? tolower((unsigned char)c) - 'a' + 10 : -1;
}

/* Decodes n bytes of a query into out (size bytes). False: broken or too long. */
static bool decode(const char *text, size_t n, char *out, size_t size)
{
	size_t len = 0;

	for (size_t i = 0; i < n; i++) {
		int c = (unsigned char)text[i];

		if (c == '+') {
			c = ' ';
		} else if (c == '%') {
			if (n - i < 3 || hex(text[i + 1]) < 0 || hex(text[i + 2]) < 0)
				return false;
			c = hex(text[i + 1]) * 16 + hex(text[i + 2]);
			i += 2;
		}
		if (c == 0 || len + 1 >= size)
			return false;
		out[len++] = (char)c;
	}
	out[len] = '\0';
	return utf8_valid(out, len);
}

/* True if word is one of the names in list, which spaces separate. */
static bool listed(const char *list, const char *word)
{
	size_t n = strlen(word);

	for (const char *p = list; *p;) {
		size_t len = strcspn(p, " ");

		if (len == n && !strncmp(p, word, n))
			return true;
		p += len;
		p += *p == ' ';
	}
	return false;
}

int query_parse(const char *text, const char *allowed, struct query *q, struct err *e)
{
	q->count = 0;
	for (const char *p = text ? text : ""; *p;) {
		size_t n = strcspn(p, "&"), name_n = strcspn(p, "=&");
		size_t value_n = name_n < n ? n - name_n - 1 : 0;

		if (n > 0) {
			if (q->count == QUERY_PARAMS_MAX)
				return err_set(e, ERR_INVALID, "query: more than %d parameters",
					QUERY_PARAMS_MAX);
			char *name = q->names[q->count];
			if (!decode(p, name_n, name, sizeof q->names[0]) || !listed(allowed, name))
				return err_set(e, ERR_INVALID,
					"query: unknown parameter; there may be: %s",
					*allowed ? allowed : "none");
			if (query_get(q, name))
				return err_set(e, ERR_INVALID, "%s: given twice", name);
			if (!decode(value_n ? p + name_n + 1 : "", value_n, q->values[q->count],
				    QUERY_VALUE_MAX))
				return err_set(e, ERR_INVALID,
					"%s: not percent-encoded UTF-8 of at most %d bytes", name,
					QUERY_VALUE_MAX - 1);
			q->count++;
		}
		p += n;
		p += *p == '&';
	}
	return 0;
}

const char *query_get(const struct query *q, const char *name)
{
	for (int i = 0; i < q->count; i++) {
		if (!strcmp(q->names[i], name))
			return q->values[i];
	}
	return NULL;
}

int query_int(const struct query *q, const char *name, int64_t min, int64_t max, int64_t *value,
	struct err *e)
{
	const char *text = query_get(q, name);

	if (!text)
		return 0;
	size_t sign = min < 0 && text[0] == '-', n = strspn(text + sign, "0123456789");
	bool whole = n && n <= ID_DIGITS_MAX && !text[sign + n];
	int64_t v = whole ? strtoll(text, NULL, 10) : 0;
	if (!whole || v < min || v > max)
		return err_set(e, ERR_INVALID, "%s: should be a whole number from %lld to %lld",
			name, (long long)min, (long long)max);
	*value = v;
	return 0;
}

int query_bool(const struct query *q, const char *name, bool *value, struct err *e)
{
	const char *text = query_get(q, name);

	if (text && strcmp(text, "true") != 0 && strcmp(text, "false") != 0)
		return err_set(e, ERR_INVALID, "%s: should be true or false", name);
	if (text)
		*value = text[0] == 't';
	return 0;
}

int words_parse(const char *text, struct words *w, struct err *e)
{
	w->count = 0;
	for (const char *p = text ? text : ""; *p;) {
		size_t n = strcspn(p, ",");

		if (w->count == QUERY_WORDS_MAX || n == 0 || n >= sizeof w->word[0] ||
			strspn(p, "abcdefghijklmnopqrstuvwxyz_") < n)
			return err_set(e, ERR_INVALID,
				"should be at most %d words of a-z and _, separated by commas",
				QUERY_WORDS_MAX);
		snprintf(w->word[w->count++], sizeof w->word[0], "%.*s", (int)n, p);
		p += n;
		p += *p == ',';
	}
	return 0;
}
