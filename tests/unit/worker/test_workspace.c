/* Mirrors, clones, diffs, commits and pushes on local repositories, friendly and
 * hostile. Each test has a folder of its own; real git makes the repositories. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"
#include "shared/json.h"
#include "worker/workspace.h"
#include "worker/workspace_git.h"

/* libgit2 1.5 with PCRE2 leaks a match when it reads .gitmodules. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:libpcre2";
}

static const char GIT[] = "GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null git -c user.name=t "
			  "-c user.email=t@example.com -c init.defaultBranch=main "
			  "-c protocol.file.allow=always";

struct place {
	char dir[64];
	char origin[96], mirrors[96], repo[96];
	struct giturl url;
	struct err e;
};

__attribute__((format(printf, 2, 3))) static void run(const struct place *p, const char *fmt, ...)
{
	_cleanup_free_ char *command = NULL;
	_cleanup_free_ char *whole = NULL;
	va_list ap;

	va_start(ap, fmt);
	assert_true(vasprintf(&command, fmt, ap) >= 0);
	va_end(ap);
	assert_true(asprintf(&whole, "set -e; cd %s; git() { command env %s \"$@\"; }; %s", p->dir,
			    GIT, command) >= 0);
	if (system(whole) != 0)
		fail_msg("%s", command);
}

/* An origin with three files on main and one more branch. */
static int set_up(void **state)
{
	struct place *p = calloc(1, sizeof *p);

	assert_non_null(p);
	snprintf(p->dir, sizeof p->dir, "/tmp/100x-workspace-XXXXXX");
	assert_non_null(mkdtemp(p->dir));
	snprintf(p->origin, sizeof p->origin, "%s/origin.git", p->dir);
	snprintf(p->mirrors, sizeof p->mirrors, "%s/mirrors", p->dir);
	snprintf(p->repo, sizeof p->repo, "%s/agents/7/repo", p->dir);
	run(p, "git init -q --bare origin.git; git init -q seed; cd seed; echo one > a.txt; "
	       "mkdir sub; echo two > sub/b.txt; printf 'x\\0y' > c.bin; git add .; "
	       "git commit -qm first; git branch other; git tag v1; git remote add origin "
	       "../origin.git; git push -q origin main other v1");
	assert_int_equal(giturl_parse(p->origin, true, &p->url, &p->e), 0);
	*state = p;
	return 0;
}

static int tear_down(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(workspace_remove(p->dir, &e), 0);
	assert_int_equal(access(p->dir, F_OK), -1);
	free(p);
	return 0;
}

static struct workspace *opened(struct place *p, const char *base)
{
	struct workspace *w = NULL;

	if (workspace_mirror(p->mirrors, &p->url, NULL, NULL, NULL, &p->e) < 0 ||
		workspace_open(p->repo, p->mirrors, &p->url, base, "agent-7", "Ann Agent",
			"ann@example.com", NULL, NULL, &w, &p->e) < 0)
		fail_msg("%s", p->e.text);
	return w;
}

static char *output(const struct place *p, const char *command)
{
	char whole[1024];
	static char text[8192];
	size_t n;
	FILE *f;

	snprintf(whole, sizeof whole, "cd %s; git() { command env %s \"$@\"; }; %s", p->repo, GIT,
		command);
	f = popen(whole, "r");
	assert_non_null(f);
	n = fread(text, 1, sizeof text - 1, f);
	pclose(f);
	while (n && text[n - 1] == '\n')
		n--;
	text[n] = '\0';
	return text;
}

static void clones_what_the_mirror_has(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char head[41], path[200], text[300];
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
	snprintf(text, sizeof text, "%s", output(p, "du -sk .git | cut -f1"));
	assert_in_range(atoi(text), 1, 1024);
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
	workspace_free(opened(p, "main"));
	run(p, "touch mirrors/%s.git/objects/pack/pack_git2_torn", hash);
	assert_int_equal(workspace_mirror(p->mirrors, &p->url, NULL, NULL, NULL, &p->e), 0);
	run(p, "test ! -e mirrors/%s.git/objects/pack/pack_git2_torn", hash);
}

