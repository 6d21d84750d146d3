// folder: worker
/* GitHub's answers: a pull request that is read has a number and a web address. */
#include <assert.h>
#include <string.h>

#include "shared/json.h"
#include "worker/forge_answer.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

static void check_pull(const struct forge_pull *p)
{
	assert(p->number > 0);
	assert(strncmp(p->url, "http", 4) == 0);
	assert(utf8_valid(p->title, strlen(p->title)));
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
	const char *body = (const char *)data;
	char branch[256], author[256], reason[FORGE_REASON_BYTES];
	char owner[256] = "octo", name[256] = "sample";
	struct forge_limits limits = {.status = n ? 100 + 2 * data[0] : 0,
		.retry_after_ms = -1,
		.rate_remaining = -1,
		.rate_reset_in_ms = -1,
		.reason = reason};
	struct forge_pull pull;
	struct err e = {0};
	int64_t ms;

	if (forge_parse_repository(body, n, branch, owner, name, &e) == 0)
		assert(branch[0] && strlen(branch) < sizeof branch);
	assert(forge_name_ok(owner) && forge_name_ok(name));
	if (forge_parse_pull(body, n, &pull, author, &e) == 0)
		check_pull(&pull);
	if (forge_parse_pulls(body, n, "agent-7", &pull, author, &e) > 0) {
		check_pull(&pull);
		assert(pull.existed);
	}
	forge_reason(body, n, reason);
	assert(strlen(reason) < sizeof reason && utf8_valid(reason, strlen(reason)));
	ms = forge_retry_delay(&limits, 1, 0.5);
	assert(ms >= -1 && ms <= FORGE_WAIT_MAX_MS * 11 / 10);
	e.kind = ERR_NONE;
	forge_fill_error(&limits, "do it", NULL, &e);
	assert(e.kind != ERR_NONE && utf8_valid(e.text, strlen(e.text)));
	return 0;
}
