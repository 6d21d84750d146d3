/* jsonscan on any bytes; on valid JSON, what cJSON says. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "shared/jsonscan.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	const char *raw;
	size_t raw_len, len, lines = 0;
	bool open, found = jsonscan_string((const char *)data, n, "text", &raw, &raw_len);
	struct err e;
	cJSON *j = json_parse((const char *)data, n, 1 << 20, &e);
	const cJSON *text = j ? json_get(j, "text") : NULL;
	char *out = malloc(raw_len = found ? raw_len : 1);

	if (found) {
		len = jsonscan_decode(raw, raw_len, out);
		if (len > raw_len)
			abort();
		for (size_t i = 0; i < len; i++)
			lines += out[i] == '\n';
		if (j && lines != jsonscan_lines(raw, raw_len, &open))
			abort();
		if (j && len && open == (out[len - 1] == '\n'))
			abort();
		if (j &&
			(!cJSON_IsString(text) || strlen(text->valuestring) != len ||
				memcmp(text->valuestring, out, len) != 0) &&
			!memmem(data, n, "\\u", 2))
			abort();
	}
	free(out);
	cJSON_Delete(j);
	return 0;
}
