#include "worker/errand_github.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <uv.h>

#include "shared/json.h"
#include "worker/http.h"

#define ANSWER_MAX (256 * 1024)

struct asked {
	cJSON *answer;
	int result;
	struct err *e;
};

static void on_user(void *arg, const struct http_response *response, const struct err *e)
{
	struct asked *a = arg;
	_cleanup_json_ cJSON *user = NULL;

	if (e) {
		*a->e = *e;
		a->result = -1;
		return;
	}
	if (response->status == 401) {
		a->result = err_set(a->e, ERR_DENIED,
			"GitHub refuses GITHUB_TOKEN: it is wrong, expired or revoked");
		return;
	}
	if (response->status != 200) {
		a->result = err_set(a->e, ERR_UNAVAILABLE,
			"GitHub answered %d when asked whose token it is", response->status);
		return;
	}
	user = json_parse(response->body, response->body_len, ANSWER_MAX, a->e);
	if (!user) {
		a->result = err_wrap(a->e, "GitHub's answer");
		return;
	}
	json_add_str(a->answer, "login", json_str(user, "login", ""));
	json_add_str(a->answer, "scopes", response->scopes ? response->scopes : "");
	a->result = 0;
}

static int ask(struct http *h, uv_loop_t *loop, const char *url, const char *authorization,
	struct asked *a)
{
	const char *headers[] = {authorization, "Accept: application/vnd.github+json",
		"X-GitHub-Api-Version: 2022-11-28", NULL};
	struct http_request r = {.method = "GET",
		.url = url,
		.headers = headers,
		.timeout_ms = ERRAND_GITHUB_MS,
		.max_response_bytes = ANSWER_MAX};

	a->result = 1;
	if (!http_send(h, &r, on_user, a, a->e))
		return -1;
	while (a->result > 0)
		uv_run(loop, UV_RUN_ONCE);
	return a->result;
}

int errand_github(const struct dotenv *keys, cJSON *answer, struct err *e)
{
	const char *token = dotenv_get(keys, "GITHUB_TOKEN");
	const char *api = dotenv_get(keys, "GITHUB_API_URL");
	struct asked a = {.answer = answer, .e = e};
	char url[1024], authorization[1024];
	struct http *h;
	uv_loop_t loop;
	int r;

	if (!token)
		return err_set(e, ERR_DENIED, "GITHUB_TOKEN is not set");
	r = snprintf(url, sizeof url, "%s/user", api ? api : "https://api.github.com");
	if (r < 0 || (size_t)r >= sizeof url)
		return err_set(e, ERR_INVALID, "GITHUB_API_URL is too long");
	r = snprintf(authorization, sizeof authorization, "Authorization: Bearer %s", token);
	if (r < 0 || (size_t)r >= sizeof authorization)
		return err_set(e, ERR_INVALID, "GITHUB_TOKEN is too long");
	uv_loop_init(&loop);
	h = http_new(&loop, e);
	r = h ? ask(h, &loop, url, authorization, &a) : -1;
	http_free(h);
	uv_run(&loop, UV_RUN_DEFAULT);
	uv_loop_close(&loop);
	return r;
}
