/* Opening one pull request, step by step: repository → look → open → labels →
 * collaborators → reviewers. Judging is in forge_answer.c; here are order and wire. */
#include "worker/forge.h"

#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/json.h"
#include "worker/backoff.h"
#include "worker/forge_answer.h"
#include "worker/pace.h"

#define FORGE_DEFAULT_API "https://api.github.com"
#define FORGE_TRY_MS 30000
#define FORGE_TELL_MS 3000 /* shorter waits for a free moment are not worth a word */
#define FORGE_LABEL_MAX 50 /* characters of a label's name; GitHub's limit */

enum stage { STAGE_REPOSITORY, STAGE_LOOK, STAGE_OPEN, STAGE_LABELS, STAGE_CHECK, STAGE_REVIEWERS };

struct forge {
	uv_loop_t *loop;
	struct http *http;
	uv_timer_t timer;
	char *authorization; /* header line; secret */
	char *api;	     /* no trailing slash */
	char host[256];	     /* of the repositories it serves */
	struct http_call *call;
	bool busy;
	enum stage stage;
	int tries; /* of this stage */
	int opened_tries;
	int64_t try_ms;
	struct pace *pace;
	uint64_t random;

	char owner[256], name[256];
	char *branch, *title, *body;
	char *labels[FORGE_MAX_NAMES], *reviewers[FORGE_MAX_NAMES];
	size_t label_count, reviewer_count, checked, accepted;
	char default_branch[256], author[256];
	struct forge_pull pull;
	forge_step_cb step;
	forge_waiting_cb waiting;
	forge_done_cb done;
	void *arg;
};

static void enter(struct forge *f, enum stage stage);
static void on_response(void *arg, const struct http_response *r, const struct err *e);

static const char *const DOING[] = {
	[STAGE_REPOSITORY] = "ask for the default branch",
	[STAGE_LOOK] = "look for a pull request",
	[STAGE_OPEN] = "open the pull request",
	[STAGE_LABELS] = "add the labels",
	[STAGE_CHECK] = "look up a reviewer",
	[STAGE_REVIEWERS] = "ask the reviewers",
};

static void clear_names(char **names, size_t *n)
{
	for (size_t i = 0; i < *n; i++)
		free(names[i]);
	*n = 0;
}

static void clear_spec(struct forge *f)
{
	free(f->branch);
	free(f->title);
	free(f->body);
	f->branch = f->title = f->body = NULL;
	clear_names(f->labels, &f->label_count);
	clear_names(f->reviewers, &f->reviewer_count);
}

static void finish(struct forge *f, const struct err *e)
{
	struct forge_pull pull = f->pull;

	f->busy = false;
	clear_spec(f);
	f->done(f->arg, e ? NULL : &pull, e);
}

static void tell(struct forge *f, const char *step, const char *status, const char *reason)
{
	if (f->step)
		f->step(f->arg, step, status, reason);
}

static bool writes(enum stage stage)
{
	return stage == STAGE_OPEN || stage == STAGE_LABELS || stage == STAGE_REVIEWERS;
}

/* A text as a query's value. */
static void add_escaped(struct buf *b, const char *text)
{
	for (const char *p = text; *p; p++) {
		if (strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.~",
			    *p))
			buf_add(b, p, 1);
		else
			buf_addf(b, "%%%02X", (unsigned char)*p);
	}
}

static void add_names(cJSON *body, const char *key, char *const *names, size_t n)
{
	cJSON *list = cJSON_AddArrayToObject(body, key);

	for (size_t i = 0; i < n; i++)
		cJSON_AddItemToArray(list, cJSON_CreateString(names[i]));
}

static cJSON *request_body(const struct forge *f)
{
	cJSON *body = cJSON_CreateObject();

	switch (f->stage) {
	case STAGE_OPEN:
		json_add_str(body, "title", f->title);
		json_add_str(body, "head", f->branch);
		json_add_str(body, "base", f->default_branch);
		json_add_str(body, "body", f->body);
		break;
	case STAGE_LABELS:
		add_names(body, "labels", f->labels, f->label_count);
		break;
	case STAGE_REVIEWERS:
		add_names(body, "reviewers", f->reviewers, f->accepted);
		break;
	case STAGE_REPOSITORY:
	case STAGE_LOOK:
	case STAGE_CHECK:
		break;
	}
	return body;
}

