/* JSON-RPC messages: what is taken has the members of its type, and every refusal
 * can be answered. */
#include <stdlib.h>
#include <string.h>

#include "shared/cleanup.h"
#include "shared/rpc.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static void check_answer(const struct rpc *m)
{
	struct err e = {0};

	rpc_error_to(m, &e);
	if (e.kind == ERR_NONE)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct err e = {0};
	struct rpc m;
	struct rpc back;

	if (rpc_parse((const char *)data, n, RPC_MAX_BYTES, &m, &e) < 0) {
		_cleanup_free_ char *text = rpc_error_from(NULL, &e);

		if (m.root || rpc_parse(text, strlen(text), RPC_MAX_BYTES, &back, &e) < 0)
			abort();
		rpc_clear(&back);
		return 0;
	}
	switch (m.type) {
	case RPC_REQUEST:
		if (!m.id || !m.method)
			abort();
		break;
	case RPC_NOTIFICATION:
		if (m.id || !m.method)
			abort();
		break;
	case RPC_RESULT:
		if (!m.id || !m.result)
			abort();
		break;
	case RPC_ERROR:
		if (!m.error_message)
			abort();
		check_answer(&m);
		break;
	}
	rpc_clear(&m);
	return 0;
}
