/* CRC-32C, which guards the records of a spool. */
#ifndef SHARED_CRC32C_H
#define SHARED_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* Checksum of n bytes; crc32c("123456789", 9) is 0xe3069283. */
uint32_t crc32c(const void *data, size_t n);

#endif
