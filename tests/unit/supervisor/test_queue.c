/* Who may start next: by example, and a random walk against a plain set. */
#include <stdbool.h>

#include "supervisor/queue.h"
#include "tests/unit/supervisor/walk.h"

static void test_queue(void **state)
{
	struct queue q;

	(void)state;
	queue_init(&q, 2);
	assert_true(queue_push(&q, 5));
	assert_true(queue_push(&q, 3));
	assert_true(queue_push(&q, 9));
	assert_false(queue_push(&q, 3));
	assert_true(queue_remove(&q, 9));
	assert_false(queue_remove(&q, 9));
	assert_true(queue_push(&q, 7));
	assert_int_equal(queue_next(&q), 3);
	queue_busy(&q, 1);
	assert_int_equal(queue_next(&q), 5);
	queue_busy(&q, 1);
	assert_int_equal(queue_next(&q), 0);
	queue_busy(&q, -1);
	assert_int_equal(queue_next(&q), 7);
	queue_busy(&q, 1);
	assert_int_equal(q.n, 0);
	queue_clear(&q);
}

/* Against a plain set: order, membership, and the count of busy ones. */
static void queue_walk(uint64_t seed)
{
	uint64_t r = seed * 0x9e3779b97f4a7c15u;
	int limit = (int)(random_next(&r) % 4), busy = 0, n = 0, i, first;
	bool in[64] = {false};
	struct queue q;

	queue_init(&q, limit);
	for (i = 0; i < 200; i++) {
		int id = 1 + (int)(random_next(&r) % 63);

		switch (random_next(&r) % 5) {
		case 0:
		case 1:
			if (queue_push(&q, id) == in[id])
				FAIL("pushed twice, or not at all");
			n += !in[id];
			in[id] = true;
			break;
		case 2:
			if (queue_remove(&q, id) != in[id])
				FAIL("removed what was not there, or not what was");
			n -= in[id];
			in[id] = false;
			break;
		case 3:
			if (busy > 0) {
				queue_busy(&q, -1);
				busy--;
			}
			break;
		default:
			for (first = 0, id = 63; id > 0; id--)
				first = in[id] ? id : first;
			if (busy >= limit)
				first = 0;
			if (queue_next(&q) != first)
				FAIL("not the first, or beyond the limit");
			if (first) {
				queue_busy(&q, 1);
				busy++;
				n--;
				in[first] = false;
			}
		}
		if (q.n != (size_t)n || q.busy != busy)
			FAIL("a wrong count");
	}
	queue_clear(&q);
}

static void test_queue_random(void **state)
{
	(void)state;
	each_seed(queue_walk);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_queue),
		cmocka_unit_test(test_queue_random),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
