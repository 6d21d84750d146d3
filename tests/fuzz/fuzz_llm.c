// folder: worker
/* A provider's answer: whatever it is, it is read as an answer or told as an error,
 * never both, and what comes out is clean text within its bounds. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "shared/json.h"
#include "worker/llm.h"
#include "worker/llm_answer.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

/* Whatever it says, it is tried again within bounds, or told in words. */
static void check_classes(const char *reason, int code)
{
	static const char *const models[] = {"openai/gpt-x", "ollama/x", "openrouter/a/b"};

	for (size_t i = 0; i < sizeof models / sizeof models[0]; i++) {
		struct model m;
		struct err e = {0};
		int64_t ms = llm_retry_delay(code, -1, 1, 8, 0.5);

		assert(model_parse(models[i], &m, &e) == 0);
		assert(ms >= -1 && ms <= 32000);
		assert((ms < 0) == !llm_may_pass(code));
		llm_fill_error(&m, code, reason, &e);
		assert(e.kind != ERR_NONE && utf8_valid(e.text, strlen(e.text)));
		assert((e.kind == ERR_UNAVAILABLE) == llm_may_pass(code));
	}
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
	const char *body = (const char *)data;
	char reason[LLM_REASON_BYTES];
	struct llm_answer answer;
	struct err e = {0};
	char *text = NULL;
	int code;

	if (llm_parse(body, n, &text, &answer, &e) == 0) {
		assert(e.kind == ERR_NONE && text && answer.text == text);
		assert(utf8_valid(text, strlen(text)));
		assert(answer.tokens_in >= 0 && answer.tokens_out >= 0);
		assert(answer.tokens_cached >= 0 && answer.tokens_cached <= answer.tokens_in);
	} else {
		assert(e.kind != ERR_NONE && !text);
	}
	free(text);
	llm_error_text(body, n, reason, &code);
	assert(strlen(reason) < LLM_REASON_BYTES && utf8_valid(reason, strlen(reason)));
	assert(!strpbrk(reason, "\r\n\t"));
	assert(code == 0 || (code >= 100 && code < 1000));
	llm_refuses_json(400, body, n);
	check_classes(reason, code);
	return 0;
}
