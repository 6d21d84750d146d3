/* UTF-8 as RFC 3629 has it: no overlong forms, no surrogates, up to U+10FFFF. */
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"

static bool follows(unsigned char c)
{
	return (c & 0xc0) == 0x80;
}

/* Bytes of the well-formed character at the start of text; 0 if there is none. */
static size_t character(const char *text, size_t n)
{
	const unsigned char *p = (const unsigned char *)text;

	if (p[0] < 0x80)
		return p[0] != 0;
	if (p[0] < 0xc2 || p[0] > 0xf4 || n < 2 || !follows(p[1]))
		return 0;
	if (p[0] < 0xe0)
		return 2;
	if (n < 3 || !follows(p[2]))
		return 0;
	if (p[0] < 0xf0) {
		if ((p[0] == 0xe0 && p[1] < 0xa0) || (p[0] == 0xed && p[1] > 0x9f))
			return 0;
		return 3;
	}
	if (n < 4 || !follows(p[3]) || (p[0] == 0xf0 && p[1] < 0x90) ||
		(p[0] == 0xf4 && p[1] > 0x8f))
		return 0;
	return 4;
}

bool utf8_valid(const char *text, size_t n)
{
	for (size_t at = 0; at < n;) {
		size_t step = character(text + at, n - at);

		if (step == 0)
			return false;
		at += step;
	}
	return true;
}

size_t utf8_cut(const char *text, size_t n, size_t max)
{
	size_t at;

	if (n <= max)
		return n;
	at = max;
	/* A character has at most three bytes behind its first; longer runs are broken anyway. */
	for (int back = 0; back < 3 && at > 0 && follows((unsigned char)text[at]); back++)
		at--;
	return follows((unsigned char)text[at]) ? max : at;
}

char *utf8_clean(const char *text, size_t n)
{
	static const char replacement[] = "\xef\xbf\xbd";
	size_t bad = 0;
	size_t used = 0;
	char *out;

	for (size_t at = 0; at < n;) {
		size_t step = character(text + at, n - at);

		bad += step == 0;
		at += step ? step : 1;
	}
	out = malloc(n + 2 * bad + 1);
	if (!out)
		err_out_of_memory();
	for (size_t at = 0; at < n;) {
		size_t step = character(text + at, n - at);

		memcpy(out + used, step ? text + at : replacement, step ? step : 3);
		used += step ? step : 3;
		at += step ? step : 1;
	}
	out[used] = '\0';
	return out;
}
