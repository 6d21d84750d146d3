/* LiteLLM model strings and the OpenAI-compatible endpoints behind them. */
#include "shared/model.h"

#include <stdio.h>
#include <string.h>

#include "shared/buf.h"

static const struct model_provider providers[] = {
	{.prefix = "openrouter",
		.key_variable = "OPENROUTER_API_KEY",
		.key_also = {"OR_API_KEY"},
		.base_variable = "OPENROUTER_API_BASE",
		.base_url = "https://openrouter.ai/api/v1"},
	{.prefix = "openai",
		.key_variable = "OPENAI_API_KEY",
		.base_variable = "OPENAI_API_BASE",
		.base_also = {"OPENAI_BASE_URL"},
		.base_url = "https://api.openai.com/v1"},
	{.prefix = "anthropic",
		.key_variable = "ANTHROPIC_API_KEY",
		.base_variable = "ANTHROPIC_API_BASE",
		.base_also = {"ANTHROPIC_BASE_URL"},
		.base_url = "https://api.anthropic.com/v1",
		.suffix = "/v1"},
	{.prefix = "gemini",
		.key_variable = "GEMINI_API_KEY",
		.key_also = {"GOOGLE_API_KEY"},
		.base_variable = "GEMINI_API_BASE",
		.base_url = "https://generativelanguage.googleapis.com/v1beta/openai",
		.suffix = "/v1beta/openai"},
	{.prefix = "deepseek",
		.key_variable = "DEEPSEEK_API_KEY",
		.base_variable = "DEEPSEEK_API_BASE",
		.base_url = "https://api.deepseek.com/v1"},
	{.prefix = "groq",
		.key_variable = "GROQ_API_KEY",
		.base_variable = "GROQ_API_BASE",
		.base_url = "https://api.groq.com/openai/v1"},
	{.prefix = "mistral",
		.key_variable = "MISTRAL_API_KEY",
		.key_also = {"MISTRAL_AZURE_API_KEY"},
		.base_variable = "MISTRAL_AZURE_API_BASE",
		.base_url = "https://api.mistral.ai/v1",
		.suffix = "/v1"},
	{.prefix = "xai",
		.key_variable = "XAI_API_KEY",
		.base_variable = "XAI_API_BASE",
		.base_url = "https://api.x.ai/v1"},
	{.prefix = "together_ai",
		.key_variable = "TOGETHERAI_API_KEY",
		.key_also = {"TOGETHER_API_KEY", "TOGETHER_AI_API_KEY", "TOGETHER_AI_TOKEN"},
		.base_variable = "TOGETHER_AI_API_BASE",
		.base_url = "https://api.together.xyz/v1"},
	{.prefix = "fireworks_ai",
		.key_variable = "FIREWORKS_AI_API_KEY",
		.key_also = {"FIREWORKS_API_KEY", "FIREWORKSAI_API_KEY", "FIREWORKS_AI_TOKEN"},
		.base_variable = "FIREWORKS_API_BASE",
		.base_url = "https://api.fireworks.ai/inference/v1"},
	{.prefix = "ollama",
		.key_variable = "OLLAMA_API_KEY",
		.key_optional = true,
		.base_variable = "OLLAMA_API_BASE",
		.base_url = "http://localhost:11434/v1",
		.suffix = "/v1"},
	{.prefix = "ollama_chat",
		.key_variable = "OLLAMA_API_KEY",
		.key_optional = true,
		.base_variable = "OLLAMA_API_BASE",
		.base_url = "http://localhost:11434/v1",
		.suffix = "/v1"},
	{.prefix = "lm_studio",
		.key_variable = "LM_STUDIO_API_KEY",
		.key_optional = true,
		.base_variable = "LM_STUDIO_API_BASE"},
	{.prefix = "hosted_vllm",
		.key_variable = "HOSTED_VLLM_API_KEY",
		.key_optional = true,
		.base_variable = "HOSTED_VLLM_API_BASE"},
	{.prefix = "litellm_proxy",
		.key_variable = "LITELLM_PROXY_API_KEY",
		.base_variable = "LITELLM_PROXY_API_BASE"},
};