static const cJSON *file_of(const cJSON *body, const char *path)
{
	const cJSON *f;

	cJSON_ArrayForEach (f, json_get(body, "files"))
		if (strcmp(json_str(f, "path", ""), path) == 0)
			return f;
	return NULL;
}

static cJSON *diffed(struct place *p, struct workspace *w, uint64_t *fingerprint)
{
	_cleanup_free_ char *text = workspace_diff(w, fingerprint, &p->e);
	cJSON *body;

	if (!text)
		fail_msg("%s", p->e.text);
	assert_in_range(strlen(text), 2, 1024 * 1024 - 1000);
	body = json_parse(text, strlen(text), 2 * 1024 * 1024, &p->e);
	if (!body)
		fail_msg("%s", p->e.text);
	return body;
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

/* Whatever a repository brings along, nothing of it runs and nothing leaves it. */
static void repository_content_has_no_effect(void **state)
{
	struct place *p = *state;
	struct workspace *w;
	char hash[41];
	uint64_t fingerprint;

	run(p,
		"mkdir outside; cd seed; ln -s %s/outside evil; ln -s /etc/passwd pw; "
		"echo '* filter=x diff=x merge=x text=auto ident' > .gitattributes; "
		"printf '[submodule \"s\"]\\n path = s\\n url = ../../outside\\n' "
		"> .gitmodules; mkdir .githooks; printf '#!/bin/sh\\ntouch %s/ran\\n' > "
		".githooks/post-checkout; chmod +x .githooks/post-checkout; echo '[alias]' > "
		".gitconfig; git add .; git update-index --add --cacheinfo "
		"160000,$(git rev-parse HEAD),s; git commit -qm evil; git push -q origin main",
		p->dir, p->dir);
	w = opened(p, "main");
	run(p, "cd agents/7/repo; test -L evil; test -L pw; test \"$(ls s | wc -l)\" = 0");
	run(p,
		"cd agents/7/repo; printf '[filter \"x\"]\\n clean = touch %s/ran\\n smudge = "
		"touch "
		"%s/ran\\n[diff \"x\"]\\n command = touch %s/ran\\n textconv = touch "
		"%s/ran\\n[core]\\n fsmonitor = touch %s/ran\\n hooksPath = .githooks\\n worktree "
		"= "
		"%s/outside\\n sshCommand = touch %s/ran\\n[include]\\n path = /etc/passwd\\n' >> "
		".git/config; mkdir -p .git/hooks; for h in pre-commit post-commit pre-push "
		"post-checkout reference-transaction; do printf '#!/bin/sh\\ntouch %s/ran\\n' > "
		".git/hooks/$h; chmod +x .git/hooks/$h; done; echo changed >> a.txt; mkfifo pipe",
		p->dir, p->dir, p->dir, p->dir, p->dir, p->dir, p->dir, p->dir);
	assert_true(workspace_dirty(w));
	cJSON_Delete(diffed(p, w, &fingerprint));
	if (workspace_commit_all(w, "x", hash, &p->e) < 0 ||
		workspace_push(w, NULL, NULL, NULL, NULL, &p->e) < 0)
		fail_msg("%s", p->e.text);
	run(p, "test ! -e ran; test -z \"$(ls outside)\"; git -C origin.git cat-file -p "
	       "agent-7:a.txt "
	       "| grep -q changed");
	workspace_free(w);
}

static void submodule_commands_are_refused(void **state)
{
	struct place *p = *state;
	struct workspace *w = NULL;

	run(p,
		"cd seed; printf '[submodule \"s\"]\\n path = s\\n url = u\\n update = !touch "
		"%s/ran\\n' > .gitmodules; git add .; git update-index --add --cacheinfo "
		"160000,$(git rev-parse HEAD),s; git commit -qm evil; git push -q origin main",
		p->dir);
	assert_int_equal(workspace_mirror(p->mirrors, &p->url, NULL, NULL, NULL, &p->e), 0);
	assert_int_equal(workspace_open(p->repo, p->mirrors, &p->url, "main", "agent-7", "a", "b",
				 NULL, NULL, &w, &p->e),
		-1);
	assert_int_equal(p->e.kind, ERR_INVALID);
	run(p, "test ! -e ran; test ! -e agents/7/repo");
}

/* A tree that no git would make: a link and a folder of the same name. */
static void malformed_trees_do_not_write_outside(void **state)
{
	struct place *p = *state;
	struct workspace *w = NULL;

	run(p,
		"mkdir outside; cd origin.git; b=$(echo owned | git hash-object -w --stdin); "
		"l=$(printf "
		"'%s/outside' | git hash-object -w --stdin); t=$(printf '100644 blob %%s\\tx\\n' "
		"$b | "
		"git mktree); h=$(printf '%%s' $t | sed 's/../\\\\x&/g'); lh=$(printf '%%s' $l | "
		"sed "
		"'s/../\\\\x&/g'); bash -c \"printf '120000 d\\\\0$lh'; printf '40000 d\\\\0$h'\" "
		"> "
		"../raw; root=$(git hash-object -w --literally -t tree ../raw); c=$(git "
		"commit-tree "
		"$root -m evil); git update-ref refs/heads/evil $c",
		p->dir);
	if (workspace_mirror(p->mirrors, &p->url, NULL, NULL, NULL, &p->e) == 0 &&
		workspace_open(p->repo, p->mirrors, &p->url, "evil", "agent-7", "a", "b", NULL,
			NULL, &w, &p->e) == 0)
		workspace_free(w);
	run(p, "test -z \"$(ls outside)\"");
}

static void dot_git_is_not_taken_from_a_tree(void **state)
{
	static const char *const names[] = {".git", ".GIT", "..", "git~1", ".git "};
	struct place *p = *state;

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct workspace *w = NULL;

		run(p,
			"rm -rf agents mirrors; cd origin.git; b=$(printf "
			"'[core]\\nfsmonitor=touch "
			"%s/ran\\n' | git hash-object -w --stdin); bh=$(printf '%%s' $b | sed "
			"'s/../\\\\x&/g'); bash -c \"printf '100644 config\\\\0$bh'\" > ../raw; "
			"t=$(git "
			"hash-object -w --literally -t tree ../raw); th=$(printf '%%s' $t | sed "
			"'s/../\\\\x&/g'); bash -c \"printf '40000 %s\\\\0$th'\" > ../raw; "
			"root=$(git "
			"hash-object -w --literally -t tree ../raw); c=$(git commit-tree $root -m "
			"evil); git update-ref refs/heads/evil $c",
			p->dir, names[i]);
		if (workspace_mirror(p->mirrors, &p->url, NULL, NULL, NULL, &p->e) == 0 &&
			workspace_open(p->repo, p->mirrors, &p->url, "evil", "agent-7", "a", "b",
				NULL, NULL, &w, &p->e) == 0)
			workspace_free(w);
		run(p, "test ! -e ran; test ! -e agents/7/config; if test -e agents/7/repo/.git; "
		       "then "
		       "! grep -q fsmonitor=touch agents/7/repo/.git/config; fi");
	}
}

