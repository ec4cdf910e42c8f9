/* Merge of sorted runs with combining: equal keys become one. Their sums are added; their
 * posting groups follow one another, in the order of the runs. Records of bytes are not combined:
 * those of one key come one after the other, in the order of the runs.
 *
 * A tournament tree of losers (Knuth, TAOCP volume 3, section 5.4.1): the record that wins
 * is replaced by the next one of its run and replayed along one path, ceil(log2 k)
 * comparisons of prefix words (mr_key.h), of key bytes only where those tie. Each node holds
 * its loser's word, so a path touches k / 4 cache lines at most, and a comparison is a
 * conditional move: which run wins is as good as random, and a branch would be missed every
 * other time. Runs are numbered; of equal keys the lower run's comes first.
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
    MR_EMIT_LINES = 0,   /* key TAB decimal value LF; of sums only */
    MR_EMIT_RECORDS = 1, /* mr_record.h                            */
    MR_EMIT_NOTHING = 2  /* keys are only counted                  */
} mr_emit;

typedef struct {
    const uint8_t *next, *end; /* undecoded rest of the block            */
    const uint8_t *key;        /* current record, in the block           */
    size_t len;
    int64_t value;
    const uint8_t *group;      /* of postings: the value's bytes         */
    size_t group_len;
    uint64_t word;             /* of the key; ~0: the run is at its end  */
    int finished;              /* the caller has given the empty block   */
} mr_run;

typedef struct {
    uint64_t word; /* that the loser's run has now */
    uint32_t run;
} mr_loser;

typedef struct {
    mr_run *runs;       /* k of them                                                    */
    mr_loser *loser;    /* k nodes; loser[0] is the winner                              */
    uint32_t k;
    uint32_t dry;       /* with MR_NEED_INPUT or MR_CORRUPT: the run                    */
    uint32_t primed;    /* runs that have a current record, while the tree is not built */
    int playing;        /* the tree is built                                            */
    int replay;         /* the winner's run got a new record, its path is to be played  */
    mr_emit emit;
    mr_value_kind kind;
    int64_t value_min;  /* a combined sum below it is dropped                           */
    uint8_t *out;
    size_t room, done;  /* out[0, done) is finished output                              */
    size_t want;        /* with MR_NEED_FLUSH: bytes that the buffer must have          */
    int pending;        /* a key stands in out[done, ...), still being combined         */
    size_t key_at, key_len;
    size_t group_at, group_end; /* of postings: the value's bytes so far, in out        */
    uint64_t key_word;
    int64_t value;
    uint64_t records_in, records_out;
} mr_merge;

/* Prepares a merge of k >= 1 runs; the caller has set runs, loser, k, emit, kind, value_min,
 * out and room and zeroed the rest. */
void mr_merge_start(mr_merge *merge);

/* Gives run `dry` its next block, or with size 0 its end. The bytes stay until it is dry. */
void mr_merge_refill(mr_merge *merge, uint32_t run, const uint8_t *block, size_t size);

/* After MR_NEED_FLUSH, when out[0, done) was taken away: goes on in `out`, the same buffer or
 * another. What is pending of the old buffer, mr_merge_pending() bytes, moves to its front. */
void mr_merge_flushed(mr_merge *merge, uint8_t *out, size_t room);

/* Bytes of the key and the postings that are still being combined. */
size_t mr_merge_pending(const mr_merge *merge);

/* Runs until the end (MR_OK), a request, or a fault: MR_CORRUPT (in run `dry`: a record
 * that does not parse, or keys out of order), MR_OVERFLOW (a sum left int64). Returns after
 * at most `records` input records with MR_NEED_ROOM, so that signals can be looked at. */
mr_status mr_merge_run(mr_merge *merge, uint64_t records);

#endif
