#include "worker/errand_github.h"

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uv.h>

#include "shared/json.h"
#include "worker/errand_parts.h"
#include "worker/forge.h"
#include "worker/http.h"

#define ANSWER_MAX (4 * 1024 * 1024)
#define ISSUES_A_PAGE 50
#define ISSUE_BODY_MAX 4096 /* bytes of an issue's text that are answered */

struct asked {
	int status; /* 0: not yet; -1: failed */
	cJSON *body;
	char *scopes;
	struct err *e;
};

static void on_answer(void *arg, const struct http_response *response, const struct err *e)
{
	struct asked *a = arg;

	a->status = -1;
	if (e) {
		*a->e = *e;
	} else if (response->status == 401) {
		err_set(a->e, ERR_DENIED,
			"GitHub refuses GITHUB_TOKEN: it is wrong, expired or revoked");
	} else if (response->status == 200) {
		a->body = json_parse(response->body, response->body_len, ANSWER_MAX, a->e);
		a->scopes = response->scopes ? strdup(response->scopes) : NULL;
		a->status = a->body ? 200 : err_wrap(a->e, "GitHub's answer");
	} else {
		a->status = response->status;
	}
}

static void request(struct http *h, uv_loop_t *loop, const char *url, const char *authorization,
	struct asked *a)
{
	const char *headers[] = {"Accept: application/vnd.github+json",
		"X-GitHub-Api-Version: 2022-11-28", authorization, NULL};
	struct http_request r = {.method = "GET",
		.url = url,
		.headers = headers,
		.timeout_ms = ERRAND_GITHUB_MS,
		.max_response_bytes = ANSWER_MAX};

	if (!http_send(h, &r, on_answer, a, a->e))
		a->status = -1;
	while (a->status == 0)
		uv_run(loop, UV_RUN_ONCE);
}

/* GET of a path of the REST interface; token NULL: without one. 0: body, and status is
 * 200; else -1, with a->status > 0 when it is GitHub that said no. */
static int get(const struct dotenv *keys, const char *path, struct asked *a)
{
	const char *token = dotenv_get(keys, "GITHUB_TOKEN");
	const char *api = dotenv_get(keys, "GITHUB_API_URL");
	char url[1024], authorization[1024];
	struct http *h;
	uv_loop_t loop;
	int n;

	n = snprintf(url, sizeof url, "%s%s", api ? api : "https://api.github.com", path);
	if (n < 0 || (size_t)n >= sizeof url)
		return err_set(a->e, ERR_INVALID, "GITHUB_API_URL is too long");
	n = snprintf(authorization, sizeof authorization, "Authorization: Bearer %s",
		token ? token : "");
	if (n < 0 || (size_t)n >= sizeof authorization)
		return err_set(a->e, ERR_INVALID, "GITHUB_TOKEN is too long");
	uv_loop_init(&loop);
	h = http_new(&loop, a->e);
	if (h)
		request(h, &loop, url, token ? authorization : NULL, a);
	http_free(h);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	explicit_bzero(authorization, sizeof authorization);
	return h && a->status == 200 ? 0 : -1;
}

int errand_github(const struct dotenv *keys, cJSON *answer, struct err *e)
{
	struct asked a = {.e = e};

	if (!dotenv_get(keys, "GITHUB_TOKEN"))
		return err_set(e, ERR_DENIED, "GITHUB_TOKEN is not set");
	if (get(keys, "/user", &a) < 0)
		return a.status > 0 ? err_set(e, ERR_UNAVAILABLE,
					      "GitHub answered %d when asked whose token it is",
					      a.status)
				    : -1;
	json_add_str(answer, "login", json_str(a.body, "login", ""));
	json_add_str(answer, "scopes", a.scopes ? a.scopes : "");
	free(a.scopes);
	cJSON_Delete(a.body);
	return 0;
}

static void add_cut(cJSON *to, const char *name, const char *text, size_t max)
{
	json_add_text(to, name, text, utf8_cut(text, strlen(text), max));
}

