#include "mr_accumulate.h"

#include <string.h>

#include "mr_hash.h"

#define SIGN ((uint64_t)1 << 63)
#define FRACTION_BITS 52
#define EXPONENT_MAX 0x7FF /* of infinities and NaNs */
#define INFINITY_BITS ((uint64_t)EXPONENT_MAX << FRACTION_BITS)
#define NAN_BITS (INFINITY_BITS | (uint64_t)1 << (FRACTION_BITS - 1))

/* The last word of a float sum. */
enum { FLAGS = MR_ACCUMULATE_LIMBS, HAS_PLUS_INFINITY = 1, HAS_MINUS_INFINITY = 2, HAS_NAN = 4, ALL_FLAGS = 7 };

#define LOAD_PERCENT 66 /* occupied slots at most */
#define AHEAD 64        /* keys that are hashed, and their slots prefetched, before they are probed */

static int is_nan(uint64_t bits) { return (bits & ~SIGN) > INFINITY_BITS; }

static int takes_order_of_floats(mr_accumulator kind) { return kind == MR_MIN_FLOAT64 || kind == MR_MAX_FLOAT64; }

size_t mr_accumulate_words(mr_accumulator kind)
{
    if (kind == MR_SUM_FLOAT64)
        return MR_ACCUMULATE_WORDS_MAX;
    return kind == MR_SUM_INT64 || kind == MR_FIRST_INT64 || kind == MR_FIRST_FLOAT64 ? 2 : 1;
}

size_t mr_accumulate_refused(mr_accumulator kind, const uint64_t *values, size_t n)
{
    if (!takes_order_of_floats(kind))
        return n;
    size_t i = 0;
    while (i < n && !is_nan(values[i]))
        i++;
    return i;
}

/* ---- sums ------------------------------------------------------------------------------ */

static void add_128(uint64_t *sum, uint64_t low, uint64_t high)
{
    sum[0] += low;
    sum[1] += high + (sum[0] < low);
}

/* Adds or subtracts low + high * 2^64 at limb `at`, which is not among the last two. */
static void add_limbs(uint64_t *limbs, size_t at, uint64_t low, uint64_t high, int negative)
{
    uint64_t before = limbs[at], carry;
    if (!negative) {
        limbs[at] += low;
        high += limbs[at] < before; /* at most 52 bits before: no carry */
        before = limbs[++at];
        limbs[at] += high;
        carry = limbs[at] < before;
        while (carry && ++at < MR_ACCUMULATE_LIMBS)
            carry = !++limbs[at];
        return;
    }
    limbs[at] -= low;
    high += limbs[at] > before;
    before = limbs[++at];
    limbs[at] -= high;
    carry = limbs[at] > before;
    while (carry && ++at < MR_ACCUMULATE_LIMBS)
        carry = !limbs[at]--;
}

static void add_double(uint64_t *state, uint64_t bits)
{
    uint64_t fraction = bits & (((uint64_t)1 << FRACTION_BITS) - 1);
    unsigned exponent = (unsigned)(bits >> FRACTION_BITS) & EXPONENT_MAX;
    int negative = (bits & SIGN) != 0;
    if (exponent == EXPONENT_MAX) {
        state[FLAGS] |= fraction ? HAS_NAN : negative ? HAS_MINUS_INFINITY : HAS_PLUS_INFINITY;
        return;
    }
    if (exponent) /* not subnormal */
        fraction |= (uint64_t)1 << FRACTION_BITS;
    unsigned shift = exponent ? exponent - 1 : 0, by = shift % 64;
    uint64_t high = by ? fraction >> (64 - by) : 0;
    add_limbs(state, shift / 64, fraction << by, high, negative);
}

static void merge_limbs(uint64_t *state, const uint64_t *other)
{
    uint64_t carry = 0;
    for (size_t i = 0; i < MR_ACCUMULATE_LIMBS; i++) {
        uint64_t sum = state[i] + other[i];
        uint64_t next = sum < other[i];
        state[i] = sum + carry;
        carry = next | (state[i] < carry);
    }
    state[FLAGS] |= other[FLAGS];
}

/* Is there a 1 below bit `end`? */
static int any_below(const uint64_t *limbs, unsigned end)
{
    uint64_t rest = limbs[end / 64] & (((uint64_t)1 << end % 64) - 1);
    for (unsigned i = 0; i < end / 64; i++)
        rest |= limbs[i];
    return rest != 0;
}

/* The nearest double, ties to even. Of a number below 2^53 units the bits are the number: the
 * smallest normal doubles follow the subnormals. Above that, each doubling adds one to the
 * exponent's field, and so does a round-up that carries out of the fraction. */
