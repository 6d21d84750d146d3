#include "shared/segment_join.h"

/* The next packed event that is wanted: 1, 0 at the end, -1. */
static int peek_packed(
	struct segment_join *j, int64_t *agent, const struct segment_event **ev, struct err *e)
{
	int got;

	while ((got = segment_merge_peek(&j->segments, agent, ev, e)) == 1 && j->wanted &&
		!j->wanted(j->arg, *ev))
		segment_merge_take(&j->segments);
	return got;
}

int segment_join_peek(struct segment_join *j, struct joined_event *out, struct err *e)
{
	const struct segment_event *ev = NULL;
	int64_t agent = 0;
	int packed;

	if (!j->row_known) {
		j->row_got = j->next_row(j->arg, &j->row, e);
		j->row_known = true;
	}
	packed = j->packed ? peek_packed(j, &agent, &ev, e) : 0;
	if (j->row_got < 0 || packed < 0)
		return -1;
	j->took_both = j->row_got == 1 && packed == 1 && ev->id == j->row.id;
	j->took_row = j->row_got == 1 && !j->took_both &&
		      (packed == 0 || (ev->id > j->row.id) != j->segments.falling);
	if (j->took_row)
		*out = j->row;
	else if (packed == 1)
		*out = (struct joined_event){.id = ev->id,
			.stream = "agent",
			.subject = agent,
			.kind = ev->kind,
			.kind_len = ev->kind_len,
			.body = ev->body,
			.body_len = ev->body_len,
			.at = ev->at};
	return j->took_row || packed == 1;
}

void segment_join_take(struct segment_join *j)
{
	if (j->took_row || j->took_both)
		j->row_known = false;
	if (!j->took_row)
		segment_merge_take(&j->segments);
}
