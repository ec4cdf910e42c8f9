/* Stable sort of keyed entries by key bytes.
 *
 * Most-significant-digit radix sort over the prefix words (mr_key.h), out of place, with
 * insertion sort for small groups; a group whose words are equal and whose keys are longer
 * goes on with the words taken seven bytes deeper. So cache misses on keys happen only where
 * prefixes tie (McIlroy, Bostic and McIlroy, "Engineering radix sort", Computing Systems 6(1),
 * 1993; caching the words: Ng and Kakehi, "Cache efficient radix sort for string sorting",
 * IEICE 2007). A digit is not a byte of the word but the upper log2(n) bits of its distance
 * from the group's least word, so that one pass spreads n words over about n groups whatever
 * prefix they share (Ross, "The spreadsort high-performance general-case sorting algorithm",
 * PDPTA 2002). Where keys share
 * more than MR_SORT_DEPTH_MAX bytes a merge sort takes over, so that stack and time stay
 * bounded for any input. Equal keys keep their order.
 */
#ifndef MR_SORT_H
#define MR_SORT_H

#include "mr_key.h"

#define MR_SORT_DEPTH_MAX (16 * MR_WORD_BYTES)

/* Sorts entries[0, n), n < 2^32; scratch holds n entries too. Entries must carry their depth-0 word. */
void mr_sort_entries(mr_entry *entries, size_t n, mr_entry *scratch);

#endif
