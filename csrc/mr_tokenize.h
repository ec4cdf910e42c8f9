/* Tokenizers: where tokens begin and end in a block of bytes.
 *
 * A tokenizer is a set of token bytes; a token is a maximal run of them.
 *   whitespace: every byte outside 0x09-0x0D and 0x20
 *   ascii:      [A-Za-z0-9_]
 * Text is scanned in blocks of at most MR_TOKEN_BLOCK bytes, and `inside` carries the
 * open token from one block to the next, so a token may be of any length. A kernel
 * turns 64 bytes at a time into a bit mask, finds the borders as (mask ^ mask << 1),
 * and writes them as indices (Langdale and Lemire, "Parsing gigabytes of JSON per
 * second", 2019, section 3.1). No byte at or past text + len is read.
 */
#ifndef MR_TOKENIZE_H
#define MR_TOKENIZE_H

#include <stddef.h>
#include <stdint.h>

#define MR_TOKEN_BLOCK 4096 /* bytes; the index arrays of one block stay in the L1 cache */
#define MR_TOKEN_SLACK 64   /* a kernel may write this many entries past the last one    */

typedef enum { MR_TOKENIZER_WHITESPACE = 0, MR_TOKENIZER_ASCII = 1, MR_TOKENIZERS = 2 } mr_tokenizer;

typedef struct {
    uint32_t inside; /* in and out: 1 when the byte before the block is a token byte */
    uint32_t starts; /* out: tokens that begin in this block                         */
    uint32_t ends;   /* out: tokens that end in this block, before its last byte     */
    uint16_t start[MR_TOKEN_BLOCK / 2 + MR_TOKEN_SLACK]; /* index of a first byte     */
    uint16_t end[MR_TOKEN_BLOCK / 2 + MR_TOKEN_SLACK];   /* index after a last byte   */
} mr_token_block;

/* Finds the token borders of text[0, len), len <= MR_TOKEN_BLOCK. A token that reaches
 * the block's last byte has no end here: it ends at index 0 of the next block if that
 * begins with a separator, or where the caller says the text ends. If `inside` was 1 on
 * entry, the first end closes the token that began earlier. Indices ascend. */
typedef void (*mr_tokenize_fn)(const uint8_t *text, size_t len, mr_token_block *block);

void mr_tokenize_whitespace_scalar(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_ascii_scalar(const uint8_t *text, size_t len, mr_token_block *block);
#if defined(__aarch64__)
void mr_tokenize_whitespace_neon(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_ascii_neon(const uint8_t *text, size_t len, mr_token_block *block);
#elif defined(__x86_64__)
void mr_tokenize_whitespace_avx2(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_ascii_avx2(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_whitespace_avx512(const uint8_t *text, size_t len, mr_token_block *block);
void mr_tokenize_ascii_avx512(const uint8_t *text, size_t len, mr_token_block *block);
#endif

/* Is this byte part of a token? */
int mr_tokenize_is_token(mr_tokenizer tokenizer, uint8_t byte);

/* Index of the first separator in text[0, len), or len. */
size_t mr_tokenize_skip(mr_tokenize_fn tokenize, const uint8_t *text, size_t len);

#endif
