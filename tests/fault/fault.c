/* A preloaded shim: the n-th call of one kind fails, once. What fails is chosen by
 * fault_arm() in the process itself, or by the environment:
 *   FAULT_PROGRAM  end of the program's path; others are left alone
 *   FAULT_CALL     a word of the table below
 *   FAULT_NTH      1, 2, ...
 *   FAULT_MARK     a file that is made when it has failed, with who asked; while it is
 *                  there nothing fails, so that a program that is started again goes on
 * Where a program of FAULT_PROGRAM dies of a signal it leaves on stderr where it was. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <execinfo.h>
#include <fcntl.h>
#include <link.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <sys/uio.h>
#include <unistd.h>

#define FRAMES_MAX 40

#define CALLS(X)                                                                                   \
	X(OPEN, "open", EMFILE)                                                                    \
	X(READ, "read", EIO)                                                                       \
	X(WRITE, "write", ENOSPC)                                                                  \
	X(SYNC, "fsync", EIO)                                                                      \
	X(TRUNCATE, "ftruncate", ENOSPC)                                                           \
	X(RENAME, "rename", EIO)                                                                   \
	X(MKDIR, "mkdir", ENOSPC)                                                                  \
	X(MMAP, "mmap", ENOMEM)                                                                    \
	X(FORK, "fork", EAGAIN)                                                                    \
	X(PIPE, "pipe", EMFILE)                                                                    \
	X(SOCKET, "socket", EMFILE)                                                                \
	X(THREAD, "thread", EAGAIN)                                                                \
	X(MALLOC, "malloc", ENOMEM)

enum call {
#define X(name, word, error) CALL_##name,
	CALLS(X)
#undef X
		CALL_COUNT
};

static const struct {
	const char *word;
	int error;
} calls[CALL_COUNT] = {
#define X(name, word, error) {word, error},
	CALLS(X)
#undef X
};

static atomic_int armed = -1; /* enum call */
static atomic_long left;      /* calls until the one that fails */
static atomic_long living;    /* allocations not freed */
static atomic_bool fired;
/* Where code lies that would abort: asking for each call whose it is takes longer than all
 * the rest. */
static struct {
	uintptr_t from;
	size_t size;
} aborting[4];
static int aborting_count;
/* This thread is inside of a call that is left alone. Not to be allocated when used. */
static __thread bool spared __attribute__((tls_model("initial-exec")));

void fault_arm(const char *call, long nth);
bool fault_disarm(void);
long fault_living(void);

static int find_aborting(struct dl_phdr_info *library, size_t size, void *unused)
{
	(void)size, (void)unused;
	if (!strstr(library->dlpi_name, "libuv") && !strstr(library->dlpi_name, "libnng"))
		return 0;
	for (int i = 0; i < library->dlpi_phnum && aborting_count < 4; i++) {
		const ElfW(Phdr) *part = &library->dlpi_phdr[i];

		if (part->p_type != PT_LOAD || !(part->p_flags & PF_X))
			continue;
		aborting[aborting_count].from = library->dlpi_addr + part->p_vaddr;
		aborting[aborting_count++].size = part->p_memsz;
	}
	return 0;
}

void fault_arm(const char *call, long nth)
{
	int c = 0;

	if (aborting_count == 0)
		dl_iterate_phdr(find_aborting, NULL);

	while (c < CALL_COUNT && strcmp(calls[c].word, call) != 0)
		c++;
	fired = false;
	left = nth;
	armed = c < CALL_COUNT ? c : -1;
}

/* True if it has failed. */
bool fault_disarm(void)
{
	armed = -1;
	return fired;
}

long fault_living(void)
{
	return living;
}

/* For people; works where nothing may be allocated. */
static void tell_frames(int fd)
{
	void *frames[FRAMES_MAX];

	backtrace_symbols_fd(frames, backtrace(frames, FRAMES_MAX), fd);
}

static void on_crash(int number)
{
	static const char words[] = "\ncrashed at:\n";

	syscall(SYS_write, STDERR_FILENO, words, sizeof words - 1);
	tell_frames(STDERR_FILENO);
	raise(number); /* SA_RESETHAND: as if nobody had looked */
}

