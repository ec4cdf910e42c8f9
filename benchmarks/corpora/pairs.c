/* pairs BYTES SEED > FILE: lines of `key TAB value`, 14.8 bytes each in the mean.
 *
 * A key is a whole number below 1,000,000, each as likely. A value is an eighth of a whole number below 8,000, with
 * three decimals: doubles hold it and every sum of such values exactly, so that sums are equal in whatever order they
 * were added.
 */
#include "random_words.h"

#define KEYS 1000000u
#define EIGHTHS 8000u

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: pairs BYTES SEED > FILE\n");
        return 2;
    }
    corpus c = corpus_open(argv[1]);
    rng r = rng_seed(strtoull(argv[2], NULL, 10));
    while (corpus_wants_line(&c)) {
        uint32_t key = rng_below(&r, KEYS), eighths = rng_below(&r, EIGHTHS);
        char *line = (char *)c.buffer + c.used;
        c.used += (size_t)snprintf(line, LINE_BYTES_MAX, "%u\t%u.%03u\n", key, eighths / 8, eighths % 8 * 125);
    }
    corpus_flush(&c);
    free(c.buffer);
    return 0;
}
