/* Drives workspace and forge against real servers for the node tests; prints one JSON
 * object a line. Environment: GITHUB_TOKEN, HUNDREDX_TOKEN_HOST, GITHUB_API_URL, HOME,
 * PROBE_PACE (file of the shared account), HUNDREDX_GITHUB_SECONDS.
 *
 *   remote_probe check URL [BASE]
 *   remote_probe cycle FOLDER URL BRANCH FILE TEXT    mirror, clone, commit FILE, push
 *   remote_probe pulls URL PREFIX FROM TO    one each of branches PREFIX<n>, all at once
 *   remote_probe pull URL BRANCH TITLE LABELS REVIEWERS    (lists with commas)
 */
#include <cjson/cJSON.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/clock.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "worker/forge.h"
#include "worker/workspace.h"

static void print(cJSON *j)
{
	_cleanup_free_ char *text = json_print(j);

	puts(text);
	fflush(stdout);
	cJSON_Delete(j);
}

static int failed(const struct err *e)
{
	cJSON *j = cJSON_CreateObject();

	cJSON_AddBoolToObject(j, "ok", false);
	json_add_str(j, "kind", err_kind_name(e->kind));
	json_add_str(j, "error", e->text);
	print(j);
	return 0;
}

static struct workspace_auth auth_from_environment(void)
{
	return (struct workspace_auth){
		.token = getenv("GITHUB_TOKEN"),
		.token_host = getenv("HUNDREDX_TOKEN_HOST"),
		.home = getenv("HOME"),
	};
}

static int check(const struct giturl *url, const char *base)
{
	struct workspace_auth auth = auth_from_environment();
	char branch[256], head[41];
	struct err e;
	cJSON *j;

	if (workspace_check_remote(url, &auth, base, branch, head, &e) < 0)
		return failed(&e);
	j = cJSON_CreateObject();
	cJSON_AddBoolToObject(j, "ok", true);
	json_add_str(j, "branch", branch);
	json_add_str(j, "head", head);
	print(j);
	return 0;
}

struct progress {
	int mirror, clone, push;
	int64_t objects;
};

static bool count(void *arg, const char *what, int64_t done, int64_t total)
{
	struct progress *p = arg;

	p->mirror += strcmp(what, "mirror") == 0;
	p->clone += strcmp(what, "clone") == 0;
	p->push += strcmp(what, "push") == 0;
	if (total > p->objects)
		p->objects = total;
	(void)done;
	return true;
}

static int write_text(const char *folder, const char *file, const char *text)
{
	char path[2048];
	FILE *f;

	snprintf(path, sizeof path, "%s/repo/%s", folder, file);
	f = fopen(path, "w");
	if (!f)
		return -1;
	fputs(text, f);
	return fclose(f);
}

static int cycle(const struct giturl *url, char **argv)
{
	struct workspace_auth auth = auth_from_environment();
	struct progress seen = {0};
	struct workspace *w = NULL;
	char mirrors[1024], repo[1024], hash[41];
	struct err e;
	cJSON *j;
	int rc;

	snprintf(mirrors, sizeof mirrors, "%s/mirrors", argv[2]);
	snprintf(repo, sizeof repo, "%s/repo", argv[2]);
	rc = workspace_mirror(mirrors, url, &auth, count, &seen, &e);
	if (rc == 0)
		rc = workspace_open(repo, mirrors, url, "", argv[4], "Ann Agent", "ann@example.com",
			count, &seen, &w, &e);
	if (rc == 0 && write_text(argv[2], argv[5], argv[6]) < 0)
		rc = err_errno(&e, "write %s", argv[5]);
	if (rc == 0)
		rc = workspace_commit_all(w, "probe", hash, &e);
	if (rc == 0)
		rc = workspace_push(w, NULL, &auth, count, &seen, &e);
	workspace_free(w);
	if (rc < 0)
		return failed(&e);
	j = cJSON_CreateObject();
	cJSON_AddBoolToObject(j, "ok", true);
	json_add_str(j, "hash", hash);
	json_add_int(j, "mirror", seen.mirror);
	json_add_int(j, "clone", seen.clone);
	json_add_int(j, "push", seen.push);
	json_add_int(j, "objects", seen.objects);
	print(j);
	return 0;
}

static void on_step(void *arg, const char *step, const char *status, const char *reason)
{
	cJSON *j = cJSON_CreateObject();

	(void)arg;
	json_add_str(j, "step", step);
	json_add_str(j, "status", status);
	json_add_str(j, "reason", reason);
	print(j);
}

static void on_waiting(void *arg, const char *reason, int64_t delay_ms)
{
	cJSON *j = cJSON_CreateObject();

	(void)arg;
	json_add_str(j, "waiting", reason);
	json_add_int(j, "delay_ms", delay_ms);
	print(j);
}

