#include "shared/procinfo.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/clock.h"

/* Wall-clock ms of a time in ticks since the machine started. */
static int64_t wall_of(unsigned long long ticks)
{
	struct timespec since_boot;
	int64_t boot;

	clock_gettime(CLOCK_BOOTTIME, &since_boot);
	boot = clock_wall_ms() - (int64_t)since_boot.tv_sec * 1000 - since_boot.tv_nsec / 1000000;
	return boot + (int64_t)(ticks * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
}

bool procinfo_read(int pid, struct procinfo *p)
{
	char path[64], text[1024];
	unsigned long long user, system, started;
	const char *from, *to;
	long long pages;
	ssize_t n;
	size_t name;

	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	_cleanup_close_ int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return false;
	n = read(fd, text, sizeof text - 1);
	if (n <= 0)
		return false;
	text[n] = '\0';
	/* The name may hold anything, also spaces and parentheses. */
	from = strchr(text, '(');
	to = strrchr(text, ')');
	if (!from || !to || to < from)
		return false;
	memset(p, 0, sizeof *p);
	p->pid = pid;
	if (sscanf(to + 1,
		    " %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %llu %llu %*d %*d %*d "
		    "%*d %*d %*d %llu %*u %lld",
		    &p->ppid, &user, &system, &started, &pages) != 5)
		return false;
	name = (size_t)(to - from - 1);
	snprintf(p->name, sizeof p->name, "%.*s", (int)(name < 63 ? name : 63), from + 1);
	p->rss_bytes = pages * sysconf(_SC_PAGESIZE);
	p->cpu_ms = (int64_t)((user + system) * 1000 / (unsigned long long)sysconf(_SC_CLK_TCK));
	p->started_at = wall_of(started);
	return true;
}

/* Adds the children of every thread of pid. */
static int add_children(int pid, struct procinfo *out, int n, int max)
{
	char path[384];
	struct dirent *thread;

	snprintf(path, sizeof path, "/proc/%d/task", pid);
	_cleanup_closedir_ DIR *threads = opendir(path);
	while (threads && (thread = readdir(threads)) && n < max) {
		int child;

		if (thread->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "/proc/%d/task/%s/children", pid, thread->d_name);
		_cleanup_fclose_ FILE *f = fopen(path, "re");
		while (f && n < max && fscanf(f, "%d", &child) == 1)
			n += procinfo_read(child, &out[n]);
	}
	return n;
}

int procinfo_tree(int pid, struct procinfo *out, int max)
{
	int n = max > 0 && procinfo_read(pid, &out[0]) ? 1 : 0;

	for (int i = 0; i < n; i++)
		n = add_children(out[i].pid, out, n, max);
	return n;
}

bool procinfo_apart(int pid)
{
	char path[64];
	struct stat ours, its;

	snprintf(path, sizeof path, "/proc/%d/ns/pid", pid);
	return stat("/proc/self/ns/pid", &ours) == 0 && stat(path, &its) == 0 &&
	       ours.st_ino != its.st_ino;
}
