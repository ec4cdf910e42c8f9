/* The distinct-count sketch: feed in pieces, ask for room, merge sound and unsound registers. */
#include "driver.h"
#include "mr_hyperloglog.h"

static uint8_t *zeroed(size_t size) { return memset(fresh(size), 0, size); }

/* Token by token and bit by bit. */
static uint8_t *expected_registers(const words *all, unsigned precision)
{
    uint8_t *registers = zeroed((size_t)1 << precision);
    for (size_t i = 0; i < all->n; i++) {
        uint64_t hash = mr_hash_xxh3(all->words[i].text, all->words[i].len, 0);
        size_t index = (size_t)(hash >> (64 - precision));
        uint8_t rank = 1;
        while (rank <= 64 - precision && !(hash >> (64 - precision - rank) & 1))
            rank++;
        if (rank > registers[index])
            registers[index] = rank;
    }
    return registers;
}

/* Feeds text in pieces, each in a block of its own that is gone before the next. */
static void feed(mr_hyperloglog *sketch, dice *dice, mr_tokenize_fn tokenize, const uint8_t *text, size_t len, int lower)
{
    size_t longest = roll(dice, 2) ? len : 1 + roll(dice, 9000), size = longest;
    for (size_t at = 0; at < len;) {
        size_t stop = len - at < size ? len : at + size, consumed = 0;
        uint8_t *piece = exact(text + at, stop - at);
        mr_status status = mr_hyperloglog_feed(sketch, tokenize, piece, stop - at, stop == len, lower, &consumed);
        free(piece);
        at += consumed;
        CHECK(status == MR_OK || (status == MR_NEED_ROOM && lower && sketch->want > sketch->room_size));
        if (status == MR_NEED_ROOM) {
            free(sketch->room);
            sketch->room = fresh(sketch->room_size = sketch->want);
        } else {
            size = consumed ? longest : 2 * size;
        }
    }
}

static void check_counts(const uint8_t *registers, unsigned precision)
{
    uint32_t counts[MR_HYPERLOGLOG_RANKS], all = 0;
    mr_hyperloglog_count(registers, precision, counts);
    for (unsigned rank = 0; rank < MR_HYPERLOGLOG_RANKS; rank++) {
        CHECK(!counts[rank] || rank <= mr_hyperloglog_rank_max(precision));
        all += counts[rank];
    }
    CHECK(all == 1u << precision);
}

static void check_merge_of(dice *dice, uint8_t *registers, unsigned precision)
{
    size_t m = (size_t)1 << precision;
    uint8_t *others = fresh(m), *before = exact(registers, m), most = (uint8_t)mr_hyperloglog_rank_max(precision);
    for (size_t i = 0; i < m; i++)
        others[i] = (uint8_t)roll(dice, most + 1u);
    size_t hit = roll(dice, m);
    others[hit] = (uint8_t)(most + 1 + roll(dice, 255u - most));
    CHECK(mr_hyperloglog_merge(registers, others, precision) == MR_CORRUPT && !memcmp(registers, before, m));
    others[hit] = most;
    CHECK(mr_hyperloglog_merge(registers, others, precision) == MR_OK);
    for (size_t i = 0; i < m; i++)
        CHECK(registers[i] == (before[i] > others[i] ? before[i] : others[i]));
    free(others);
    free(before);
    check_counts(registers, precision);
}

static void sketch_round(dice *dice, const mr_dispatch *dispatch, size_t len)
{
    unsigned precision = MR_HYPERLOGLOG_PRECISION_MIN +
                         (unsigned)roll(dice, MR_HYPERLOGLOG_PRECISION_MAX - MR_HYPERLOGLOG_PRECISION_MIN + 1);
    mr_tokenizer tokenizer = (mr_tokenizer)roll(dice, MR_TOKENIZERS);
    int lower = (int)roll(dice, 2);
    mr_hyperloglog sketch = {.registers = zeroed((size_t)1 << precision), .precision = precision};
    uint8_t *text = make_text(dice, len);
    if (len > 20000) /* one token longer than a block, in upper case */
        memset(text + 100, 'Q', 4090 + roll(dice, 9000));
    uint8_t *folded = exact(text, len);
    for (size_t i = 0; lower && i < len; i++)
        folded[i] |= folded[i] >= 'A' && folded[i] <= 'Z' ? 0x20 : 0;
    words all = words_of_text(folded, len, tokenizer);
    feed(&sketch, dice, dispatch->tokenize[tokenizer], text, len, lower);
    free(text);
    uint8_t *expected = expected_registers(&all, precision);
    CHECK(!memcmp(sketch.registers, expected, (size_t)1 << precision));
    check_counts(sketch.registers, precision);
    check_merge_of(dice, sketch.registers, precision);
    free(expected);
    free(all.words);
    free(folded);
    free(sketch.room);
    free(sketch.registers);
}

/* The largest rank is that of a hash without a 1 below its index. */
static void check_ranks(void)
{
    for (unsigned precision = MR_HYPERLOGLOG_PRECISION_MIN; precision <= MR_HYPERLOGLOG_PRECISION_MAX; precision++) {
        uint8_t *registers = zeroed((size_t)1 << precision);
        size_t last = ((size_t)1 << precision) - 1;
        mr_hyperloglog_add(registers, precision, 0);
        CHECK(registers[0] == mr_hyperloglog_rank_max(precision));
        mr_hyperloglog_add(registers, precision, UINT64_MAX);
        CHECK(registers[last] == 1);
        mr_hyperloglog_add(registers, precision, (uint64_t)last << (64 - precision) | 1);
        CHECK(registers[last] == mr_hyperloglog_rank_max(precision) - 1);
        check_counts(registers, precision);
        free(registers);
    }
}

void check_hyperloglog(void)
{
    check_ranks();
    for (int level = 0; level < MR_CPU_LEVELS; level++) {
        const mr_dispatch *dispatch = mr_dispatch_at((mr_cpu_level)level);
        dice dice = {9}; /* the same texts on every level */
        for (size_t len = 0; dispatch && len < 200; len++)
            sketch_round(&dice, dispatch, len);
        for (size_t round = 0; dispatch && round < 30; round++)
            sketch_round(&dice, dispatch, 20001 + roll(&dice, 20000));
    }
}
