/* Crash points of a build for tests. */
#include "shared/crash.h"

#ifdef CRASH_POINTS
#include <fcntl.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *const names[] = {
#define X(name, text) text,
	CRASH_TABLE(X)
#undef X
};

static atomic_int passed[CRASH_POINT_COUNT];

/* The pass at which to die as HUNDREDX_CRASH tells, or 0. */
static long wanted(const char *name)
{
	const char *list = getenv("HUNDREDX_CRASH");
	size_t n = strlen(name);

	while (list && *list) {
		if (strncmp(list, name, n) == 0) {
			if (list[n] == ':')
				return strtol(list + n + 1, NULL, 10);
			if (list[n] == ',' || list[n] == '\0')
				return 1;
		}
		list += strcspn(list, ",");
		list += *list == ',';
	}
	return 0;
}

/* Leaves the next file; false if it has died here as often as it should. */
static bool leave_mark(const char *name)
{
	const char *folder = getenv("HUNDREDX_CRASH_DIR"), *times = getenv("HUNDREDX_CRASH_TIMES");
	long most = times ? strtol(times, NULL, 10) : 1;
	char path[4096];
	int fd;

	for (long i = 1; folder && i <= most; i++) {
		snprintf(path, sizeof(path), "%s/%s.%ld", folder, name, i);
		fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
		if (fd >= 0) {
			close(fd);
			return true;
		}
	}
	return false;
}

void crash_point(enum crash_point p)
{
	long at = wanted(names[p]);

	if (at > 0 && atomic_fetch_add(&passed[p], 1) + 1 == at && leave_mark(names[p]))
		kill(getpid(), SIGKILL);
}
#endif
