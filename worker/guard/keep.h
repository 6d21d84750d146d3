/* The program that is guarded: started, handed the signals, waited for. One thread, no
 * loop: signals are blocked and taken one by one. */
#ifndef WORKER_GUARD_KEEP_H
#define WORKER_GUARD_KEEP_H

#include <signal.h>
#include <sys/types.h>

/* Sent by the kernel when the process that asked for the guard has died. */
#define KEEP_ORPHANED SIGRTMIN

/* Blocks what keep_wait takes; *before is the mask for the program. */
void keep_block(sigset_t *before);

/* Starts argv in a session of its own, killed when we die. An exec that fails is told on
 * stderr and ends with 126 or 127. Its pid as we see it; -1, errno: it could not fork. */
pid_t keep_start(char *const *argv, const sigset_t *mask);

/* Lets go of stdin, stdout and stderr: when the program closes its own, the other end is
 * to see it. */
void keep_let_go(void);

/* Until child has ended, or KEEP_ORPHANED came: hands signals on to target (a pid, or a
 * group as kill(2) takes it) and reaps whatever is ours meanwhile. Its wait status, or -1
 * when we are orphaned. */
int keep_wait(pid_t child, pid_t target);

/* Ends us as the program has ended: with its code, or by its signal. */
_Noreturn void keep_end_like(int status);

#endif