/* Bare names that LiteLLM gives to a provider of its own accord. */
static const struct {
	const char *start;
	const char *prefix;
} bare_names[] = {
	{"gpt-", "openai"},
	{"chatgpt-", "openai"},
	{"o1", "openai"},
	{"o3", "openai"},
	{"o4-", "openai"},
	{"claude-", "anthropic"},
};

const struct model_provider *model_providers(size_t *n)
{
	*n = sizeof(providers) / sizeof(providers[0]);
	return providers;
}

static const struct model_provider *find(const char *prefix, size_t len)
{
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
		if (strlen(providers[i].prefix) == len &&
			memcmp(providers[i].prefix, prefix, len) == 0)
			return &providers[i];
	return NULL;
}

static const struct model_provider *find_bare(const char *text)
{
	for (size_t i = 0; i < sizeof(bare_names) / sizeof(bare_names[0]); i++)
		if (strncmp(text, bare_names[i].start, strlen(bare_names[i].start)) == 0)
			return find(bare_names[i].prefix, strlen(bare_names[i].prefix));
	return NULL;
}

static int refuse_prefix(const char *text, struct err *e)
{
	struct buf known;

	buf_init(&known, ERR_TEXT_BYTES / 2);
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++)
		buf_addf(&known, "%s%s", i ? ", " : "", providers[i].prefix);
	err_set(e, ERR_INVALID,
		"model \"%s\": must start with a provider and a slash, as in %s; known providers: "
		"%s",
		text, MODEL_DEFAULT, known.data);
	buf_clear(&known);
	return -1;
}

int model_parse(const char *text, struct model *m, struct err *e)
{
	const char *slash = strchr(text, '/');
	const char *name = slash ? slash + 1 : text;
	size_t n = strlen(text);

	memset(m, 0, sizeof(*m));
	if (n == 0)
		return err_set(
			e, ERR_INVALID, "model: is empty; write for example %s", MODEL_DEFAULT);
	if (n >= MODEL_MAX)
		return err_set(e, ERR_INVALID, "model: is %zu bytes long, at most %d are taken", n,
			MODEL_MAX - 1);
	for (size_t i = 0; i < n; i++)
		if (text[i] <= ' ' || text[i] > '~')
			return err_set(e, ERR_INVALID,
				"model: byte %zu is a space, a control character or not ASCII",
				i + 1);
	m->provider = slash ? find(text, (size_t)(slash - text)) : find_bare(text);
	if (!m->provider)
		return refuse_prefix(text, e);
	if (!name[0])
		return err_set(e, ERR_INVALID, "model \"%s\": nothing follows the slash", text);
	memcpy(m->text, text, n + 1);
	memcpy(m->name, name, strlen(name) + 1);
	return 0;
}

static const char *set(const char *(*get)(void *arg, const char *name), void *arg,
	const char *first, const char *const also[MODEL_ALSO], const char **variable)
{
	const char *v = first ? get(arg, first) : NULL;

	*variable = first;
	for (size_t i = 0; (!v || !v[0]) && i < MODEL_ALSO && also[i]; i++) {
		*variable = also[i];
		v = get(arg, also[i]);
	}
	return v && v[0] ? v : NULL;
}

const char *model_key(
	const struct model_provider *p, const char *(*get)(void *arg, const char *name), void *arg)
{
	const char *variable;

	return set(get, arg, p->key_variable, p->key_also, &variable);
}

const char *model_base(
	const struct model_provider *p, const char *(*get)(void *arg, const char *name), void *arg)
{
	const char *variable;

	return set(get, arg, p->base_variable, p->base_also, &variable);
}

static bool same(const char *word, const char *name, size_t n)
{
	return word && strlen(word) == n && memcmp(word, name, n) == 0;
}

