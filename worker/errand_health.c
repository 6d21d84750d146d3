/* The errand "health": what `100x doctor` finds, and how large the state is. */
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/buf.h"
#include "shared/child.h"
#include "shared/clock.h"
#include "shared/json.h"
#include "worker/errand_parts.h"

#define DOCTOR_MS 20000
#define COUNT_MS 5000 /* for counting bytes; then it is what was counted so far */
#define OUTPUT_MAX (256 * 1024)
#define FINDING_BYTES 2048

struct doctor {
	struct buf out;
	struct child *child;
	bool done;
};

static void on_output(void *arg, int stream, const char *data, size_t n)
{
	struct doctor *d = arg;

	if (stream == 1)
		buf_add(&d->out, data, n);
}

static void on_done(void *arg, int code)
{
	struct doctor *d = arg;

	(void)code; /* it has one for things that are missing */
	d->done = true;
	d->child = NULL;
}

static void on_time(uv_timer_t *t)
{
	struct doctor *d = t->data;

	if (d->child)
		child_end(d->child, 1000);
}

/* Its findings as it prints them; the caller's. */
static cJSON *consult(const struct paths *paths, int64_t port, struct err *e)
{
	static const struct child_events on = {.output = on_output, .done = on_done};
	char program[PATHS_MAX], port_text[24];
	const char *argv[] = {program, "doctor", "--json", "--state-dir", paths->state_dir,
		"--run-dir", paths->run_dir, "--port", port_text, NULL};
	struct child_spec spec = {.argv = argv,
		.env = (const char *const *)environ,
		.pipe_stdout = true,
		.stderr_fd = -1,
		.die_with_us = true};
	struct doctor d = {0};
	cJSON *found = NULL;
	uv_timer_t timer;
	uv_loop_t loop;

	if (paths_program("100x", program, e) < 0)
		return NULL;
	snprintf(port_text, sizeof port_text, "%lld", (long long)port);
	buf_init(&d.out, OUTPUT_MAX);
	uv_loop_init(&loop);
	uv_timer_init(&loop, &timer);
	timer.data = &d;
	d.child = child_start(&loop, &spec, &on, &d, e);
	if (d.child) {
		uv_timer_start(&timer, on_time, DOCTOR_MS, 0);
		while (!d.done)
			uv_run(&loop, UV_RUN_ONCE);
		found = json_parse(d.out.data ? d.out.data : "", d.out.len, OUTPUT_MAX, e);
		if (!found)
			err_wrap(e, "100x doctor");
	}
	uv_close((uv_handle_t *)&timer, NULL);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	buf_clear(&d.out);
	return found;
}

static const char *level_of(const char *word)
{
	return strcmp(word, "good") == 0 ? "ok" : strcmp(word, "hint") == 0 ? "warning" : "error";
}

static void add_findings(const cJSON *doctor, cJSON *answer)
{
	cJSON *all = cJSON_AddArrayToObject(answer, "findings"), *finding;
	const cJSON *one;
	char what[FINDING_BYTES];

	cJSON_ArrayForEach (one, json_get(doctor, "findings")) {
		const char *mend = json_str(one, "mend", "");

		finding = cJSON_CreateObject();
		cJSON_AddItemToArray(all, finding);
		json_add_str(finding, "level", level_of(json_str(one, "level", "")));
		snprintf(what, sizeof what, "%s: %s", json_str(one, "subject", ""),
			json_str(one, "text", ""));
		json_add_text(finding, "what", what, utf8_cut(what, strlen(what), sizeof what - 8));
		json_add_text(finding, "hint", mend, utf8_cut(mend, strlen(mend), FINDING_BYTES));
	}
}

static int64_t counted, until_ms; /* nftw has no argument of ours */

static int on_file(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)path;
	(void)ftw;
	if (type == FTW_F)
		counted += (int64_t)st->st_blocks * 512;
	return clock_now_ms() > until_ms;
}

int errand_health(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	cJSON *found = consult(paths, json_int(question, "port", 5000), e);

	(void)field;
	if (!found)
		return -1;
	add_findings(found, answer);
	cJSON_Delete(found);
	until_ms = clock_now_ms() + COUNT_MS;
	nftw(paths->state_dir, on_file, 32, FTW_PHYS | FTW_MOUNT);
	json_add_int(answer, "state_bytes", counted);
	return 0;
}