static void watch_crashes(void)
{
	static const int numbers[] = {SIGSEGV, SIGBUS, SIGILL, SIGFPE, SIGABRT};
	struct sigaction action = {.sa_handler = on_crash, .sa_flags = SA_RESETHAND};
	void *frame;

	backtrace(&frame, 1); /* loads what it needs now */
	for (size_t i = 0; i < sizeof numbers / sizeof numbers[0]; i++)
		sigaction(numbers[i], &action, NULL);
}

__attribute__((constructor)) static void begin(void)
{
	const char *program = getenv("FAULT_PROGRAM"), *call = getenv("FAULT_CALL");
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	size_t len = program ? strlen(program) : 0;

	if (!program || !call || n < (ssize_t)len || memcmp(path + n - len, program, len) != 0)
		return;
	if (getenv("FAULT_MARK") &&
		syscall(SYS_faccessat, AT_FDCWD, getenv("FAULT_MARK"), F_OK) == 0)
		return;
	watch_crashes();
	fault_arm(call, atol(getenv("FAULT_NTH")));
}

/* libuv and nng abort where one of these fails in them: nothing of ours can help that, so
 * what they ask for themselves is left alone. */
static bool would_abort(enum call c, const void *caller)
{
	if (c != CALL_WRITE && c != CALL_PIPE && c != CALL_THREAD && c != CALL_MALLOC)
		return false;
	for (int i = 0; i < aborting_count; i++) {
		if ((uintptr_t)caller - aborting[i].from < aborting[i].size)
			return true;
	}
	return false;
}

static bool fails_for(enum call c, const void *caller)
{
	const char *mark;

	if (armed != (int)c || spared || would_abort(c, caller) || atomic_fetch_sub(&left, 1) != 1)
		return false;
	armed = -1;
	fired = true;
	mark = getenv("FAULT_MARK");
	if (mark) {
		long fd = syscall(SYS_openat, AT_FDCWD, mark, O_WRONLY | O_CREAT, 0600);

		if (fd >= 0) {
			tell_frames((int)fd);
			syscall(SYS_close, fd);
		}
	}
	errno = calls[c].error;
	return true;
}

#define fails(c) fails_for(c, __builtin_return_address(0))

