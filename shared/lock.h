/* Locks by which one process excludes others: fcntl(2)'s record locks. flock(2) would not do:
 * a child between fork and exec holds it too, also after its parent was killed, and the
 * successor would meet a lock of nobody. They end with the process, or when it closes any
 * descriptor of the file: it is opened once. */
#ifndef SHARED_LOCK_H
#define SHARED_LOCK_H

#include <sys/types.h>

/* Locks the open file (writable), without waiting. 0, or -1: EAGAIN another process holds it. */
int lock_file(int fd);

/* Who else holds it; 0: nobody, or it cannot be told. */
pid_t lock_holder(int fd);

#endif
