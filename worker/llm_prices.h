/* Dollars per token of the managers' models, from a TSV file: model, input, output,
 * cached input; "" or "-" where unknown. Read once. */
#ifndef WORKER_LLM_PRICES_H
#define WORKER_LLM_PRICES_H

#include <stddef.h>
#include <stdint.h>

#include "shared/err.h"

#define LLM_PRICES_MAX_BYTES (8 * 1024 * 1024)
#define LLM_PRICES_MAX_LINES 50000

struct llm_prices;

/* path NULL or of a file that does not exist: an empty table. A line that is not
 * understood is skipped. ERR_LIMIT: too long. ERR_SYS, ERR_DENIED: not readable. */
struct llm_prices *llm_prices_load(const char *path, struct err *e);
/* Pure: the same from text. */
struct llm_prices *llm_prices_parse(const char *text, size_t n, struct err *e);
void llm_prices_free(struct llm_prices *p);

/* Dollars of one call; < 0 if neither name (the second may be NULL) is in the table.
 * tokens_in includes tokens_cached. */
double llm_prices_cost(const struct llm_prices *p, const char *model, const char *short_name,
	int64_t tokens_in, int64_t tokens_out, int64_t tokens_cached);

#endif
