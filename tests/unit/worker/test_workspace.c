/* Mirrors, clones, diffs, commits and pushes on local repositories. */
#include <sys/stat.h>

#include "tests/unit/worker/origin.h"

static void clones_what_the_mirror_has(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char head[41], path[200];
	struct stat st;

	assert_int_equal(workspace_head(w, head, &p->e), 0);
	assert_string_equal(head, workspace_base_commit(w));
	assert_false(workspace_dirty(w));
	assert_int_equal(workspace_commits_ahead(w, &p->e), 0);
	assert_string_equal(output(p, "git status --porcelain --ignored"), "");
	assert_string_equal(output(p, "git rev-parse --abbrev-ref HEAD"), "agent-7");
	assert_string_equal(output(p, "git for-each-ref --format='%(refname)'"),
		"refs/100x/base\nrefs/heads/agent-7\nrefs/remotes/origin/main\n"
		"refs/remotes/origin/other\nrefs/tags/v1");
	assert_string_equal(output(p, "git config core.hooksPath"), "/dev/null");
	assert_string_equal(output(p, "git config user.email"), "t@example.com");
	assert_string_equal(output(p, "git config --file .git/config user.name"), "Ann Agent");
	assert_string_equal(output(p, "git config remote.origin.url"), p->url.text);
	assert_string_equal(output(p, "git fsck 2>&1"), "");
	assert_string_equal(output(p, "touch .aider.chat.history.md; git status --porcelain"), "");
	assert_string_equal(output(p, "cat a.txt sub/b.txt"), "one\ntwo");
	assert_string_equal(output(p, "ls -d .git/hooks 2>/dev/null"), "");
	snprintf(path, sizeof path, "%s.new", p->repo);
	assert_int_equal(lstat(path, &st), -1);
	assert_in_range(atoi(output(p, "du -sk .git | cut -f1")), 1, 1024);
	workspace_free(w);
}

static void opens_again_with_everything_in_it(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char base[41];

	snprintf(base, sizeof base, "%s", workspace_base_commit(w));
	workspace_free(w);
	run(p, "cd agents/7/repo; echo more >> a.txt; git commit -qam more; echo left > new.txt");
	run(p, "cd seed; echo later > later.txt; git add .; git commit -qm later; git push -q "
	       "origin "
	       "main");
	w = opened(p, "main");
	assert_string_equal(workspace_base_commit(w), base);
	assert_int_equal(workspace_commits_ahead(w, &p->e), 1);
	assert_true(workspace_dirty(w));
	workspace_free(w);
}

static void takes_another_base_and_says_which_exist(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "other");
	char branch[256], head[41];

	assert_string_equal(output(p, "git rev-parse origin/other"), workspace_base_commit(w));
	workspace_free(w);
	assert_int_equal(workspace_check_remote(&p->url, NULL, NULL, branch, head, &p->e), 0);
	assert_string_equal(branch, "main");
	assert_int_equal(strlen(head), 40);
	assert_int_equal(workspace_check_remote(&p->url, NULL, "nope", branch, head, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_NOT_FOUND);
	assert_non_null(strstr(p->e.text, "main, other"));
	run(p, "rm -rf agents");
	assert_int_equal(workspace_open(p->repo, p->mirrors, &p->url, "nope", "agent-7", "a", "b",
				 NULL, NULL, &w, &p->e),
		-1);
	assert_int_equal(p->e.kind, ERR_NOT_FOUND);
	assert_int_equal(access(p->repo, F_OK), -1);
}

