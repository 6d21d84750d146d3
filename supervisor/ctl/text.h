/* Text from files and stdin. */
#ifndef CTL_TEXT_H
#define CTL_TEXT_H

#include "shared/buf.h"
#include "shared/err.h"

#define TEXT_MAX (512 * 1024)

/* Appends the whole file ("-": stdin) to b. ERR_LIMIT: longer than b's ceiling. */
int text_read(const char *path, struct buf *b, struct err *e);

#endif
