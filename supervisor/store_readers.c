/* Who has the store open: a program that reads it for long keeps its log from being moved
 * into the file. Asked of /proc, since asking sqlite's locks would let go of our own. */
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/paths.h"
#include "shared/procinfo.h"
#include "supervisor/store.h"

#define PAGE_PROGRAM "100x-webui" /* has it open always, and reads in moments */

static bool has_open(int pid, const struct stat *file)
{
	_cleanup_closedir_ DIR *d = NULL;
	struct dirent *entry;
	char path[64];
	struct stat st;

	snprintf(path, sizeof path, "/proc/%d/fd", pid);
	d = opendir(path);
	while (d && (entry = readdir(d))) {
		if (entry->d_name[0] != '.' && fstatat(dirfd(d), entry->d_name, &st, 0) == 0 &&
			st.st_ino == file->st_ino && st.st_dev == file->st_dev)
			return true;
	}
	return false;
}

static void add(char *out, size_t size, const struct procinfo *p)
{
	size_t used = strlen(out);

	snprintf(out + used, size - used, "%s%s (pid %d)", used ? ", " : "", p->name, p->pid);
}

void store_readers(const char *path, char *out, size_t size)
{
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	char index[PATHS_MAX + 8], page[96] = "";
	struct dirent *entry;
	struct procinfo p;
	struct stat file;

	out[0] = '\0';
	snprintf(index, sizeof index, "%s-shm", path);
	if (stat(index, &file) < 0)
		return;
	while (proc && (entry = readdir(proc))) {
		int pid = (int)strtol(entry->d_name, NULL, 10);

		if (pid <= 0 || pid == getpid() || !has_open(pid, &file) || !procinfo_read(pid, &p))
			continue;
		if (strcmp(p.name, PAGE_PROGRAM) == 0)
			add(page, sizeof page, &p);
		else
			add(out, size, &p);
	}
	if (!*out)
		snprintf(out, size, "%s", *page ? page : "a program");
}
