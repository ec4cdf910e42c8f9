#include "mr_sort.h"

#define SMALL 24      /* up to it, insertion sort beats another counting pass          */
#define AHEAD 8       /* entries whose keys are prefetched                             */
#define DIGIT_BITS 12 /* at most: the counters of a pass stay in the L1 cache          */

static int entry_compare(const mr_entry *a, const mr_entry *b, size_t depth)
{
    if (a->word != b->word)
        return a->word < b->word ? -1 : 1;
    if (mr_word_is_whole(a->word))
        return 0;
    depth += MR_WORD_BYTES;
    if (depth == MR_WORD_BYTES) { /* then the next words are at hand */
        if (a->next != b->next)
            return a->next < b->next ? -1 : 1;
        if (mr_word_is_whole(a->next))
            return 0;
    }
    size_t a_len, b_len;
    const uint8_t *a_key = mr_ref_key(a->ref, &a_len), *b_key = mr_ref_key(b->ref, &b_len);
    return mr_bytes_compare(a_key + depth, a_len - depth, b_key + depth, b_len - depth);
}

/* Bottom-up merge sort from `from`; the result stands in `from` again. */
static void sort_merging(mr_entry *from, size_t n, mr_entry *to, size_t depth)
{
    mr_entry *home = from;
    for (size_t width = 1; width < n; width *= 2) {
        for (size_t low = 0; low < n; low += 2 * width) {
            size_t middle = low + width < n ? low + width : n, high = low + 2 * width < n ? low + 2 * width : n;
            size_t i = low, j = middle;
            for (size_t k = low; k < high; k++) {
                int left = i < middle && (j >= high || entry_compare(&from[i], &from[j], depth) <= 0);
                to[k] = left ? from[i++] : from[j++];
            }
        }
        mr_entry *swap = from;
        from = to;
        to = swap;
    }
    if (from != home)
        memcpy(home, from, n * sizeof *from);
}

static void swap_words(mr_entry *entries, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint64_t word = entries[i].word;
        entries[i].word = entries[i].next;
        entries[i].next = word;
    }
}

/* Takes the words of longer keys at `depth`. */
static void set_words(mr_entry *entries, size_t n, size_t depth)
{
    for (size_t i = 0; i < n; i++) {
        if (i + AHEAD < n)
            __builtin_prefetch((const uint8_t *)(uintptr_t)(entries[i + AHEAD].ref & 0xFFFFFFFFFFFFull) + depth);
        size_t len;
        const uint8_t *key = mr_ref_key(entries[i].ref, &len);
        entries[i].word = mr_word_at(key, len, depth);
    }
}

static void sort_radix(mr_entry *entries, size_t n, mr_entry *other, size_t depth, int here);

/* Insertion sort by the words alone; true when some are equal that do not settle the order. */
static int sort_words(mr_entry *entries, size_t n)
{
    int ties = 0;
    for (size_t i = 1; i < n; i++) {
        mr_entry entry = entries[i];
        size_t j = i;
        for (; j && entries[j - 1].word > entry.word; j--)
            entries[j] = entries[j - 1];
        ties |= j && entries[j - 1].word == entry.word && !mr_word_is_whole(entry.word);
        entries[j] = entry;
    }
    return ties;
}

/* The same by both words, where they stand at depths 0 and 7. */
static int sort_both_words(mr_entry *entries, size_t n)
{
    int ties = 0;
    for (size_t i = 1; i < n; i++) {
        mr_entry entry = entries[i];
        size_t j = i;
        for (; j; j--) {
            const mr_entry *before = &entries[j - 1];
            if (before->word < entry.word || (before->word == entry.word && before->next <= entry.next))
                break;
            entries[j] = entries[j - 1];
        }
        ties |= j && entries[j - 1].word == entry.word && entries[j - 1].next == entry.next &&
                !mr_word_is_whole(entry.word) && !mr_word_is_whole(entry.next);
        entries[j] = entry;
    }
    return ties;
}

