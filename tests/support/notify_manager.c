/* Plays the service manager: listens at the socket that its argument names ("/path" or
 * "@abstract") and prints each datagram as a line of JSON, {"pid":…,"ns":…,"text":…}. */
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#include "shared/clock.h"
#include "shared/json.h"
#include "shared/notify.h"

int main(int argc, char **argv)
{
	char text[NOTIFY_MAX];
	struct err e;
	int fd = argc == 2 ? notify_listen(argv[1], &e) : -1;
	struct pollfd p = {.fd = fd, .events = POLLIN};
	pid_t pid;

	if (fd < 0) {
		fprintf(stderr, "notify_manager: %s\n", argc == 2 ? e.text : "SOCKET");
		return 2;
	}
	puts("{\"ready\":true}");
	fflush(stdout);
	for (;;) {
		poll(&p, 1, -1);
		while (notify_read(fd, text, &pid) > 0) {
			cJSON *j = cJSON_CreateObject();
			char *line;

			json_add_int(j, "pid", pid);
			json_add_int(j, "ns", clock_now_ns());
			json_add_str(j, "text", text);
			line = json_print(j);
			puts(line);
			fflush(stdout);
			free(line);
			cJSON_Delete(j);
		}
	}
}
