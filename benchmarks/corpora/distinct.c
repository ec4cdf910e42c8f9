/* distinct BYTES SEED > FILE: random base-36 tokens of 6 to 12 characters, twelve a line, nearly all distinct. */
#include "random_words.h"

#define TOKENS_PER_LINE 12

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: distinct BYTES SEED > FILE\n");
        return 2;
    }
    corpus c = corpus_open(argv[1]);
    rng r = rng_seed(strtoull(argv[2], NULL, 10));
    while (corpus_wants_line(&c)) {
        for (uint32_t token = 1; token <= TOKENS_PER_LINE; token++) {
            uint32_t size = 6 + rng_below(&r, 7);
            uint64_t number = rng_next(&r); /* 36^12 is below 2^63, so every character is random */
            for (uint32_t i = 0; i < size; i++, number /= 36)
                c.buffer[c.used++] = (uint8_t)"0123456789abcdefghijklmnopqrstuvwxyz"[number % 36];
            c.buffer[c.used++] = token < TOKENS_PER_LINE ? ' ' : '\n';
        }
    }
    corpus_flush(&c);
    free(c.buffer);
    return 0;
}
