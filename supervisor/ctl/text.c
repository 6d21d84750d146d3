/* Text from files and stdin. */
#include "supervisor/ctl/text.h"

#include <stdio.h>
#include <string.h>

#include "shared/cleanup.h"

int text_read(const char *path, struct buf *b, struct err *e)
{
	_cleanup_fclose_ FILE *opened = NULL;
	FILE *f = stdin;
	char part[4096];
	size_t n;

	if (strcmp(path, "-") != 0) {
		f = opened = fopen(path, "re");
		if (!f)
			return err_errno(e, "open %s", path);
	}
	while ((n = fread(part, 1, sizeof(part), f)) > 0)
		if (!buf_add(b, part, n))
			return err_set(e, ERR_LIMIT, "%s is longer than %zu bytes", path, b->max);
	if (ferror(f))
		return err_errno(e, "read %s", path);
	return 0;
}
