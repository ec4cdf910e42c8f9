/* CPU levels, XXH3, tokenizers, and mapped text that vanishes. */
#define _DEFAULT_SOURCE /* ftruncate, mkstemp, mmap */
#include <sys/mman.h>
#include <unistd.h>

#include "driver.h"
#include "mr_fault.h"
#include "mr_hash.h"

void check_cpu(void)
{
    uint32_t levels = mr_cpu_available();
    CHECK(levels & 1u << MR_CPU_SCALAR);
    for (int level = 0; level < 32; level++)
        CHECK(!mr_dispatch_at((mr_cpu_level)level) == !(level < MR_CPU_LEVELS && levels >> level & 1));
}

/* From the xxhash package, of the bytes i * 131 + 7, seeds 0 and 0x9E3779B185EBCA87. */
static const struct {
    size_t len;
    uint64_t plain, seeded;
} known[] = {
    {0, 0x2D06800538D394C2ull, 0x07F70F819703314Dull},    {1, 0x4C5CCA45D0F4811Full, 0x69F37FE502A5CE84ull},
    {3, 0x6E3E2670E61106ACull, 0x82EE0D8C3A491C38ull},    {4, 0x5C4C63133443D03Full, 0xCAF8AFA7BA97CB0Eull},
    {8, 0xF9FD4DD0B04D78F5ull, 0x3B4C70CBE3EBC00Dull},    {9, 0x7C20DF9712C26EDFull, 0x99FD9784F4EFDF49ull},
    {16, 0x86ABF6BACCEA0858ull, 0xFDE04540EAE27B52ull},   {17, 0xB58BF5DC5022D071ull, 0xC98530740C07E43Bull},
    {128, 0x10D17F72C0CCBA41ull, 0xD6B287B434C3EAC1ull},  {129, 0x1648BDC3DB49D1A2ull, 0xEFCB0A611944C6E1ull},
    {240, 0xB6CFAF343FAB81E6ull, 0xC587312C2EC9D377ull},  {241, 0x956CAE592C67279Eull, 0x033C6361AF37452Eull},
    {1024, 0x70BD377D9574F4BBull, 0xEE8F8CCB108ECC9Dull}, {1025, 0x66C4487C41E127A7ull, 0x431F8BE5FA00D4D2ull},
    {2048, 0x8B46CAA67DAB3A30ull, 0x5D1EA6AA04782779ull},
};

void check_hash(void)
{
    uint8_t bytes[2049];
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (uint8_t)(i * 131 + 7);
    for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
        CHECK(mr_hash_xxh3(bytes, known[i].len, 0) == known[i].plain);
        CHECK(mr_hash_xxh3(bytes, known[i].len, 0x9E3779B185EBCA87u) == known[i].seeded);
    }
    for (size_t len = 0; len < sizeof bytes; len++) { /* nothing outside matters, aligned or not */
        uint8_t *whole = exact(bytes, len), *shifted = fresh(len + 1);
        memcpy(shifted + 1, bytes, len);
        uint64_t hash = mr_hash_xxh3(bytes, len, len);
        CHECK(mr_hash_xxh3(whole, len, len) == hash && mr_hash_xxh3(shifted + 1, len, len) == hash);
        free(whole);
        free(shifted);
    }
    CHECK(mr_hash_xxh3(0, 0, 0) == known[0].plain);
}

static void check_block(mr_tokenize_fn tokenize, mr_tokenizer tokenizer, const uint8_t *text, size_t len, int inside)
{
    mr_token_block *block = fresh(sizeof *block);
    block->inside = (uint32_t)inside;
    tokenize(text, len, block);
    uint32_t starts = 0, ends = 0;
    for (size_t i = 0; i < len; i++) {
        int token = mr_tokenize_is_token(tokenizer, text[i]);
        if (token && !inside)
            CHECK(starts < block->starts && block->start[starts++] == i);
        else if (!token && inside)
            CHECK(ends < block->ends && block->end[ends++] == i);
        inside = token;
    }
    CHECK(starts == block->starts && ends == block->ends && (int)block->inside == inside);
    free(block);
}

