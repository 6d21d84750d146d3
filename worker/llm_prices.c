#include "worker/llm_prices.h"

#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/cleanup.h"

struct price {
	const char *model; /* into text */
	double input, output, cached;
};

struct llm_prices {
	char *text;
	struct price *rows;
	size_t count, cap;
};

static int by_model(const void *a, const void *b)
{
	return strcmp(((const struct price *)a)->model, ((const struct price *)b)->model);
}

static bool read_price(const char *field, double *price)
{
	char *end;

	*price = -1;
	if (!field || *field == '\0' || strcmp(field, "-") == 0)
		return true;
	*price = strtod(field, &end);
	return *end == '\0' && isfinite(*price) && *price >= 0;
}

static void add_row(struct llm_prices *p, char *line)
{
	struct price row;
	char *rest = line;
	const char *model = strsep(&rest, "\t");
	const char *input = strsep(&rest, "\t");
	const char *output = strsep(&rest, "\t");
	const char *cached = strsep(&rest, "\t");

	if (*model == '\0' || *model == '#' || !read_price(input, &row.input) ||
		!read_price(output, &row.output) || !read_price(cached, &row.cached))
		return;
	if (row.input < 0 || row.output < 0)
		return;
	if (row.cached < 0)
		row.cached = row.input;
	row.model = model;
	if (p->count == p->cap) {
		p->cap = p->cap ? p->cap * 2 : 256;
		p->rows = reallocarray(p->rows, p->cap, sizeof *p->rows);
		if (!p->rows)
			err_out_of_memory();
	}
	p->rows[p->count++] = row;
}

struct llm_prices *llm_prices_parse(const char *text, size_t n, struct err *e)
{
	struct llm_prices *p;
	char *rest, *line;
	int lines = 0;

	if (n > LLM_PRICES_MAX_BYTES) {
		err_set(e, ERR_LIMIT, "the price list is longer than %d bytes",
			LLM_PRICES_MAX_BYTES);
		return NULL;
	}
	p = calloc(1, sizeof *p);
	if (!p || !(p->text = calloc(1, n + 1)))
		err_out_of_memory();
	if (n)
		memcpy(p->text, text, n);
	rest = p->text;
	while ((line = strsep(&rest, "\n")) && lines++ < LLM_PRICES_MAX_LINES) {
		line[strcspn(line, "\r")] = '\0';
		add_row(p, line);
	}
	if (p->count)
		qsort(p->rows, p->count, sizeof *p->rows, by_model);
	return p;
}

struct llm_prices *llm_prices_load(const char *path, struct err *e)
{
	_cleanup_close_ int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct llm_prices *p;
	struct buf text;
	char chunk[65536];
	ssize_t n;

	if (fd < 0 && path && errno != ENOENT) {
		err_errno(e, "open %s", path);
		return NULL;
	}
	buf_init(&text, LLM_PRICES_MAX_BYTES + 1);
	while (fd >= 0 && (n = read(fd, chunk, sizeof chunk)) != 0) {
		if (n < 0) {
			err_errno(e, "read %s", path);
			buf_clear(&text);
			return NULL;
		}
		if (!buf_add(&text, chunk, (size_t)n)) {
			err_set(e, ERR_LIMIT, "%s is longer than %d bytes", path,
				LLM_PRICES_MAX_BYTES);
			buf_clear(&text);
			return NULL;
		}
	}
	p = llm_prices_parse(text.data, text.len, e);
	buf_clear(&text);
	return p;
}

void llm_prices_free(struct llm_prices *p)
{
	if (!p)
		return;
	free(p->rows);
	free(p->text);
	free(p);
}

double llm_prices_cost(const struct llm_prices *p, const char *model, const char *short_name,
	int64_t tokens_in, int64_t tokens_out, int64_t tokens_cached)
{
	struct price key = {.model = model};
	const struct price *row = NULL;

	if (p->count)
		row = bsearch(&key, p->rows, p->count, sizeof key, by_model);
	if (p->count && !row && short_name) {
		key.model = short_name;
		row = bsearch(&key, p->rows, p->count, sizeof key, by_model);
	}
	if (!row)
		return -1;
	if (tokens_cached > tokens_in)
		tokens_cached = tokens_in;
	return (double)(tokens_in - tokens_cached) * row->input +
	       (double)tokens_cached * row->cached + (double)tokens_out * row->output;
}
