#include "worker/permission.h"

#include <stdio.h>
#include <string.h>

#include "shared/json.h"

/* A path with a part "..", relative or not, may go anywhere. */
static bool climbs(const char *path, size_t n)
{
	for (size_t i = 0; i + 2 <= n; i++) {
		bool starts = i == 0 || path[i - 1] == '/';

		if (starts && path[i] == '.' && path[i + 1] == '.' &&
			(i + 2 == n || path[i + 2] == '/'))
			return true;
	}
	return false;
}

static bool below(const char *path, size_t n, const char *cwd)
{
	size_t len = strlen(cwd);

	return n >= len && !memcmp(path, cwd, len) && (n == len || path[len] == '/');
}

static bool is_command_word(const char *word, size_t n)
{
	static const char *const words[] = {
		"/add", "/drop", "/ls", "/map", "/run", "/test", "/git", "/dev/null"};

	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		if (strlen(words[i]) == n && !memcmp(word, words[i], n))
			return true;
	}
	return false;
}

static bool word_leaves(const char *word, size_t n, const char *cwd)
{
	if (climbs(word, n) || memmem(word, n, "://", 3))
		return true;
	if (*word == '~' || (n >= 5 && !memcmp(word, "$HOME", 5)) ||
		(n >= 7 && !memcmp(word, "${HOME}", 7)))
		return true;
	return *word == '/' && !below(word, n, cwd) && !is_command_word(word, n);
}

/* Words are what stands between blanks, quotes and the shell's separators. */
static bool text_leaves(const char *text, const char *cwd, char *why, size_t size)
{
	static const char *const separators = " \t\r\n'\"`=;|&<>(){},";

	while (*text) {
		size_t n;

		text += strspn(text, separators);
		n = strcspn(text, separators);
		if (n && word_leaves(text, n, cwd)) {
			snprintf(why, size, "\"%.*s\" leaves the workspace",
				(int)(n < 100 ? n : 100), text);
			return true;
		}
		text += n;
	}
	return false;
}

static bool path_leaves(const char *path, const char *cwd, char *why, size_t size)
{
	size_t n = strlen(path);

	if (!climbs(path, n) && (*path != '/' || below(path, n, cwd)))
		return false;
	snprintf(why, size, "\"%.100s\" is outside the workspace", path);
	return true;
}

/* Every string in the raw input of the call, however deep. */
static bool raw_leaves(const cJSON *j, const char *cwd, char *why, size_t size)
{
	const cJSON *c;

	if (cJSON_IsString(j))
		return text_leaves(j->valuestring, cwd, why, size);
	cJSON_ArrayForEach (c, j) {
		/* Contents of files may name anything. */
		if (c->string && (strstr(c->string, "ontent") || strstr(c->string, "Text") ||
					 strstr(c->string, "_text") || strstr(c->string, "_str")))
			continue;
		if (raw_leaves(c, cwd, why, size))
			return true;
	}
	return false;
}

bool permission_leaves(const cJSON *tool_call, const char *cwd, char *why, size_t n)
{
	const cJSON *c;

	cJSON_ArrayForEach (c, json_get(tool_call, "locations")) {
		if (path_leaves(json_str(c, "path", ""), cwd, why, n))
			return true;
	}
	cJSON_ArrayForEach (c, json_get(tool_call, "content")) {
		const char *type = json_str(c, "type", "");

		if (!strcmp(type, "diff") && path_leaves(json_str(c, "path", ""), cwd, why, n))
			return true;
		if (!strcmp(type, "content") &&
			text_leaves(json_str(json_get(c, "content"), "text", ""), cwd, why, n))
			return true;
	}
	return raw_leaves(json_get(tool_call, "rawInput"), cwd, why, n) ||
	       text_leaves(json_str(tool_call, "title", ""), cwd, why, n);
}

const char *permission_option(const cJSON *options, bool allow)
{
	const char *wanted[] = {
		allow ? "allow_once" : "reject_once", allow ? "allow_always" : "reject_always"};
	const cJSON *o;

	for (size_t i = 0; i < 2; i++) {
		cJSON_ArrayForEach (o, options) {
			if (!strcmp(json_str(o, "kind", ""), wanted[i]))
				return json_str(o, "optionId", NULL);
		}
	}
	return NULL;
}