static mr_status round_limbs(const uint64_t *limbs, uint64_t *bits)
{
    uint64_t size[MR_ACCUMULATE_LIMBS], sign = limbs[MR_ACCUMULATE_LIMBS - 1] & SIGN, carry = sign != 0;
    unsigned words = 0;
    for (unsigned i = 0; i < MR_ACCUMULATE_LIMBS; i++) {
        size[i] = (sign ? ~limbs[i] : limbs[i]) + carry;
        carry = carry && !size[i];
        words = size[i] ? i + 1 : words;
    }
    *bits = 0;
    if (!words)
        return MR_OK;
    unsigned top = words * 64 - 1 - (unsigned)__builtin_clzll(size[words - 1]);
    if (top <= FRACTION_BITS) {
        *bits = sign | size[0];
        return MR_OK;
    }
    unsigned shift = top - FRACTION_BITS, at = shift / 64, by = shift % 64, half = shift - 1;
    if (shift > EXPONENT_MAX - 2)
        return MR_OVERFLOW;
    uint64_t kept = size[at] >> by | (by ? size[at + 1] << (64 - by) : 0);
    int up = (size[half / 64] >> half % 64 & 1) && ((kept & 1) || any_below(size, half));
    uint64_t rounded = ((uint64_t)shift << FRACTION_BITS) + kept + (uint64_t)up;
    *bits = sign | rounded;
    return rounded >= INFINITY_BITS ? MR_OVERFLOW : MR_OK;
}

/* ---- states ---------------------------------------------------------------------------- */

static uint64_t in_order(mr_accumulator kind, uint64_t value)
{
    return takes_order_of_floats(kind) && value == SIGN ? 0 : value; /* -0.0 */
}

static int is_less(mr_accumulator kind, uint64_t a, uint64_t b)
{
    /* Doubles are a sign and a size: with a sign, a larger size is less. */
    if (takes_order_of_floats(kind) && (a & b & SIGN))
        return a > b;
    return (a ^ SIGN) < (b ^ SIGN);
}

void mr_accumulate_start(mr_accumulator kind, uint64_t *state, uint64_t value, uint64_t position)
{
    switch (kind) {
    case MR_SUM_INT64:
    case MR_SUM_FLOAT64:
        memset(state, 0, mr_accumulate_words(kind) * sizeof *state);
        mr_accumulate_add(kind, state, value, position);
        break;
    case MR_FIRST_INT64:
    case MR_FIRST_FLOAT64:
        state[0] = position;
        state[1] = value;
        break;
    default:
        state[0] = in_order(kind, value);
    }
}

void mr_accumulate_add(mr_accumulator kind, uint64_t *state, uint64_t value, uint64_t position)
{
    switch (kind) {
    case MR_SUM_INT64:
        add_128(state, value, value & SIGN ? ~(uint64_t)0 : 0);
        break;
    case MR_SUM_FLOAT64:
        add_double(state, value);
        break;
    case MR_FIRST_INT64:
    case MR_FIRST_FLOAT64:
        if (position < state[0] || (position == state[0] && value < state[1])) {
            state[0] = position;
            state[1] = value;
        }
        break;
    case MR_MIN_INT64:
    case MR_MIN_FLOAT64:
        value = in_order(kind, value);
        state[0] = is_less(kind, value, state[0]) ? value : state[0];
        break;
    default:
        value = in_order(kind, value);
        state[0] = is_less(kind, state[0], value) ? value : state[0];
    }
}

void mr_accumulate_merge(mr_accumulator kind, uint64_t *state, const uint64_t *other)
{
    if (kind == MR_SUM_INT64)
        add_128(state, other[0], other[1]);
    else if (kind == MR_SUM_FLOAT64)
        merge_limbs(state, other);
    else if (kind == MR_FIRST_INT64 || kind == MR_FIRST_FLOAT64)
        mr_accumulate_add(kind, state, other[1], other[0]);
    else
        mr_accumulate_add(kind, state, other[0], 0);
}

void mr_accumulate_encode(mr_accumulator kind, const uint64_t *state, uint8_t *bytes)
{
    for (size_t i = 0; i < mr_accumulate_words(kind) * 8; i++)
        bytes[i] = (uint8_t)(state[i / 8] >> i % 8 * 8);
}