bool model_variable(const char *name, size_t n)
{
	for (size_t i = 0; i < sizeof(providers) / sizeof(providers[0]); i++) {
		const struct model_provider *p = &providers[i];

		if (same(p->key_variable, name, n) || same(p->base_variable, name, n))
			return true;
		for (size_t k = 0; k < MODEL_ALSO; k++)
			if (same(p->key_also[k], name, n) || same(p->base_also[k], name, n))
				return true;
	}
	return false;
}

static int check_base(const char *base, const char *variable, struct err *e)
{
	size_t n = strlen(base);
	const char *host = NULL;

	if (strncmp(base, "https://", 8) == 0)
		host = base + 8;
	else if (strncmp(base, "http://", 7) == 0)
		host = base + 7;
	/* The value is not quoted: a wrong paste may be a key. */
	if (!host || !host[0] || host[0] == '/')
		return err_set(e, ERR_INVALID, "%s: must start with http:// or https:// and a host",
			variable);
	if (n > 512)
		return err_set(e, ERR_INVALID, "%s: longer than 512 bytes", variable);
	for (size_t i = 0; i < n; i++)
		if (base[i] <= ' ' || base[i] > '~' || strchr("?#\"<>\\^`{|}", base[i]))
			return err_set(e, ERR_INVALID, "%s: byte %zu has no place in a base URL",
				variable, i + 1);
	if (memchr(host, '@', strcspn(host, "/")))
		return err_set(e, ERR_INVALID,
			"%s: a user name or password has no place in a base URL", variable);
	return 0;
}

static bool ends_with(const char *text, size_t n, const char *end, size_t len)
{
	return n >= len && memcmp(text + n - len, end, len) == 0;
}

/* The base with what the provider's OpenAI-compatible interface needs behind it,
 * where LiteLLM adds such an ending by itself. */
static int complete(const struct model_provider *p, const char *base, size_t n, char *url,
	size_t url_size, struct err *e)
{
	static const char tail[] = "/chat/completions";
	const char *suffix = p->suffix ? p->suffix : "";
	size_t len = strlen(suffix);
	int used;

	if (ends_with(base, n, tail, sizeof(tail) - 1))
		n -= sizeof(tail) - 1;
	/* "https://host/v1beta" lacks only "/openai" of "/v1beta/openai". */
	for (size_t have = len; have > 0; have--)
		if ((have == len || suffix[have] == '/') && ends_with(base, n, suffix, have)) {
			suffix += have;
			break;
		}
	used = snprintf(url, url_size, "%.*s%s%s", (int)n, base, suffix, tail);
	if (used < 0 || (size_t)used >= url_size)
		return err_set(
			e, ERR_INVALID, "%s: longer than %zu bytes", p->base_variable, url_size);
	return 0;
}

int model_endpoint(const struct model *m, const char *(*get)(void *arg, const char *name),
	void *arg, char *url, size_t url_size, const char **key, struct err *e)
{
	const struct model_provider *p = m->provider;
	const char *variable;
	const char *base = set(get, arg, p->base_variable, p->base_also, &variable);
	size_t n;

	*key = NULL;
	if (base && check_base(base, variable, e) < 0)
		return -1;
	if (!base)
		base = p->base_url;
	if (!base)
		return err_set(e, ERR_INVALID,
			"model %s: %s is not set; put %s=http://host:port/v1 into ~/.env", m->text,
			p->base_variable, p->base_variable);
	n = strlen(base);
	while (n > 0 && base[n - 1] == '/')
		n--;
	if (complete(p, base, n, url, url_size, e) < 0)
		return -1;
	*key = set(get, arg, p->key_variable, p->key_also, &variable);
	if (!*key && p->key_variable && !p->key_optional)
		return err_set(e, ERR_DENIED,
			"model %s: the key is missing; put %s=… into ~/.env or the environment",
			m->text, p->key_variable);
	for (const char *c = *key; c && *c; c++)
		if (*c < ' ' || *c > '~') {
			*key = NULL;
			return err_set(e, ERR_INVALID,
				"%s: the key holds a control character or is not ASCII", variable);
		}
	return 0;
}
