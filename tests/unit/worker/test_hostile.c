/* Whatever a repository or an agent brings along, nothing of it runs, nothing leaves the
 * workspace, and the token goes to its host alone. */
#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "shared/clock.h"
#include "tests/unit/worker/origin.h"
#include "worker/workspace_git.h"

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

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_PLACE(files_may_be_cut_off_meanwhile),
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
	return cmocka_run_group_tests_name("hostile", tests, NULL, NULL);
}
