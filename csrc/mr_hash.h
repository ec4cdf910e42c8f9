/* XXH3-64: the hash that decides a key's partition.
 *
 * Written from the published specification (xxHash "XXH3 algorithm overview",
 * doc/xxhash_spec.md of the xxHash project), little-endian results equal
 * to XXH3_64bits_withSeed for every length. Scalar: keys are short, and blocks of bulk
 * data are checksummed by the xxhash package.
 */
#ifndef MR_HASH_H
#define MR_HASH_H

#include <stddef.h>
#include <stdint.h>

/* Hash of data[0, len). Reads nothing outside it; data may be NULL when len is 0. */
uint64_t mr_hash_xxh3(const uint8_t *data, size_t len, uint64_t seed);

#endif
