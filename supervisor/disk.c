#include "supervisor/disk.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/log.h"

#define MB 1000000

static int64_t free_bytes(const struct disk *d)
{
	struct statvfs fs;

	if (statvfs(d->folder, &fs) < 0) {
		log_warn("%s: how much is free cannot be told: %s", d->folder, strerror(errno));
		return INT64_MAX;
	}
	return (int64_t)fs.f_bavail * (int64_t)fs.f_frsize;
}

bool disk_is_full(bool was_full, bool reserve_wanted, int64_t free_bytes)
{
	if (!was_full)
		return free_bytes < DISK_LOW_BYTES;
	return free_bytes < DISK_ROOM_BYTES + (reserve_wanted ? DISK_RESERVE_BYTES : 0);
}

static void make_reserve(struct disk *d)
{
	_cleanup_close_ int fd =
		open(d->reserve, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	int failed = fd < 0 ? errno : posix_fallocate(fd, 0, DISK_RESERVE_BYTES);

	d->kept = failed == 0;
	if (d->kept)
		return;
	log_warn("%s: no reserve for a full disk was made: %s", d->reserve, strerror(failed));
	unlink(d->reserve);
}

static void give_up_reserve(struct disk *d)
{
	if (unlink(d->reserve) < 0 && errno != ENOENT)
		log_error("remove %s: %s", d->reserve, strerror(errno));
	d->kept = false;
}

static void now_full(struct disk *d, int64_t left)
{
	d->full = true;
	snprintf(d->reason, sizeof(d->reason),
		"disk full: %.1f MB are free for the state directory; make room, it goes on by "
		"itself",
		(double)left / MB);
	log_error("%s: %s", d->folder, d->reason);
	give_up_reserve(d);
}

bool disk_look(struct disk *d)
{
	int64_t left = free_bytes(d);
	bool full = disk_is_full(d->full, d->wanted, left);

	if (full == d->full)
		return false;
	if (full) {
		now_full(d, left);
		return true;
	}
	d->full = false;
	d->reason[0] = '\0';
	log_info("%s: there is room on the disk again", d->folder);
	if (d->wanted)
		make_reserve(d);
	return true;
}

int disk_open(struct disk *d, const char *state_dir, struct err *e)
{
	struct stat st;
	int64_t left;

	memset(d, 0, sizeof(*d));
	snprintf(d->folder, sizeof(d->folder), "%s", state_dir);
	snprintf(d->reserve, sizeof(d->reserve), "%s/reserve", state_dir);
	d->kept = stat(d->reserve, &st) == 0 && st.st_blocks > 0;
	left = free_bytes(d);
	if (left < DISK_LOW_BYTES && !d->kept)
		return err_set(e, ERR_SYS,
			"the disk of %s is full: %.1f MB are free, at least %.0f MB are needed; "
			"make room and start again",
			state_dir, (double)left / MB, (double)DISK_LOW_BYTES / MB);
	if (left < DISK_LOW_BYTES) {
		d->wanted = true;
		now_full(d, left);
		return 0;
	}
	d->wanted = d->kept || left >= DISK_RESERVE_BYTES + DISK_ROOM_BYTES;
	if (d->wanted)
		make_reserve(d);
	else
		log_warn("%s: too little room on the disk for a reserve of %.0f MB", state_dir,
			(double)DISK_RESERVE_BYTES / MB);
	return 0;
}
