/* Merge of sorted runs with combining: equal keys become one, their values are added.
 *
 * A tournament tree of losers (Knuth, TAOCP volume 3, section 5.4.1): the record that wins
 * is replaced by the next one of its run and replayed along one path, ceil(log2 k)
 * comparisons of prefix words (mr_key.h), of key bytes only where those tie. Runs are
 * numbered; of equal keys the lower run's comes first.
 *
 * The caller gives each run as a chain of blocks of records (mr_record.h) and takes the
 * result from an output buffer as text lines or as records again. A merge stops where a run
 * is dry (MR_NEED_INPUT: refill run `dry`, with an empty block at its end) or the output
 * is full (MR_NEED_FLUSH), and goes on where it was. The key being combined stands in the
 * output already, its value in `value`: blocks may go as soon as they are dry.
 */
#ifndef MR_MERGE_H
#define MR_MERGE_H

#include "mr_key.h"
#include "mr_record.h"
#include "mr_status.h"

typedef enum {
    MR_EMIT_LINES = 0,   /* key TAB decimal value LF */
    MR_EMIT_RECORDS = 1  /* mr_record.h              */
} mr_emit;

typedef struct {
    const uint8_t *next, *end; /* undecoded rest of the block            */
    const uint8_t *key;        /* current record, in the block           */
    size_t len;
    int64_t value;
    uint64_t word;             /* of the key; ~0: the run is at its end  */
    int finished;              /* the caller has given the empty block   */
} mr_run;

typedef struct {
    mr_run *runs;       /* k of them                                                    */
    uint32_t *loser;    /* k nodes; loser[0] is the winner                              */
    uint32_t k;
    uint32_t dry;       /* with MR_NEED_INPUT or MR_CORRUPT: the run                    */
    uint32_t primed;    /* runs that have a current record, while the tree is not built */
    int playing;        /* the tree is built                                            */
    int replay;         /* the winner's run got a new record, its path is to be played  */
    mr_emit emit;
    int64_t value_min;  /* a combined record below it is dropped                        */
    uint8_t *out;
    size_t room, done;  /* out[0, done) is finished output                              */
    size_t want;        /* with MR_NEED_FLUSH and done == 0: bytes that are needed      */
    int pending;        /* a key stands in out[done, ...), still being combined         */
    size_t key_at, key_len;
    uint64_t key_word;
    int64_t value;
    uint64_t records_in, records_out;
} mr_merge;

/* Prepares a merge of k >= 1 runs; the caller has set runs, loser, k, emit, value_min, out
 * and room and zeroed the rest. */
void mr_merge_start(mr_merge *merge);

/* Gives run `dry` its next block, or with size 0 its end. The bytes stay until it is dry. */
void mr_merge_refill(mr_merge *merge, uint32_t run, const uint8_t *block, size_t size);

/* After MR_NEED_FLUSH, when out[0, done) was taken away: goes on in `out`, the same buffer or
 * another. Nothing is pending then: a key is finished before the next asks for room. */
void mr_merge_flushed(mr_merge *merge, uint8_t *out, size_t room);

/* Runs until the end (MR_OK), a request, or a fault: MR_CORRUPT (in run `dry`: a record
 * that does not parse, or keys out of order), MR_OVERFLOW (a sum left int64). Returns after
 * at most `records` input records with MR_NEED_ROOM, so that signals can be looked at. */
mr_status mr_merge_run(mr_merge *merge, uint64_t records);

#endif