static void refuses_what_is_no_repository(void **state)
{
	struct place *p = *state;
	char branch[256], head[41], text[200];
	struct giturl url;

	run(p, "mkdir plain; git init -q --bare empty.git");
	snprintf(text, sizeof text, "%s/plain", p->dir);
	assert_int_equal(giturl_parse(text, true, &url, &p->e), 0);
	assert_int_equal(workspace_check_remote(&url, NULL, "", branch, head, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_INVALID);
	snprintf(text, sizeof text, "%s/empty.git", p->dir);
	assert_int_equal(giturl_parse(text, true, &url, &p->e), 0);
	assert_int_equal(workspace_check_remote(&url, NULL, "", branch, head, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_INVALID);
	assert_non_null(strstr(p->e.text, "empty"));
	snprintf(text, sizeof text, "%s/missing", p->dir);
	assert_int_equal(giturl_parse(text, true, &url, &p->e), 0);
	assert_int_equal(workspace_check_remote(&url, NULL, "", branch, head, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_NOT_FOUND);
}

static void mirror_follows_renamed_and_removed_branches(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");

	workspace_free(w);
	/* "other" makes room for "other/deep": needs pruning before updating. */
	run(p, "cd seed; git push -q origin :other; git push -q origin main:other/deep; "
	       "rm -rf ../agents");
	w = opened(p, "other/deep");
	assert_string_equal(output(p, "git for-each-ref --format='%(refname)' refs/remotes"),
		"refs/remotes/origin/main\nrefs/remotes/origin/other/deep");
	workspace_free(w);
}

static void damaged_mirror_is_made_anew(void **state)
{
	struct place *p = *state;
	char hash[17];

	giturl_hash(&p->url, hash);
	run(p, "mkdir -p mirrors/%s.git/objects/pack; echo junk > mirrors/%s.git/HEAD", hash, hash);
	run(p, "mkdir mirrors/%s.git.new; touch mirrors/%s.git.new/half", hash, hash);
	workspace_free(opened(p, "main"));
	/* It may have kept somebody's work. */
	run(p, "grep -q junk mirrors/%s.git.damaged-*/HEAD; test ! -e mirrors/%s.git.new", hash,
		hash);
	run(p, "touch mirrors/%s.git/objects/pack/pack_git2_torn", hash);
	assert_int_equal(workspace_mirror(p->mirrors, &p->url, NULL, NULL, NULL, &p->e), 0);
	run(p, "test ! -e mirrors/%s.git/objects/pack/pack_git2_torn", hash);
}

/* Nobody uses it any more, and it keeps nobody's work. */
static void only_idle_mirrors_without_work_are_dropped(void **state)
{
	struct place *p = *state;
	char hash[17], path[200], half[200];
	bool gone;

	workspace_free(opened(p, "main"));
	giturl_hash(&p->url, hash);
	snprintf(path, sizeof path, "%s/%s.git", p->mirrors, hash);
	snprintf(half, sizeof half, "%s/%s.git.new", p->mirrors, hash);
	run(p, "mkdir -p %s/objects", half);
	assert_int_equal(workspace_mirror_drop(path, 1000, &gone, &p->e), 0);
	assert_false(gone); /* used since */
	assert_int_equal(workspace_mirror_drop(half, INT64_MAX, &gone, &p->e), 0);
	assert_true(gone);
	run(p, "cd %s; git update-ref refs/100x/agent-7 HEAD; test ! -e %s", path, half);
	assert_int_equal(workspace_mirror_drop(path, INT64_MAX, &gone, &p->e), 0);
	assert_false(gone);
	run(p, "cd %s; git update-ref -d refs/100x/agent-7", path);
	assert_int_equal(workspace_mirror_drop(path, INT64_MAX, &gone, &p->e), 0);
	assert_true(gone);
	run(p, "test ! -e %s -a ! -e %s.removed", path, path);
}

/* What a power cut leaves of a file that was just written is a beginning of it. */
static void mends_what_a_power_cut_has_cut_off(void **state)
{
	struct place *p = *state;

	workspace_free(opened(p, "main"));
	run(p, "cd agents/7/repo; seq 1 40000 > long.txt; echo ours > ours.txt; echo gone > "
	       "gone.txt;"
	       "echo x > sub/x.txt; chmod +x sub/x.txt; git add .; git commit -qm more;"
	       "head -c 70000 long.txt > t; mv t long.txt; : > sub/x.txt; echo our > ours.txt;"
	       "rm gone.txt; echo longer >> a.txt");
	workspace_free(opened(p, "main")); /* the machine has run all the time */
	assert_string_equal(output(p, "wc -c < long.txt; wc -c < sub/x.txt"), "70000\n0");
	run(p, "echo 0b5a1f5e-another-start > agents/7/repo/.git/100x-boot");
	workspace_free(opened(p, "main"));
	assert_string_equal(
		output(p, "git status --porcelain"), " M a.txt\n D gone.txt\n M ours.txt");
	assert_string_equal(
		output(p, "tail -1 long.txt; cat ours.txt; test -x sub/x.txt && echo x"),
		"40000\nour\nx");
	run(p, "cd agents/7/repo; : > a.txt; rm .git/100x-boot; mkfifo .git/100x-boot");
	workspace_free(opened(p, "main")); /* nothing can be told: as after a power cut */
	assert_string_equal(output(p, "cat a.txt"), "one");
}

static const cJSON *file_of(const cJSON *body, const char *path)
{
	const cJSON *f;

	cJSON_ArrayForEach (f, json_get(body, "files"))
		if (strcmp(json_str(f, "path", ""), path) == 0)
			return f;
	return NULL;
}

static void diff_tells_every_kind_of_change(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	uint64_t clean, first, second, third;

	cJSON_Delete(diffed(p, w, &clean));
	run(p, "cd agents/7/repo; echo more >> a.txt; git rm -q sub/b.txt; git commit -qam x; "
	       "printf "
	       "'q\\0z' > c.bin; echo new > 'new file.txt'; echo '*.o' > .gitignore; touch junk.o; "
	       "ln -s /etc/passwd link");
	{
		_cleanup_json_ cJSON *body = diffed(p, w, &first);
		const cJSON *f = file_of(body, "a.txt");

		assert_string_equal(json_str(f, "status", ""), "modified");
		assert_int_equal(json_int(f, "added", 0), 1);
		assert_string_equal(json_str(file_of(body, "sub/b.txt"), "status", ""), "deleted");
		assert_string_equal(json_str(file_of(body, "new file.txt"), "status", ""), "added");
		assert_true(json_bool(file_of(body, "c.bin"), "binary", false));
		assert_non_null(file_of(body, "link"));
		assert_null(file_of(body, "junk.o"));
		assert_int_equal(json_int(body, "added", 0), 4);
		assert_int_equal(json_int(body, "removed", 0), 1);
		assert_false(json_bool(body, "cut", true));
		assert_non_null(strstr(json_str(body, "patch", ""), "+more\n"));
		/* The link itself, not what it points at. */
		assert_non_null(strstr(json_str(body, "patch", ""), "+/etc/passwd"));
		assert_null(strstr(json_str(body, "patch", ""), "root:"));
	}
	cJSON_Delete(diffed(p, w, &second));
	run(p, "cd agents/7/repo; echo yet >> a.txt");
	cJSON_Delete(diffed(p, w, &third));
	assert_true(clean != first);
	assert_true(first == second);
	assert_true(second != third);
	workspace_free(w);
}

static void diff_stays_within_its_bounds(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	uint64_t before, after;

	run(p, "cd agents/7/repo; yes \"$(printf '\\001\\002\\033')\" | head -c 1900000 > "
	       "control.txt; "
	       "head -c 3000000 /dev/zero | tr '\\0' a > long.txt; mkdir many; cd many; "
	       "seq 1 1500 | xargs touch");
	{
		_cleanup_json_ cJSON *body = diffed(p, w, &before);

		assert_true(json_bool(body, "cut", false));
		assert_int_equal(cJSON_GetArraySize(json_get(body, "files")), 1000);
	}
	run(p, "cd agents/7/repo; printf X | dd of=control.txt bs=1 seek=1800000 conv=notrunc "
	       "status=none");
	cJSON_Delete(diffed(p, w, &after));
	assert_true(before != after);
	workspace_free(w);
}

static void commits_what_was_left(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char hash[41];

	assert_int_equal(workspace_commit_all(w, "nothing", hash, &p->e), 0);
	assert_string_equal(hash, "");
	run(p, "cd agents/7/repo; echo more >> a.txt; rm sub/b.txt; echo n > new.txt; rm -f "
	       ".git/info/exclude; echo h > .aider.chat.history.md; mkdir -p deep; echo h > "
	       "deep/.aider.x; echo '*.o' > .gitignore; touch junk.o; git init -q nested; echo x > "
	       "nested/x");
	if (workspace_commit_all(w, "what was left", hash, &p->e) < 0)
		fail_msg("%s", p->e.text);
	assert_int_equal(strlen(hash), 40);
	assert_string_equal(output(p, "git log -1 --format='%H %an <%ae> %s'") + 41,
		"Ann Agent <ann@example.com> what was left");
	assert_string_equal(
		output(p, "git ls-tree -r --name-only HEAD"), ".gitignore\na.txt\nc.bin\nnew.txt");
	assert_int_equal(workspace_commits_ahead(w, &p->e), 1);
	assert_string_equal(output(p, "git fsck 2>&1"), "");
	workspace_free(w);
}

static bool saved(struct place *p)
{
	char mirror[1024];
	bool any;

	if (workspace_save(p->repo, p->mirrors, &p->url, "refs/100x/agent-7", false, &any, mirror,
		    &p->e) < 0)
		fail_msg("%s", p->e.text);
	return any;
}

static void what_is_only_here_is_saved(void **state)
{
	struct place *p = *state;

	workspace_free(opened(p, "main"));
	assert_false(saved(p));
	run(p, "cd agents/7/repo; git checkout -qb aside; echo s > side.txt; git add side.txt; git "
	       "commit -qm aside; git checkout -q agent-7; echo c > committed.txt; git add .; git "
	       "commit -qm work; echo more >> a.txt; rm sub/b.txt; echo n > new.txt; git add "
	       "new.txt; "
	       "echo u > untracked.txt");
	assert_true(saved(p));
	assert_true(saved(p)); /* twice does no harm */
	assert_int_equal(workspace_remove(p->repo, &p->e), 0);
	workspace_free(opened(p, "main")); /* the mirror is brought up to date: it keeps them */
	run(p, "git clone -q mirrors/*.git back; cd back; git fetch -q origin "
	       "refs/100x/agent-7 && git checkout -q FETCH_HEAD; test \"$(cat a.txt new.txt "
	       "untracked.txt committed.txt | tr -d '\\n')\" = onemorenuc; test ! -e sub/b.txt; "
	       "git "
	       "fetch -q origin refs/100x/agent-7.heads/aside; git show FETCH_HEAD:side.txt | grep "
	       "-q "
	       "s; cd ..; cd mirrors/*.git; git fsck --strict");
}

static void branch_follows_the_agent(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char hash[41];

	run(p, "cd agents/7/repo; git checkout -q -b mine; echo m > m.txt; git add .; git commit "
	       "-qm "
	       "mine; echo left > left.txt");
	assert_int_equal(workspace_commit_all(w, "rest", hash, &p->e), 0);
	assert_string_equal(output(p, "git rev-parse --abbrev-ref HEAD"), "agent-7");
	assert_int_equal(workspace_commits_ahead(w, &p->e), 2);
	run(p, "cd agents/7/repo; git checkout -q --detach; echo d > d.txt; git add .; git commit "
	       "-qm "
	       "detached");
	assert_int_equal(workspace_commit_all(w, "none", hash, &p->e), 0);
	assert_string_equal(hash, "");
	assert_int_equal(workspace_commits_ahead(w, &p->e), 3);
	workspace_free(w);
}

static void pushes_once_and_never_by_force(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char hash[41];

	run(p, "cd agents/7/repo; echo n > n.txt");
	assert_int_equal(workspace_commit_all(w, "n", hash, &p->e), 0);
	if (workspace_push(w, NULL, NULL, NULL, NULL, &p->e) < 0)
		fail_msg("%s", p->e.text);
	run(p, "test \"$(git -C origin.git rev-parse agent-7)\" = %s", hash);
	run(p, "test \"$(git -C origin.git for-each-ref | wc -l)\" = 4");
	assert_int_equal(workspace_push(w, NULL, NULL, NULL, NULL, &p->e), 0);
	run(p, "cd seed; git fetch -q origin agent-7; git checkout -q FETCH_HEAD; echo o > o.txt; "
	       "git "
	       "add .; git commit -qm o; git push -q origin HEAD:agent-7; git -C ../agents/7/repo "
	       "commit -q --allow-empty -m mine");
	assert_int_equal(workspace_push(w, NULL, NULL, NULL, NULL, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_CONFLICT);
	workspace_free(w);
}

static void push_to_a_working_tree_is_told(void **state)
{
	struct place *p = *state;
	struct workspace *w;
	char text[200];

	snprintf(text, sizeof text, "%s/seed", p->dir);
	assert_int_equal(giturl_parse(text, true, &p->url, &p->e), 0);
	w = opened(p, "");
	assert_int_equal(workspace_push(w, NULL, NULL, NULL, NULL, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_DENIED);
	assert_non_null(strstr(p->e.text, "takes no pushes"));
	workspace_free(w);
}

/* What a killed git leaves behind stops neither the agent's next git nor ours. */
static void leftovers_of_the_dead_are_removed(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char hash[41];

	workspace_free(w);
	output(p, "touch .git/index.lock .git/HEAD.lock .git/refs/heads/agent-7.lock kept.lock");
	output(p, "mkdir -p .git/objects/0a; touch .git/objects/0a/tmp_obj_x");
	output(p, "mkdir -p .git/objects/tmp_objdir-bulk-fsync-x/0a; touch "
		  ".git/objects/tmp_objdir-bulk-fsync-x/0a/5273");
	output(p, "cd ../../../mirrors/*.git; touch refs/heads/main.lock objects/pack/tmp_pack_x");
	w = opened(p, "main");
	assert_string_equal(
		output(p, "find .git ../../../mirrors/*.git -name '*.lock' -o -name 'tmp_*'"), "");
	assert_int_equal(workspace_commit_all(w, "kept", hash, &p->e), 0);
	assert_int_equal(strlen(hash), 40);
	assert_string_equal(output(p, "git ls-files kept.lock"), "kept.lock");
	workspace_free(w);
}

static bool refuse_progress(void *arg, const char *what, int64_t done, int64_t total)
{
	(void)what;
	(void)done;
	(void)total;
	++*(int *)arg;
	return false;
}

static void can_be_called_off(void **state)
{
	struct place *p = *state;
	struct workspace *w;
	int calls = 0;

	assert_int_equal(
		workspace_mirror(p->mirrors, &p->url, NULL, refuse_progress, &calls, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_CANCELLED);
	assert_int_equal(calls, 1);
	assert_int_equal(workspace_mirror(p->mirrors, &p->url, NULL, NULL, NULL, &p->e), 0);
	assert_int_equal(workspace_open(p->repo, p->mirrors, &p->url, "main", "agent-7", "a", "b",
				 refuse_progress, &calls, &w, &p->e),
		-1);
	assert_int_equal(p->e.kind, ERR_CANCELLED);
	assert_int_equal(access(p->repo, F_OK), -1);
}

/* A filter of the repository's own applies to it; libgit2 would free a constant. */
static void empty_files_may_have_a_filter(void **state)
{
	struct place *p = *state;
	struct workspace *w;
	uint64_t print;

	run(p, "cd seed; echo '* text=auto' > .gitattributes; git add .; "
	       "git commit -qm attributes; git push -q origin main");
	w = opened(p, "main");
	run(p, "cd agents/7/repo; : > empty.txt; : > a.txt; printf 'a\\r\\nb\\r\\n' > "
	       "cr.txt");
	{
		_cleanup_json_ cJSON *body = diffed(p, w, &print);

		assert_string_equal(json_str(file_of(body, "empty.txt"), "status", ""), "added");
		assert_int_equal(json_int(file_of(body, "a.txt"), "removed", 0), 1);
		assert_non_null(strstr(json_str(body, "patch", ""), "+a\n+b\n"));
	}
	workspace_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(clones_what_the_mirror_has),
		WITH_PLACE(opens_again_with_everything_in_it),
		WITH_PLACE(takes_another_base_and_says_which_exist),
		WITH_PLACE(refuses_what_is_no_repository),
		WITH_PLACE(mirror_follows_renamed_and_removed_branches),
		WITH_PLACE(damaged_mirror_is_made_anew),
		WITH_PLACE(only_idle_mirrors_without_work_are_dropped),
		WITH_PLACE(mends_what_a_power_cut_has_cut_off),
		WITH_PLACE(diff_tells_every_kind_of_change),
		WITH_PLACE(diff_stays_within_its_bounds),
		WITH_PLACE(empty_files_may_have_a_filter),
		WITH_PLACE(commits_what_was_left),
		WITH_PLACE(what_is_only_here_is_saved),
		WITH_PLACE(branch_follows_the_agent),
		WITH_PLACE(pushes_once_and_never_by_force),
		WITH_PLACE(push_to_a_working_tree_is_told),
		WITH_PLACE(leftovers_of_the_dead_are_removed),
		WITH_PLACE(can_be_called_off),
	};
	struct err e;

	if (workspace_library_init(&e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	return cmocka_run_group_tests_name("workspace", tests, NULL, NULL);
}
