/* Scope-bound ownership: a local marked _cleanup_x_ is released on every way
 * out of its block; take_fd and take_ptr hand it over on success. */
#ifndef SHARED_CLEANUP_H
#define SHARED_CLEANUP_H

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline void cleanup_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static inline void cleanup_free(void *p)
{
	free(*(void **)p);
}

static inline void cleanup_fclose(FILE **f)
{
	if (*f)
		fclose(*f);
}

static inline void cleanup_closedir(DIR **d)
{
	if (*d)
		closedir(*d);
}

#define _cleanup_(f) __attribute__((cleanup(f)))
#define _cleanup_close_ _cleanup_(cleanup_close)
#define _cleanup_free_ _cleanup_(cleanup_free)
#define _cleanup_fclose_ _cleanup_(cleanup_fclose)
#define _cleanup_closedir_ _cleanup_(cleanup_closedir)

/* Returns *fd and leaves -1 behind: the caller now owns the descriptor. */
static inline int take_fd(int *fd)
{
	int got = *fd;

	*fd = -1;
	return got;
}

/* Returns the pointer and leaves NULL behind: the caller now owns it. */
#define take_ptr(p)                                                                                \
	({                                                                                         \
		__typeof__(p) *_from = &(p);                                                       \
		__typeof__(p) _got = *_from;                                                       \
		*_from = NULL;                                                                     \
		_got;                                                                              \
	})

#endif
