/* How a program of ours takes memory from the system. */
#ifndef SHARED_MEMORY_H
#define SHARED_MEMORY_H

/* Before the first thread: one arena for all (what one thread takes and another frees would
 * else let each of them grow to its own worst moment, and stay), and what a single large piece
 * took goes back to the system. */
void memory_frugal(void);

#endif
