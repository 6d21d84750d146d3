#include "worker/guard/keep.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXIT_NOT_EXECUTABLE 126
#define EXIT_NOT_FOUND 127

static const int handed_on[] = {
	SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2, SIGCONT, SIGWINCH};

static void taken(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGCHLD);
	sigaddset(set, KEEP_ORPHANED);
	for (size_t i = 0; i < sizeof(handed_on) / sizeof(*handed_on); i++)
		sigaddset(set, handed_on[i]);
}

void keep_block(sigset_t *before)
{
	sigset_t set;

	taken(&set);
	signal(SIGCHLD, SIG_DFL); /* ignored, children would be reaped unseen */
	sigprocmask(SIG_BLOCK, &set, before);
}

static _Noreturn void become(char *const *argv, const sigset_t *mask)
{
	int why;

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setsid();
	sigprocmask(SIG_SETMASK, mask, NULL);
	execv(argv[0], argv);
	why = errno;
	dprintf(STDERR_FILENO, "100x-guard: start %.400s: %s\n", argv[0], strerror(why));
	_exit(why == ENOENT ? EXIT_NOT_FOUND : EXIT_NOT_EXECUTABLE);
}

pid_t keep_start(char *const *argv, const sigset_t *mask)
{
	pid_t self = getpid(), pid = fork();

	if (pid != 0)
		return pid;
	/* Killed before the request to be killed with us: nobody else would tell. */
	if (getppid() != self)
		_exit(EXIT_NOT_EXECUTABLE);
	become(argv, mask);
}

void keep_let_go(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC);

	for (int i = 0; i < 3; i++) {
		if (fd < 0)
			close(i);
		else
			dup2(fd, i);
	}
	if (fd > 2)
		close(fd);
}

int keep_wait(pid_t child, pid_t target)
{
	siginfo_t info;
	sigset_t set;
	int status, signal;
	pid_t pid;

	taken(&set);
	for (;;) {
		signal = sigwaitinfo(&set, &info);
		if (signal == KEEP_ORPHANED)
			return -1;
		if (signal != SIGCHLD) {
			/* Before it leads a group, it alone is meant; it is blocked there. */
			if (signal > 0 && kill(target, signal) < 0 && errno == ESRCH)
				kill(child, signal);
			continue;
		}
		while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
			if (pid == child)
				return status;
		}
	}
}

void keep_end_like(int status)
{
	static const struct rlimit no_core = {0, 0};
	int with = WTERMSIG(status);
	sigset_t set;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	setrlimit(RLIMIT_CORE, &no_core); /* the program has left its own */
	signal(with, SIG_DFL);
	sigemptyset(&set);
	sigaddset(&set, with);
	kill(getpid(), with);
	sigprocmask(SIG_UNBLOCK, &set, NULL);
	_exit(128 + with);
}
