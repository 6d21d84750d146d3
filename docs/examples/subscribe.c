/* Prints the events of 100x as they happen.
 *
 *   cc -o subscribe docs/examples/subscribe.c -lnng
 *   ./subscribe RUN_DIR [PREFIX]
 *
 * PREFIX "agent/7 " for one agent, "agent/" for all agents, nothing for everything.
 * RUN_DIR is $XDG_RUNTIME_DIR/100x, or what `100x up --json` calls run_dir. */
#include <nng/nng.h>
#include <nng/protocol/pubsub0/sub.h>
#include <stdio.h>
#include <string.h>

#define FRAME_MAX (1536 * 1024)

static int fail(const char *what, int code)
{
	fprintf(stderr, "%s: %s\n", what, nng_strerror(code));
	return 1;
}

int main(int argc, char **argv)
{
	char url[128];
	const char *prefix = argc > 2 ? argv[2] : "";
	nng_socket events;
	int code;

	if (argc < 2 || snprintf(url, sizeof(url), "ipc://%s/events.ipc", argv[1]) >= (int)sizeof(url)) {
		fprintf(stderr, "usage: %s RUN_DIR [PREFIX]\n", argv[0]);
		return 2;
	}
	if ((code = nng_sub0_open(&events)) != 0)
		return fail("open", code);
	nng_socket_set_size(events, NNG_OPT_RECVMAXSZ, FRAME_MAX);
	nng_socket_set(events, NNG_OPT_SUB_SUBSCRIBE, prefix, strlen(prefix));
	if ((code = nng_dial(events, url, NULL, 0)) != 0)
		return fail(url, code);
	for (;;) {
		char *frame;
		size_t n;

		if ((code = nng_recv(events, &frame, &n, NNG_FLAG_ALLOC)) != 0)
			return fail("receive", code);
		/* "agent/7 output 1042 v1", a line end, one JSON object. */
		fwrite(frame, 1, n, stdout);
		putchar('\n');
		fflush(stdout);
		nng_free(frame, n);
	}
}
