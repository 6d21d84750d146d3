/* What reaches the disk before it is answered or published: states and outside effects;
 * output does not wait for it. The calls are counted. */
#include "tests/unit/supervisor/harness.h"

#include <sys/syscall.h>

#include "shared/cleanup.h"
#include "shared/rpc.h"

static int syncs;

/* In place of the C library's, for sqlite. */
int fsync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fsync, fd);
}

int fdatasync(int fd)
{
	syncs++;
	return (int)syscall(SYS_fdatasync, fd);
}

static int make(void **state)
{
	*state = harness_new();
	return 0;
}

static int tear(void **state)
{
	harness_free(*state);
	return 0;
}

static int synced_by(struct harness *h, struct member *m, const char *kind, const char *body)
{
	char text[1024];
	long long seq = (long long)m->committed + 1;
	int n = snprintf(text, sizeof text, "agent/%lld %s %lld v1\n{\"seq\":%lld,\"at\":77,%s",
		(long long)m->id, kind, seq, seq, body + 1);

	syncs = 0;
	assert_int_equal(ingest_frame(&h->s, text, (size_t)n), 0);
	ingest_commit(&h->s);
	assert_int_equal(m->committed, seq);
	return syncs;
}

static void test_events(void **state)
{
	static const struct {
		const char *kind, *body;
		bool durable;
	} cases[] = {
		{"output", "{\"text\":\"a\"}", false},
		{"tool", "{\"id\":\"1\"}", false},
		{"turn", "{\"turn\":1,\"phase\":\"started\"}", false},
		{"diff", "{\"files\":[]}", false},
		{"progress", "{\"what\":\"clone\"}", false},
		{"commit", "{\"hash\":\"1\"}", true},
		{"message", "{\"text\":\"a\"}", true},
		{"permission", "{\"id\":\"1\"}", true},
		{"finish", "{\"step\":\"push\",\"status\":\"started\",\"key\":\"k\"}", true},
		{"pull_request", "{\"url\":\"https://example.org/1\"}", true},
		{"state", "{\"state\":\"waiting\",\"reason\":\"\"}", true},
	};
	struct harness *h = *state;
	struct member *m = harness_agent(h, true);

	/* Each twice: the first write into a fresh log syncs its header in any case. */
	synced_by(h, m, "output", "{\"text\":\"first\"}");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		int n = synced_by(h, m, cases[i].kind, cases[i].body);

		if ((n > 0) != cases[i].durable)
			fail_msg("%s: %d syncs", cases[i].kind, n);
	}
	assert_int_equal(synced_by(h, m, "output", "{\"text\":\"last\"}"), 0);
}

static void test_requests(void **state)
{
	struct harness *h = *state;
	struct err e;
	bool done;

	/* What a person is answered is on the disk: every changing request runs like this. */
	struct member *m = harness_agent(h, true);
	synced_by(h, m, "output", "{\"text\":\"first\"}");
	syncs = 0;
	assert_int_equal(tx_begin(&h->s, true, &e), 0);
	assert_int_equal(tx_command(&h->s, m, "pause", NULL, &e), 0);
	assert_int_equal(tx_commit(&h->s, &e), 0);
	assert_true(syncs > 0);
	/* Packing may be lost: it is done again. */
	syncs = 0;
	assert_int_equal(store_begin(h->s.store, false, &e), 0);
	assert_int_equal(store_pack(h->s.store, m->id, 100, &done, &e), 0);
	assert_int_equal(store_commit(h->s.store, &e), 0);
	assert_int_equal(syncs, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_events, make, tear),
		cmocka_unit_test_setup_teardown(test_requests, make, tear),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
