// folder: supervisor/ctl
/* Foreign text on its way to a terminal: however it is cut into pieces, the same comes
 * out, and nothing in it can steer the terminal. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "supervisor/ctl/term.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	const char *text = (const char *)data;
	size_t cut = size ? data[0] % size : 0;
	struct term_filter whole = {0}, pieces = {0};
	struct buf a, b;

	buf_init(&a, 0);
	buf_init(&b, 0);
	term_filter_add(&whole, &a, text, size);
	term_filter_add(&pieces, &b, text, cut);
	term_filter_add(&pieces, &b, text + cut, size - cut);
	if (a.len != b.len || (a.len && memcmp(a.data, b.data, a.len) != 0))
		abort();
	for (size_t i = 0; i < a.len; i++) {
		unsigned char c = (unsigned char)a.data[i];

		if ((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f)
			abort();
		/* C1 controls in UTF-8. */
		if (c == 0xc2 && i + 1 < a.len && (unsigned char)a.data[i + 1] < 0xa0)
			abort();
	}
	buf_clear(&a);
	buf_clear(&b);
	return 0;
}
