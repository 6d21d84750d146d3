/* Repository URLs: what is taken is settled (taken again as it is), and holds
 * nothing that a program could read as an option or a command. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "shared/giturl.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	char text[GITURL_MAX + 16];
	struct giturl u;
	struct giturl again;
	struct err e = {0};
	char hash[17];

	if (n >= sizeof(text))
		n = sizeof(text) - 1;
	memcpy(text, data, n);
	text[n] = '\0';
	if (giturl_parse(text, true, &u, &e) < 0) {
		if (e.kind != ERR_INVALID)
			abort();
		return 0;
	}
	if (giturl_parse(u.text, true, &again, &e) < 0 || strcmp(u.text, again.text) != 0 ||
		strcmp(u.host, again.host) != 0 || strcmp(u.path, again.path) != 0)
		abort();
	if (u.text[0] == '-' || u.host[0] == '-' || strstr(u.path, "/-") || u.path[0] == '-')
		abort();
	if (strstr(u.path, "..") && (strncmp(u.path, "../", 3) == 0 || strstr(u.path, "/../")))
		abort();
	if ((u.scheme == GITURL_LOCAL) != (u.path[0] == '/') || !u.name[0])
		abort();
	for (const char *c = u.text; *c; c++)
		if ((unsigned char)*c <= ' ' || *c == 0x7f)
			abort();
	giturl_hash(&u, hash);
	if (strlen(hash) != 16)
		abort();
	return 0;
}
