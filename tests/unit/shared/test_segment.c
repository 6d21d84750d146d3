/* Packed events: byte for byte the same again, in both directions, merged by id; damage is
 * told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/cleanup.h"
#include "shared/segment_join.h"

#define AGENTS 7
#define EVENTS 3000

struct event_row {
	int64_t id, agent;
	char *body;
};

/* Packed segments of several agents whose events took turns. */
struct world {
	struct event_row rows[EVENTS];
	struct {
		struct segment_ref ref;
		char *data;
		size_t n;
	} packed[EVENTS];
	int n, order[EVENTS], next, loads;
};

static void put(struct world *w, int64_t agent, struct segment_writer *writer)
{
	w->packed[w->n].ref = (struct segment_ref){.key = w->n,
		.agent = agent,
		.first_id = writer->first_id,
		.last_id = writer->last_id};
	w->packed[w->n].data = segment_writer_pack(writer, &w->packed[w->n].n);
	w->n++;
	segment_writer_clear(writer);
}

static struct world *world_new(unsigned seed)
{
	struct world *w = calloc(1, sizeof *w);

	assert_non_null(w);
	srand(seed);
	for (int i = 0; i < EVENTS; i++) {
		size_t n = (size_t)(rand() % 400);

		w->rows[i].id = i ? w->rows[i - 1].id + 1 + rand() % 3 : 1 + rand() % 5;
		w->rows[i].agent = 1 + rand() % AGENTS;
		w->rows[i].body = malloc(n + 16);
		for (size_t k = 0; k < n; k++)
			w->rows[i].body[k] = (char)('a' + rand() % 26);
		w->rows[i].body[n] = '\0';
	}
	for (int64_t agent = 1; agent <= AGENTS; agent++) {
		struct segment_writer writer;

		segment_writer_init(&writer);
		for (int i = 0; i < EVENTS; i++) {
			struct segment_event ev = {.id = w->rows[i].id,
				.seq = i + 1,
				.at = 1700000000000 - i * (i % 2 ? 1 : -1),
				.kind = "output",
				.kind_len = 6,
				.body = w->rows[i].body,
				.body_len = strlen(w->rows[i].body)};

			if (w->rows[i].agent != agent)
				continue;
			if (rand() % 90 == 0 && writer.n) { /* also short ones */
				put(w, agent, &writer);
				segment_writer_init(&writer);
			}
			if (!segment_writer_add(&writer, &ev)) {
				put(w, agent, &writer);
				segment_writer_init(&writer);
				assert_true(segment_writer_add(&writer, &ev));
			}
		}
		put(w, agent, &writer);
	}
	return w;
}

static void world_free(struct world *w)
{
	for (int i = 0; i < EVENTS; i++)
		free(w->rows[i].body);
	for (int i = 0; i < w->n; i++)
		free(w->packed[i].data);
	free(w);
}

static int next_ref(void *arg, struct segment_ref *ref, struct err *e)
{
	struct world *w = arg;

	(void)e;
	if (w->order[w->next] < 0)
		return 0;
	*ref = w->packed[w->order[w->next++]].ref;
	return 1;
}

static struct segment *load(void *arg, const struct segment_ref *ref, struct err *e)
{
	struct world *w = arg;

	w->loads++;
	return segment_open(w->packed[ref->key].data, w->packed[ref->key].n, e);
}

/* As the store's index gives them. */
static void sort(struct world *w, int64_t after, int64_t upto, bool falling)
{
	int n = 0;

	for (int i = 0; i < w->n; i++) {
		const struct segment_ref *ref = &w->packed[i].ref;
		int k = n;

		if (ref->last_id <= after || ref->first_id > upto)
			continue;
		while (k > 0 &&
			(falling ? w->packed[w->order[k - 1]].ref.last_id < ref->last_id
				 : w->packed[w->order[k - 1]].ref.first_id > ref->first_id)) {
			w->order[k] = w->order[k - 1];
			k--;
		}
		w->order[k] = i;
		n++;
	}
	w->order[n] = -1;
	w->next = 0;
}

static void check_range(struct world *w, int64_t after, int64_t upto, bool falling)
{
	struct segment_source source = {.next = next_ref, .load = load, .arg = w};
	int i = falling ? EVENTS - 1 : 0, step = falling ? -1 : 1;
	const struct segment_event *ev;
	struct segment_merge m;
	int64_t agent;
	struct err e;

	sort(w, after, upto, falling);
	segment_merge_init(&m, &source, after, upto, falling);
	for (; i >= 0 && i < EVENTS; i += step) {
		if (w->rows[i].id <= after || w->rows[i].id > upto)
			continue;
		assert_int_equal(segment_merge_peek(&m, &agent, &ev, &e), 1);
		assert_int_equal(ev->id, w->rows[i].id);
		assert_int_equal(agent, w->rows[i].agent);
		assert_int_equal(ev->seq, i + 1);
		assert_int_equal(ev->at, 1700000000000 - i * (i % 2 ? 1 : -1));
		assert_string_equal(ev->body, w->rows[i].body);
		assert_string_equal(ev->kind, "output");
		assert_true(m.n <= AGENTS);
		segment_merge_take(&m);
	}
	assert_int_equal(segment_merge_peek(&m, &agent, &ev, &e), 0);
	segment_merge_clear(&m);
}

