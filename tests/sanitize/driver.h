/* What the sanitizer run shares: checks, dice, and memory that ends where its contents end.
 *
 * The driver runs all of csrc without Python, under AddressSanitizer, UndefinedBehavior-
 * Sanitizer and the leak check (tests/sanitize/run). Every buffer is a malloc block of
 * exactly its size, so that reading or writing one byte past it is seen; blocks are freed
 * as soon as the interface allows, so that a stale pointer is seen. Answers are compared
 * with naive loops. Everything is drawn from seeded dice: a failure repeats.
 */
#ifndef MR_SANITIZE_DRIVER_H
#define MR_SANITIZE_DRIVER_H

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "mr_dispatch.h"
#include "mr_key.h"
#include "mr_merge.h"
#include "mr_record.h"
#include "mr_sort.h"
#include "mr_table.h"

#define CHECK(condition)                                                           \
    do {                                                                           \
        if (!(condition)) {                                                        \
            fprintf(stderr, "%s:%d: not so: %s\n", __FILE__, __LINE__, #condition); \
            exit(1);                                                               \
        }                                                                          \
    } while (0)

typedef struct {
    uint64_t state;
} dice;

/* A number below `below`, which is at least 1 (SplitMix64). */
uint64_t roll(dice *dice, uint64_t below);

/* Memory of exactly `size` bytes, or a copy of bytes; free() it. */
void *fresh(size_t size);
uint8_t *exact(const void *bytes, size_t size);

/* Zeroed memory that begins at a cache line; free() it. */
void *fresh_slots(size_t size);

/* Text of exactly `size` bytes: tokens of all lengths, separators, NULs, high bytes. */
uint8_t *make_text(dice *dice, size_t size);

/* A distinct key and how often it occurs; `text` belongs to somebody else. */
typedef struct {
    const uint8_t *text;
    size_t len;
    int64_t count;
} word;

typedef struct {
    word *words; /* ascending by bytes */
    size_t n;
} words;

/* Counts tokens byte by byte. */
words words_of_text(const uint8_t *text, size_t len, mr_tokenizer tokenizer);
int64_t words_find(const words *all, const uint8_t *text, size_t len);

/* A sorted run of records, cut into blocks that are malloc blocks of their own. */
typedef struct {
    uint8_t **block;
    size_t *size;
    size_t n;
} run;

run run_of_entries(const mr_entry *entries, size_t n, size_t room);
void run_add(run *run, const uint8_t *bytes, size_t size);
void run_free(run *run);

/* A combiner table that grows. */
typedef struct {
    mr_table table;
    void *chunk[4096]; /* of the arena */
    size_t chunks;
} counter;

void counter_start(counter *counter);
void counter_clear(counter *counter);
void counter_end(counter *counter);

/* Feeds text in pieces, each in a block of its own that is gone before the next. */
void counter_feed(counter *counter, dice *dice, mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int lower);

void check_accumulate(void);
void check_cpu(void);
void check_hash(void);
void check_tokenize(void);
void check_fault(void);
void check_sort(void);
void check_table(void);
void check_radix(void);
void check_values(void);
void check_record(void);
void check_merge(void);
void check_postings(void);
void check_unicode(void);
void check_ngrams(void);
void check_hyperloglog(void);

#endif
