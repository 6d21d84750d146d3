// folder: supervisor
/* Events as a hostile or broken worker sends them, header and body, up to their rows in
 * the store. The sequence number is put right for every second frame, so that most get
 * that far. Oracle: what is committed has no gap, and its body is JSON. */
#include "tests/fuzz/supervisor.h"

#include "shared/event.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc, (void)argv;
	fuzz_open();
	return 0;
}

/* The body under a right header. */
static char *in_order(
	const struct member *m, const char *body, size_t n, enum event_kind kind, size_t *total)
{
	char *frame = malloc(EVENT_HEADER_MAX + n + 1);
	int head = snprintf(frame, EVENT_HEADER_MAX, "agent/%lld %s %lld v1\n", (long long)m->id,
		event_kind_word(kind), (long long)m->committed + 1);

	memcpy(frame + head, body, n);
	*total = (size_t)head + n;
	return frame;
}

static void check_stored(int64_t agent, int64_t seq)
{
	struct err e;
	int64_t last = store_last_event(fuzz.s.store), looked;
	_cleanup_json_ cJSON *all =
		store_events_after(fuzz.s.store, last - 1, agent, 0, 1, &looked, &e);
	_cleanup_free_ char *text = all ? json_print(all) : NULL;
	_cleanup_json_ cJSON *again = text ? cJSON_Parse(text) : NULL;

	if (seq > 0 && !again)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct member *m = fuzz.s.fleet.members[0];
	int64_t before = m->committed, id = m->id;
	char *frame = NULL;
	size_t total;

	if (n < 2)
		return 0;
	if (data[0] % 2 == 0) {
		ingest_frame(&fuzz.s, (const char *)data + 1, n - 1);
	} else {
		frame = in_order(m, (const char *)data + 2, n - 2,
			(enum event_kind)(data[1] % EVENT_KIND_COUNT), &total);
		ingest_frame(&fuzz.s, frame, total);
	}
	ingest_commit(&fuzz.s);
	if (m->committed < before || m->committed > before + 1)
		abort();
	if (m->committed > before)
		check_stored(id, m->committed);
	free(frame);
	fuzz_between();
	return 0;
}
