/* libgit2's memory. Where malloc refuses, libgit2 1.5 sometimes goes on with half-made
 * objects and crashes; so what it asks for is there, or the process ends as ours does.
 * libgit2 before 1.7 also frees a constant of its own, the text of an empty buffer, when it
 * shows an empty file to which a filter applies (.gitattributes: "* text=auto"). */
#include "worker/workspace_git.h"

#include <git2/sys/alloc.h>
#include <stdlib.h>
#include <string.h>

static const char *the_empty_text; /* libgit2's constant */

static void give_back(void *p)
{
	if (p != the_empty_text)
		free(p);
}

static void *there(void *p)
{
	if (!p)
		err_out_of_memory();
	return p;
}

static void *get(size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return there(malloc(n ? n : 1));
}

static void *get_clear(size_t n, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return there(n && size ? calloc(n, size) : calloc(1, 1));
}

static char *copy(const char *text, const char *file, int line)
{
	(void)file, (void)line;
	return there(strdup(text));
}

static char *copy_most(const char *text, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return there(strndup(text, n));
}

/* All n bytes, whatever they are. */
static char *copy_part(const char *text, size_t n, const char *file, int line)
{
	char *out = get(n + 1, file, line);

	memcpy(out, text, n);
	out[n] = '\0';
	return out;
}

static void *resize(void *p, size_t n, const char *file, int line)
{
	(void)file, (void)line;
	return there(realloc(p, n ? n : 1));
}

static void *resize_array(void *p, size_t n, size_t size, const char *file, int line)
{
	(void)file, (void)line;
	return there(n && size ? reallocarray(p, n, size) : realloc(p, 1));
}

static void *get_array(size_t n, size_t size, const char *file, int line)
{
	return resize_array(NULL, n, size, file, line);
}

int workspace_memory_init(struct err *e)
{
	static git_allocator ours = {
		.gmalloc = get,
		.gcalloc = get_clear,
		.gstrdup = copy,
		.gstrndup = copy_most,
		.gsubstrdup = copy_part,
		.grealloc = resize,
		.greallocarray = resize_array,
		.gmallocarray = get_array,
		.gfree = give_back,
	};
	git_buf empty = GIT_BUF_INIT;

	git_buf_dispose(&empty);
	the_empty_text = empty.ptr;
	if (git_libgit2_opts(GIT_OPT_SET_ALLOCATOR, &ours) == 0)
		return 0;
	return err_set(e, ERR_INTERNAL, "libgit2 does not take an allocator");
}
