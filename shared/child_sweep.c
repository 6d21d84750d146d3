/* Processes that nobody waits for: adopted ones are found in /proc, killed and
 * reaped one by one, never with waitpid(-1), which would take libuv's children. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/child.h"
#include "shared/child_list.h"
#include "shared/cleanup.h"

#define SWEEP_ROUNDS 64
#define SWEEP_PER_ROUND 1024
#define SWEEP_WAIT_MS 200 /* for one killed process: longer means it hangs in the kernel */

/* What this process has started is a property of the process, as its children are
 * to the kernel; only the loop's thread touches it. */
static struct child_link *running;

void child_list_add(struct child_link *link)
{
	link->prev = NULL;
	link->next = running;
	if (running)
		running->prev = link;
	running = link;
}

void child_list_remove(struct child_link *link)
{
	if (!link->prev && running != link)
		return;
	if (link->prev)
		link->prev->next = link->next;
	else
		running = link->next;
	if (link->next)
		link->next->prev = link->prev;
	link->next = link->prev = NULL;
}

struct child_link *child_list_first(void)
{
	return running;
}

static bool is_running(int pid)
{
	for (struct child_link *l = running; l; l = l->next)
		if (l->pid == pid)
			return true;
	return false;
}

int child_subreaper(struct err *e)
{
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) < 0)
		return err_errno(e, "become the reaper of descendants");
	return 0;
}

/* Adds the children of one of our threads that are not running to pids. */
static size_t list_thread(const char *thread, int *pids, size_t n)
{
	char path[64];
	int pid;

	if (snprintf(path, sizeof(path), "/proc/self/task/%.16s/children", thread) < 0)
		return n;
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	while (f && n < SWEEP_PER_ROUND && fscanf(f, "%d", &pid) == 1)
		if (!is_running(pid))
			pids[n++] = pid;
	return n;
}

/* Children belong to the thread that forked or, adopted, to any: all are asked. */
static size_t list_strays(int *pids)
{
	_cleanup_closedir_ DIR *dir = opendir("/proc/self/task");
	struct dirent *entry;
	size_t n = 0;

	while (dir && (entry = readdir(dir)))
		if (entry->d_name[0] != '.')
			n = list_thread(entry->d_name, pids, n);
	return n;
}

/* True if pid is dead and reaped. */
static bool kill_and_reap(int pid)
{
	_cleanup_close_ int fd = (int)syscall(SYS_pidfd_open, pid, 0);
	struct pollfd p = {.fd = fd, .events = POLLIN};

	kill(pid, SIGKILL);
	if (fd >= 0)
		poll(&p, 1, SWEEP_WAIT_MS);
	return waitpid(pid, NULL, WNOHANG) == pid;
}

int child_sweep(void)
{
	int pids[SWEEP_PER_ROUND];
	int swept = 0;

	/* Each death hands its own children to us: they are found in the next round. */
	for (int round = 0; round < SWEEP_ROUNDS; round++) {
		size_t n = list_strays(pids);
		int reaped = 0;

		for (size_t i = 0; i < n; i++)
			kill(pids[i], SIGKILL);
		for (size_t i = 0; i < n; i++)
			reaped += kill_and_reap(pids[i]);
		swept += reaped;
		if (reaped == 0)
			break;
	}
	return swept;
}

bool child_no_strays(void)
{
	int pids[SWEEP_PER_ROUND];

	return list_strays(pids) == 0;
}

bool child_none_left(void)
{
	int pids[SWEEP_PER_ROUND];

	child_sweep();
	return !running && list_strays(pids) == 0;
}

/* Text of /proc/PID/stat from behind the name; NULL: gone. The name in field 2 may hold
 * anything, ")" too: what counts is behind the last one. */
static const char *read_stat(int pid, char *text, size_t size)
{
	char path[64];
	const char *p;
	size_t n;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	if (!f)
		return NULL;
	n = fread(text, 1, size - 1, f);
	text[n] = '\0';
	p = strrchr(text, ')');
	return p && p[1] == ' ' ? p : NULL;
}

/* Its first child, or 0. */
static int first_child(int pid)
{
	char path[64];
	int child;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/children", pid, pid);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	return f && fscanf(f, "%d", &child) == 1 ? child : 0;
}

static bool is_guard(int pid)
{
	char path[64], name[32];

	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	_cleanup_fclose_ FILE *f = fopen(path, "re");
	return f && fgets(name, sizeof(name), f) && strcmp(name, "100x-guard\n") == 0;
}

int process_guarded(int pid)
{
	/* The guard, perhaps the first process of its namespace, the program: the first that
	 * each has started, since what it adopts comes behind. */
	for (int depth = 0; pid > 0 && is_guard(pid); depth++)
		pid = depth < 2 ? first_child(pid) : 0;
	return pid;
}

char process_state(int pid)
{
	char text[1024];
	const char *p = read_stat(pid, text, sizeof(text));

	return p ? p[2] : '\0';
}

int64_t process_started(int pid)
{
	char text[1024];
	const char *p = read_stat(pid, text, sizeof(text));

	for (int field = 2; p && field < 22; field++) {
		p = strchr(p, ' ');
		if (p)
			p++;
	}
	return p ? strtoll(p, NULL, 10) : 0;
}
