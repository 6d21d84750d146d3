#include "supervisor/cgroup.h"

#include <fcntl.h>
#include <inttypes.h>
#include <mntent.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/log.h"

#define MOUNTS "/proc/self/mounts"

/* Our own group below the mount: the line "0::/path". False if there is none. */
static bool own_path(char *out, size_t n)
{
	_cleanup_fclose_ FILE *f = fopen("/proc/self/cgroup", "re");
	char line[PATHS_MAX];

	while (f && fgets(line, sizeof(line), f)) {
		line[strcspn(line, "\n")] = '\0';
		if (strncmp(line, "0::", 3) == 0) {
			snprintf(out, n, "%s", line + 3);
			return strcmp(out, "/") != 0;
		}
	}
	return false;
}

static bool mount_point(char *out, size_t n)
{
	FILE *f = setmntent(MOUNTS, "re");
	struct mntent *m;
	bool found = false;

	while (f && !found && (m = getmntent(f))) {
		found = strcmp(m->mnt_type, "cgroup2") == 0;
		if (found)
			snprintf(out, n, "%s", m->mnt_dir);
	}
	if (f)
		endmntent(f);
	return found;
}

/* systemd marks what it has given away. */
static bool delegated(const char *folder)
{
	static const char *const names[] = {"user.delegate", "trusted.delegate"};
	char value[4];

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (getxattr(folder, names[i], value, sizeof(value)) == 1 && value[0] == '1')
			return true;
	}
	return false;
}

/* A group that we may make others in. */
static bool ours(const char *folder)
{
	char file[CGROUP_PATH_MAX + 16];

	snprintf(file, sizeof(file), "%s/cgroup.kill", folder);
	return delegated(folder) && access(folder, W_OK) == 0 && access(file, F_OK) == 0;
}

static bool write_text(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

void cgroup_find(struct cgroup *c, const char *state_dir)
{
	char mount[PATHS_MAX], own[PATHS_MAX], file[CGROUP_PATH_MAX + 32];
	char *leaf;

	memset(c, 0, sizeof(*c));
	c->instance = 0xcbf29ce484222325u; /* FNV-1a */
	for (const char *p = state_dir; *p; p++)
		c->instance = (c->instance ^ (unsigned char)*p) * 0x100000001b3u;
	if (!own_path(own, sizeof(own)) || !mount_point(mount, sizeof(mount)))
		return;
	snprintf(c->folder, sizeof(c->folder), "%s%s", mount, own);
	if (ours(c->folder))
		return;
	leaf = strrchr(c->folder, '/');
	*leaf = '\0';
	if (strcmp(leaf + 1, CGROUP_LEAF) != 0 || !ours(c->folder)) {
		c->folder[0] = '\0';
		return;
	}
	snprintf(file, sizeof(file), "%s/cgroup.subtree_control", c->folder);
	c->bounds = write_text(file, "+pids");
	if (!c->bounds)
		log_warn("%s: the number of an agent's processes cannot be bounded", c->folder);
}

/* <ours>/100x-<instance>-<agent>/<leaf> */
static const char *place(const struct cgroup *c, int64_t agent, const char *leaf, char *out)
{
	snprintf(out, CGROUP_PATH_MAX + 64, "%s/100x-%016" PRIx64 "-%" PRId64 "%s", c->folder,
		c->instance, agent, leaf);
	return out;
}

static bool put(const struct cgroup *c, int64_t agent, const char *leaf, const char *text)
{
	char path[CGROUP_PATH_MAX + 64];

	return write_text(place(c, agent, leaf, path), text);
}

void cgroup_add(const struct cgroup *c, int64_t agent, int pid, int64_t processes)
{
	char path[CGROUP_PATH_MAX + 64], text[24];

	if (!*c->folder)
		return;
	mkdir(place(c, agent, "", path), 0755);
	if (processes > 0)
		snprintf(text, sizeof(text), "%" PRId64, processes);
	else
		strcpy(text, "max");
	if (c->bounds && !put(c, agent, "/pids.max", text))
		log_warn("%s: pids.max was not set to %s: the number of processes is not bounded",
			path, text);
	snprintf(text, sizeof(text), "%d", pid);
	put(c, agent, "/cgroup.procs", text);
}

size_t cgroup_list(const struct cgroup *c, int64_t agent, int *pids, size_t max)
{
	char path[CGROUP_PATH_MAX + 64];
	_cleanup_fclose_ FILE *f = NULL;
	size_t n = 0;

	if (!*c->folder)
		return 0;
	f = fopen(place(c, agent, "/cgroup.procs", path), "re");
	while (f && n < max && fscanf(f, "%d", &pids[n]) == 1)
		n++;
	return n;
}

bool cgroup_holds(const struct cgroup *c, int64_t agent, int pid)
{
	int pids[CGROUP_LIST_MAX];
	size_t n = cgroup_list(c, agent, pids, CGROUP_LIST_MAX);

	while (n > 0 && pids[n - 1] != pid)
		n--;
	return n > 0;
}

bool cgroup_populated(const struct cgroup *c, int64_t agent)
{
	char path[CGROUP_PATH_MAX + 64], line[64];
	_cleanup_fclose_ FILE *f = NULL;

	if (!*c->folder)
		return false;
	f = fopen(place(c, agent, "/cgroup.events", path), "re");
	while (f && fgets(line, sizeof(line), f)) {
		if (strcmp(line, "populated 1\n") == 0)
			return true;
	}
	return false;
}

void cgroup_look(
	const struct cgroup *c, void (*found)(void *arg, int64_t agent, int pid), void *arg)
{
	_cleanup_closedir_ DIR *dir = *c->folder ? opendir(c->folder) : NULL;
	struct dirent *entry;
	uint64_t instance;
	int64_t agent;

	while (dir && (entry = readdir(dir))) {
		if (sscanf(entry->d_name, "100x-%" SCNx64 "-%" SCNd64, &instance, &agent) != 2 ||
			instance != c->instance)
			continue;
		if (cgroup_populated(c, agent))
			found(arg, agent, 0);
		else
			cgroup_remove(c, agent);
	}
}

void cgroup_kill(const struct cgroup *c, int64_t agent)
{
	if (*c->folder)
		put(c, agent, "/cgroup.kill", "1");
}

void cgroup_remove(const struct cgroup *c, int64_t agent)
{
	char path[CGROUP_PATH_MAX + 64];

	if (*c->folder)
		rmdir(place(c, agent, "", path));
}