static void on_done(void *arg, const struct forge_pull *pull, const struct err *e)
{
	cJSON *j;

	*(bool *)arg = true;
	if (e) {
		failed(e);
		return;
	}
	j = cJSON_CreateObject();
	cJSON_AddBoolToObject(j, "ok", true);
	json_add_str(j, "url", pull->url);
	json_add_int(j, "number", pull->number);
	json_add_str(j, "title", pull->title);
	json_add_str(j, "base", pull->base);
	cJSON_AddBoolToObject(j, "existed", pull->existed);
	print(j);
}

static size_t split(char *list, const char **names)
{
	size_t n = 0;
	char *name;

	while (n < FORGE_MAX_NAMES && (name = strsep(&list, ",")))
		if (*name)
			names[n++] = name;
	return n;
}

static struct forge_options forge_from_environment(void)
{
	return (struct forge_options){.token = getenv("GITHUB_TOKEN"),
		.api_url = getenv("GITHUB_API_URL"),
		.pace_path = getenv("PROBE_PACE"),
		.seconds = getenv("HUNDREDX_GITHUB_SECONDS")};
}

static int open_pull(const struct giturl *url, char **argv)
{
	struct forge_spec spec = {
		.url = url, .branch = argv[3], .title = argv[4], .body = "Made by a test."};
	struct forge_options o = forge_from_environment();
	uv_loop_t loop;
	struct http *http;
	struct forge *forge;
	struct err e;
	bool over = false;

	spec.label_count = split(argv[5], spec.labels);
	spec.reviewer_count = split(argv[6], spec.reviewers);
	uv_loop_init(&loop);
	http = http_new(&loop, &e);
	if (!http)
		return failed(&e);
	forge = forge_new(&loop, http, &o, &e);
	if (!forge || forge_open_pull(forge, &spec, on_step, on_waiting, on_done, &over, &e) < 0)
		over = true, failed(&e);
	while (!over)
		uv_run(&loop, UV_RUN_ONCE);
	forge_free(forge);
	http_free(http);
	uv_run(&loop, UV_RUN_DEFAULT);
	return uv_loop_close(&loop) == 0 ? 0 : 1;
}

/* One of many, in a process of its own as far as forge.c can tell. */
struct many {
	struct http *http;
	struct forge *forge;
	int *left;
	int n;
};

static void on_many_done(void *arg, const struct forge_pull *pull, const struct err *e)
{
	struct many *m = arg;
	cJSON *j = cJSON_CreateObject();

	json_add_int(j, "n", m->n);
	cJSON_AddBoolToObject(j, "ok", pull != NULL);
	json_add_str(j, "error", e ? e->text : NULL);
	print(j);
	--*m->left;
}

/* Agents from..to at once, each with its own branch <prefix><n>. */
static int open_many(const struct giturl *url, const char *prefix, int from, int to)
{
	struct forge_options o = forge_from_environment();
	int count = to - from, left = count;
	struct many *all = calloc((size_t)count, sizeof *all);
	uv_loop_t loop;
	struct err e;

	uv_loop_init(&loop);
	for (int i = 0; i < count; i++) {
		char branch[64];
		struct forge_spec spec = {
			.url = url, .branch = branch, .title = "Many", .body = ""};

		snprintf(branch, sizeof branch, "%s%d", prefix, from + i);
		all[i] = (struct many){.left = &left, .n = from + i};
		all[i].http = http_new(&loop, &e);
		all[i].forge = forge_new(&loop, all[i].http, &o, &e);
		if (forge_open_pull(all[i].forge, &spec, NULL, NULL, on_many_done, &all[i], &e) < 0)
			return failed(&e);
	}
	while (left > 0)
		uv_run(&loop, UV_RUN_ONCE);
	for (int i = 0; i < count; i++) {
		forge_free(all[i].forge);
		http_free(all[i].http);
	}
	uv_run(&loop, UV_RUN_DEFAULT);
	free(all);
	return uv_loop_close(&loop) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
	const char *text = argc > 3 && strcmp(argv[1], "cycle") == 0 ? argv[3] : argv[2];
	struct giturl url;
	struct err e;

	if (argc < 3) {
		fputs("remote_probe check|cycle|pull …\n", stderr);
		return 2;
	}
	if (workspace_library_init(&e) < 0 || giturl_parse(text, true, &url, &e) < 0)
		return failed(&e);
	if (strcmp(argv[1], "check") == 0)
		return check(&url, argc > 3 ? argv[3] : "");
	if (strcmp(argv[1], "cycle") == 0 && argc == 7)
		return cycle(&url, argv);
	if (strcmp(argv[1], "pull") == 0 && argc == 7)
		return open_pull(&url, argv);
	if (strcmp(argv[1], "pulls") == 0 && argc == 6)
		return open_many(&url, argv[3], (int)strtol(argv[4], NULL, 10),
			(int)strtol(argv[5], NULL, 10));
	fputs("remote_probe check|cycle|pull …\n", stderr);
	return 2;
}