static char *request_url(const struct forge *f)
{
	struct buf b;

	buf_init(&b, 8192);
	buf_addf(&b, "%s/repos/%s/%s", f->api, f->owner, f->name);
	switch (f->stage) {
	case STAGE_REPOSITORY:
		break;
	case STAGE_LOOK:
		buf_adds(&b, "/pulls?state=open&head=");
		add_escaped(&b, f->owner);
		buf_adds(&b, "%3A");
		add_escaped(&b, f->branch);
		break;
	case STAGE_OPEN:
		buf_adds(&b, "/pulls");
		break;
	case STAGE_LABELS:
		buf_addf(&b, "/issues/%ld/labels", f->pull.number);
		break;
	case STAGE_CHECK:
		buf_addf(&b, "/collaborators/%s", f->reviewers[f->checked]);
		break;
	case STAGE_REVIEWERS:
		buf_addf(&b, "/pulls/%ld/requested_reviewers", f->pull.number);
		break;
	}
	return buf_take(&b, NULL);
}

static void attempt(struct forge *f)
{
	const char *headers[] = {"Accept: application/vnd.github+json",
		"X-GitHub-Api-Version: 2022-11-28", "Content-Type: application/json",
		f->authorization, NULL};
	bool write = writes(f->stage);
	_cleanup_json_ cJSON *json = write ? request_body(f) : NULL;
	_cleanup_free_ char *body = write ? json_print(json) : NULL;
	_cleanup_free_ char *url = request_url(f);
	struct http_request r = {
		.method = write ? "POST" : "GET",
		.url = url,
		.headers = headers,
		.body = body,
		.body_len = body ? strlen(body) : 0,
		.timeout_ms = f->try_ms,
		.max_response_bytes = FORGE_BODY_MAX_BYTES,
		.once = write,
	};
	struct err e;

	f->tries++;
	f->call = http_send(f->http, &r, on_response, f, &e);
	if (f->call)
		return;
	pace_done(f->pace);
	finish(f, &e);
}

static void tell_waiting(struct forge *f, const char *reason, int64_t delay_ms)
{
	if (f->waiting)
		f->waiting(f->arg, reason, delay_ms);
}

/* As soon as the limits, which others use too, have room for it. */
static void on_timer(uv_timer_t *timer)
{
	struct forge *f = timer->data;
	int64_t wait_ms = pace_ask(f->pace, writes(f->stage));

	if (wait_ms == 0) {
		attempt(f);
		return;
	}
	if (wait_ms >= FORGE_TELL_MS)
		tell_waiting(f, "GitHub's limits, which all agents share, are used up", wait_ms);
	uv_timer_start(&f->timer, on_timer, (uint64_t)wait_ms, 0);
}

static void attempt_later(struct forge *f, int64_t delay_ms)
{
	uv_update_time(f->loop);
	uv_timer_start(&f->timer, on_timer, (uint64_t)delay_ms, 0);
}

/* A label or reviewer step is over; a failed one fails nothing else. */
static void step_over(struct forge *f, const char *status, const char *reason)
{
	if (f->stage == STAGE_LABELS) {
		tell(f, "labels", status, reason);
		enter(f, STAGE_CHECK);
	} else {
		tell(f, "reviewers", status, reason);
		finish(f, NULL);
	}
}

/* Moves to a stage, past those that have nothing to do. */
static void enter(struct forge *f, enum stage stage)
{
	f->stage = stage;
	f->tries = 0;
	if (stage == STAGE_LABELS && f->label_count == 0) {
		enter(f, STAGE_CHECK);
	} else if (stage == STAGE_CHECK && f->reviewer_count == 0) {
		finish(f, NULL);
	} else if (stage == STAGE_CHECK && f->checked == f->reviewer_count) {
		f->stage = STAGE_REVIEWERS;
		if (f->accepted == 0)
			step_over(f, "skipped",
				"none of them is a collaborator other than the author");
		else
			attempt_later(f, 0);
	} else if (stage == STAGE_CHECK &&
		   (!forge_name_ok(f->reviewers[f->checked]) ||
			   strcasecmp(f->reviewers[f->checked], f->author) == 0)) {
		f->checked++;
		enter(f, STAGE_CHECK);
	} else {
		attempt_later(f, 0);
	}
}

static void give_up(struct forge *f, const struct err *e)
{
	if (f->stage == STAGE_LABELS || f->stage == STAGE_REVIEWERS) {
		step_over(f, "failed", e->text);
	} else if (f->stage == STAGE_CHECK) {
		f->stage = STAGE_REVIEWERS;
		step_over(f, "failed", e->text);
	} else {
		tell(f, "pull_request", "failed", e->text);
		finish(f, e);
	}
}

static void reviewer_checked(struct forge *f, bool collaborator)
{
	if (collaborator) {
		char *name = f->reviewers[f->checked];

		f->reviewers[f->checked] = f->reviewers[f->accepted];
		f->reviewers[f->accepted++] = name;
	}
	f->checked++;
	enter(f, STAGE_CHECK);
}

