/* Spool files: any bytes open; what is left is numbered without gaps, readable, and
 * can be appended to. */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "shared/log.h"
#include "shared/spool.h"

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

static char dir[64] = "/tmp/fuzz-spool-XXXXXX";
static char path[96];

static void remove_files(void)
{
	unlink(path);
	rmdir(dir);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	setenv("HUNDREDX_LOG", "error", 1);
	log_init("fuzz");
	if (!mkdtemp(dir))
		abort();
	snprintf(path, sizeof(path), "%s/events", dir);
	atexit(remove_files);
	return 0;
}

static void read_all(struct spool *s)
{
	const char *frame;
	size_t len;
	struct event ev;
	struct err e;

	for (int64_t i = spool_acknowledged(s) + 1; i <= spool_last(s); i++)
		if (spool_read(s, i, &frame, &len, &e) < 0 ||
			event_decode(frame, len, &ev, &e) < 0 || ev.number != i)
			abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	struct spool *s;
	struct err e;
	int64_t seq;
	int64_t last;

	if (fd < 0 || write(fd, data, n) != (ssize_t)n)
		abort();
	close(fd);
	s = spool_open(dir, 7, 2, &e);
	if (!s) {
		if (e.kind != ERR_CONFLICT)
			abort();
		return 0;
	}
	last = spool_last(s);
	read_all(s);
	if (spool_append(s, EVENT_OUTPUT, "{\"a\":1}", 7, &seq, &e) < 0 || seq != last + 1)
		abort();
	read_all(s);
	spool_free(s);
	s = spool_open(dir, 7, 2, &e);
	if (!s || spool_last(s) != last + 1)
		abort();
	spool_free(s);
	return 0;
}
