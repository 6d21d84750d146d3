#include "worker/llm_answer.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/backoff.h"
#include "worker/llm.h"

#define LLM_BACKOFF_FIRST_MS 500
#define LLM_BACKOFF_MAX_MS 32000
#define LLM_TEXT_MAX_BYTES (1024 * 1024)

bool llm_may_pass(int status)
{
	return status == 0 || status == 408 || status == 409 || status == 425 || status == 429 ||
	       status >= 500;
}

int64_t llm_retry_delay(int status, int64_t retry_after_ms, int tries_made, int max_tries, double r)
{
	if (!llm_may_pass(status) || tries_made >= max_tries)
		return -1;
	if (retry_after_ms > LLM_RETRY_AFTER_MAX_MS)
		return -1;
	if (retry_after_ms >= 0)
		return backoff_asked_ms(retry_after_ms, r);
	return backoff_ms(LLM_BACKOFF_FIRST_MS, LLM_BACKOFF_MAX_MS, tries_made, r);
}

/* One line of printable text, runs of blanks as one space, cut at a character. */
static void one_line(const char *text, char out[LLM_REASON_BYTES])
{
	_cleanup_free_ char *clean = utf8_clean(text, strlen(text));
	size_t used = 0;
	bool blank = true;

	log_redact(clean);
	for (const char *p = clean; *p && used < 4 * (size_t)LLM_REASON_BYTES; p++) {
		unsigned char ch = (unsigned char)*p;

		if (ch <= 0x20 || ch == 0x7f) {
			if (!blank)
				clean[used++] = ' ';
			blank = true;
		} else {
			clean[used++] = *p;
			blank = false;
		}
	}
	used = utf8_cut(clean, used, LLM_REASON_BYTES - 1);
	while (used && clean[used - 1] == ' ')
		used--;
	memcpy(out, clean, used);
	out[used] = '\0';
}

static const char *string_of(const cJSON *j)
{
	return cJSON_IsString(j) && j->valuestring[0] ? j->valuestring : NULL;
}

static int code_of(const cJSON *error)
{
	const cJSON *code = cJSON_GetObjectItemCaseSensitive(error, "code");
	const char *word = string_of(code);

	if (cJSON_IsNumber(code) && code->valuedouble >= 100 && code->valuedouble < 1000)
		return (int)code->valuedouble;
	if (!word)
		word = string_of(cJSON_GetObjectItemCaseSensitive(error, "type"));
	if (!word)
		return 0;
	if (strlen(word) == 3 && strspn(word, "0123456789") == 3 && word[0] != '0')
		return (int)strtol(word, NULL, 10);
	if (strcmp(word, "insufficient_quota") == 0)
		return 402;
	if (strcmp(word, "model_not_found") == 0)
		return 404;
	if (strcmp(word, "invalid_api_key") == 0 || strcmp(word, "authentication_error") == 0)
		return 401;
	if (strcmp(word, "overloaded_error") == 0 || strcmp(word, "server_error") == 0)
		return 503;
	if (strncmp(word, "rate_limit", 10) == 0)
		return 429;
	return 0;
}

/* The words of an "error" member, which is an object or a string. */
static void error_of(const cJSON *error, char out[LLM_REASON_BYTES], int *code)
{
	const char *text = string_of(error);

	if (!text)
		text = string_of(cJSON_GetObjectItemCaseSensitive(error, "message"));
	if (!text)
		text = string_of(cJSON_GetObjectItemCaseSensitive(error, "type"));
	one_line(text ? text : "an error without words", out);
	*code = cJSON_IsObject(error) ? code_of(error) : 0;
}

void llm_error_text(const char *body, size_t n, char out[LLM_REASON_BYTES], int *code)
{
	_cleanup_free_ char *clean = utf8_clean(body, n);
	_cleanup_json_ cJSON *root = json_parse(clean, strlen(clean), LLM_BODY_MAX_BYTES, NULL);
	const cJSON *top = cJSON_IsArray(root) ? cJSON_GetArrayItem(root, 0) : root;
	const cJSON *error = cJSON_GetObjectItemCaseSensitive(top, "error");
	const char *text;

	*code = 0;
	if (error && !cJSON_IsNull(error)) {
		error_of(error, out, code);
		return;
	}
	text = string_of(cJSON_GetObjectItemCaseSensitive(top, "message"));
	if (!text)
		text = string_of(cJSON_GetObjectItemCaseSensitive(top, "detail"));
	if (!text && !root)
		text = clean;
	one_line(text ? text : "", out);
}

bool llm_refuses_json(int status, const char *body, size_t n)
{
	return (status == 400 || status == 404 || status == 422) &&
	       (memmem(body, n, "response_format", 15) || memmem(body, n, "json_object", 11) ||
		       memmem(body, n, "JSON mode", 9));
}

static bool speaks_of_model(const char *reason)
{
	return strcasestr(reason, "model") &&
	       (strcasestr(reason, "not found") || strcasestr(reason, "does not exist") ||
		       strcasestr(reason, "not a valid model") || strcasestr(reason, "unknown") ||
		       strcasestr(reason, "invalid model") || strcasestr(reason, "no endpoints"));
}

static void denied(const struct model *m, const char *what, const char *reason, struct err *e)
{
	if (m->provider->key_variable)
		err_set(e, ERR_DENIED,
			"%s %s%s%s; set %s in ~/.env, or choose another model under "
			"Settings → Models",
			m->provider->prefix, what, *reason ? ": " : "", reason,
			m->provider->key_variable);
	else
		err_set(e, ERR_DENIED, "%s %s%s%s; see Settings → Models", m->provider->prefix,
			what, *reason ? ": " : "", reason);
}

