/* SHA-256 (FIPS 180-4), for hashes of session ids and tags of files. Pure. */
#ifndef WEBUI_SHA256_H
#define WEBUI_SHA256_H

#include <stddef.h>

#define SHA256_HEX 65 /* 64 digits and the NUL */

/* Lower-case hex digest of n bytes into out (SHA256_HEX bytes). */
void sha256_hex(const void *data, size_t n, char *out);

#endif