#define REAL(name)                                                                                 \
	({                                                                                         \
		static __typeof__(&name) real;                                                     \
		if (!real)                                                                         \
			real = (__typeof__(&name))dlsym(RTLD_NEXT, #name);                         \
		real;                                                                              \
	})

#define WRAP(type, name, call, bad, params, args)                                                  \
	type name params;                                                                          \
	type name params                                                                           \
	{                                                                                          \
		return fails(call) ? bad : REAL(name) args;                                        \
	}

WRAP(ssize_t, read, CALL_READ, -1, (int fd, void *to, size_t n), (fd, to, n))
WRAP(ssize_t, pread, CALL_READ, -1, (int fd, void *to, size_t n, off_t at), (fd, to, n, at))
WRAP(ssize_t, pread64, CALL_READ, -1, (int fd, void *to, size_t n, off64_t at), (fd, to, n, at))
WRAP(ssize_t, write, CALL_WRITE, -1, (int fd, const void *from, size_t n), (fd, from, n))
WRAP(ssize_t, pwrite, CALL_WRITE, -1, (int fd, const void *from, size_t n, off_t at),
	(fd, from, n, at))
WRAP(ssize_t, pwrite64, CALL_WRITE, -1, (int fd, const void *from, size_t n, off64_t at),
	(fd, from, n, at))
WRAP(ssize_t, writev, CALL_WRITE, -1, (int fd, const struct iovec *v, int n), (fd, v, n))
WRAP(int, ftruncate, CALL_TRUNCATE, -1, (int fd, off_t n), (fd, n))
WRAP(int, ftruncate64, CALL_TRUNCATE, -1, (int fd, off64_t n), (fd, n))
WRAP(int, rename, CALL_RENAME, -1, (const char *from, const char *to), (from, to))
WRAP(int, renameat, CALL_RENAME, -1, (int a, const char *from, int b, const char *to),
	(a, from, b, to))
WRAP(int, mkdir, CALL_MKDIR, -1, (const char *path, mode_t mode), (path, mode))
WRAP(void *, mmap, CALL_MMAP, MAP_FAILED,
	(void *at, size_t n, int prot, int flags, int fd, off_t from),
	(at, n, prot, flags, fd, from))
WRAP(void *, mmap64, CALL_MMAP, MAP_FAILED,
	(void *at, size_t n, int prot, int flags, int fd, off64_t from),
	(at, n, prot, flags, fd, from))
WRAP(int, pipe, CALL_PIPE, -1, (int ends[2]), (ends))
WRAP(int, pipe2, CALL_PIPE, -1, (int ends[2], int flags), (ends, flags))
WRAP(int, socket, CALL_SOCKET, -1, (int domain, int type, int protocol), (domain, type, protocol))
WRAP(int, socketpair, CALL_SOCKET, -1, (int domain, int type, int protocol, int ends[2]),
	(domain, type, protocol, ends))

/* No power is lost here, and a disk would take longer than all the rest. */
int fsync(int fd)
{
	(void)fd;
	return fails(CALL_SYNC) ? -1 : 0;
}

int fdatasync(int fd)
{
	return fsync(fd);
}

/* Memory that the C library asks for on the way is part of the thread: nng waits on a
 * condition it has not made yet when it cannot have all its threads. */
int pthread_create(pthread_t *t, const pthread_attr_t *a, void *(*run)(void *), void *arg)
{
	int error;

	if (fails(CALL_THREAD))
		return EAGAIN;
	spared = would_abort(CALL_THREAD, __builtin_return_address(0));
	error = REAL(pthread_create)(t, a, run, arg);
	spared = false;
	return error;
}

/* What fails is a call of this process, not of the child on its way to exec. */
pid_t fork(void)
{
	bool failed = fails(CALL_FORK);
	int before = armed;
	pid_t child;

	armed = -1; /* libraries have handlers that run in the child */
	child = failed ? -1 : REAL(fork)();
	if (child != 0)
		armed = before;
	return child;
}

int posix_spawn(pid_t *pid, const char *path, const posix_spawn_file_actions_t *actions,
	const posix_spawnattr_t *attributes, char *const argv[], char *const envp[])
{
	return fails(CALL_FORK) ? EAGAIN
				: REAL(posix_spawn)(pid, path, actions, attributes, argv, envp);
}

/* The mode is there when a file may be made; reading it otherwise is harmless here. */
#define WRAP_OPEN(name, first, ...)                                                                \
	int name(first const char *path, int flags, ...);                                          \
	int name(first const char *path, int flags, ...)                                           \
	{                                                                                          \
		va_list ap;                                                                        \
		mode_t mode;                                                                       \
                                                                                                   \
		va_start(ap, flags);                                                               \
		mode = flags & (O_CREAT | __O_TMPFILE) ? va_arg(ap, mode_t) : 0;                   \
		va_end(ap);                                                                        \
		return fails(CALL_OPEN) ? -1 : REAL(name)(__VA_ARGS__ path, flags, mode);          \
	}

#define NONE
#define AT int dir,
WRAP_OPEN(open, NONE)
WRAP_OPEN(open64, NONE)
WRAP_OPEN(openat, AT, dir, )
WRAP_OPEN(openat64, AT, dir, )

/* glibc's own names, since dlsym asks for memory itself. */
void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void __libc_free(void *p);

static void *counted(void *p)
{
	if (p)
		living++;
	return p;
}

void *malloc(size_t n)
{
	return fails(CALL_MALLOC) ? NULL : counted(__libc_malloc(n));
}

void *calloc(size_t n, size_t size)
{
	return fails(CALL_MALLOC) ? NULL : counted(__libc_calloc(n, size));
}

void *realloc(void *p, size_t n)
{
	void *q;

	if (fails(CALL_MALLOC))
		return NULL;
	q = __libc_realloc(p, n);
	if (!p && q)
		living++;
	if (p && !q && n == 0)
		living--;
	return q;
}

void free(void *p)
{
	if (p)
		living--;
	__libc_free(p);
}
