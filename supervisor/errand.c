#include "supervisor/errand.h"

#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/crash.h"
#include "shared/json.h"
#include "supervisor/supervisor.h"

static const int at_once[] = {
#define X(name, at_once) at_once,
	ERRAND_LANES(X)
#undef X
};

struct errand {
	struct supervisor *supervisor;
	struct errand *next;
	enum errand_lane lane;
	const char *kind; /* static */
	char *question;
	struct buf answer;
	struct child *child;
	uv_timer_t timer;   /* its deadline; before it runs: the wait for its turn */
	struct err failure; /* kind ERR_NONE: none */
	errand_cb cb;
	void *arg;
};

static void next_errand(struct supervisor *s, enum errand_lane lane);

static enum errand_lane lane_of(const char *kind)
{
	static const struct {
		const char *kind;
		enum errand_lane lane;
	} others[] = {
		{"split", ERRAND_ADVICE},
		{"judge", ERRAND_ADVICE},
		{"model", ERRAND_MODEL},
		{"remove", ERRAND_KEEP},
		{"reclaim", ERRAND_KEEP},
		{"restore", ERRAND_KEEP},
		{"mirrors", ERRAND_KEEP},
	};

	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		if (strcmp(kind, others[i].kind) == 0)
			return others[i].lane;
	}
	return ERRAND_LOOK;
}

static void freed(uv_handle_t *h)
{
	struct errand *r = h->data;

	free(r->question);
	buf_clear(&r->answer);
	free(r);
}

static void failed(const struct errand *r, const cJSON *answer, struct err *e)
{
	const char *text = json_str(answer, "error", NULL);
	const char *field = json_str(answer, "field", NULL);

	if (!text)
		err_set(e, ERR_INTERNAL, "errand %s: its answer makes no sense", r->kind);
	else if (field)
		err_set(e, err_kind_parse(json_str(answer, "kind", "")), "%s: %s", field, text);
	else
		err_set(e, err_kind_parse(json_str(answer, "kind", "")), "%s", text);
}

static void finish(struct errand *r)
{
	_cleanup_json_ cJSON *answer = NULL;
	struct supervisor *s = r->supervisor;
	enum errand_lane lane = r->lane;
	struct err e = r->failure;

	if (e.kind == ERR_NONE) {
		answer = json_parse(
			r->answer.data ? r->answer.data : "", r->answer.len, ERRAND_ANSWER_MAX, &e);
		if (!answer) {
			err_wrap(&e, "errand %s: its answer", r->kind);
			e.kind = ERR_INTERNAL; /* nothing that was asked is at fault */
		} else if (!json_bool(answer, "ok", false))
			failed(r, answer, &e);
		else
			e.kind = ERR_NONE;
	}
	r->cb(r->arg, e.kind == ERR_NONE ? answer : NULL, e.kind == ERR_NONE ? NULL : &e);
	uv_close((uv_handle_t *)&r->timer, freed);
	s->errands.lanes[lane].running--;
	next_errand(s, lane);
}

static void on_output(void *arg, int stream, const char *data, size_t n)
{
	struct errand *r = arg;

	if (stream == 1 && !buf_add(&r->answer, data, n) && r->failure.kind == ERR_NONE) {
		err_set(&r->failure, ERR_LIMIT, "errand %s: its answer is longer than %d bytes",
			r->kind, ERRAND_ANSWER_MAX);
		child_end(r->child, 0);
	}
}

static void on_done(void *arg, int code)
{
	struct errand *r = arg;

	r->child = NULL;
	crash_point(CRASH_ERRAND_ANSWERED);
	if (code != 0 && r->failure.kind == ERR_NONE && r->answer.len == 0)
		err_set(&r->failure, ERR_INTERNAL,
			code < 0 ? "errand %s was killed by signal %d"
				 : "errand %s ended with code %d",
			r->kind, abs(code));
	finish(r);
}

static uint64_t deadline(const struct errand *r)
{
	return r->lane == ERRAND_ADVICE ? ERRAND_ADVICE_MS : ERRAND_DEADLINE_MS;
}

static void on_time(uv_timer_t *t)
{
	struct errand *r = t->data;

	if (!r->child) {
		finish(r);
		return;
	}
	err_set(&r->failure, ERR_UNAVAILABLE,
		"it took longer than %d s to find out; check the address and the network, and try "
		"again",
		(int)(deadline(r) / 1000));
	child_end(r->child, 1000);
}

static void start(struct errand *r)
{
	static const struct child_events on = {.output = on_output, .done = on_done};

	r->supervisor->errands.lanes[r->lane].running++;
	r->child = launcher_errand(r->supervisor->launcher, r->kind, &on, r, &r->failure);
	if (!r->child) {
		uv_timer_start(&r->timer, on_time, 0, 0);
		return;
	}
	r->failure.kind = ERR_NONE;
	if (child_write(r->child, r->question, strlen(r->question), &r->failure) < 0)
		child_end(r->child, 0);
	child_close_stdin(r->child);
	crash_point(CRASH_ERRAND_STARTED);
	uv_timer_start(&r->timer, on_time, deadline(r), 0);
}

static void next_errand(struct supervisor *s, enum errand_lane lane)
{
	struct errand_line *l = &s->errands.lanes[lane];
	struct errand *r = l->first;

	if (!r || l->running >= at_once[lane])
		return;
	l->first = r->next;
	if (!l->first)
		l->last = NULL;
	start(r);
}

void errand_run(
	struct supervisor *s, const char *kind, const cJSON *question, errand_cb cb, void *arg)
{
	enum errand_lane lane = lane_of(kind);
	struct errand_line *l = &s->errands.lanes[lane];
	struct errand *r = calloc(1, sizeof(*r));

	if (!r)
		err_out_of_memory();
	r->supervisor = s;
	r->kind = kind;
	r->lane = lane;
	r->question = json_print(question);
	r->cb = cb;
	r->arg = arg;
	buf_init(&r->answer, ERRAND_ANSWER_MAX);
	uv_timer_init(s->loop, &r->timer);
	r->timer.data = r;
	if (l->last)
		l->last->next = r;
	else
		l->first = r;
	l->last = r;
	next_errand(s, lane);
}
