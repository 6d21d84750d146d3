/* Which start of the machine this is. After another one, what was written and not flushed
 * may be gone: that is what tells a power cut from a crash of ours. */
#ifndef SHARED_BOOT_H
#define SHARED_BOOT_H

#include <stdbool.h>

#include "shared/err.h"

#define BOOT_ID_MAX 40

/* The kernel's random id of this start (random(4), boot_id); "": it tells none. */
void boot_id(char id[BOOT_ID_MAX]);

/* True if the file at path does not hold the id of this start. False where there is no such
 * file, or the kernel tells no id. */
bool boot_again(const char *path);
/* Writes the id of this start to the file at path, and to the disk. ERR_SYS. */
int boot_remember(const char *path, struct err *e);

#endif