mr_status mr_accumulate_decode(mr_accumulator kind, const uint8_t *bytes, size_t size, uint64_t *state)
{
    size_t words = mr_accumulate_words(kind);
    if (size != words * 8)
        return MR_CORRUPT;
    memset(state, 0, size);
    for (size_t i = 0; i < size; i++)
        state[i / 8] |= (uint64_t)bytes[i] << i % 8 * 8;
    if (kind == MR_SUM_FLOAT64 && state[FLAGS] > ALL_FLAGS)
        return MR_CORRUPT;
    if (takes_order_of_floats(kind) && (is_nan(*state) || *state != in_order(kind, *state)))
        return MR_CORRUPT;
    return MR_OK;
}

mr_status mr_accumulate_finish(mr_accumulator kind, const uint64_t *state, uint64_t *value)
{
    if (kind == MR_SUM_INT64) {
        *value = state[0];
        return state[1] == (state[0] & SIGN ? ~(uint64_t)0 : 0) ? MR_OK : MR_OVERFLOW;
    }
    if (kind == MR_SUM_FLOAT64) {
        uint64_t flags = state[FLAGS];
        if (!flags)
            return round_limbs(state, value);
        *value = flags & HAS_NAN ? NAN_BITS : INFINITY_BITS | (flags & HAS_MINUS_INFINITY ? SIGN : 0);
        return (flags & HAS_PLUS_INFINITY) && (flags & HAS_MINUS_INFINITY) ? MR_CORRUPT : MR_OK;
    }
    *value = state[mr_accumulate_words(kind) - 1];
    return MR_OK;
}

/* ---- the table ------------------------------------------------------------------------- */

static uint64_t home(uint64_t hash, unsigned bits) { return hash >> (64 - bits); }

static size_t entry_bytes(const mr_accumulate_table *table, size_t len)
{
    return 8 * (1 + mr_accumulate_words(table->kind)) + (len + 7) / 8 * 8;
}

/* The key's slot, or the empty one that it would take. */
static mr_accumulate_slot *find(const mr_accumulate_table *table, const uint8_t *key, size_t len, uint64_t hash)
{
    uint64_t mask = ((uint64_t)1 << table->bits) - 1;
    size_t before_key = 1 + mr_accumulate_words(table->kind);
    for (uint64_t i = home(hash, table->bits);; i = (i + 1) & mask) {
        mr_accumulate_slot *slot = &table->slots[i];
        if (!slot->entry)
            return slot;
        if (slot->hash == hash && slot->entry[0] == len && !memcmp(slot->entry + before_key, key, len))
            return slot;
    }
}

static int has_room(mr_accumulate_table *table, size_t bytes)
{
    uint64_t limit = ((uint64_t)1 << table->bits) * LOAD_PERCENT / 100;
    table->want_bytes = table->used < limit ? bytes : 0;
    return table->used < limit && bytes <= table->arena_room;
}

mr_status mr_accumulate_table_add(mr_accumulate_table *table, const uint8_t *const *keys, const size_t *lens,
                                  const uint64_t *values, uint64_t position, size_t n, size_t *next)
{
    size_t before_key = 1 + mr_accumulate_words(table->kind);
    uint64_t hash[AHEAD];
    while (*next < n) {
        size_t from = *next, to = n - from < AHEAD ? n : from + AHEAD;
        for (size_t i = from; i < to; i++) {
            hash[i - from] = mr_hash_xxh3(keys[i], lens[i], 0);
            __builtin_prefetch(table->slots + home(hash[i - from], table->bits), 1);
        }
        for (size_t i = from; i < to; i++, ++*next) {
            mr_accumulate_slot *slot = find(table, keys[i], lens[i], hash[i - from]);
            if (slot->entry) {
                mr_accumulate_add(table->kind, slot->entry + 1, values[i], position + i);
                continue;
            }
            size_t bytes = entry_bytes(table, lens[i]);
            if (!has_room(table, bytes))
                return MR_NEED_ROOM;
            slot->hash = hash[i - from];
            slot->entry = (uint64_t *)(void *)table->arena;
            slot->entry[0] = lens[i];
            mr_accumulate_start(table->kind, slot->entry + 1, values[i], position + i);
            memcpy(slot->entry + before_key, keys[i], lens[i]);
            table->arena += bytes;
            table->arena_room -= bytes;
            table->used++;
        }
    }
    return MR_OK;
}

void mr_accumulate_table_rehash(mr_accumulate_table *table, mr_accumulate_slot *slots, unsigned bits)
{
    uint64_t n = (uint64_t)1 << table->bits, mask = ((uint64_t)1 << bits) - 1;
    for (uint64_t i = 0; i < n; i++) {
        if (!table->slots[i].entry)
            continue;
        uint64_t j = home(table->slots[i].hash, bits);
        while (slots[j].entry)
            j = (j + 1) & mask;
        slots[j] = table->slots[i];
    }
    table->slots = slots;
    table->bits = bits;
}
