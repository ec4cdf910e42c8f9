/* HyperLogLog: about how many distinct tokens a text has, in a fixed few KiB.
 *
 * The sketch (Flajolet, Fusy, Gandouet and Meunier, "HyperLogLog: the analysis of a near-
 * optimal cardinality estimation algorithm", AofA 2007) is m = 2^p one-byte registers. Of a
 * token's 64-bit hash the first p bits choose a register. The other q = 64 - p are read as
 * coin tosses: their rank is the position of the first 1, counted from 1, or q + 1 when
 * there is none. A register keeps the largest rank it has seen. So a token that comes again
 * changes nothing, and the sketch of two texts together is the larger of each two registers.
 *
 * The estimate needs only C[k], how many registers hold k (Ertl, "New cardinality estimation
 * algorithms for HyperLogLog sketches", arXiv:1702.01284, section 4):
 *
 *   n = m^2 / (2 ln 2) / (m sigma(C[0] / m) + sum over k = 1..q of C[k] 2^-k
 *                         + m tau(1 - C[q + 1] / m) 2^-q)
 *   sigma(x) = x + sum over k >= 1 of x^(2^k) 2^(k - 1), infinite at 1
 *   tau(x) = (1 - x - sum over k >= 1 of (1 - x^(2^-k))^2 2^-k) / 3
 *
 * sigma stands in for what registers that are still 0 would say, tau for those that are
 * full, so one formula holds from 0 to billions without tables of biases. Its standard
 * error is 1.04 / sqrt(m). The wrapper computes it; here are the registers.
 *
 * The hash is mr_hash_xxh3() with seed 0, so sketches of any machine can be merged.
 */
#ifndef MR_HYPERLOGLOG_H
#define MR_HYPERLOGLOG_H

#include "mr_hash.h"
#include "mr_status.h"
#include "mr_tokenize.h"

#define MR_HYPERLOGLOG_PRECISION_MIN 4
#define MR_HYPERLOGLOG_PRECISION_MAX 18 /* 256 KiB: registers stay in the L2 cache */
#define MR_HYPERLOGLOG_RANKS 62         /* values that a register can have at most: 0..q + 1 */

typedef struct {
    uint8_t *registers; /* 2^precision, zeroed by the caller at first                   */
    unsigned precision; /* MR_HYPERLOGLOG_PRECISION_MIN to _MAX                          */
    uint8_t *room;      /* where a long token is folded; may be NULL when room_size is 0 */
    size_t room_size;   /* bytes in it                                                  */
    size_t want;        /* set with MR_NEED_ROOM: bytes that `room` must have            */
    uint64_t tokens;    /* that were added, equal ones each time                         */
} mr_hyperloglog;

/* The largest value that a register can have: q + 1. */
static inline unsigned mr_hyperloglog_rank_max(unsigned precision) { return 64 - precision + 1; }

static inline void mr_hyperloglog_add(uint8_t *registers, unsigned precision, uint64_t hash)
{
    /* The bit set below the q tosses ends the count where they are all 0. */
    uint64_t tosses = hash << precision | (uint64_t)1 << (precision - 1);
    uint8_t rank = (uint8_t)(__builtin_clzll(tosses) + 1);
    uint8_t *at = registers + (hash >> (64 - precision));
    if (rank > *at) /* rare, soon: a branch that is foretold costs less than a store */
        *at = rank;
}

/* Adds the tokens of text[0, len) that end inside it; with `final`, a token that reaches the
 * end too. *consumed is the offset of the first byte that is still to be fed: the end, or
 * the first byte of an unfinished token. `lower` folds A-Z before hashing. Reads nothing
 * past len. MR_NEED_ROOM, with `lower` only: give `room` at least `want` bytes, then feed
 * from *consumed on. It takes a token of more than MR_TOKEN_BLOCK bytes to be asked for it. */
mr_status mr_hyperloglog_feed(mr_hyperloglog *sketch, mr_tokenize_fn tokenize, const uint8_t *text, size_t len,
                              int final, int lower, size_t *consumed);

/* Makes `registers` those of both sketches together. MR_CORRUPT, and nothing is changed, when
 * a register of `others` has a value that the precision does not allow. */
mr_status mr_hyperloglog_merge(uint8_t *registers, const uint8_t *others, unsigned precision);

/* counts[k] = how many registers hold k. The registers are valid. */
void mr_hyperloglog_count(const uint8_t *registers, unsigned precision, uint32_t counts[MR_HYPERLOGLOG_RANKS]);

#endif
