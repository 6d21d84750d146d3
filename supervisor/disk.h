/* Room on the disk of the state directory. A reserve file is given up when the disk is
 * full, so that the last states can be written, and made again when there is room. */
#ifndef SUPERVISOR_DISK_H
#define SUPERVISOR_DISK_H

#include <stdbool.h>
#include <stdint.h>

#include "shared/err.h"
#include "shared/paths.h"

#define DISK_RESERVE_BYTES (16LL * 1024 * 1024)
#define DISK_LOW_BYTES (4LL * 1024 * 1024) /* less than this is free: full */
/* This much is free beside the reserve: no longer full. */
#define DISK_ROOM_BYTES (8LL * 1024 * 1024)
#define DISK_EVERY_MS 250 /* between looks while agents work or the disk is full */
#define DISK_REASON_BYTES 256

struct disk {
	char folder[PATHS_MAX], reserve[PATHS_MAX + 16];
	bool kept;   /* the reserve is there */
	bool wanted; /* there was room for it once */
	bool full;
	char reason[DISK_REASON_BYTES]; /* "" while not full */
};

/* Makes the reserve; with too little room for it goes on without. On a full disk an
 * earlier reserve is given up, and full is set. ERR_SYS: the disk is full and there is
 * none. */
int disk_open(struct disk *d, const char *state_dir, struct err *e);

/* Looks how much is free. True if full has changed. */
bool disk_look(struct disk *d);

/* The decision, for free bytes without the reserve: is the disk full now? */
bool disk_is_full(bool was_full, bool reserve_wanted, int64_t free_bytes);

#endif
