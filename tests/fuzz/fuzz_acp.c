// folder: worker
/* What a hostile agent writes on its stdout: framed, parsed, read. Oracle: lines do
 * not depend on how the bytes are cut, and are never longer than allowed. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "shared/rpc.h"
#include "worker/acp_frame.h"
#include "worker/acp_update.h"
#include "worker/permission.h"

#define MAX_BYTES 65536

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

struct sum {
	uint64_t hash;
	size_t lines;
	bool parse;
};

static void read_message(const char *line, size_t n)
{
	struct rpc m;
	struct err e;
	struct acp_update u;
	struct acp_usage usage;
	char why[256];

	if (rpc_parse(line, n, MAX_BYTES, &m, &e) < 0) {
		assert(e.kind != ERR_NONE && e.text[0]);
		return;
	}
	if (m.params && acp_update_parse(m.params, &u, &e) == 0) {
		assert(u.text);
		assert(u.usage.tokens_in >= 0 && u.usage.tokens_out >= 0);
	}
	if (m.result)
		acp_usage_of_result(m.result, &usage);
	if (m.params) {
		permission_leaves(m.params, "/work/repo", why, sizeof why);
		permission_option(m.params, true);
	}
	rpc_clear(&m);
}

static void on_line(void *arg, const char *line, size_t n, bool stray)
{
	struct sum *s = arg;

	assert(n > 0 && n <= MAX_BYTES);
	assert(stray || line[0] == '{');
	assert(!memchr(line, '\n', n));
	s->lines++;
	for (size_t i = 0; i < n; i++)
		s->hash = (s->hash ^ (uint8_t)line[i]) * 0x100000001b3u;
	if (!stray && s->parse)
		read_message(line, n);
}

/* In pieces of 1 to most bytes. */
static struct sum feed(const uint8_t *data, size_t n, size_t most, bool parse)
{
	struct sum s = {.parse = parse};
	struct acp_frame f;
	struct err e;
	size_t at = 0;

	acp_frame_init(&f, MAX_BYTES);
	while (at < n) {
		size_t piece = 1 + (data[at] * 7u) % most;

		piece = piece < n - at ? piece : n - at;
		if (acp_frame_feed(&f, (const char *)data + at, piece, on_line, &s, &e) < 0)
			break;
		at += piece;
	}
	acp_frame_clear(&f);
	return s;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct sum whole, cut;

	if (n > MAX_BYTES)
		return 0;
	whole = feed(data, n, MAX_BYTES, true);
	cut = feed(data, n, 13, false);
	assert(whole.lines == cut.lines && whole.hash == cut.hash);
	return 0;
}