static void have_pull(struct forge *f)
{
	tell(f, "pull_request", "done", f->pull.existed ? "it was open already" : "");
	enter(f, STAGE_LABELS);
}

/* Answers that mean what the stage hoped for. */
static void succeed(struct forge *f, const struct http_response *r)
{
	struct err e;
	int rc;

	switch (f->stage) {
	case STAGE_REPOSITORY:
		rc = forge_parse_repository(
			r->body, r->body_len, f->default_branch, f->owner, f->name, &e);
		if (rc < 0)
			give_up(f, &e);
		else
			enter(f, STAGE_LOOK);
		break;
	case STAGE_LOOK:
		rc = forge_parse_pulls(r->body, r->body_len, f->branch, &f->pull, f->author, &e);
		if (rc < 0)
			give_up(f, &e);
		else if (rc > 0)
			have_pull(f);
		else
			enter(f, STAGE_OPEN);
		break;
	case STAGE_OPEN:
		if (forge_parse_pull(r->body, r->body_len, &f->pull, f->author, &e) < 0)
			give_up(f, &e);
		else
			have_pull(f);
		break;
	case STAGE_CHECK:
		reviewer_checked(f, r->status == 204);
		break;
	case STAGE_LABELS:
	case STAGE_REVIEWERS:
		step_over(f, "done", "");
		break;
	}
}

static bool hoped_for(enum stage stage, int status)
{
	switch (stage) {
	case STAGE_REPOSITORY:
	case STAGE_LOOK:
	case STAGE_LABELS:
		return status == 200;
	case STAGE_OPEN:
	case STAGE_REVIEWERS:
		return status == 201;
	case STAGE_CHECK:
		return status == 204 || status == 404;
	}
	return false;
}

/* Nothing is left of what the token may ask: that holds for everybody. */
static void heed_limits(struct forge *f, const struct http_response *r)
{
	int64_t reset_ms;

	if (!r || r->rate_remaining != 0 || r->rate_reset_in_ms < 0)
		return;
	reset_ms = r->rate_reset_in_ms + 1000;
	if (reset_ms <= FORGE_WAIT_MAX_MS)
		pace_close(f->pace, reset_ms);
}

static void on_response(void *arg, const struct http_response *r, const struct err *failure)
{
	struct forge *f = arg;
	char reason[FORGE_REASON_BYTES] = "";
	struct forge_limits limits = {.status = 0,
		.retry_after_ms = -1,
		.rate_remaining = -1,
		.rate_reset_in_ms = -1,
		.reason = reason};
	enum stage stage;
	int64_t delay_ms;
	struct err e;

	f->call = NULL;
	pace_done(f->pace);
	heed_limits(f, r);
	if (failure && failure->kind != ERR_UNAVAILABLE) {
		err_set(&e, failure->kind, "%s: %s", DOING[f->stage], failure->text);
		give_up(f, &e);
		return;
	}
	if (r && hoped_for(f->stage, r->status)) {
		succeed(f, r);
		return;
	}
	if (r) {
		forge_reason(r->body, r->body_len, reason);
		limits.status = r->status;
		limits.retry_after_ms = r->retry_after_ms;
		limits.rate_remaining = r->rate_remaining;
		limits.rate_reset_in_ms = r->rate_reset_in_ms;
	} else {
		snprintf(reason, sizeof reason, "%.300s", failure->text);
	}
	stage = f->stage;
	if (stage == STAGE_OPEN) {
		f->opened_tries++;
		delay_ms = forge_retry_delay(&limits, f->opened_tries, backoff_chance(&f->random));
		/* It may exist in spite of the answer: look before trying again. */
		if (limits.status == 422 && strcasestr(reason, "already exists") &&
			f->opened_tries < FORGE_MAX_TRIES)
			delay_ms = 0;
		if (delay_ms >= 0) {
			f->stage = STAGE_LOOK;
			f->tries = 0;
		}
	} else {
		delay_ms = forge_retry_delay(&limits, f->tries, backoff_chance(&f->random));
	}
	if (delay_ms >= 0 && forge_rate_limited(&limits))
		pace_close(f->pace, delay_ms);
	forge_fill_error(&limits, DOING[stage], r ? r->scopes : NULL, &e);
	if (delay_ms >= 0) {
		if (delay_ms > 0)
			tell_waiting(f, e.text, delay_ms);
		attempt_later(f, delay_ms);
		return;
	}
	give_up(f, &e);
}

static int64_t try_ms(const char *seconds)
{
	char *end;
	long n = seconds ? strtol(seconds, &end, 10) : 0;

	return n > 0 && n <= 3600 && *end == '\0' ? n * 1000 : FORGE_TRY_MS;
}

