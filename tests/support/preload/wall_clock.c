/* Preloaded into a program, shifts the wall clock it sees by as many nanoseconds as the
 * file that HUNDREDX_TEST_WALL names holds now (eight bytes). Other clocks are as they
 * are. Built by the test that uses it: cc -shared -fPIC. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static const int64_t *offset_ns;
static int (*real_clock_gettime)(clockid_t, struct timespec *);

__attribute__((constructor)) static void begin(void)
{
	const char *path = getenv("HUNDREDX_TEST_WALL");
	int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	void *at = fd < 0 ? MAP_FAILED : mmap(NULL, 8, PROT_READ, MAP_SHARED, fd, 0);

	real_clock_gettime = (__typeof__(real_clock_gettime))dlsym(RTLD_NEXT, "clock_gettime");
	if (at != MAP_FAILED)
		offset_ns = at;
	if (fd >= 0)
		close(fd);
	unsetenv("LD_PRELOAD");
}

static int now(clockid_t id, struct timespec *t)
{
	int result;

	if (!real_clock_gettime)
		begin();
	result = real_clock_gettime(id, t);
	if (result == 0 && offset_ns && (id == CLOCK_REALTIME || id == CLOCK_REALTIME_COARSE)) {
		int64_t ns = t->tv_sec * 1000000000LL + t->tv_nsec +
			     __atomic_load_n(offset_ns, __ATOMIC_RELAXED);

		t->tv_sec = ns / 1000000000;
		t->tv_nsec = ns % 1000000000;
	}
	return result;
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	return now(id, t);
}

int gettimeofday(struct timeval *restrict tv, void *restrict zone)
{
	struct timespec t;

	(void)zone;
	now(CLOCK_REALTIME, &t);
	tv->tv_sec = t.tv_sec;
	tv->tv_usec = t.tv_nsec / 1000;
	return 0;
}

time_t time(time_t *out)
{
	struct timespec t;

	now(CLOCK_REALTIME, &t);
	if (out)
		*out = t.tv_sec;
	return t.tv_sec;
}
