#include "worker/workspace_patch.h"

#include <git2.h>
#include <stdlib.h>
#include <string.h>

#include "shared/err.h"

static char *copy_lines(const char *text, size_t n, size_t max, bool *cut)
{
	char *c;

	*cut = n > max;
	if (*cut) {
		n = max;
		while (n && text[n - 1] != '\n')
			n--;
	}
	c = malloc(n + 1);
	if (!c)
		err_out_of_memory();
	memcpy(c, text, n);
	c[n] = '\0';
	return c;
}

void workspace_patch(const char *path, const char *before, const char *after, size_t max_bytes,
	struct patch *out)
{
	size_t before_len = before ? strlen(before) : 0, after_len = after ? strlen(after) : 0;
	git_buf text = GIT_BUF_INIT;
	git_patch *p = NULL;

	memset(out, 0, sizeof *out);
	out->cut = before_len > PATCH_INPUT_MAX || after_len > PATCH_INPUT_MAX;
	if (!out->cut &&
		git_patch_from_buffers(
			&p, before, before_len, path, after, after_len, path, NULL) == 0 &&
		git_patch_to_buf(&text, p) == 0) {
		git_patch_line_stats(NULL, &out->added, &out->removed, p);
		out->text = copy_lines(text.ptr, text.size, max_bytes, &out->cut);
	}
	if (!out->text)
		out->text = calloc(1, 1);
	if (!out->text)
		err_out_of_memory();
	git_patch_free(p);
	git_buf_dispose(&text);
}
