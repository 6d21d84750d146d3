/* An origin, its mirror and one workspace, in a folder that goes with the test. */
#ifndef TESTS_UNIT_WORKER_ORIGIN_H
#define TESTS_UNIT_WORKER_ORIGIN_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/json.h"
#include "worker/workspace.h"

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

__attribute__((format(printf, 2, 3))) static inline void run(
	const struct place *p, const char *fmt, ...)
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
static inline int set_up(void **state)
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

static inline int tear_down(void **state)
{
	struct place *p = *state;
	struct err e;

	assert_int_equal(workspace_remove(p->dir, &e), 0);
	assert_int_equal(access(p->dir, F_OK), -1);
	free(p);
	return 0;
}

static inline struct workspace *opened(struct place *p, const char *base)
{
	struct workspace *w = NULL;

	if (workspace_mirror(p->mirrors, &p->url, NULL, NULL, NULL, &p->e) < 0 ||
		workspace_open(p->repo, p->mirrors, &p->url, base, "agent-7", "Ann Agent",
			"ann@example.com", NULL, NULL, &w, &p->e) < 0)
		fail_msg("%s", p->e.text);
	return w;
}

static inline char *output(const struct place *p, const char *command)
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

static inline cJSON *diffed(struct place *p, struct workspace *w, uint64_t *fingerprint)
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

#define WITH_PLACE(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

#endif
