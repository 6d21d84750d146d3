/* Streamed text: at once when quiet, gathered while it flows, cut at its bounds. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "shared/buf.h"
#include "shared/event.h"
#include "shared/json.h"
#include "worker/output.h"

struct seen {
	int pieces, cuts;
	size_t longest;
	struct buf text;
	enum output_stream last;
	bool broken;
};

static void on_piece(void *arg, enum output_stream stream, const char *text, size_t n, bool cut)
{
	struct seen *s = arg;

	s->pieces++;
	s->cuts += cut;
	s->last = stream;
	s->longest = n > s->longest ? n : s->longest;
	s->broken = s->broken || !utf8_valid(text, n);
	buf_add(&s->text, text, n);
}

static void add(struct output *o, const char *text, int64_t now)
{
	output_add(o, OUTPUT_AGENT, text, strlen(text), now);
}

static void quiet_goes_at_once(void **state)
{
	struct seen s = {0};
	struct output o;

	(void)state;
	output_init(&o, on_piece, &s);
	add(&o, "one", 1000);
	assert_int_equal(s.pieces, 1);
	assert_int_equal(output_deadline(&o), -1);
	add(&o, "two", 1001);
	add(&o, "three", 1010);
	assert_int_equal(s.pieces, 1);
	assert_int_equal(output_deadline(&o), 1000 + OUTPUT_GATHER_MS);
	output_flush(&o, 1033);
	assert_int_equal(s.pieces, 2);
	add(&o, "four", 1033 + OUTPUT_GATHER_MS);
	assert_int_equal(s.pieces, 3);
	assert_string_equal(s.text.data, "onetwothreefour");
	buf_clear(&s.text);
	output_clear(&o);
}

static void much_goes_before_its_time(void **state)
{
	char block[1024];
	struct seen s = {0};
	struct output o;

	(void)state;
	memset(block, 'x', sizeof block);
	output_init(&o, on_piece, &s);
	for (int i = 0; i < 9; i++)
		output_add(&o, OUTPUT_TOOL, block, sizeof block, 5);
	assert_int_equal(s.pieces, 3); /* the first at once, then two of 4 KiB */
	assert_int_equal(s.text.len, 9 * sizeof block);
	buf_clear(&s.text);
	output_clear(&o);
}

static void streams_keep_their_order(void **state)
{
	struct seen s = {0};
	struct output o;

	(void)state;
	output_init(&o, on_piece, &s);
	add(&o, "a", 0);
	add(&o, "b", 1);
	output_add(&o, OUTPUT_STDERR, "c", 1, 2);
	assert_int_equal(s.pieces, 2);
	assert_int_equal(s.last, OUTPUT_AGENT);
	output_flush(&o, 3);
	assert_int_equal(s.last, OUTPUT_STDERR);
	assert_string_equal(s.text.data, "abc");
	buf_clear(&s.text);
	output_clear(&o);
}

static void characters_stay_whole(void **state)
{
	const char *text = "aé漢🎉";
	struct seen s = {0};
	struct output o;

	(void)state;
	output_init(&o, on_piece, &s);
	for (size_t i = 0; i < strlen(text); i++)
		output_add(&o, OUTPUT_STDERR, text + i, 1, (int64_t)i * 100);
	output_flush(&o, 5000);
	assert_false(s.broken);
	assert_string_equal(s.text.data, text);
	buf_clear(&s.text);
	output_clear(&o);
}

static void long_pieces_are_cut_and_marked(void **state)
{
	size_t n = EVENT_TEXT_MAX + 100;
	char *text = malloc(n);
	struct seen s = {0};
	struct output o;

	(void)state;
	assert_non_null(text);
	memset(text, 'x', n);
	output_init(&o, on_piece, &s);
	output_add(&o, OUTPUT_AGENT, text, n, 0);
	assert_int_equal(s.cuts, 1);
	assert_int_equal(s.text.len, EVENT_TEXT_MAX);
	buf_clear(&s.text);
	output_clear(&o);
	free(text);
}

static void a_line_without_end_is_cut_once(void **state)
{
	char block[8192];
	struct seen s = {0};
	struct output o;

	(void)state;
	memset(block, 'x', sizeof block);
	output_init(&o, on_piece, &s);
	for (int i = 0; i < 1000; i++)
		output_add(&o, OUTPUT_STDERR, block, sizeof block, i);
	output_flush(&o, 1000);
	assert_int_equal(s.text.len, EVENT_TEXT_MAX);
	assert_int_equal(s.cuts, 1); /* told although the bound falls on the end of a read */
	assert_true(s.longest <= EVENT_TEXT_MAX);
	output_add(&o, OUTPUT_STDERR, "\nnext\n", 6, 2000);
	output_flush(&o, 3000);
	assert_non_null(strstr(s.text.data, "next\n"));
	buf_clear(&s.text);
	output_clear(&o);
}

/* Each of them may become a character of three bytes. */
static void raw_bytes_leave_room_to_be_cleaned(void **state)
{
	char *zeros = calloc(1, EVENT_TEXT_MAX);
	struct seen s = {0};
	struct output o;

	(void)state;
	assert_non_null(zeros);
	output_init(&o, on_piece, &s);
	output_add(&o, OUTPUT_STDERR, zeros, EVENT_TEXT_MAX, 1);
	output_flush(&o, 100);
	assert_int_equal(s.text.len, EVENT_TEXT_MAX);
	assert_true(3 * s.longest <= EVENT_TEXT_MAX);
	buf_clear(&s.text);
	output_clear(&o);
	free(zeros);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(quiet_goes_at_once),
		cmocka_unit_test(much_goes_before_its_time),
		cmocka_unit_test(streams_keep_their_order),
		cmocka_unit_test(characters_stay_whole),
		cmocka_unit_test(long_pieces_are_cut_and_marked),
		cmocka_unit_test(a_line_without_end_is_cut_once),
		cmocka_unit_test(raw_bytes_leave_room_to_be_cleaned),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
