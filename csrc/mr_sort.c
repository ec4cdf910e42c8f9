#include "mr_sort.h"

#define SMALL 40 /* below it, insertion sort beats another counting pass */
#define AHEAD 8  /* entries whose keys are prefetched                    */

typedef struct {
    size_t depth; /* key bytes that the words of this group skip */
    int shift;    /* of the word's byte that is next             */
} position;

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

static void sort_radix(mr_entry *entries, size_t n, mr_entry *other, position at, int here);

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
        sort_radix(entries, n, other, (position){deeper, 56}, 1);
        swap_words(entries, n);
        return;
    }
    set_words(entries, n, deeper);
    sort_radix(entries, n, other, (position){deeper, 56}, 1);
    for (size_t i = 0; i < n; i++)
        entries[i].word = word;
}

/* At most SMALL entries: by their words, then the groups that tie by what follows. */
static void sort_small(mr_entry *entries, size_t n, mr_entry *other, size_t depth)
{
    if (!sort_words(entries, n))
        return;
    for (size_t from = 0, to; from < n; from = to) {
        for (to = from + 1; to < n && entries[to].word == entries[from].word; to++)
            ;
        if (to - from > 1 && !mr_word_is_whole(entries[from].word))
            sort_deeper(entries + from, to - from, other, depth);
    }
}

/* Sorts entries[0, n) by the bytes of their words from at.shift down. The result stands in
 * `entries` when `here`, else in `other`. */
static void sort_radix(mr_entry *entries, size_t n, mr_entry *other, position at, int here)
{
    size_t count[256];
    for (;;) {
        if (n <= SMALL) {
            sort_small(entries, n, other, at.depth);
            break;
        }
        if (at.shift < 0) { /* every byte of the words is equal */
            if (!mr_word_is_whole(entries[0].word))
                sort_deeper(entries, n, other, at.depth);
            break;
        }
        memset(count, 0, sizeof count);
        for (size_t i = 0; i < n; i++)
            count[entries[i].word >> at.shift & 0xFF]++;
        if (count[entries[0].word >> at.shift & 0xFF] == n) {
            at.shift -= 8;
            continue;
        }
        size_t next = 0;
        for (int digit = 0; digit < 256; digit++) {
            size_t size = count[digit];
            count[digit] = next;
            next += size;
        }
        for (size_t i = 0; i < n; i++)
            other[count[entries[i].word >> at.shift & 0xFF]++] = entries[i];
        at.shift -= 8;
        size_t from = 0;
        for (int digit = 0; digit < 256; digit++) { /* count[digit] is now the group's end */
            size_t size = count[digit] - from;
            if (size)
                sort_radix(other + from, size, entries + from, at, !here);
            from = count[digit];
        }
        return;
    }
    if (!here)
        memcpy(other, entries, n * sizeof *entries);
}

void mr_sort_entries(mr_entry *entries, size_t n, mr_entry *scratch)
{
    sort_radix(entries, n, scratch, (position){0, 56}, 1);
}