struct forge *forge_new(
	uv_loop_t *loop, struct http *h, const struct forge_options *o, struct err *e)
{
	const char *api_url = o->api_url;
	struct forge *f;
	size_t n;

	if (!o->token || !*o->token) {
		err_set(e, ERR_DENIED, "set GITHUB_TOKEN in ~/.env to open pull requests");
		return NULL;
	}
	if (!api_url || !*api_url)
		api_url = FORGE_DEFAULT_API;
	f = calloc(1, sizeof *f);
	if (!f || !(f->api = strdup(api_url)) ||
		asprintf(&f->authorization, "Authorization: Bearer %s", o->token) < 0)
		err_out_of_memory();
	for (n = strlen(f->api); n && f->api[n - 1] == '/'; n--)
		f->api[n - 1] = '\0';
	forge_host(f->api, f->host);
	f->loop = loop;
	f->http = h;
	f->random = (uint64_t)clock_now_ns();
	f->try_ms = try_ms(o->seconds);
	f->pace = pace_new(o->pace_path);
	uv_timer_init(loop, &f->timer);
	f->timer.data = f;
	if (!f->host[0] ||
		(strncmp(f->api, "https://", 8) != 0 && strncmp(f->api, "http://", 7) != 0)) {
		err_set(e, ERR_INVALID, "GITHUB_API_URL: %.200s is not an http(s) URL", f->api);
		forge_free(f);
		return NULL;
	}
	return f;
}

static void timer_closed(uv_handle_t *handle)
{
	struct forge *f = handle->data;

	pace_free(f->pace);
	explicit_bzero(f->authorization, strlen(f->authorization));
	free(f->authorization);
	free(f->api);
	free(f);
}

void forge_free(struct forge *f)
{
	if (!f)
		return;
	http_cancel(f->call);
	f->call = NULL;
	clear_spec(f);
	uv_timer_stop(&f->timer);
	uv_close((uv_handle_t *)&f->timer, timer_closed);
}

bool forge_serves(const struct forge *f, const struct giturl *url)
{
	const char *host = url->host;

	if (url->scheme == GITURL_LOCAL || !forge_name_ok(url->owner) || !forge_name_ok(url->name))
		return false;
	if (strcasecmp(host, "www.github.com") == 0 || strcasecmp(host, "ssh.github.com") == 0)
		host = "github.com";
	return strcasecmp(host, f->host) == 0;
}

/* A copy of at most max characters. */
static char *cut_copy(const char *text, size_t max)
{
	_cleanup_free_ char *clean = utf8_clean(text, strlen(text));
	size_t chars = 0, n = 0;

	while (clean[n] && chars <= max) {
		if (((unsigned char)clean[n] & 0xc0) != 0x80 && ++chars > max)
			break;
		n++;
	}
	return strndup(clean, n);
}

static void copy_names(char **to, size_t *n, const char *const *from, size_t count, size_t max)
{
	for (size_t i = 0; i < count && i < FORGE_MAX_NAMES; i++)
		if (from[i] && from[i][0])
			to[(*n)++] = cut_copy(from[i], max);
}

bool forge_busy(const struct forge *f)
{
	return f->busy;
}

int forge_open_pull(struct forge *f, const struct forge_spec *spec, forge_step_cb step,
	forge_waiting_cb waiting, forge_done_cb done, void *arg, struct err *e)
{
	if (f->busy)
		return err_set(e, ERR_CONFLICT, "a pull request is being opened already");
	if (!forge_serves(f, spec->url))
		return err_set(
			e, ERR_INVALID, "%s is not a repository on %s", spec->url->text, f->host);
	f->busy = true;
	snprintf(f->owner, sizeof f->owner, "%s", spec->url->owner);
	snprintf(f->name, sizeof f->name, "%s", spec->url->name);
	f->branch = strdup(spec->branch);
	f->title = cut_copy(spec->title, FORGE_TITLE_MAX);
	f->body = cut_copy(spec->body ? spec->body : "", FORGE_PULL_BODY_MAX);
	copy_names(f->labels, &f->label_count, spec->labels, spec->label_count, FORGE_LABEL_MAX);
	copy_names(f->reviewers, &f->reviewer_count, spec->reviewers, spec->reviewer_count, 255);
	f->checked = f->accepted = 0;
	f->opened_tries = 0;
	f->author[0] = '\0';
	memset(&f->pull, 0, sizeof f->pull);
	f->step = step;
	f->waiting = waiting;
	f->done = done;
	f->arg = arg;
	enter(f, STAGE_REPOSITORY);
	return 0;
}
