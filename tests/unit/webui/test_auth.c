// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/log.h"
#include "webui/auth.h"
#include "webui/sha256.h"

static char dir[64];

static const char *in_dir(const char *name)
{
	static char path[128];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	return path;
}

static int set_up(void **state)
{
	(void)state;
	snprintf(dir, sizeof dir, "/tmp/100x-auth-XXXXXX");
	return mkdtemp(dir) ? 0 : -1;
}

static int tear_down(void **state)
{
	(void)state;
	unlink(in_dir("webui.token"));
	unlink(in_dir("webui.sessions"));
	return rmdir(dir);
}

static void hashes(void **state)
{
	char out[SHA256_HEX], million[1000];

	(void)state;
	/* FIPS 180-4 examples, and lengths around the padding's border. */
	sha256_hex("", 0, out);
	assert_string_equal(
		out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	sha256_hex("abc", 3, out);
	assert_string_equal(
		out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	sha256_hex("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, out);
	assert_string_equal(
		out, "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(million, 'a', sizeof million);
	sha256_hex(million, 64, out);
	assert_string_equal(
		out, "ffe054fe7ae0cb6dc65c3af9b61d5209f439851db43d0ba5997337df154668eb");
}

static void token_is_kept(void **state)
{
	char token[AUTH_TOKEN_BYTES];
	struct stat st;
	struct err e;
	struct auth *a = auth_new(dir, &e);

	(void)state;
	assert_non_null(a);
	snprintf(token, sizeof token, "%s", auth_token(a));
	assert_int_equal(strlen(token), 64);
	auth_free(a);
	assert_int_equal(stat(in_dir("webui.token"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	a = auth_new(dir, &e);
	assert_string_equal(auth_token(a), token);
	auth_free(a);
	assert_int_equal(chmod(in_dir("webui.token"), 0644), 0);
	assert_null(auth_new(dir, &e));
	assert_int_equal(e.kind, ERR_DENIED);
	assert_non_null(strstr(e.text, "webui.token"));
}

static void sessions(void **state)
{
	char id[AUTH_TOKEN_BYTES], other[AUTH_TOKEN_BYTES], line[256] = "";
	struct err e;
	struct auth *a = auth_new(dir, &e);

	(void)state;
	assert_int_equal(auth_open_session(a, 1000, id, &e), 0);
	assert_int_equal(auth_open_session(a, 1000, other, &e), 0);
	assert_string_not_equal(id, other);
	assert_true(auth_session_valid(a, id, 2000));
	assert_false(auth_session_valid(a, id, 1000 + AUTH_SESSION_MS));
	assert_false(auth_session_valid(a, auth_token(a), 2000));
	assert_false(auth_session_valid(a, "", 2000));
	/* A clock set back, or far ahead and right again, signs nobody out. */
	assert_true(auth_session_valid(a, id, 2000 - 3600000));
	assert_true(auth_session_valid(a, id, 2000));
	FILE *f = fopen(in_dir("webui.sessions"), "r");
	assert_non_null(f);
	while (fgets(line, sizeof line, f))
		assert_null(strstr(line, id));
	fclose(f);
	auth_free(a);

	a = auth_new(dir, &e);
	assert_true(auth_session_valid(a, id, 2000));
	auth_close_session(a, id);
	assert_false(auth_session_valid(a, id, 2000));
	assert_true(auth_session_valid(a, other, 2000));
	for (int i = 0; i < AUTH_SESSIONS_MAX; i++)
		assert_int_equal(auth_open_session(a, 3000 + i, id, &e), 0);
	assert_false(auth_session_valid(a, other, 4000)); /* the oldest gave way */
	assert_true(auth_session_valid(a, id, 4000));
	auth_free(a);
}

static void guessing_is_slowed(void **state)
{
	struct err e;
	struct auth *a = auth_new(dir, &e);
	int64_t now = 1000, retry;

	(void)state;
	for (int i = 0; i < AUTH_TRIES; i++) {
		assert_int_equal(auth_check_token(a, "wrong", now++, &retry, &e), -1);
		assert_int_equal(e.kind, ERR_DENIED);
	}
	assert_int_equal(auth_check_token(a, auth_token(a), now, &retry, &e), -1);
	assert_int_equal(e.kind, ERR_LIMIT);
	assert_true(retry > 0 && retry <= AUTH_WINDOW_MS);
	assert_int_equal(auth_check_token(a, auth_token(a), now + retry, &retry, &e), 0);
	auth_free(a);
}

static void cookies(void **state)
{
	char out[8];

	(void)state;
	assert_true(auth_cookie("a=1; sid=abc; b=2", "sid", out, sizeof out));
	assert_string_equal(out, "abc");
	assert_true(auth_cookie("sid=abc", "sid", out, sizeof out));
	assert_false(auth_cookie("xsid=abc", "sid", out, sizeof out));
	assert_false(auth_cookie("sid=12345678", "sid", out, sizeof out));
	assert_false(auth_cookie("sid", "sid", out, sizeof out));
	assert_false(auth_cookie(NULL, "sid", out, sizeof out));
	assert_true(auth_cookie("sid=", "sid", out, sizeof out) && !*out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hashes),
		cmocka_unit_test_setup_teardown(token_is_kept, set_up, tear_down),
		cmocka_unit_test_setup_teardown(sessions, set_up, tear_down),
		cmocka_unit_test_setup_teardown(guessing_is_slowed, set_up, tear_down),
		cmocka_unit_test(cookies),
	};

	log_init("test");
	return cmocka_run_group_tests_name("webui/auth", tests, NULL, NULL);
}
