// folder: supervisor
/* Control: what anyone may send to control.ipc, on a supervisor with a store and agents.
 * Oracle: each request is answered once (or kept open), with a JSON-RPC answer; what is
 * refused has added no event. */
#include "tests/fuzz/supervisor.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_open();
	return 0;
}

static void check_answer(int64_t events_before)
{
	struct rpc m;
	struct err e;

	if (rpc_parse(fuzz.answer, strlen(fuzz.answer), BUS_FRAME_MAX, &m, &e) < 0)
		abort();
	if (m.type != RPC_RESULT && m.type != RPC_ERROR)
		abort();
	if (m.type == RPC_ERROR && store_last_event(fuzz.s.store) != events_before)
		abort();
	rpc_clear(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct bus_request *r = calloc(1, sizeof(*r));
	int64_t before = store_last_event(fuzz.s.store);

	r->next = fuzz.open;
	fuzz.open = r;
	free(fuzz.answer);
	fuzz.answer = NULL;
	control_request(&fuzz.s, r, (const char *)data, n);
	if (fuzz.answer)
		check_answer(before);
	fuzz_between();
	return 0;
}
