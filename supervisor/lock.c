#include "supervisor/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "shared/cleanup.h"
#include "shared/lock.h"

static int take(const char *folder, const char *option, struct err *e)
{
	char path[PATHS_MAX + 32], pid[32];
	_cleanup_close_ int fd = -1;
	ssize_t n;

	snprintf(path, sizeof(path), "%s/supervisor.lock", folder);
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_errno(e, "open %s", path);
	if (lock_file(fd) < 0) {
		if (errno != EAGAIN)
			return err_errno(e, "lock %s", path);
		return err_set(e, ERR_CONFLICT,
			"another supervisor (pid %d) runs on %s: stop it with `100x down`, or "
			"choose another folder with %s",
			(int)lock_holder(fd), folder, option);
	}
	n = snprintf(pid, sizeof(pid), "%d\n", (int)getpid());
	if (ftruncate(fd, 0) < 0 || pwrite(fd, pid, (size_t)n, 0) != n)
		return err_errno(e, "write %s (is the disk full?)", path);
	return take_fd(&fd); /* held, open, until the process ends */
}

int lock_take(const struct paths *p, struct err *e)
{
	struct stat state, run;

	if (paths_make(p, e) < 0)
		return -1;
	if (stat(p->state_dir, &state) == 0 && stat(p->run_dir, &run) == 0 &&
		state.st_dev == run.st_dev && state.st_ino == run.st_ino)
		return err_set(e, ERR_INVALID,
			"%s is the state directory and the run directory: choose another one of "
			"them with --state-dir or --run-dir",
			p->run_dir);
	if (take(p->state_dir, "--state-dir", e) < 0 || take(p->run_dir, "--run-dir", e) < 0)
		return -1;
	return 0;
}
