/* .env files: any text is read or refused; values have no NUL and fit the text. */
#include <stdlib.h>
#include <string.h>

#include "shared/dotenv.h"

#include <stdint.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const char *const names[] = {"A", "B_1", "FUZZ_KEY", "FUZZ_TOKEN"};
	struct err e = {0};
	struct dotenv *d = dotenv_parse((const char *)data, n, &e);

	if (!d) {
		if (e.kind != ERR_INVALID && e.kind != ERR_LIMIT)
			abort();
		return 0;
	}
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const char *v = dotenv_get(d, names[i]);

		if (v && (strlen(v) == 0 || strlen(v) > n))
			abort();
	}
	if (dotenv_skipped(d) < 0 || (size_t)dotenv_skipped(d) > n)
		abort();
	dotenv_free(d);
	return 0;
}
