/* Strict JSON: what is taken prints, and the print is taken and prints the same;
 * cutting and cleaning always leave good UTF-8. */
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/json.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_text(const char *text, size_t n)
{
	_cleanup_free_ char *clean = utf8_clean(text, n);
	size_t len = strlen(clean);

	if (!utf8_valid(clean, len))
		abort();
	if (utf8_valid(text, n) && (len != n || memcmp(clean, text, n) != 0))
		abort();
	for (size_t max = 0; max < len && max < 64; max++)
		if (utf8_cut(clean, len, max) > max ||
			!utf8_valid(clean, utf8_cut(clean, len, max)))
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct json_field fields[] = {
		{"id", JSON_INT, true, 1, 100},
		{"text", JSON_STRING, false, 0, 10},
		{"list", JSON_ARRAY, false, 0, 2},
	};
	struct err e = {0};
	_cleanup_json_ cJSON *j = json_parse((const char *)data, n, 65536, &e);
	_cleanup_json_ cJSON *again = NULL;
	_cleanup_free_ char *first = NULL;
	_cleanup_free_ char *second = NULL;

	check_text((const char *)data, n);
	if (!j) {
		if (e.kind != ERR_INVALID && e.kind != ERR_LIMIT)
			abort();
		return 0;
	}
	if (json_check(j, fields, 3, &e) == 0 && !json_get(j, "id"))
		abort();
	first = json_print(j);
	again = json_parse(first, strlen(first), SIZE_MAX, &e);
	/* A number too large for a double is printed as null. */
	if (!again)
		abort();
	second = json_print(again);
	if (strcmp(first, second) != 0)
		abort();
	return 0;
}
