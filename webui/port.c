#include "webui/port.h"

#include <arpa/inet.h>
#include <dirent.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "shared/cleanup.h"

#define LISTENING 0x0A /* st in /proc/net/tcp, include/net/tcp_states.h */

/* Inode of a socket that listens on port; 0 if there is none in this table. */
static unsigned long listening_inode(const char *table, int port)
{
	_cleanup_fclose_ FILE *f = fopen(table, "re");
	char line[512];

	while (f && fgets(line, sizeof line, f)) {
		unsigned local_port, state;
		unsigned long inode;

		if (sscanf(line,
			    " %*d: %*[0-9A-F]:%x %*[0-9A-F]:%*x %x %*x:%*x %*x:%*x %*x %*u %*d "
			    "%lu",
			    &local_port, &state, &inode) == 3 &&
			local_port == (unsigned)port && state == LISTENING)
			return inode;
	}
	return 0;
}

static bool holds(const char *pid, const char *socket_link)
{
	char dir[64], path[384], target[64];

	snprintf(dir, sizeof dir, "/proc/%.20s/fd", pid);
	_cleanup_closedir_ DIR *d = opendir(dir);
	for (struct dirent *entry; d && (entry = readdir(d));) {
		snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		ssize_t n = readlink(path, target, sizeof target - 1);
		if (n > 0) {
			target[n] = '\0';
			if (!strcmp(target, socket_link))
				return true;
		}
	}
	return false;
}

bool port_holder(int port, char *out, size_t size)
{
	char link[64], path[64], name[64] = "?";
	unsigned long inode = listening_inode("/proc/net/tcp", port);

	if (!inode)
		inode = listening_inode("/proc/net/tcp6", port);
	if (!inode)
		return false;
	snprintf(link, sizeof link, "socket:[%lu]", inode);
	_cleanup_closedir_ DIR *proc = opendir("/proc");
	for (struct dirent *entry; proc && (entry = readdir(proc));) {
		if (strspn(entry->d_name, "0123456789") != strlen(entry->d_name) ||
			!holds(entry->d_name, link))
			continue;
		snprintf(path, sizeof path, "/proc/%.20s/comm", entry->d_name);
		_cleanup_fclose_ FILE *f = fopen(path, "re");
		if (f && fgets(name, sizeof name, f))
			name[strcspn(name, "\n")] = '\0';
		snprintf(out, size, "%s (pid %.20s)", name, entry->d_name);
		return true;
	}
	return false;
}

int port_check(const char *address, int port, struct err *e)
{
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((uint16_t)port)};
	char holder[160];
	int on = 1;

	if (inet_pton(AF_INET, address, &to.sin_addr) != 1)
		return err_set(e, ERR_INVALID, "--bind %s: should be an IPv4 address", address);
	_cleanup_close_ int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return err_errno(e, "socket for %s", address);
	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
	if (bind(fd, (struct sockaddr *)&to, sizeof to) == 0 && listen(fd, 1) == 0)
		return 0;
	if (errno == EADDRINUSE)
		return err_set(e, ERR_CONFLICT,
			"port %d is in use by %s: end that program, or choose another port with "
			"--port",
			port,
			port_holder(port, holder, sizeof holder) ? holder
								 : "a process we cannot see");
	return err_errno(e, "listen on %s:%d", address, port);
}
