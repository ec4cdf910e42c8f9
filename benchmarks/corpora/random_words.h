/* What the corpus generators share: a random number generator, a letter at a time, and buffered output.
 *
 * Only integer arithmetic, and nothing of the C library's own randomness: the same seed gives the same
 * bytes with every compiler and library on a 64-bit machine. The generators are run by make.py, which
 * checks the digest of what they wrote.
 */
#ifndef RANDOM_WORDS_H
#define RANDOM_WORDS_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define OUTPUT_BYTES (1u << 20) /* written in one call, and ...                           */
#define LINE_BYTES_MAX 4096u    /* ... one line more always fits in the buffer before that */

/* SplitMix64: Steele, Lea, Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014, figure 17.
 * It fills the state of the generator below, as that one's authors advise. */
static inline uint64_t splitmix64_next(uint64_t *state)
{
    uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

typedef struct {
    uint64_t s[4];
} rng;

static inline rng rng_seed(uint64_t seed)
{
    rng r;
    for (int i = 0; i < 4; i++)
        r.s[i] = splitmix64_next(&seed);
    return r;
}

static inline uint64_t rotate_left(uint64_t x, int bits)
{
    return (x << bits) | (x >> (64 - bits));
}

/* xoshiro256**: Blackman, Vigna, "Scrambled linear pseudorandom number generators", ACM TOMS 47(4), 2021,
 * figure 1: a linear engine and the ** scrambler. */
static inline uint64_t rng_next(rng *r)
{
    uint64_t *s = r->s, result = rotate_left(s[1] * 5, 7) * 9, shifted = s[1] << 17;
    s[2] ^= s[0];
    s[3] ^= s[1];
    s[1] ^= s[2];
    s[0] ^= s[3];
    s[2] ^= shifted;
    s[3] = rotate_left(s[3], 45);
    return result;
}

/* A number below `bound` by multiplication (Lemire, "Fast random integer generation in an interval", ACM
 * TOMACS 29(1), 2019) without its rejection step: the bias, below bound / 2^32, is part of the corpus. */
static inline uint32_t rng_below(rng *r, uint32_t bound)
{
    return (uint32_t)(((rng_next(r) >> 32) * bound) >> 32);
}

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static void *allocate(size_t bytes)
{
    void *memory = calloc(1, bytes);
    if (!memory)
        fail("memory");
    return memory;
}

/* Writes a corpus to standard output, line by line, up to the first line end at or after `bytes_min`. */
typedef struct {
    uint8_t *buffer;
    size_t used;
    uint64_t written, bytes_min;
} corpus;

static corpus corpus_open(const char *bytes_min)
{
    return (corpus){.buffer = allocate(OUTPUT_BYTES + LINE_BYTES_MAX), .bytes_min = strtoull(bytes_min, NULL, 10)};
}

static void corpus_flush(corpus *c)
{
    if (fwrite(c->buffer, 1, c->used, stdout) != c->used || fflush(stdout))
        fail("standard output");
    c->written += c->used;
    c->used = 0;
}

/* True while another line is wanted; then at least LINE_BYTES_MAX bytes are free at buffer + used. */
static inline int corpus_wants_line(corpus *c)
{
    if (c->used >= OUTPUT_BYTES)
        corpus_flush(c);
    return c->written + c->used < c->bytes_min;
}

#endif
