/* zipf BYTES SEED > FILE: text whose word frequencies follow Zipf's law with exponent 1.
 *
 * A vocabulary of 300,000 made, pronounceable words; the word of rank i (from 0) is drawn with weight
 * 1 / (i + 1); lines of 6 to 18 words, a space between words and a newline after the last. The vocabulary
 * is the same for every size and seed, so a word's rank can be told from any of these corpora.
 */
#include "random_words.h"

#include <string.h>

#define WORDS 300000u
#define VOCABULARY_SEED 7
#define WORD_BYTES_MAX 18u
#define SLOTS (1u << 20) /* of the set that keeps words distinct; 29 % full */

typedef struct {
    char letters[WORD_BYTES_MAX + 1];
    uint8_t size;
} word;

/* Two letters, one more for every fourth doubling of the rank, then more while a draw says so (9 in 16):
 * frequent words are short, rare ones of any length, and a token takes 6.0 bytes with its separator, as in
 * English prose. */
static word word_draw(rng *r, uint32_t rank)
{
    static const char vowels[] = "aeiou", consonants[] = "bcdfghklmnprstvw";
    word w = {.size = 2};
    for (uint32_t left = (rank + 1) >> 4; left; left >>= 4)
        w.size++;
    while (w.size < WORD_BYTES_MAX && rng_below(r, 16) < 9)
        w.size++;
    uint32_t first = rng_below(r, 2);
    for (uint32_t i = 0; i < w.size; i++)
        w.letters[i] = (i + first) % 2 ? vowels[rng_below(r, 5)] : consonants[rng_below(r, 16)];
    return w;
}

/* The slot where w is, or where it would go; a slot holds a rank + 1, and 0 is empty. FNV-1a is enough here. */
static uint32_t slot_of(const uint32_t *slots, const word *vocabulary, const word *w)
{
    uint32_t hash = 2166136261u;
    for (uint32_t i = 0; i < w->size; i++)
        hash = (hash ^ (uint8_t)w->letters[i]) * 16777619u;
    uint32_t slot = (hash ^ hash >> 15) % SLOTS;
    while (slots[slot] && strcmp(vocabulary[slots[slot] - 1].letters, w->letters))
        slot = (slot + 1) % SLOTS;
    return slot;
}

static word *vocabulary_make(void)
{
    word *vocabulary = allocate(WORDS * sizeof *vocabulary);
    uint32_t *slots = allocate(SLOTS * sizeof *slots);
    rng r = rng_seed(VOCABULARY_SEED);
    for (uint32_t rank = 0; rank < WORDS;) {
        word w = word_draw(&r, rank);
        uint32_t slot = slot_of(slots, vocabulary, &w);
        if (slots[slot])
            continue;
        vocabulary[rank] = w;
        slots[slot] = ++rank;
    }
    free(slots);
    return vocabulary;
}

/* Walker's alias method as Vose builds it ("A linear algorithm for generating random numbers with a given
 * distribution", IEEE TSE 17(9), 1991), in integers so that no rounding of a compiler or CPU shows: every
 * column holds `total`; rank i fills `share[i]` of its column and alias[i] the rest. */
typedef struct {
    uint32_t keep; /* share / total as a 32-bit fraction */
    uint32_t alias;
} column;

static column *columns_make(void)
{
    column *columns = allocate(WORDS * sizeof *columns);
    uint64_t *share = allocate(WORDS * sizeof *share), total = 0;
    uint32_t *poor = allocate(WORDS * sizeof *poor), *rich = allocate(WORDS * sizeof *rich);
    uint32_t poor_count = 0, rich_count = 0;

    for (uint32_t i = 0; i < WORDS; i++) {
        uint64_t weight = (UINT64_C(1) << 40) / (i + 1);
        share[i] = weight * WORDS; /* below 2^59 */
        total += weight;
        columns[i].alias = i; /* stays so where a column is exactly full */
    }
    for (uint32_t i = 0; i < WORDS; i++)
        if (share[i] < total)
            poor[poor_count++] = i;
        else
            rich[rich_count++] = i;
    while (poor_count && rich_count) {
        uint32_t low = poor[--poor_count], high = rich[rich_count - 1];
        columns[low].keep = (uint32_t)(share[low] / ((total >> 32) + 1)); /* off by less than 1 in 3,000 */
        columns[low].alias = high;
        share[high] -= total - share[low];
        if (share[high] < total)
            poor[poor_count++] = rich[--rich_count];
    }
    free(share);
    free(poor);
    free(rich);
    return columns;
}

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: zipf BYTES SEED > FILE\n");
        return 2;
    }
    word *vocabulary = vocabulary_make();
    column *columns = columns_make();
    corpus c = corpus_open(argv[1]);
    rng r = rng_seed(strtoull(argv[2], NULL, 10));
    while (corpus_wants_line(&c)) {
        uint32_t words = 6 + rng_below(&r, 13);
        while (words--) {
            uint64_t draw = rng_next(&r); /* the high half chooses a column, the low half one of its two ranks */
            uint32_t rank = (uint32_t)(((draw >> 32) * WORDS) >> 32);
            if ((uint32_t)draw >= columns[rank].keep)
                rank = columns[rank].alias;
            memcpy(c.buffer + c.used, vocabulary[rank].letters, WORD_BYTES_MAX);
            c.used += vocabulary[rank].size;
            c.buffer[c.used++] = words ? ' ' : '\n';
        }
    }
    corpus_flush(&c);
    free(columns);
    free(vocabulary);
    free(c.buffer);
    return 0;
}
