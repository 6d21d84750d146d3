#include "shared/boot.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define FLAGS (O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK) /* whatever lies there, nobody waits */

/* The first line, "" if it cannot be read. False: there is no such file. */
static bool read_line(const char *path, char line[BOOT_ID_MAX])
{
	_cleanup_close_ int fd = open(path, O_RDONLY | FLAGS);
	bool missing = fd < 0 && errno == ENOENT;
	ssize_t n = fd < 0 ? -1 : read(fd, line, BOOT_ID_MAX - 1);

	line[n > 0 ? n : 0] = '\0';
	line[strcspn(line, "\n")] = '\0';
	return !missing;
}

void boot_id(char id[BOOT_ID_MAX])
{
	read_line("/proc/sys/kernel/random/boot_id", id);
}

bool boot_again(const char *path)
{
	char then[BOOT_ID_MAX], now[BOOT_ID_MAX];

	boot_id(now);
	return read_line(path, then) && now[0] && strcmp(then, now) != 0;
}

int boot_remember(const char *path, struct err *e)
{
	_cleanup_close_ int fd = -1;
	char id[BOOT_ID_MAX];
	size_t n;

	boot_id(id);
	n = strlen(id);
	/* Over the old one: all ids are of one length, and a torn one is of another start. */
	fd = open(path, O_WRONLY | O_CREAT | FLAGS, 0600);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	if (write(fd, id, n) < (ssize_t)n || fdatasync(fd) < 0)
		return err_errno(e, "write %s", path);
	return 0;
}
