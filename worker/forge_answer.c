#include "worker/forge_answer.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "shared/buf.h"
#include "shared/cleanup.h"
#include "shared/json.h"
#include "shared/log.h"
#include "worker/backoff.h"

#define FORGE_BACKOFF_MS 1000
#define FORGE_BACKOFF_MAX_MS 32000
#define FORGE_SECONDARY_MS 60000 /* GitHub: wait at least a minute if nothing is said */

static cJSON *parse(const char *body, size_t n, struct err *e)
{
	struct err why;
	cJSON *root = json_parse(body, n, FORGE_BODY_MAX_BYTES, &why);

	if (!root)
		err_set(e, ERR_PROTOCOL, "GitHub's answer is not JSON (%s)", why.text);
	return root;
}

void forge_reason(const char *body, size_t n, char out[FORGE_REASON_BYTES])
{
	_cleanup_json_ cJSON *root = json_parse(body, n, FORGE_BODY_MAX_BYTES, NULL);
	const cJSON *error = NULL, *errors = cJSON_GetObjectItemCaseSensitive(root, "errors");
	const cJSON *message = cJSON_GetObjectItemCaseSensitive(root, "message");
	struct buf text;
	size_t used;

	out[0] = '\0';
	buf_init(&text, 4096);
	if (cJSON_IsString(message))
		buf_adds(&text, message->valuestring);
	cJSON_ArrayForEach (error, errors) {
		const cJSON *more = cJSON_IsString(error)
					    ? error
					    : cJSON_GetObjectItemCaseSensitive(error, "message");
		const cJSON *field = cJSON_GetObjectItemCaseSensitive(error, "field");

		if (!cJSON_IsString(more))
			more = cJSON_GetObjectItemCaseSensitive(error, "code");
		if (cJSON_IsString(more))
			buf_addf(&text, "%s%s%s%s", text.len ? "; " : "",
				cJSON_IsString(field) ? field->valuestring : "",
				cJSON_IsString(field) ? ": " : "", more->valuestring);
	}
	if (text.data) {
		log_redact(text.data);
		used = utf8_cut(text.data, text.len, FORGE_REASON_BYTES - 1);
		for (size_t i = 0; i < used; i++)
			out[i] = (unsigned char)text.data[i] < 0x20 ? ' ' : text.data[i];
		out[used] = '\0';
	}
	buf_clear(&text);
}

static void read_full_name(const cJSON *full, char *owner, char *name)
{
	char text[512];
	char *slash;

	if (!cJSON_IsString(full) || strlen(full->valuestring) >= sizeof text)
		return;
	snprintf(text, sizeof text, "%s", full->valuestring);
	slash = strchr(text, '/');
	if (!slash)
		return;
	*slash = '\0';
	if (!forge_name_ok(text) || !forge_name_ok(slash + 1))
		return;
	snprintf(owner, 256, "%.255s", text);
	snprintf(name, 256, "%.255s", slash + 1);
}

int forge_parse_repository(
	const char *body, size_t n, char *branch, char *owner, char *name, struct err *e)
{
	_cleanup_json_ cJSON *root = parse(body, n, e);
	const cJSON *head = cJSON_GetObjectItemCaseSensitive(root, "default_branch");

	if (!root)
		return -1;
	if (!cJSON_IsString(head) || !head->valuestring[0] || strlen(head->valuestring) > 255)
		return err_set(e, ERR_PROTOCOL, "GitHub's answer names no default branch");
	snprintf(branch, 256, "%s", head->valuestring);
	read_full_name(cJSON_GetObjectItemCaseSensitive(root, "full_name"), owner, name);
	return 0;
}

static void copy_text(char *out, size_t size, const cJSON *j)
{
	size_t n;

	out[0] = '\0';
	if (!cJSON_IsString(j))
		return;
	n = utf8_cut(j->valuestring, strlen(j->valuestring), size - 1);
	memcpy(out, j->valuestring, n);
	out[n] = '\0';
}

static int read_pull(const cJSON *j, struct forge_pull *pull, char *author, struct err *e)
{
	const cJSON *number = cJSON_GetObjectItemCaseSensitive(j, "number");
	const cJSON *url = cJSON_GetObjectItemCaseSensitive(j, "html_url");
	const cJSON *base = cJSON_GetObjectItemCaseSensitive(j, "base");
	const cJSON *user = cJSON_GetObjectItemCaseSensitive(j, "user");

	if (!cJSON_IsNumber(number) || number->valuedouble < 1 || number->valuedouble > 2e9 ||
		!cJSON_IsString(url) || strlen(url->valuestring) >= sizeof pull->url ||
		(strncmp(url->valuestring, "https://", 8) != 0 &&
			strncmp(url->valuestring, "http://", 7) != 0))
		return err_set(e, ERR_PROTOCOL, "GitHub's answer is not a pull request");
	memset(pull, 0, sizeof *pull);
	pull->number = (long)number->valuedouble;
	copy_text(pull->url, sizeof pull->url, url);
	copy_text(pull->title, sizeof pull->title, cJSON_GetObjectItemCaseSensitive(j, "title"));
	copy_text(pull->base, sizeof pull->base, cJSON_GetObjectItemCaseSensitive(base, "ref"));
	copy_text(author, 256, cJSON_GetObjectItemCaseSensitive(user, "login"));
	return 0;
}

int forge_parse_pull(
	const char *body, size_t n, struct forge_pull *pull, char *author, struct err *e)
{
	_cleanup_json_ cJSON *root = parse(body, n, e);

	return root ? read_pull(root, pull, author, e) : -1;
}