/* A group of equal words that stand for longer keys: sorts by the bytes after the word. */
static void sort_deeper(mr_entry *entries, size_t n, mr_entry *other, size_t depth)
{
    uint64_t word = entries[0].word;
    size_t deeper = depth + MR_WORD_BYTES;
    if (n == 2) {
        if (entry_compare(&entries[0], &entries[1], depth) > 0) {
            mr_entry swap = entries[0];
            entries[0] = entries[1];
            entries[1] = swap;
        }
        return;
    }
    if (deeper >= MR_SORT_DEPTH_MAX) {
        sort_merging(entries, n, other, depth);
        return;
    }
    if (deeper == MR_WORD_BYTES) {
        swap_words(entries, n);
        sort_radix(entries, n, other, deeper, 1);
        swap_words(entries, n);
        return;
    }
    set_words(entries, n, deeper);
    sort_radix(entries, n, other, deeper, 1);
    for (size_t i = 0; i < n; i++)
        entries[i].word = word;
}

/* At most SMALL entries: by their words, then the groups that tie by what follows. */
static void sort_small(mr_entry *entries, size_t n, mr_entry *other, size_t depth)
{
    if (!depth) {
        if (sort_both_words(entries, n))
            sort_merging(entries, n, other, 0);
        return;
    }
    if (!sort_words(entries, n))
        return;
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && entries[to].word == entries[from].word; to++)
            ;
        if (to - from > 1 && !mr_word_is_whole(entries[from].word))
            sort_deeper(entries + from, to - from, other, depth);
    }
}

/* The digit of a pass: words from `least` on, cut down to so many bits that it spreads them. */
typedef struct {
    uint64_t least;
    int shift;
    uint32_t digits;
} spread;

/* 0 when all words are equal. */
static int choose_spread(const mr_entry *entries, size_t n, spread *by)
{
    uint64_t least = entries[0].word, most = entries[0].word;
    for (size_t i = 1; i < n; i++) {
        uint64_t word = entries[i].word;
        least = word < least ? word : least;
        most = word > most ? word : most;
    }
    int bits = 63 - __builtin_clzll(n);
    if (bits > DIGIT_BITS)
        bits = DIGIT_BITS;
    int width = least == most ? 0 : 64 - __builtin_clzll(most - least);
    by->least = least;
    by->shift = width > bits ? width - bits : 0;
    by->digits = (uint32_t)((most - least) >> by->shift) + 1;
    return least != most;
}

/* Sorts entries[0, n) by their words at `depth` and what follows. The result stands in
 * `entries` when `here`, else in `other`. */
static void sort_radix(mr_entry *entries, size_t n, mr_entry *other, size_t depth, int here)
{
    spread by;
    if (n <= SMALL || !choose_spread(entries, n, &by)) {
        if (n <= SMALL)
            sort_small(entries, n, other, depth);
        else if (!mr_word_is_whole(entries[0].word))
            sort_deeper(entries, n, other, depth);
        if (!here)
            memcpy(other, entries, n * sizeof *entries);
        return;
    }
    uint32_t end[by.digits]; /* as few as n has bits for: the stack holds one array for each level */
    memset(end, 0, by.digits * sizeof *end);
    for (size_t i = 0; i < n; i++)
        end[(entries[i].word - by.least) >> by.shift]++;
    uint32_t next = 0;
    for (uint32_t digit = 0; digit < by.digits; digit++) {
        uint32_t size = end[digit];
        end[digit] = next;
        next += size;
    }
    for (size_t i = 0; i < n; i++)
        other[end[(entries[i].word - by.least) >> by.shift]++] = entries[i];
    for (size_t digit = 0, from = 0; digit < by.digits; digit++) {
        if (end[digit] - from == 1 && here)
            entries[from] = other[from];
        else if (end[digit] > from)
            sort_radix(other + from, end[digit] - from, entries + from, depth, !here);
        from = end[digit];
    }
}

void mr_sort_entries(mr_entry *entries, size_t n, mr_entry *scratch) { sort_radix(entries, n, scratch, 0, 1); }
