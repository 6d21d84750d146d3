/* Model strings and endpoints. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "shared/model.h"

/* An environment: NULL-ended name, value, name, value. */
static const char *look(void *arg, const char *name)
{
	for (const char *const *v = arg; v && *v; v += 2)
		if (strcmp(v[0], name) == 0)
			return v[1];
	return NULL;
}

static void splits(void **state)
{
	static const struct {
		const char *text, *prefix, *name;
	} cases[] = {
		{MODEL_DEFAULT, "openrouter", "google/gemini-flash-1.5"},
		{"openai/gpt-4o", "openai", "gpt-4o"},
		{"gpt-4o", "openai", "gpt-4o"},
		{"o3-mini", "openai", "o3-mini"},
		{"claude-3-5-sonnet-20241022", "anthropic", "claude-3-5-sonnet-20241022"},
		{"openrouter/anthropic/claude-3.5-sonnet:beta", "openrouter",
			"anthropic/claude-3.5-sonnet:beta"},
		{"ollama_chat/llama3", "ollama_chat", "llama3"},
		{"together_ai/meta-llama/Llama-3-8b", "together_ai", "meta-llama/Llama-3-8b"},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model m;
		struct err e;

		assert_int_equal(model_parse(cases[i].text, &m, &e), 0);
		assert_string_equal(m.text, cases[i].text);
		assert_string_equal(m.name, cases[i].name);
		assert_string_equal(m.provider->prefix, cases[i].prefix);
	}
}

static void refuses(void **state)
{
	static const char *const bad[] = {"", "flash", "nobody/model", "/x", "openai/", "OpenAI/x",
		"openai/a b", "openai/a\n", "openai/\x7f", "openai/é", "open", "gemini-pro"};
	char text[2 * MODEL_MAX];
	struct model m;
	struct err e;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		assert_int_equal(model_parse(bad[i], &m, &e), -1);
		assert_int_equal(e.kind, ERR_INVALID);
	}
	assert_int_equal(model_parse("nobody/model", &m, &e), -1);
	assert_non_null(strstr(e.text, "openrouter"));
	assert_non_null(strstr(e.text, "litellm_proxy"));
	memset(text, 'a', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	memcpy(text, "openai/", 7);
	assert_int_equal(model_parse(text, &m, &e), -1);
	text[MODEL_MAX - 1] = '\0';
	assert_int_equal(model_parse(text, &m, &e), 0);
}