int forge_parse_pulls(const char *body, size_t n, const char *branch, struct forge_pull *pull,
	char *author, struct err *e)
{
	_cleanup_json_ cJSON *root = parse(body, n, e);
	const cJSON *j = NULL;

	if (!root)
		return -1;
	if (!cJSON_IsArray(root))
		return err_set(e, ERR_PROTOCOL, "GitHub's answer is not a list of pull requests");
	cJSON_ArrayForEach (j, root) {
		const cJSON *head = cJSON_GetObjectItemCaseSensitive(j, "head");
		const cJSON *ref = cJSON_GetObjectItemCaseSensitive(head, "ref");
		const cJSON *state = cJSON_GetObjectItemCaseSensitive(j, "state");

		/* An unknown head filter is ignored by GitHub, which then lists them all. */
		if (!cJSON_IsString(ref) || strcmp(ref->valuestring, branch) != 0)
			continue;
		if (cJSON_IsString(state) && strcmp(state->valuestring, "open") != 0)
			continue;
		if (read_pull(j, pull, author, e) < 0)
			return -1;
		pull->existed = true;
		return 1;
	}
	return 0;
}

bool forge_rate_limited(const struct forge_limits *l)
{
	return l->status == 429 ||
	       (l->status == 403 && (l->retry_after_ms >= 0 || l->rate_remaining == 0 ||
					    strcasestr(l->reason, "rate limit") ||
					    strcasestr(l->reason, "abuse detection")));
}

int64_t forge_retry_delay(const struct forge_limits *l, int tries_made, double r)
{
	int64_t wait_ms = -1;

	if (tries_made >= FORGE_MAX_TRIES)
		return -1;
	if (forge_rate_limited(l)) {
		wait_ms = FORGE_SECONDARY_MS;
		if (l->retry_after_ms >= 0)
			wait_ms = l->retry_after_ms;
		else if (l->rate_remaining == 0 && l->rate_reset_in_ms >= 0)
			wait_ms = l->rate_reset_in_ms + 1000;
		return wait_ms > FORGE_WAIT_MAX_MS ? -1 : backoff_asked_ms(wait_ms, r);
	}
	if (l->status != 0 && l->status != 408 && l->status != 409 && l->status < 500)
		return -1;
	if (l->retry_after_ms > FORGE_WAIT_MAX_MS)
		return -1;
	if (l->retry_after_ms >= 0)
		return backoff_asked_ms(l->retry_after_ms, r);
	return backoff_ms(FORGE_BACKOFF_MS, FORGE_BACKOFF_MAX_MS, tries_made, r);
}

void forge_fill_error(
	const struct forge_limits *l, const char *doing, const char *scopes, struct err *e)
{
	const char *colon = l->reason[0] ? ": " : "";

	if (l->status == 0 && !l->reason[0])
		err_set(e, ERR_UNAVAILABLE, "%s: GitHub cannot be reached", doing);
	else if (l->status == 0)
		err_set(e, ERR_UNAVAILABLE, "%s: %s", doing, l->reason);
	else if (l->status == 401)
		err_set(e, ERR_DENIED,
			"%s: GitHub refuses GITHUB_TOKEN%s%s; put a valid one into ~/.env", doing,
			colon, l->reason);
	else if (forge_rate_limited(l))
		err_set(e, ERR_UNAVAILABLE,
			"%s: GitHub limits the rate%s%s; try again in %lld minutes", doing, colon,
			l->reason,
			(long long)((l->retry_after_ms >= 0	      ? l->retry_after_ms
					    : l->rate_reset_in_ms > 0 ? l->rate_reset_in_ms
								      : FORGE_SECONDARY_MS) /
				    60000) +
				1);
	else if (l->status == 403 || (l->status == 404 && scopes))
		err_set(e, l->status == 403 ? ERR_DENIED : ERR_NOT_FOUND,
			"%s: GITHUB_TOKEN has no right to do it, or there is no such repository "
			"(%d%s%s)%s%s; a classic token needs the scope repo, a fine-grained one "
			"\"Pull requests: write\"",
			doing, l->status, colon, l->reason, scopes ? "; its scopes: " : "",
			scopes ? (*scopes ? scopes : "none") : "");
	else if (l->status == 404)
		err_set(e, ERR_NOT_FOUND,
			"%s: no such repository, or GITHUB_TOKEN has no right to see it%s%s", doing,
			colon, l->reason);
	else if (l->status == 409)
		err_set(e, ERR_CONFLICT, "%s: GitHub finds a conflict%s%s", doing, colon,
			l->reason);
	else if (l->status == 422)
		err_set(e, ERR_INVALID, "%s: GitHub refuses it%s%s", doing, colon, l->reason);
	else if (l->status >= 500 || l->status == 408)
		err_set(e, ERR_UNAVAILABLE, "%s: GitHub is not able to answer (%d)%s%s", doing,
			l->status, colon, l->reason);
	else
		err_set(e, ERR_PROTOCOL, "%s: GitHub answers %d%s%s", doing, l->status, colon,
			l->reason);
}

void forge_host(const char *api_url, char *out)
{
	const char *from = strstr(api_url, "://");
	size_t n;

	out[0] = '\0';
	if (!from)
		return;
	from += 3;
	n = *from == '[' ? strcspn(from, "]") + 1 : strcspn(from, ":/?#");
	if (n == 0 || n > 255 || memchr(from, '@', n))
		return;
	if (n > 4 && strncasecmp(from, "api.", 4) == 0) {
		from += 4;
		n -= 4;
	}
	for (size_t i = 0; i < n; i++)
		out[i] = (char)tolower((unsigned char)from[i]);
	out[n] = '\0';
}

bool forge_name_ok(const char *name)
{
	size_t n = strlen(name);

	return n > 0 && n < 256 && strcmp(name, ".") != 0 && strcmp(name, "..") != 0 &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.") ==
		       n;
}
