#include "worker/guard/space.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "worker/guard/keep.h"

/* What the first process tells through its pipe. */
enum told { TOLD_READY, TOLD_STATUS, TOLD_MAPPING, TOLD_MOUNTS, TOLD_PROC, TOLD_FORK };

struct message {
	int told;
	int value; /* wait status; errno of what was refused */
};

/* --- the first process --- */

static bool tell(int fd, enum told told, int value)
{
	struct message m = {.told = told, .value = value};

	return write(fd, &m, sizeof(m)) == (ssize_t)sizeof(m);
}

static _Noreturn void refuse(int fd, enum told what)
{
	tell(fd, what, errno);
	_exit(1);
}

static bool put(const char *path, const char *text)
{
	_cleanup_close_ int fd = open(path, O_WRONLY | O_CLOEXEC);

	return fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
}

/* We are who we were, and nobody else exists. */
static bool map_ourselves(uid_t uid, gid_t gid)
{
	char users[64], groups[64];

	snprintf(users, sizeof(users), "%u %u 1\n", uid, uid);
	snprintf(groups, sizeof(groups), "%u %u 1\n", gid, gid);
	return put("/proc/self/uid_map", users) && put("/proc/self/setgroups", "deny") &&
	       put("/proc/self/gid_map", groups);
}

struct plan {
	bool user;
	uid_t uid;
	gid_t gid;
	char *const *argv;
	const sigset_t *mask;
};

static _Noreturn void be_first(const struct plan *p, int fd)
{
	int status = 0;
	pid_t pid = 0;

	/* A signal from outside, which the first process cannot ignore. */
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (p->user && !map_ourselves(p->uid, p->gid))
		refuse(fd, TOLD_MAPPING);
	/* What is mounted outside still comes in; what is mounted here stays here. */
	if (mount("none", "/", NULL, MS_SLAVE | MS_REC, NULL) < 0)
		refuse(fd, TOLD_MOUNTS);
	if (mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL) < 0)
		refuse(fd, TOLD_PROC);
	if (p->argv)
		pid = keep_start(p->argv, p->mask);
	if (pid < 0)
		refuse(fd, TOLD_FORK);
	/* Nobody reads: who started us died before we asked to die with it. */
	if (!tell(fd, TOLD_READY, 0))
		_exit(1);
	if (pid > 0) {
		keep_let_go();
		status = keep_wait(pid, -pid);
	}
	tell(fd, TOLD_STATUS, status);
	_exit(0);
}

/* --- who starts it --- */

static void explain(const struct message *m, bool user, char *why)
{
	static const char *const what[] = {[TOLD_READY] = "",
		[TOLD_STATUS] = "",
		[TOLD_MAPPING] = "map the user",
		[TOLD_MOUNTS] = "change mounts",
		[TOLD_PROC] = "mount /proc",
		[TOLD_FORK] = "fork"};

	snprintf(why, SPACE_WHY_BYTES, "%s in a new %s: %s", what[m->told],
		user ? "user and PID namespace" : "PID namespace", strerror(m->value));
}

static bool try(struct plan *p, struct space *s, char *why)
{
	unsigned long flags = CLONE_NEWPID | CLONE_NEWNS | SIGCHLD | (p->user ? CLONE_NEWUSER : 0);
	struct message m = {.told = TOLD_FORK, .value = ECHILD};
	int ends[2];

	if (pipe2(ends, O_CLOEXEC) < 0) {
		snprintf(why, SPACE_WHY_BYTES, "pipe: %s", strerror(errno));
		return false;
	}
	s->user = p->user;
	s->init = (pid_t)syscall(SYS_clone, flags, NULL, NULL, NULL, NULL);
	if (s->init == 0) {
		close(ends[0]);
		be_first(p, ends[1]);
	}
	close(ends[1]);
	s->fd = ends[0];
	if (s->init < 0) {
		snprintf(why, SPACE_WHY_BYTES, "make a %s: %s",
			p->user ? "user and PID namespace" : "PID namespace", strerror(errno));
	} else if (read(s->fd, &m, sizeof(m)) == (ssize_t)sizeof(m) && m.told == TOLD_READY) {
		return true;
	} else {
		explain(&m, p->user, why);
		waitpid(s->init, NULL, 0);
	}
	close(s->fd);
	return false;
}

bool space_start(
	enum space_way way, char *const *argv, const sigset_t *mask, struct space *s, char *why)
{
	struct plan p = {.uid = geteuid(), .gid = getegid(), .argv = argv, .mask = mask};

	snprintf(why, SPACE_WHY_BYTES, "switched off");
	if (way == SPACE_OFF)
		return false;
	if (try(&p, s, why))
		return true;
	p.user = true;
	return way == SPACE_USER && try(&p, s, why);
}

int space_wait(struct space *s)
{
	int ended = keep_wait(s->init, s->init);
	struct message m;

	/* Waiting for the first process includes all others: the kernel ends them before. */
	if (read(s->fd, &m, sizeof(m)) == (ssize_t)sizeof(m) && m.told == TOLD_STATUS)
		ended = m.value;
	close(s->fd);
	return ended;
}