static void finds_endpoints(void **state)
{
	static const struct {
		const char *model;
		const char *env[7];
		const char *url; /* NULL: an error of this kind */
		const char *key; /* or what its text must hold */
		enum err_kind kind;
	} cases[] = {
		{MODEL_DEFAULT, {"OPENROUTER_API_KEY", "k1"},
			"https://openrouter.ai/api/v1/chat/completions", "k1", 0},
		{MODEL_DEFAULT, {"OR_API_KEY", "k2"},
			"https://openrouter.ai/api/v1/chat/completions", "k2", 0},
		{MODEL_DEFAULT, {NULL}, NULL, "OPENROUTER_API_KEY", ERR_DENIED},
		{MODEL_DEFAULT, {"OPENROUTER_API_KEY", ""}, NULL, "~/.env", ERR_DENIED},
		{"openai/x", {"OPENAI_API_KEY", "k", "OPENAI_API_BASE", "http://127.0.0.1:9/"},
			"http://127.0.0.1:9/chat/completions", "k", 0},
		{"openai/x", {"OPENAI_API_KEY", "k", "OPENAI_BASE_URL", "http://h/v1"},
			"http://h/v1/chat/completions", "k", 0},
		{"openai/x",
			{"OPENAI_API_KEY", "k", "OPENAI_API_BASE", "http://h/v1/chat/completions"},
			"http://h/v1/chat/completions", "k", 0},
		{"anthropic/x", {"ANTHROPIC_API_KEY", "k", "ANTHROPIC_API_BASE", "https://h"},
			"https://h/v1/chat/completions", "k", 0},
		{"anthropic/x", {"ANTHROPIC_API_KEY", "k", "ANTHROPIC_API_BASE", "https://h/v1/"},
			"https://h/v1/chat/completions", "k", 0},
		{"gemini/x", {"GOOGLE_API_KEY", "k"},
			"https://generativelanguage.googleapis.com/v1beta/openai/chat/completions",
			"k", 0},
		{"gemini/x", {"GEMINI_API_KEY", "k", "GEMINI_API_BASE", "https://h/v1beta"},
			"https://h/v1beta/openai/chat/completions", "k", 0},
		{"gemini/x", {"GEMINI_API_KEY", "k", "GEMINI_API_BASE", "https://h"},
			"https://h/v1beta/openai/chat/completions", "k", 0},
		{"ollama/x", {NULL}, "http://localhost:11434/v1/chat/completions", NULL, 0},
		{"ollama_chat/x", {"OLLAMA_API_BASE", "http://box:1"},
			"http://box:1/v1/chat/completions", NULL, 0},
		{"lm_studio/x", {NULL}, NULL, "LM_STUDIO_API_BASE", ERR_INVALID},
		{"hosted_vllm/x", {"HOSTED_VLLM_API_BASE", "http://h:8/v1"},
			"http://h:8/v1/chat/completions", NULL, 0},
		{"litellm_proxy/x", {"LITELLM_PROXY_API_BASE", "http://h:8"}, NULL,
			"LITELLM_PROXY_API_KEY", ERR_DENIED},
		{"fireworks_ai/x", {"FIREWORKS_API_KEY", "k"},
			"https://api.fireworks.ai/inference/v1/chat/completions", "k", 0},
		{"openai/x", {"OPENAI_API_KEY", "a\nb"}, NULL, "OPENAI_API_KEY", ERR_INVALID},
		{"openai/x", {"OPENAI_API_KEY", "k", "OPENAI_API_BASE", "ftp://h"}, NULL,
			"OPENAI_API_BASE", ERR_INVALID},
		{"openai/x", {"OPENAI_API_KEY", "k", "OPENAI_API_BASE", "https://u:p@h/v1"}, NULL,
			"OPENAI_API_BASE", ERR_INVALID},
		{"openai/x", {"OPENAI_API_KEY", "k", "OPENAI_API_BASE", "https://h/v1?a=b"}, NULL,
			"OPENAI_API_BASE", ERR_INVALID},
		{"openai/x", {"OPENAI_API_KEY", "k", "OPENAI_API_BASE", "https://h\r\n/"}, NULL,
			"OPENAI_API_BASE", ERR_INVALID},
		{"openai/x", {"OPENAI_API_KEY", "k", "OPENAI_API_BASE", "https:///v1"}, NULL,
			"OPENAI_API_BASE", ERR_INVALID},
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct model m;
		struct err e;
		char url[1024];
		const char *key;
		int code;

		assert_int_equal(model_parse(cases[i].model, &m, &e), 0);
		code = model_endpoint(
			&m, look, (void *)(uintptr_t)cases[i].env, url, sizeof(url), &key, &e);
		if (cases[i].url) {
			assert_int_equal(code, 0);
			assert_string_equal(url, cases[i].url);
			if (cases[i].key)
				assert_string_equal(key, cases[i].key);
			else
				assert_null(key);
		} else {
			assert_int_equal(code, -1);
			assert_int_equal(e.kind, cases[i].kind);
			assert_non_null(strstr(e.text, cases[i].key));
			assert_null(strstr(e.text, "u:p"));
		}
	}
}

static void the_table_is_whole(void **state)
{
	size_t n;
	const struct model_provider *p = model_providers(&n);

	(void)state;
	assert_int_equal(n, 15);
	for (size_t i = 0; i < n; i++) {
		assert_non_null(p[i].base_variable);
		assert_true(p[i].key_variable || p[i].key_optional);
		if (p[i].base_url && p[i].suffix) {
			size_t len = strlen(p[i].suffix);

			assert_string_equal(
				p[i].base_url + strlen(p[i].base_url) - len, p[i].suffix);
		}
	}
}

static void knows_every_name_of_a_variable(void **state)
{
	const char *env[] = {"GOOGLE_API_KEY", "g", "OPENAI_BASE_URL", "http://h", NULL};
	struct model m;
	struct err e;

	(void)state;
	assert_true(model_variable("OPENROUTER_API_KEY=x", 18));
	assert_true(model_variable("GOOGLE_API_KEY", 14));
	assert_true(model_variable("OPENAI_BASE_URL", 15));
	assert_false(model_variable("OPENAI_BASE", 11));
	assert_false(model_variable("", 0));
	assert_int_equal(model_parse("gemini/x", &m, &e), 0);
	assert_string_equal(model_key(m.provider, look, env), "g");
	assert_null(model_base(m.provider, look, env));
	assert_int_equal(model_parse("openai/x", &m, &e), 0);
	assert_null(model_key(m.provider, look, env));
	assert_string_equal(model_base(m.provider, look, env), "http://h");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(splits),
		cmocka_unit_test(refuses),
		cmocka_unit_test(finds_endpoints),
		cmocka_unit_test(the_table_is_whole),
		cmocka_unit_test(knows_every_name_of_a_variable),
	};

	return cmocka_run_group_tests_name("model", tests, NULL, NULL);
}
