// clang-format off
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <setjmp.h>
#include <cmocka.h>
// clang-format on

#include <string.h>

#include "webui/guard.h"

static struct guard_request request(void)
{
	return (struct guard_request){
		.method = "GET", .host = "localhost:5000", .host_count = 1, .api = true};
}

static enum err_kind check(const struct guard *g, struct guard_request r)
{
	struct err e = {.kind = ERR_NONE};

	return guard_check(g, &r, &e) == 0 ? ERR_NONE : e.kind;
}

static void hosts(void **state)
{
	static const struct {
		const char *host;
		enum err_kind kind;
	} cases[] = {
		{"localhost:5000", ERR_NONE},
		{"LocalHost:5000", ERR_NONE},
		{"127.0.0.1:5000", ERR_NONE},
		{"[::1]:5000", ERR_NONE},
		{"page.example:5000", ERR_NONE},
		{"page.example", ERR_NONE},
		{"exact.example:8443", ERR_NONE},
		{"exact.example", ERR_DENIED},
		{"localhost", ERR_DENIED},
		{"localhost:5001", ERR_DENIED},
		{"localhost:5000:5000", ERR_DENIED},
		{"localhost.evil.example:5000", ERR_DENIED},
		{"evil.example", ERR_DENIED},
		{"evil-localhost:5000", ERR_DENIED},
		{"192.168.0.1:5000", ERR_DENIED},
		{"0.0.0.0:5000", ERR_DENIED},
		{"", ERR_INVALID},
		{"localhost:5000/x", ERR_INVALID},
		{"localhost:5000@evil", ERR_INVALID},
	};
	struct guard g = {.port = 5000};
	struct err e;

	(void)state;
	assert_int_equal(guard_allow(&g, "page.example", &e), 0);
	assert_int_equal(guard_allow(&g, "exact.example:8443", &e), 0);
	assert_int_equal(guard_allow(&g, "bad host", &e), -1);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct guard_request r = request();

		r.host = cases[i].host;
		if (check(&g, r) != cases[i].kind)
			fail_msg("Host %s", cases[i].host);
	}
	struct guard_request r = request();
	r.host_count = 2;
	assert_int_equal(check(&g, r), ERR_INVALID);
	r.host_count = 0;
	r.host = NULL;
	assert_int_equal(check(&g, r), ERR_INVALID);
}

static void origins(void **state)
{
	static const struct {
		const char *origin;
		bool plain, proxied;
	} cases[] = {
		{"http://localhost:5000", true, true},
		{"https://localhost:5000", false, true},
		{"http://localhost:5001", false, false},
		{"http://127.0.0.1:5000", false, false},
		{"http://evil.example", false, false},
		{"http://localhost:5000.evil.example", false, false},
		{"null", false, false},
		{"", false, false},
	};
	struct guard g = {.port = 5000}, proxied = {.port = 5000, .behind_proxy = true};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct guard_request r = request();

		r.method = "POST";
		r.origin = cases[i].origin;
		if ((check(&g, r) == ERR_NONE) != cases[i].plain ||
			(check(&proxied, r) == ERR_NONE) != cases[i].proxied)
			fail_msg("Origin %s", cases[i].origin);
	}
}

static void fetch_metadata(void **state)
{
	static const struct {
		const char *method, *site, *mode, *dest;
		bool api, good;
	} cases[] = {
		{"POST", "same-origin", "cors", "empty", true, true},
		{"GET", "none", "navigate", "document", true, true},
		{"GET", "cross-site", "no-cors", "image", true, false},
		{"GET", "same-site", "cors", "empty", true, false},
		{"GET", "cross-site", "navigate", "document", true, false},
		{"GET", "cross-site", "navigate", "document", false, true},
		{"POST", "cross-site", "navigate", "document", false, false},
		{"GET", "cross-site", "navigate", "iframe", false, false},
		{"GET", "cross-site", "no-cors", "script", false, false},
	};
	struct guard g = {.port = 5000};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct guard_request r = request();

		r.method = cases[i].method;
		r.fetch_site = cases[i].site;
		r.fetch_mode = cases[i].mode;
		r.fetch_dest = cases[i].dest;
		r.api = cases[i].api;
		if ((check(&g, r) == ERR_NONE) != cases[i].good)
			fail_msg("case %zu", i);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hosts),
		cmocka_unit_test(origins),
		cmocka_unit_test(fetch_metadata),
	};

	return cmocka_run_group_tests_name("webui/guard", tests, NULL, NULL);
}