static void check_lines(mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int inside)
{
    mr_token_block *block = fresh(sizeof *block);
    block->inside = (uint32_t)inside;
    tokenize(text, len, block);
    uint32_t starts = 0, ends = 0;
    for (size_t i = 0; i < len; i++) {
        if (!inside)
            CHECK(starts < block->starts && block->start[starts++] == i);
        inside = text[i] != '\n';
        if (!inside)
            CHECK(ends < block->ends && block->end[ends++] == i);
    }
    CHECK(starts == block->starts && ends == block->ends && (int)block->inside == inside);
    free(block);
}

static void check_skip(mr_tokenize_fn tokenize, mr_tokenizer tokenizer, const uint8_t *text, size_t len)
{
    size_t end = 0;
    while (end < len && mr_tokenize_is_token(tokenizer, text[end]))
        end++;
    CHECK(mr_tokenize_skip(tokenize, text, len) == end);
}

static void check_tokenizer(mr_tokenize_fn tokenize, mr_tokenizer tokenizer)
{
    dice dice = {tokenizer + 1u};
    for (size_t round = 0; round < 1600; round++) {
        size_t len = round < 400 ? round : MR_TOKEN_BLOCK - roll(&dice, round % 3 ? 130 : MR_TOKEN_BLOCK);
        uint8_t *text = make_text(&dice, len);
        if (round % 7 == 0) /* as many borders as there can be: of words, or with round 14 of lines */
            for (size_t i = 0; i < len; i++)
                text[i] = (i ^ round) & 1 ? ' ' : 'x';
        if (round % 14 == 0)
            memset(text, '\n', len - (len ? roll(&dice, len) : 0));
        if (tokenizer == MR_TOKENIZER_LINES)
            check_lines(tokenize, text, len, (int)(round & 1));
        else
            check_block(tokenize, tokenizer, text, len, (int)(round & 1));
        check_skip(tokenize, tokenizer, text, len);
        free(text);
    }
    for (size_t len = MR_TOKEN_BLOCK - 1; len < 4 * MR_TOKEN_BLOCK; len += 63) { /* a token over several blocks */
        uint8_t *text = memset(fresh(len), 'x', len);
        check_skip(tokenize, tokenizer, text, len);
        text[len - 1] = tokenizer == MR_TOKENIZER_LINES ? '\n' : ' ';
        check_skip(tokenize, tokenizer, text, len);
        free(text);
    }
}

void check_tokenize(void)
{
    for (int level = 0; level < MR_CPU_LEVELS; level++) {
        const mr_dispatch *dispatch = mr_dispatch_at((mr_cpu_level)level);
        for (int tokenizer = 0; dispatch && tokenizer < MR_TOKENIZERS; tokenizer++)
            check_tokenizer(dispatch->tokenize[tokenizer], (mr_tokenizer)tokenizer);
    }
}

typedef struct {
    const uint8_t *text;
    size_t len, zeros;
} zero_count;

static mr_status count_zeros(void *context)
{
    zero_count *count = context;
    for (size_t i = 0; i < count->len; i++)
        count->zeros += !((const volatile uint8_t *)count->text)[i];
    return MR_OK;
}

void check_fault(void)
{
    char name[] = "vanishing-XXXXXX";
    size_t page = (size_t)sysconf(_SC_PAGESIZE);
    int fd = mkstemp(name);
    CHECK(fd >= 0 && !unlink(name) && !ftruncate(fd, (off_t)(2 * page)));
    uint8_t *text = mmap(0, 2 * page, PROT_READ, MAP_PRIVATE, fd, 0);
    CHECK(text != MAP_FAILED);
    CHECK(!mr_fault_install() && !mr_fault_install());
    zero_count count = {text, 2 * page, 0};
    CHECK(mr_fault_call(count_zeros, &count, text, 2 * page) == MR_OK && count.zeros == 2 * page);
    CHECK(!ftruncate(fd, (off_t)page));
    for (int again = 0; again < 3; again++)
        CHECK(mr_fault_call(count_zeros, &count, text, 2 * page) == MR_FAULT);
    count = (zero_count){text, page, 0};
    CHECK(mr_fault_call(count_zeros, &count, text, 2 * page) == MR_OK && count.zeros == page);
    CHECK(!munmap(text, 2 * page) && !close(fd));
}