void llm_fill_error(const struct model *m, int status, const char *reason, struct err *e)
{
	const char *who = m->provider->prefix;
	const char *colon = *reason ? ": " : "";

	if (status == 401) {
		denied(m, "refused the key", reason, e);
	} else if (status == 402) {
		err_set(e, ERR_DENIED,
			"%s has no credit left for this key%s%s; add credit there, or choose "
			"another model under Settings → Models",
			who, colon, reason);
	} else if (status == 403) {
		denied(m, "refused this request (403)", reason, e);
	} else if (status == 404 || (status == 400 && speaks_of_model(reason))) {
		err_set(e, ERR_NOT_FOUND,
			"%s does not know the model %s%s%s; change it under Settings → Models", who,
			m->name, colon, reason);
	} else if (status == 413) {
		err_set(e, ERR_LIMIT, "%s finds the question too long%s%s", who, colon, reason);
	} else if (status == 0) {
		err_set(e, ERR_UNAVAILABLE, "%s cannot be reached%s%s", who, colon, reason);
	} else if (llm_may_pass(status)) {
		err_set(e, ERR_UNAVAILABLE, "%s %s (%d)%s%s", who,
			status == 429 ? "limits the rate" : "is not able to answer", status, colon,
			reason);
	} else if (status >= 300 && status < 400) {
		err_set(e, ERR_INVALID,
			"%s answers with a redirect (%d): its base address is wrong; set %s in "
			"~/.env",
			who, status, m->provider->base_variable);
	} else {
		err_set(e, ERR_INVALID, "%s refused the question (%d)%s%s", who, status, colon,
			reason);
	}
}

static int64_t tokens(const cJSON *usage, const char *name, const char *other)
{
	const cJSON *j = cJSON_GetObjectItemCaseSensitive(usage, name);

	if (!cJSON_IsNumber(j) && other)
		j = cJSON_GetObjectItemCaseSensitive(usage, other);
	if (!cJSON_IsNumber(j) || !(j->valuedouble > 0) || j->valuedouble > 1e12)
		return 0;
	return (int64_t)j->valuedouble;
}

static void read_usage(const cJSON *root, struct llm_answer *a)
{
	const cJSON *usage = cJSON_GetObjectItemCaseSensitive(root, "usage");
	const cJSON *details = cJSON_GetObjectItemCaseSensitive(usage, "prompt_tokens_details");
	const cJSON *cost = cJSON_GetObjectItemCaseSensitive(usage, "cost");

	a->tokens_in = tokens(usage, "prompt_tokens", "input_tokens");
	a->tokens_out = tokens(usage, "completion_tokens", "output_tokens");
	a->tokens_cached = tokens(details, "cached_tokens", NULL);
	if (!a->tokens_cached)
		a->tokens_cached = tokens(usage, "prompt_cache_hit_tokens", NULL);
	if (a->tokens_cached > a->tokens_in)
		a->tokens_cached = a->tokens_in;
	a->dollars = -1;
	if (cJSON_IsNumber(cost) && isfinite(cost->valuedouble) && cost->valuedouble >= 0)
		a->dollars = cost->valuedouble;
}

/* Text of a message's content: a string, a list of text parts, or nothing. */
static char *content_text(const cJSON *content)
{
	const cJSON *part = NULL, *parts = cJSON_IsArray(content) ? content : NULL;
	struct buf text;

	if (cJSON_IsString(content))
		return strdup(content->valuestring);
	buf_init(&text, LLM_TEXT_MAX_BYTES);
	cJSON_ArrayForEach (part, parts) {
		const char *piece = string_of(cJSON_GetObjectItemCaseSensitive(part, "text"));

		if (piece)
			buf_adds(&text, piece);
	}
	return buf_take(&text, NULL);
}

static int parse_failure(const cJSON *error, struct err *e)
{
	char reason[LLM_REASON_BYTES];
	enum err_kind kind = ERR_UNAVAILABLE;
	int code;

	error_of(error, reason, &code);
	if (code >= 401 && code <= 403)
		kind = ERR_DENIED;
	else if (code == 404)
		kind = ERR_NOT_FOUND;
	else if (code && !llm_may_pass(code))
		kind = ERR_INVALID;
	if (code)
		return err_set(e, kind, "%s (%d)", reason, code);
	return err_set(e, kind, "%s", reason);
}

int llm_parse(const char *body, size_t n, char **text, struct llm_answer *answer, struct err *e)
{
	_cleanup_free_ char *clean = utf8_clean(body, n);
	_cleanup_json_ cJSON *root = NULL;
	const cJSON *error, *choice, *message;
	struct err why;

	if (n == 0)
		return err_set(e, ERR_PROTOCOL, "an empty answer");
	root = json_parse(clean, strlen(clean), LLM_BODY_MAX_BYTES, &why);
	if (!root)
		return err_set(e, ERR_PROTOCOL, "an answer that is not JSON (%s)", why.text);
	error = cJSON_GetObjectItemCaseSensitive(root, "error");
	choice = cJSON_GetArrayItem(cJSON_GetObjectItemCaseSensitive(root, "choices"), 0);
	if (!error || cJSON_IsNull(error))
		error = cJSON_GetObjectItemCaseSensitive(choice, "error");
	if (error && !cJSON_IsNull(error))
		return parse_failure(error, e);
	message = cJSON_GetObjectItemCaseSensitive(choice, "message");
	if (!cJSON_IsObject(message))
		return err_set(e, ERR_PROTOCOL, "an answer without choices[0].message");
	memset(answer, 0, sizeof *answer);
	read_usage(root, answer);
	*text = content_text(cJSON_GetObjectItemCaseSensitive(message, "content"));
	if (!*text)
		err_out_of_memory();
	answer->text = *text;
	return 0;
}