/* GitHub lists pull requests among the issues: they are left out. */
static void add_issues(const cJSON *list, cJSON *answer)
{
	cJSON *issues = cJSON_AddArrayToObject(answer, "issues"), *issue, *labels;
	const cJSON *one, *label;

	cJSON_ArrayForEach (one, list) {
		if (json_get(one, "pull_request") || json_int(one, "number", 0) <= 0)
			continue;
		issue = cJSON_CreateObject();
		cJSON_AddItemToArray(issues, issue);
		json_add_int(issue, "number", json_int(one, "number", 0));
		add_cut(issue, "title", json_str(one, "title", ""), 512);
		add_cut(issue, "body", json_str(one, "body", ""), ISSUE_BODY_MAX);
		labels = cJSON_AddArrayToObject(issue, "labels");
		cJSON_ArrayForEach (label, json_get(one, "labels")) {
			if (cJSON_GetArraySize(labels) < 20)
				cJSON_AddItemToArray(labels,
					cJSON_CreateString(cJSON_IsString(label)
								   ? label->valuestring
								   : json_str(label, "name", "")));
		}
		add_cut(issue, "url", json_str(one, "html_url", ""), 1024);
		add_cut(issue, "author", json_str(json_get(one, "user"), "login", ""), 128);
		add_cut(issue, "created_at", json_str(one, "created_at", ""), 64);
		json_add_int(issue, "comments", json_int(one, "comments", 0));
	}
}

static int refused(const struct giturl *url, int status, bool token, struct err *e)
{
	if (status == 404 || status == 410)
		return err_set(e, ERR_NOT_FOUND, "GitHub shows no issues of %s/%s%s", url->owner,
			url->name,
			token ? ": check the name, and that GITHUB_TOKEN may read it"
			      : ": a private repository needs GITHUB_TOKEN in ~/.env");
	if (status == 403 || status == 429)
		return err_set(e, ERR_LIMIT, "GitHub refuses for now (%d)%s", status,
			token ? ": its rate limit is used up, try again later"
			      : ": without GITHUB_TOKEN in ~/.env few requests are allowed");
	return err_set(e, ERR_UNAVAILABLE, "GitHub answered %d when asked for issues", status);
}

/* True if the repository is on the server that api (NULL: GitHub's own) stands for. */
static bool on_github(const struct giturl *url, const char *api, struct err *e)
{
	struct forge_options options = {.token = "none", .api_url = api};
	struct forge *f;
	uv_loop_t loop;
	struct http *h;
	bool yes;

	uv_loop_init(&loop);
	h = http_new(&loop, e);
	f = h ? forge_new(&loop, h, &options, e) : NULL;
	yes = f && forge_serves(f, url);
	if (f && !yes)
		err_set(e, ERR_INVALID, "%s is not on GitHub, so its issues cannot be listed",
			url->text);
	forge_free(f);
	http_free(h);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return yes;
}

int errand_issues(const struct paths *paths, const cJSON *question, cJSON *answer,
	const char **field, struct err *e)
{
	static const struct json_field fields[] = {
		{.name = "repository", .type = JSON_STRING, .required = true, .max = GITURL_MAX},
		{.name = "state", .type = JSON_STRING, .max = 8},
		{.name = "page", .type = JSON_INT, .min = 1, .max = 1000},
	};
	const char *state = json_str(question, "state", "open");
	struct asked a = {.e = e};
	struct dotenv *keys;
	struct giturl url;
	char path[900];
	bool token;
	int done;

	if (json_check(question, fields, 3, e) < 0)
		return -1;
	*field = "state";
	if (strcmp(state, "open") != 0 && strcmp(state, "closed") != 0 && strcmp(state, "all") != 0)
		return err_set(e, ERR_INVALID, "must be open, closed or all");
	*field = "repository";
	keys = giturl_parse(json_str(question, "repository", ""), true, &url, e) == 0
		       ? errand_keys(paths, e)
		       : NULL;
	if (!keys)
		return -1;
	token = dotenv_get(keys, "GITHUB_TOKEN") != NULL;
	snprintf(path, sizeof path, "/repos/%s/%s/issues?state=%s&per_page=%d&page=%lld", url.owner,
		url.name, state, ISSUES_A_PAGE, (long long)json_int(question, "page", 1));
	done = on_github(&url, dotenv_get(keys, "GITHUB_API_URL"), e) ? get(keys, path, &a) : -1;
	dotenv_free(keys);
	free(a.scopes);
	if (done < 0)
		return a.status > 0 ? refused(&url, a.status, token, e) : -1;
	add_issues(a.body, answer);
	cJSON_AddBoolToObject(answer, "more", cJSON_GetArraySize(a.body) >= ISSUES_A_PAGE);
	cJSON_Delete(a.body);
	return 0;
}
