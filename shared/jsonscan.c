#include "shared/jsonscan.h"

#include <stdint.h>
#include <string.h>

struct cursor {
	const char *at, *end;
};

static bool skip_space(struct cursor *c)
{
	while (c->at < c->end &&
		(*c->at == ' ' || *c->at == '\t' || *c->at == '\n' || *c->at == '\r'))
		c->at++;
	return c->at < c->end;
}

/* From behind the opening quote to behind the closing one; *n: bytes between. */
static bool skip_string(struct cursor *c, size_t *n)
{
	const char *from = c->at;

	while (c->at < c->end) {
		const char *quote = memchr(c->at, '"', (size_t)(c->end - c->at));
		const char *p = quote;

		if (!quote)
			return false;
		while (p > from && p[-1] == '\\')
			p--;
		c->at = quote + 1;
		*n = (size_t)(quote - from);
		if ((quote - p) % 2 == 0)
			return true;
	}
	return false;
}

/* Any value, from its first byte. */
static bool skip_value(struct cursor *c)
{
	size_t depth = 0, n;

	do {
		if (!skip_space(c))
			return false;
		if (*c->at == '"') {
			c->at++;
			if (!skip_string(c, &n))
				return false;
			continue;
		}
		if (*c->at == '{' || *c->at == '[')
			depth++;
		else if (*c->at == '}' || *c->at == ']') {
			if (depth == 0)
				return true;
			depth--;
		} else if (depth == 0 && *c->at == ',')
			return true;
		c->at++;
	} while (depth > 0 || (c->at < c->end && *c->at != ',' && *c->at != '}'));
	return true;
}

bool jsonscan_string(
	const char *json, size_t n, const char *name, const char **raw, size_t *raw_len)
{
	struct cursor c = {json, json + n};
	size_t name_len = strlen(name), len;
	const char *key;
	bool named;

	if (!skip_space(&c) || *c.at++ != '{')
		return false;
	while (skip_space(&c) && *c.at == '"') {
		key = ++c.at;
		if (!skip_string(&c, &len))
			return false;
		named = len == name_len && memcmp(key, name, len) == 0;
		if (!skip_space(&c) || *c.at++ != ':' || !skip_space(&c))
			return false;
		if (named && *c.at == '"') {
			*raw = ++c.at;
			return skip_string(&c, raw_len);
		}
		if (named || !skip_value(&c) || !skip_space(&c) || *c.at++ != ',')
			return false;
	}
	return false;
}

static int hex(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	c = (char)(c | 0x20);
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The four digits of \uXXXX; -1: not four digits. */
static int32_t unit(const char *p, const char *end)
{
	int32_t v = 0;

	if (end - p < 4)
		return -1;
	for (int i = 0; i < 4; i++) {
		int digit = hex(p[i]);

		if (digit < 0)
			return -1;
		v = v * 16 + digit;
	}
	return v;
}

static char *put(char *out, int32_t v)
{
	if (v < 0x80) {
		*out++ = (char)v;
	} else if (v < 0x800) {
		*out++ = (char)(0xc0 | v >> 6);
		*out++ = (char)(0x80 | (v & 0x3f));
	} else if (v < 0x10000) {
		*out++ = (char)(0xe0 | v >> 12);
		*out++ = (char)(0x80 | (v >> 6 & 0x3f));
		*out++ = (char)(0x80 | (v & 0x3f));
	} else {
		*out++ = (char)(0xf0 | v >> 18);
		*out++ = (char)(0x80 | (v >> 12 & 0x3f));
		*out++ = (char)(0x80 | (v >> 6 & 0x3f));
		*out++ = (char)(0x80 | (v & 0x3f));
	}
	return out;
}

/* One \uXXXX, or a pair, from behind the u; *p moves behind it. At most as many bytes come
 * out as went in. */
static char *put_unicode(const char **p, const char *end, char *out)
{
	int32_t v = unit(*p, end), low;

	if (v < 0)
		return out;
	*p += 4;
	if (v >= 0xd800 && v < 0xdc00 && end - *p >= 6 && (*p)[0] == '\\' && (*p)[1] == 'u') {
		low = unit(*p + 2, end);
		if (low >= 0xdc00 && low < 0xe000) {
			*p += 6;
			return put(out, 0x10000 + ((v - 0xd800) << 10) + (low - 0xdc00));
		}
	}
	return put(out, v == 0 || (v >= 0xd800 && v < 0xe000) ? 0xfffd : v);
}

size_t jsonscan_decode(const char *raw, size_t n, char *out)
{
	static const char from[] = "bfnrt", to[] = "\b\f\n\r\t";
	const char *p = raw, *end = raw + n;
	char *at = out;

	while (p < end) {
		const char *back = memchr(p, '\\', (size_t)(end - p));
		size_t plain = (size_t)((back ? back : end) - p);
		const char *known;

		memcpy(at, p, plain);
		at += plain;
		p += plain;
		if (end - p < 2)
			break;
		p += 2;
		known = p[-1] ? strchr(from, p[-1]) : NULL;
		if (p[-1] == 'u')
			at = put_unicode(&p, end, at);
		else
			*at++ = known ? to[known - from] : p[-1];
	}
	return (size_t)(at - out);
}

size_t jsonscan_lines(const char *raw, size_t n, bool *open)
{
	const char *p = raw, *end = raw + n;
	size_t lines = 0;

	*open = false;
	while (p < end) {
		const char *back = memchr(p, '\\', (size_t)(end - p));

		*open = *open || back != p;
		if (!back || end - back < 2)
			break;
		p = back + 2;
		*open = true;
		if (p[-1] == 'u' && unit(p, end) == '\n') {
			p += 4;
			lines++;
			*open = false;
		} else if (p[-1] == 'n') {
			lines++;
			*open = false;
		}
	}
	return lines;
}
