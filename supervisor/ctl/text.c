/* Text from files and stdin. */
#include "supervisor/ctl/text.h"

#include <stdio.h>
#include <string.h>

#include "shared/cleanup.h"

static int read_all(FILE *f, const char *name, struct buf *b, struct err *e)
{
	char part[4096];
	size_t n;

	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		if (!buf_add(b, part, n))
			return err_set(e, ERR_LIMIT, "%s is longer than %zu bytes", name, b->max);
	return ferror(f) ? err_errno(e, "read %s", name) : 0;
}

int text_read(const char *path, struct buf *b, struct err *e)
{
	_cleanup_fclose_ FILE *f = NULL;

	if (strcmp(path, "-") == 0)
		return read_all(stdin, "stdin", b, e);
	f = fopen(path, "re");
	return f ? read_all(f, path, b, e) : err_errno(e, "open %s", path);
}
