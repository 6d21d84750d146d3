/* Repository URLs. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "shared/giturl.h"

static void takes_and_settles(void **state)
{
	static const struct {
		const char *text, *canonical, *host, *path, *owner, *name;
		enum giturl_scheme scheme;
	} cases[] = {
		{"https://github.com/me/tool.git", "https://github.com/me/tool.git", "github.com",
			"me/tool.git", "me", "tool", GITURL_HTTPS},
		{"HTTPS://GitHub.com//me/tool/", "https://github.com/me/tool", "github.com",
			"me/tool", "me", "tool", GITURL_HTTPS},
		{"https://git.example:8443/a/b/c", "https://git.example:8443/a/b/c", "git.example",
			"a/b/c", "", "c", GITURL_HTTPS},
		{"http://localhost:3000/me/tool", "http://localhost:3000/me/tool", "localhost",
			"me/tool", "me", "tool", GITURL_HTTP},
		{"http://[::1]:80/x", "http://[::1]:80/x", "[::1]", "x", "", "x", GITURL_HTTP},
		{"http://127.0.0.1/x", "http://127.0.0.1/x", "127.0.0.1", "x", "", "x",
			GITURL_HTTP},
		{"ssh://git@host:2222/srv/tool.git", "ssh://git@host:2222/srv/tool.git", "host",
			"srv/tool.git", "srv", "tool", GITURL_SSH},
		{"git@github.com:me/tool.git", "git@github.com:me/tool.git", "github.com",
			"me/tool.git", "me", "tool", GITURL_SSH},
		{"git@host:/srv/tool", "git@host:/srv/tool", "host", "srv/tool", "srv", "tool",
			GITURL_SSH},
		{"/srv/git/tool.git", "/srv/git/tool.git", "", "/srv/git/tool.git", "", "tool",
			GITURL_LOCAL},
		{"file:///srv//git/./tool/", "/srv/git/tool", "", "/srv/git/tool", "", "tool",
			GITURL_LOCAL},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct giturl u;
		struct giturl again;
		struct err e;

		if (giturl_parse(cases[i].text, true, &u, &e) < 0)
			fail_msg("%s: %s", cases[i].text, e.text);
		assert_string_equal(u.text, cases[i].canonical);
		assert_string_equal(u.host, cases[i].host);
		assert_string_equal(u.path, cases[i].path);
		assert_string_equal(u.owner, cases[i].owner);
		assert_string_equal(u.name, cases[i].name);
		assert_int_equal(u.scheme, cases[i].scheme);
		assert_int_equal(giturl_parse(u.text, true, &again, &e), 0);
		assert_string_equal(again.text, u.text);
	}
}

static void refuses(void **state)
{
	static const char *const bad[] = {
		"",
		" ",
		"https://",
		"https:///x",
		"https://host",
		"https://host/",
		"https://host//",
		"https://u:p@host/x",
		"https://token@host/x",
		"http://example.com/x",
		"http://127.0.0.1.example.com/x",
		"http://localhost.example.com/x",
		"https://host/a b",
		"https://host/a\n",
		"https://host/a\x01",
		"https://host/\x7f",
		"https://host/a\\b",
		"https://host/\xff",
		"https://-host/x",
		"https://.host/x",
		"https://host/-x",
		"https://host/a/-x",
		"https://host/../x",
		"https://host/a/..",
		"https://host/x?y",
		"https://host/x#y",
		"https://host:/x",
		"https://host:0/x",
		"https://host:65536/x",
		"https://host:1a/x",
		"https://ho$t/x",
		"https://[::1/x",
		"ftp://host/x",
		"git://host/x",
		"ext::sh -c x",
		"ext::sh",
		"ext::/x",
		"fd::7/x",
		"ssh://-oProxyCommand=x/y",
		"ssh://-u@host/x",
		"ssh://u:p@host/x",
		"ssh://@host/x",
		"git@host:",
		"git@-host:x",
		"-u@host:x",
		"@host:x",
		"git@host:-x",
		"host:x",
		"x/y",
		"./x",
		"../x",
		"~/x",
		"file://host/x",
		"file:///a%20b",
		"file:///",
		"/",
		"/a/../b",
		"/-a",
		"--upload-pack=x",
		"https:/host/x",
		"git@ho/st:x",
		"git@host:.//:80",
	};
	struct giturl u;
	struct err e;
	char text[GITURL_MAX + 8];

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (giturl_parse(bad[i], true, &u, &e) == 0)
			fail_msg("taken: %s as %s", bad[i], u.text);
		assert_int_equal(e.kind, ERR_INVALID);
		assert_null(strstr(e.text, "token"));
	}
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	text[0] = '/';
	assert_int_equal(giturl_parse(text, true, &u, &e), -1);
	assert_int_equal(giturl_parse("/srv/tool", false, &u, &e), -1);
	assert_non_null(strstr(e.text, "local_repositories"));
}

static void hashes(void **state)
{
	struct giturl u;
	struct giturl v;
	struct err e;
	char a[17];
	char b[17];

	(void)state;
	strcpy(u.text, "a");
	giturl_hash(&u, a);
	assert_string_equal(a, "af63dc4c8601ec8c"); /* published FNV-1a test value */
	giturl_parse("https://GITHUB.com/me/tool/", true, &u, &e);
	giturl_parse("https://github.com/me/tool", true, &v, &e);
	giturl_hash(&u, a);
	giturl_hash(&v, b);
	assert_string_equal(a, b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(takes_and_settles),
		cmocka_unit_test(refuses),
		cmocka_unit_test(hashes),
	};

	return cmocka_run_group_tests_name("giturl", tests, NULL, NULL);
}
