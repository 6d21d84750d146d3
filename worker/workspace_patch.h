/* The unified diff of one file's two contents. */
#ifndef WORKER_WORKSPACE_PATCH_H
#define WORKER_WORKSPACE_PATCH_H

#include <stdbool.h>
#include <stddef.h>

#define PATCH_INPUT_MAX (1024 * 1024) /* of either side; above it there is no patch */

struct patch {
	char *text; /* the caller frees; never NULL */
	size_t added, removed;
	bool cut;
};

/* before NULL: a new file. The text is cut at a line after max_bytes. */
void workspace_patch(const char *path, const char *before, const char *after, size_t max_bytes,
	struct patch *out);

#endif