static void agent_cannot_move_the_repository_away(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char hash[41];

	run(p, "echo ../seed/.git > agents/7/repo/.git/commondir");
	assert_int_equal(workspace_commit_all(w, "x", hash, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_DENIED);
	run(p, "cd agents/7/repo; rm .git/commondir; mv .git ../git; ln -s ../../../seed/.git "
	       ".git");
	assert_int_equal(workspace_push(w, NULL, NULL, NULL, NULL, &p->e), -1);
	assert_int_equal(p->e.kind, ERR_DENIED);
	run(p, "cd agents/7/repo; rm .git; echo 'gitdir: ../../../seed/.git' > .git");
	assert_null(workspace_diff(w, &(uint64_t){0}, &p->e));
	assert_int_equal(p->e.kind, ERR_DENIED);
	workspace_free(w);
}

static void removes_hostile_trees(void **state)
{
	struct place *p = *state;
	char path[200];

	run(p, "mkdir -p outside; echo keep > outside/keep; mkdir tree; cd tree; ln -s ../outside "
	       "l; "
	       "mkdir closed; touch closed/x; chmod 0 closed; d=.removing-0; for i in $(seq 1 90); "
	       "do d=$d/d; done; mkdir -p $d; touch $d/x .removing-1; chmod 0 .removing-0/d/d; "
	       "mkdir -p .removing-2/x");
	snprintf(path, sizeof path, "%s/tree", p->dir);
	if (workspace_remove(path, &p->e) < 0)
		fail_msg("%s", p->e.text);
	run(p, "test ! -e tree; test -e outside/keep; ln -s outside gate");
	snprintf(path, sizeof path, "%s/gate", p->dir);
	assert_int_equal(workspace_remove(path, &p->e), 0);
	run(p, "test ! -L gate; test -e outside/keep");
	assert_int_equal(workspace_remove(path, &p->e), 0);
}

/* Deeper than descriptors and longer than a path may be. */
static void removes_deep_trees(void **state)
{
	struct place *p = *state;
	char path[200];
	_cleanup_close_ int fd = -1;

	snprintf(path, sizeof path, "%s/deep", p->dir);
	assert_int_equal(mkdir(path, 0700), 0);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	for (int i = 0; i < 3000; i++) {
		int next;

		assert_int_equal(mkdirat(fd, "dddddddd", 0700), 0);
		next = openat(fd, "dddddddd", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		close(fd);
		fd = next;
	}
	if (workspace_remove(path, &p->e) < 0)
		fail_msg("%s", p->e.text);
	assert_int_equal(access(path, F_OK), -1);
}

static void token_goes_to_its_host_alone(void **state)
{
	static const struct {
		const char *url, *api, *host;
		bool may;
	} rows[] = {
		{"https://github.com/a/b", NULL, NULL, true},
		{"https://x@github.com:443/a/b", NULL, NULL, true},
		{"http://github.com/a/b", NULL, NULL, false},
		{"https://github.com.evil.example/a/b", NULL, NULL, false},
		{"https://github.com@evil.example/a/b", NULL, NULL, false},
		{"https://evil.example/github.com", NULL, NULL, false},
		{"https://evil.example?@github.com/", NULL, NULL, false},
		{"https://git.example/a/b", "https://git.example/api/v3", NULL, true},
		{"https://git.example/a/b", "https://api.git.example", NULL, true},
		{"https://other.example/a/b", "https://git.example/api/v3", NULL, false},
		{"http://127.0.0.1:8080/a/b", NULL, "127.0.0.1", true},
		{"http://127.0.0.1:8080/a/b", NULL, NULL, false},
		{"http://127.evil.example/a/b", NULL, "127.evil.example", false},
		{"https://git.example/a/b", NULL, "git.example", true},
		{"ssh://github.com/a/b", NULL, NULL, false},
		{"", NULL, NULL, false},
	};

	(void)state;
	unsetenv("GITHUB_API_URL");
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		if (workspace_token_may_go(rows[i].url, rows[i].api, rows[i].host) != rows[i].may)
			fail_msg("%s", rows[i].url);
	}
	setenv("GITHUB_API_URL", "https://git.example/api/v3", 1);
	assert_true(workspace_token_may_go("https://git.example/a/b", NULL, NULL));
	unsetenv("GITHUB_API_URL");
}

#define RESTLESS_BYTES (1024 * 1024)
#define RESTLESS_ROUNDS 100
#define RESTLESS_MS 3000

/* Another process: writes a file, and cuts it off in the middle of its being read. */
static void be_restless(const char *path)
{
	static char text[RESTLESS_BYTES];
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (fd < 0 || getppid() == 1)
		_exit(1);
	for (size_t i = 0; i < sizeof text; i++)
		text[i] = i % 16 == 15 ? '\n' : (char)('a' + i * 7 / 16 % 26);
	for (int64_t end = clock_now_ms() + 20 * 1000; clock_now_ms() < end;) {
		if (pwrite(fd, text, sizeof text, 0) < 0)
			_exit(1);
		usleep(3000);
		if (ftruncate(fd, 0) < 0)
			_exit(1);
	}
	_exit(0);
}

/* Another process too: what it reads is cut off meanwhile. libgit2 1.5 forgets to free its
 * list of files of unsure age when one of them fails to be read, so no leak is looked for. */
static void look_at_restless(struct workspace *w)
{
	int64_t end = clock_now_ms() + RESTLESS_MS;
	struct err e = {0};
	char hash[41];
	uint64_t print;

	for (int i = 0; i < RESTLESS_ROUNDS && clock_now_ms() < end; i++) {
		free(workspace_diff(w, &print, &e));
		if (i % 10 == 9)
			workspace_commit_all(w, "whatever it was", hash, &e);
	}
	_exit(0);
}

static void files_may_be_cut_off_meanwhile(void **state)
{
	struct place *p = *state;
	struct workspace *w = opened(p, "main");
	char path[200], hash[41];
	pid_t writer, reader;
	int status;

	snprintf(path, sizeof path, "%s/restless.txt", p->repo);
	writer = fork();
	assert_true(writer >= 0);
	if (writer == 0)
		be_restless(path);
	reader = fork();
	assert_true(reader >= 0);
	if (reader == 0)
		look_at_restless(w);
	/* Whether it is told does not matter: it changes. The reader lives, and that is all. */
	assert_int_equal(waitpid(reader, &status, 0), reader);
	assert_int_equal(status, 0);
	kill(writer, SIGKILL);
	assert_int_equal(waitpid(writer, NULL, 0), writer);
	run(p, "echo quiet > %s", path);
	assert_int_equal(workspace_commit_all(w, "quiet", hash, &p->e), 0);
	assert_string_equal(output(p, "git show HEAD:restless.txt"), "quiet");
	workspace_free(w);
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

#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(clones_what_the_mirror_has),
		WITH_PLACE(opens_again_with_everything_in_it),
		WITH_PLACE(takes_another_base_and_says_which_exist),
		WITH_PLACE(refuses_what_is_no_repository),
		WITH_PLACE(mirror_follows_renamed_and_removed_branches),
		WITH_PLACE(damaged_mirror_is_made_anew),
		WITH_PLACE(diff_tells_every_kind_of_change),
		WITH_PLACE(diff_stays_within_its_bounds),
		WITH_PLACE(files_may_be_cut_off_meanwhile),
		WITH_PLACE(empty_files_may_have_a_filter),
		WITH_PLACE(commits_what_was_left),
		WITH_PLACE(what_is_only_here_is_saved),
		WITH_PLACE(branch_follows_the_agent),
		WITH_PLACE(pushes_once_and_never_by_force),
		WITH_PLACE(push_to_a_working_tree_is_told),
		WITH_PLACE(leftovers_of_the_dead_are_removed),
		WITH_PLACE(can_be_called_off),
		WITH_PLACE(repository_content_has_no_effect),
		WITH_PLACE(submodule_commands_are_refused),
		WITH_PLACE(malformed_trees_do_not_write_outside),
		WITH_PLACE(dot_git_is_not_taken_from_a_tree),
		WITH_PLACE(agent_cannot_move_the_repository_away),
		WITH_PLACE(removes_hostile_trees),
		WITH_PLACE(removes_deep_trees),
		cmocka_unit_test(token_goes_to_its_host_alone),
	};
	struct err e;

	if (workspace_library_init(&e) < 0) {
		fprintf(stderr, "%s\n", e.text);
		return 1;
	}
	return cmocka_run_group_tests_name("workspace", tests, NULL, NULL);
}
