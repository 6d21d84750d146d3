#include "worker/errand_keep.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/crash.h"
#include "shared/giturl.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/workspace.h"
#include "worker/workspace_identity.h"

static const char *ref_of(int64_t agent, char out[64])
{
	snprintf(out, 64, "refs/100x/agent-%lld", (long long)agent);
	return out;
}

static bool there(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0;
}

/* Saved as a whole, then out of the way as a whole: whoever is killed in between leaves
 * either the workspace or its work in the mirror. */
static int put_away(const char *repo, const char *gone, const char *mirrors,
	const struct giturl *url, const char *ref, struct err *e)
{
	char mirror[1024];
	bool saved;

	if (workspace_remove(gone, e) < 0)
		return -1;
	if (workspace_save(repo, mirrors, url, ref, true, &saved, mirror, e) < 0)
		return err_wrap(e, "its work could not be saved, so its workspace stays");
	crash_point(CRASH_RECLAIM_SAVED);
	if (rename(repo, gone) < 0)
		return err_errno(e, "rename %s to %s", repo, gone);
	crash_point(CRASH_RECLAIM_MOVED);
	return 0;
}

int errand_reclaim(const struct paths *paths, int64_t agent, const char *repository, cJSON *answer,
	struct err *e)
{
	char repo[PATHS_MAX], gone[PATHS_MAX], mirrors[PATHS_MAX], mirror[1024], ref[64];
	static const char *const leftovers[] = {
		"repo.reclaimed", "repo.new", "session/tmp", "session/home/.cache"};
	struct giturl url;

	ref_of(agent, ref);
	paths_agent(paths, agent, "repo", repo);
	paths_agent(paths, agent, "repo.reclaimed", gone);
	paths_mirrors(paths, mirrors);
	if (giturl_parse(repository, true, &url, e) < 0 || workspace_library_init(e) < 0)
		return -1;
	if (there(repo) && put_away(repo, gone, mirrors, &url, ref, e) < 0)
		return -1;
	for (size_t i = 0; i < sizeof leftovers / sizeof *leftovers; i++) {
		if (workspace_remove(paths_agent(paths, agent, leftovers[i], gone), e) < 0)
			return -1;
	}
	crash_point(CRASH_RECLAIM_GONE);
	/* One that was never cloned has nothing to keep. */
	if (workspace_is_saved(mirrors, &url, ref, mirror)) {
		json_add_str(answer, "saved", ref);
		json_add_str(answer, "mirror", mirror);
	}
	return 0;
}

int errand_restore(const struct paths *paths, int64_t agent, const cJSON *question, cJSON *answer,
	struct err *e)
{
	const char *repository = json_str(question, "repository", "");
	const char *path = json_str(question, "path", "");
	char repo[PATHS_MAX], mirrors[PATHS_MAX], mirror[1024] = "", ref[64], branch[64];
	char name[256], email[256];
	struct giturl url = {0};
	struct workspace_source from = {.mirrors = paths_mirrors(paths, mirrors),
		.ref = ref_of(agent, ref),
		.base = json_str(question, "base", ""),
		.branch = branch,
		.user_name = name,
		.user_email = email,
		.url = *repository ? &url : NULL};

	snprintf(branch, sizeof branch, "agent-%lld", (long long)agent);
	if ((*repository && giturl_parse(repository, true, &url, e) < 0) ||
		workspace_library_init(e) < 0)
		return -1;
	workspace_identity(paths->home, json_str(question, "git_name", ""),
		json_str(question, "git_email", ""), branch, name, email);
	if (*path) {
		if (workspace_export(path, &from, mirror, e) < 0)
			return -1;
	} else {
		path = paths_agent(paths, agent, "repo", repo);
		if (!there(repo) && workspace_restore(repo, &from, NULL, NULL, e) < 0)
			return -1;
		workspace_is_saved(mirrors, &url, ref, mirror);
	}
	json_add_str(answer, "path", path);
	json_add_str(answer, "branch", branch);
	json_add_str(answer, "saved", ref);
	json_add_str(answer, "mirror", mirror);
	return 0;
}

static bool in_use(const cJSON *repositories, const char *leaf)
{
	const cJSON *one;

	cJSON_ArrayForEach (one, repositories) {
		struct giturl url;
		char hash[17];

		if (!cJSON_IsString(one) || giturl_parse(one->valuestring, true, &url, NULL) < 0)
			continue;
		giturl_hash(&url, hash);
		if (strncmp(leaf, hash, strlen(hash)) == 0)
			return true;
	}
	return false;
}

static bool ends_with(const char *name, const char *end)
{
	size_t n = strlen(name), m = strlen(end);

	return n > m && strcmp(name + n - m, end) == 0;
}

int errand_mirrors(const struct paths *paths, const cJSON *question, cJSON *answer, struct err *e)
{
	char folder[PATHS_MAX], path[PATHS_MAX + 300];
	_cleanup_closedir_ DIR *dir = opendir(paths_mirrors(paths, folder));
	int64_t idle_ms = json_int(question, "idle_ms", INT64_MAX);
	const struct dirent *entry;
	int removed = 0;

	if (workspace_library_init(e) < 0)
		return -1;
	while (dir && (entry = readdir(dir))) {
		bool gone;

		if ((!ends_with(entry->d_name, ".git") && !ends_with(entry->d_name, ".git.new")) ||
			in_use(json_get(question, "repositories"), entry->d_name))
			continue;
		snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
		if (workspace_mirror_drop(path, clock_wall_ms() - idle_ms, &gone, e) < 0)
			log_warn("%s stays: %s", path, e->text);
		else
			removed += gone;
	}
	json_add_int(answer, "removed", removed);
	return 0;
}
