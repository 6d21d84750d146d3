/* Model strings and base URLs: the first line is the model, the second the base,
 * the third the key. What comes out is a clean URL. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct lines {
	char text[2048];
	const char *line[3];
};

static void split(struct lines *l, const uint8_t *data, size_t n)
{
	char *p = l->text;

	if (n >= sizeof(l->text))
		n = sizeof(l->text) - 1;
	memcpy(l->text, data, n);
	l->text[n] = '\0';
	for (int i = 0; i < 3; i++) {
		l->line[i] = p ? strsep(&p, "\n") : "";
	}
}

static const char *get(void *arg, const char *name)
{
	const struct lines *l = arg;
	size_t n = strlen(name);

	if (n > 4 && (strcmp(name + n - 4, "BASE") == 0 || strstr(name, "BASE_URL")))
		return l->line[1];
	return l->line[2];
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct lines l;
	struct model m;
	struct err e = {0};
	char url[1024];
	const char *key;

	split(&l, data, n);
	if (model_parse(l.line[0], &m, &e) < 0) {
		if (e.kind != ERR_INVALID)
			abort();
		return 0;
	}
	if (!m.provider || !m.name[0] || strcmp(m.text, l.line[0]) != 0)
		abort();
	if (model_endpoint(&m, get, &l, url, sizeof(url), &key, &e) < 0)
		return 0;
	if (strncmp(url, "http", 4) != 0 || strlen(url) < 17 ||
		strcmp(url + strlen(url) - 17, "/chat/completions") != 0)
		abort();
	for (const char *c = url; *c; c++)
		if (*c <= ' ' || *c > '~')
			abort();
	return 0;
}
