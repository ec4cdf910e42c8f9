/* The plain variants, 8 bytes at a time in one register, and what needs no variant. */
#define MR_TARGET
#include "mr_tokenize_impl.h"

#define EACH(byte) (0x0101010101010101ull * (byte)) /* the same byte in all eight */
#define TOP EACH(0x80)

/* The top bit of each byte says whether low, which must be below 0x80, is >= bound. */
MR_INLINE uint64_t at_least(uint64_t low, uint64_t bound) { return low + EACH(0x80 - bound); }
MR_INLINE uint64_t between(uint64_t low, uint64_t first, uint64_t last)
{
    return at_least(low, first) & ~at_least(low, last + 1);
}

MR_INLINE uint64_t word_whitespace(uint64_t word)
{
    uint64_t low = word & ~TOP;
    uint64_t separator = between(low, '\t', '\r') | ~at_least(low ^ EACH(' '), 1);
    return word | ~separator;
}

MR_INLINE uint64_t word_ascii(uint64_t word)
{
    uint64_t low = word & ~TOP;
    uint64_t letter = between(low | EACH(0x20), 'a', 'z'); /* folds case: A-Z become a-z */
    uint64_t underscore = ~at_least(low ^ EACH('_'), 1);
    return (letter | between(low, '0', '9') | underscore) & ~word;
}

MR_INLINE uint64_t word_lines(uint64_t word) { return at_least((word & ~TOP) ^ EACH('\n'), 1) | word; }

MR_INLINE uint64_t load_word(const uint8_t *from)
{
    uint64_t word;
    memcpy(&word, from, sizeof word);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    return word;
}

/* Top bit of byte k to bit k: the product moves it to bit 56 + k, and no two of the
 * partial products meet, so nothing carries. */
MR_INLINE uint64_t gather_top(uint64_t word) { return ((word & TOP) >> 7) * 0x0102040810204080ull >> 56; }

MR_INLINE uint64_t mask_whitespace(const uint8_t *lane)
{
    uint64_t mask = 0;
    for (int i = 0; i < MR_LANE; i += 8)
        mask |= gather_top(word_whitespace(load_word(lane + i))) << i;
    return mask;
}

MR_INLINE uint64_t mask_ascii(const uint8_t *lane)
{
    uint64_t mask = 0;
    for (int i = 0; i < MR_LANE; i += 8)
        mask |= gather_top(word_ascii(load_word(lane + i))) << i;
    return mask;
}

MR_INLINE uint64_t mask_lines(const uint8_t *lane)
{
    uint64_t mask = 0;
    for (int i = 0; i < MR_LANE; i += 8)
        mask |= gather_top(word_lines(load_word(lane + i))) << i;
    return mask;
}

/* The baseline has no instruction that counts bits, so this loop counts as it goes. */
MR_INLINE uint32_t write_indices(uint16_t *out, uint64_t bits, uint32_t base)
{
    uint32_t written = 0;
    for (; bits; bits &= bits - 1)
        out[written++] = (uint16_t)(base + (uint32_t)__builtin_ctzll(bits));
    return written;
}

void mr_tokenize_whitespace_scalar(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_whitespace, write_indices, 0);
}

void mr_tokenize_ascii_scalar(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_ascii, write_indices, 0);
}

void mr_tokenize_lines_scalar(const uint8_t *text, size_t len, mr_token_block *block)
{
    lanes_scan(text, len, block, mask_lines, write_indices, 1);
}

int mr_tokenize_is_token(mr_tokenizer tokenizer, uint8_t byte)
{
    if (tokenizer == MR_TOKENIZER_WHITESPACE)
        return !(byte == ' ' || (byte >= '\t' && byte <= '\r'));
    if (tokenizer == MR_TOKENIZER_LINES)
        return byte != '\n';
    uint8_t folded = byte | 0x20;
    return (folded >= 'a' && folded <= 'z') || (byte >= '0' && byte <= '9') || byte == '_';
}

size_t mr_tokenize_skip(mr_tokenize_fn tokenize, const uint8_t *text, size_t len)
{
    mr_token_block block;
    /* Most tokens end within a lane, so the steps grow from one lane to a whole block. */
    size_t step = MR_LANE;
    for (size_t at = 0; at < len; at += step, step = step < MR_TOKEN_BLOCK ? step * 2 : step) {
        block.inside = 1;
        tokenize(text + at, step < len - at ? step : len - at, &block);
        if (block.ends)
            return at + block.end[0];
    }
    return len;
}
