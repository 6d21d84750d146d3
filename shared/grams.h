/* Which runs of three and four bytes a text has: a filter without false negatives, ASCII
 * case folded. Four tell numbers apart, which three do not. Pure. */
#ifndef SHARED_GRAMS_H
#define SHARED_GRAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define GRAMS_BYTES 2048 /* contract: stored */

static inline unsigned char grams_fold(unsigned char c)
{
	return (unsigned char)(c + ((unsigned)(c - 'A') < 26 ? 32 : 0));
}

/* Contract: stored filters were made with it. d: 0 for three. */
static inline uint32_t grams_bit(unsigned char a, unsigned char b, unsigned char c, unsigned char d)
{
	return (((uint32_t)a << 24 | (uint32_t)b << 16 | (uint32_t)c << 8 | d) * 0x9e3779b1u) >> 18;
}

/* before: the three folded bytes that precede text (0 at the beginning); updated. */
static inline void grams_add(
	unsigned char grams[GRAMS_BYTES], unsigned char before[3], const char *text, size_t n)
{
	unsigned char a = before[0], b = before[1], c = before[2], d;
	uint32_t bit;

	for (size_t i = 0; i < n; i++) {
		d = grams_fold((unsigned char)text[i]);
		bit = grams_bit(b, c, d, 0);
		grams[bit >> 3] |= (unsigned char)(1u << (bit & 7));
		bit = grams_bit(a, b, c, d);
		grams[bit >> 3] |= (unsigned char)(1u << (bit & 7));
		a = b;
		b = c;
		c = d;
	}
	before[0] = a;
	before[1] = b;
	before[2] = c;
}

/* False: text (folded) is surely not in it. */
static inline bool grams_may_have(
	const unsigned char grams[GRAMS_BYTES], const char *text, size_t n)
{
	const unsigned char *t = (const unsigned char *)text;
	uint32_t bit;

	for (size_t i = 2; i < n; i++) {
		bit = grams_bit(t[i - 2], t[i - 1], t[i], 0);
		if (!(grams[bit >> 3] & 1u << (bit & 7)))
			return false;
		if (i < 3)
			continue;
		bit = grams_bit(t[i - 3], t[i - 2], t[i - 1], t[i]);
		if (!(grams[bit >> 3] & 1u << (bit & 7)))
			return false;
	}
	return true;
}

#endif