static void test_merged(void **state)
{
	struct world *w = world_new(7);
	int64_t last = w->rows[EVENTS - 1].id;

	(void)state;
	for (int falling = 0; falling < 2; falling++) {
		check_range(w, 0, INT64_MAX, falling);
		check_range(w, last / 2, last / 2 + 40, falling);
		check_range(w, last, INT64_MAX, falling);
		for (int i = 0; i < 40; i++) {
			int64_t after = rand() % last;

			check_range(w, after, after + rand() % 200, falling);
		}
	}
	world_free(w);
}

/* Rows beside the packed events: before, between and behind them, and one short of its
 * body, with the id of a packed one. */
struct rows {
	const struct joined_event *rows;
	int n, at, step;
};
struct joining {
	struct rows rows;
	int64_t not_wanted;
};

static int next_row(void *arg, struct joined_event *row, struct err *e)
{
	struct rows *r = &((struct joining *)arg)->rows;

	(void)e;
	if (r->at < 0 || r->at >= r->n)
		return 0;
	*row = r->rows[r->at];
	r->at += r->step;
	return 1;
}

static bool not_that_one(void *arg, const struct segment_event *ev)
{
	return ev->id != ((struct joining *)arg)->not_wanted;
}

static void test_joined(void **state)
{
	struct world *w = world_new(7);
	struct segment_source source = {.next = next_ref, .load = load, .arg = w};
	int64_t first = w->rows[0].id, both = w->rows[EVENTS / 2].id, last = w->rows[EVENTS - 1].id;
	const struct joined_event rows[] = {{.id = first - 1, .body = "row"},
		{.id = both, .body = "short"}, {.id = last + 1, .body = "row"}};
	int64_t at, missing = w->rows[3].id;
	struct joined_event ev;
	struct err e;

	(void)state;
	for (int falling = 0; falling < 2; falling++) {
		struct joining with = {.rows = {.rows = rows,
					       .n = 3,
					       .at = falling ? 2 : 0,
					       .step = falling ? -1 : 1},
			.not_wanted = missing};
		struct segment_join j = {
			.next_row = next_row, .wanted = not_that_one, .arg = &with, .packed = true};
		int count = 0, whole = 0, plain = 0;

		sort(w, INT64_MIN, INT64_MAX, falling);
		segment_merge_init(&j.segments, &source, INT64_MIN, INT64_MAX, falling);
		at = falling ? INT64_MAX : INT64_MIN;
		while (segment_join_peek(&j, &ev, &e) == 1) {
			assert_true(falling ? ev.id < at : ev.id > at);
			assert_int_not_equal(ev.id, missing);
			whole += ev.id == both && strcmp(ev.body, "short") != 0;
			plain += strcmp(ev.body, "row") == 0;
			at = ev.id;
			count++;
			segment_join_take(&j);
		}
		assert_int_equal(count, EVENTS - 1 + 2);
		assert_int_equal(whole, 1);
		assert_int_equal(plain, 2);
		segment_merge_clear(&j.segments);
	}
	world_free(w);
}

static void test_bounds(void **state)
{
	_cleanup_free_ char *big = malloc(EVENT_BODY_MAX + 1);
	struct segment_event ev = {
		.id = 1, .seq = 0, .at = -5, .kind = "tool", .kind_len = 4, .body = big};
	struct segment_writer w;
	struct segment *s;
	struct err e;
	size_t n;

	(void)state;
	memset(big, 'x', EVENT_BODY_MAX);
	big[EVENT_BODY_MAX] = '\0';
	ev.body_len = EVENT_BODY_MAX;
	segment_writer_init(&w);
	assert_true(segment_writer_add(&w, &ev));
	ev.id++;
	assert_false(segment_writer_add(&w, &ev)); /* one such is enough */
	_cleanup_free_ char *packed = segment_writer_pack(&w, &n);
	assert_true(n < 4096);
	s = segment_open(packed, n, &e);
	assert_non_null(s);
	assert_int_equal(segment_count(s), 1);
	assert_int_equal(segment_get(s, 0)->at, -5);
	assert_int_equal(segment_get(s, 0)->body_len, EVENT_BODY_MAX);
	assert_memory_equal(segment_get(s, 0)->body, big, EVENT_BODY_MAX);
	segment_free(s);
	segment_writer_clear(&w);
}

static void test_damaged(void **state)
{
	struct world *w = world_new(3);
	char *data = w->packed[0].data;
	size_t n = w->packed[0].n;
	struct err e;

	(void)state;
	assert_null(segment_open("", 0, &e));
	assert_null(segment_open(data, n - 1, &e));
	assert_int_equal(e.kind, ERR_SYS);
	for (size_t i = 0; i < n; i += 1 + n / 500) {
		data[i] ^= 0x10;
		segment_free(segment_open(data, n, &e)); /* most are told, none harms */
		data[i] ^= 0x10;
	}
	data[n / 2] ^= 1;
	assert_null(segment_open(data, n, &e));
	data[0] = 9;
	assert_null(segment_open(data, n, &e));
	assert_non_null(strstr(e.text, "newer"));
	world_free(w);
}

static void test_kinds(void **state)
{
	(void)state;
	assert_true(segment_kind("output", 6));
	assert_true(segment_kind("diff", 4));
	assert_false(segment_kind("state", 5));
	assert_false(segment_kind("out", 3));
	assert_false(segment_kind("put", 3));
	assert_false(segment_kind("", 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_merged),
		cmocka_unit_test(test_joined),
		cmocka_unit_test(test_bounds),
		cmocka_unit_test(test_damaged),
		cmocka_unit_test(test_kinds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
