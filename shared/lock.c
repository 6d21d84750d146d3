#include "shared/lock.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

int lock_file(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	if (fcntl(fd, F_SETLK, &whole) == 0)
		return 0;
	if (errno == EACCES) /* POSIX leaves the choice of the two */
		errno = EAGAIN;
	return -1;
}

pid_t lock_holder(int fd)
{
	struct flock whole = {.l_type = F_WRLCK, .l_whence = SEEK_SET};

	return fcntl(fd, F_GETLK, &whole) == 0 && whole.l_type != F_UNLCK ? whole.l_pid : 0;
}
