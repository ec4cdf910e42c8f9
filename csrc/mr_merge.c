#include "mr_merge.h"

#define ENDED (~(uint64_t)0)  /* above every word: a run at its end loses to all others      */
#define LINE_OVERHEAD 24      /* TAB, 19 digits and a sign, LF                               */
#define SLACK 16              /* bytes that are copied at once, whatever the key's length    */
#define GROUP_LENGTH 10       /* room that is left for the length of combined postings       */
#define LIKELY(condition) __builtin_expect(!!(condition), 1)

/* Which of two runs with equal words comes first. */
static int tie_before(const mr_merge *merge, uint32_t a, uint32_t b)
{
    const mr_run *left = &merge->runs[a], *right = &merge->runs[b];
    if (left->word != ENDED) {
        int order = mr_bytes_compare(left->key + MR_WORD_BYTES, left->len - MR_WORD_BYTES,
                                     right->key + MR_WORD_BYTES, right->len - MR_WORD_BYTES);
        if (order)
            return order < 0;
    }
    return a < b;
}

static int run_before(const mr_merge *merge, uint32_t a, uint32_t b)
{
    uint64_t left = merge->runs[a].word, right = merge->runs[b].word;
    if (left != right)
        return left < right;
    return mr_word_is_whole(left) ? a < b : tie_before(merge, a, b);
}

/* Steps a run to its next record. MR_NEED_INPUT: its block is used up. */
static mr_status run_step(mr_run *run, mr_value_kind kind)
{
    if (run->next == run->end) {
        if (!run->finished)
            return MR_NEED_INPUT;
        run->word = ENDED;
        return MR_OK;
    }
    const uint8_t *after = kind == MR_VALUE_SUM
                               ? mr_record_decode(run->next, run->end, &run->key, &run->len, &run->value)
                               : mr_record_decode_bytes(run->next, run->end, &run->key, &run->len, &run->group,
                                                        &run->group_len);
    if (!after)
        return MR_CORRUPT;
    /* Eight bytes can be loaded past most keys, for the block goes on. */
    uint64_t word;
    if (LIKELY(run->end - run->key >= 8)) {
        uint64_t loaded = mr_load64_be(run->key);
        size_t kept = run->len < MR_WORD_BYTES ? run->len : MR_WORD_BYTES;
        word = mr_word_short(loaded, kept) + (run->len > MR_WORD_BYTES);
    } else {
        word = mr_word_at(run->key, run->len, 0);
    }
    run->next = after;
    run->word = word;
    return MR_OK;
}

/* Plays the new record of the winner's run up to the root. */
static inline void replay(mr_merge *merge)
{
    uint32_t run = merge->loser[0].run;
    uint64_t word = merge->runs[run].word;
    for (uint32_t node = (run + merge->k) / 2; node; node /= 2) {
        mr_loser *other = &merge->loser[node];
        uint64_t other_word = other->word;
        uint32_t other_run = other->run;
        int wins = (other_word < word) | ((other_word == word) & (other_run < run));
        if (__builtin_expect(other_word == word && !mr_word_is_whole(word), 0))
            wins = tie_before(merge, other_run, run);
        /* Exchanged by masks: of a conditional expression the compiler makes a branch. */
        uint64_t words = (word ^ other_word) & (0 - (uint64_t)wins);
        uint32_t runs = (run ^ other_run) & (0 - (uint32_t)wins);
        other->word = other_word ^ words;
        other->run = other_run ^ runs;
        word ^= words;
        run ^= runs;
    }
    merge->loser[0] = (mr_loser){word, run};
}

static uint32_t build(mr_merge *merge, uint32_t node)
{
    if (node >= merge->k)
        return node - merge->k;
    uint32_t left = build(merge, 2 * node), right = build(merge, 2 * node + 1);
    int first = run_before(merge, left, right);
    uint32_t loses = first ? right : left;
    merge->loser[node] = (mr_loser){merge->runs[loses].word, loses};
    return first ? left : right;
}

void mr_merge_start(mr_merge *merge)
{
    for (uint32_t i = 0; i < merge->k; i++)
        merge->runs[i] = (mr_run){0};
    merge->dry = merge->primed = 0;
    merge->playing = merge->replay = merge->pending = 0;
    merge->done = merge->records_in = merge->records_out = 0;
}

void mr_merge_refill(mr_merge *merge, uint32_t run, const uint8_t *block, size_t size)
{
    merge->runs[run].next = block;
    merge->runs[run].end = block + size;
    merge->runs[run].finished = !size;
}

static uint8_t *put_decimal(uint8_t *out, int64_t value)
{
    uint8_t digits[20];
    int at = 20;
    uint64_t rest = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;
    do
        digits[--at] = (uint8_t)('0' + rest % 10);
    while (rest /= 10);
    if (value < 0)
        *out++ = '-';
    memcpy(out, digits + at, (size_t)(20 - at));
    return out + (20 - at);
}

/* Writes the length before the combined postings, which move up to it. */
static uint8_t *finish_group(mr_merge *merge)
{
    size_t len = merge->group_end - merge->group_at;
    uint8_t *at = mr_varint_put(merge->out + merge->key_at + merge->key_len, len);
    memmove(at, merge->out + merge->group_at, len);
    return at + len;
}

/* Finishes the pending record, or takes it back when it is below value_min. */
static inline void finish(mr_merge *merge)
{
    merge->pending = 0;
    if (merge->kind == MR_VALUE_SUM && merge->value < merge->value_min)
        return;
    merge->records_out++;
    uint8_t *at = merge->out + merge->key_at + merge->key_len;
    if (merge->emit == MR_EMIT_LINES) {
        *at++ = '\t';
        if (LIKELY((uint64_t)merge->value < 10))
            *at++ = (uint8_t)('0' + merge->value);
        else
            at = put_decimal(at, merge->value);
        *at++ = '\n';
    } else if (merge->emit == MR_EMIT_NOTHING) {
        return;
    } else if (merge->kind == MR_VALUE_SUM) {
        at = mr_varint_put(at, mr_zigzag(merge->value));
    } else if (merge->kind == MR_VALUE_BYTES) {
        at = merge->out + merge->group_end; /* it was written whole */
    } else {
        at = finish_group(merge);
    }
    merge->done = (size_t)(at - merge->out);
}

/* Starts combining the winner's key: writes it behind the finished output. */
static inline mr_status begin(mr_merge *merge, const mr_run *run)
{
    size_t need = run->len + LINE_OVERHEAD + SLACK;
    if (merge->kind != MR_VALUE_SUM)
        need += GROUP_LENGTH + run->group_len;
    if (merge->room - merge->done < need) {
        merge->want = need;
        return MR_NEED_FLUSH;
    }
    uint8_t *at = merge->out + merge->done;
    if (merge->emit == MR_EMIT_RECORDS)
        at = mr_varint_put(at, run->len);
    merge->key_at = (size_t)(at - merge->out);
    merge->key_len = run->len;
    merge->key_word = run->word;
    merge->value = run->value;
    merge->pending = 1;
    if (LIKELY(run->len <= SLACK && run->end - run->key >= SLACK))
        memcpy(at, run->key, SLACK);
    else
        memcpy(at, run->key, run->len);
    if (merge->kind == MR_VALUE_BYTES) {
        uint8_t *group = mr_varint_put(at + run->len, run->group_len);
        memcpy(group, run->group, run->group_len);
        merge->group_end = (size_t)(group - merge->out) + run->group_len;
    } else if (merge->kind == MR_VALUE_POSTING) {
        merge->group_at = merge->key_at + run->len + GROUP_LENGTH;
        memcpy(merge->out + merge->group_at, run->group, run->group_len);
        merge->group_end = merge->group_at + run->group_len;
    }
    return MR_OK;
}

/* Adds the winner's value to the pending key's. */
static mr_status combine(mr_merge *merge, const mr_run *run)
{
    if (merge->kind == MR_VALUE_SUM) {
        int64_t sum;
        if (__builtin_add_overflow(merge->value, run->value, &sum))
            return MR_OVERFLOW;
        merge->value = sum;
        return MR_OK;
    }
    if (merge->emit == MR_EMIT_NOTHING)
        return MR_OK;
    if (merge->room - merge->group_end < run->group_len) {
        merge->want = merge->group_end - merge->done + run->group_len;
        return MR_NEED_FLUSH;
    }
    memcpy(merge->out + merge->group_end, run->group, run->group_len);
    merge->group_end += run->group_len;
    return MR_OK;
}

/* -1, 0, 1: the run's key against the pending one, which it must not come before. */
static inline int against_pending(const mr_merge *merge, const mr_run *run)
{
    if (run->word != merge->key_word)
        return run->word < merge->key_word ? -1 : 1;
    if (mr_word_is_whole(run->word))
        return 0;
    return mr_bytes_compare(run->key, run->len, merge->out + merge->key_at, merge->key_len);
}

size_t mr_merge_pending(const mr_merge *merge)
{
    if (!merge->pending)
        return 0;
    return (merge->kind != MR_VALUE_SUM ? merge->group_end : merge->key_at + merge->key_len) - merge->done;
}

void mr_merge_flushed(mr_merge *merge, uint8_t *out, size_t room)
{
    memmove(out, merge->out + merge->done, mr_merge_pending(merge));
    merge->key_at -= merge->done;
    merge->group_at -= merge->done;
    merge->group_end -= merge->done;
    merge->out = out;
    merge->room = room;
    merge->done = 0;
}

static inline mr_status take(mr_merge *merge, const mr_run *run)
{
    if (merge->pending) {
        int order = against_pending(merge, run);
        if (order < 0)
            return MR_CORRUPT;
        if (!order && merge->kind != MR_VALUE_BYTES)
            return combine(merge, run);
        finish(merge);
    }
    return begin(merge, run);
}

mr_status mr_merge_run(mr_merge *merge, uint64_t records)
{
    for (; !merge->playing; merge->primed++) {
        if (merge->primed == merge->k) {
            uint32_t winner = build(merge, 1);
            merge->loser[0] = (mr_loser){merge->runs[winner].word, winner};
            merge->playing = 1;
            break;
        }
        merge->dry = merge->primed;
        mr_status status = run_step(&merge->runs[merge->primed], merge->kind);
        if (status)
            return status;
    }
    for (uint64_t limit = merge->records_in + records;;) {
        uint32_t winner = merge->loser[0].run;
        mr_run *run = &merge->runs[winner];
        merge->dry = winner;
        if (merge->replay) { /* the record was taken: step, then find the next winner */
            mr_status status = run_step(run, merge->kind);
            if (status)
                return status;
            merge->replay = 0;
            replay(merge);
            continue;
        }
        if (run->word == ENDED) {
            if (merge->pending)
                finish(merge);
            return MR_OK;
        }
        if (merge->records_in == limit)
            return MR_NEED_ROOM;
        mr_status status = take(merge, run);
        if (status)
            return status;
        merge->records_in++;
        merge->replay = 1;
    }
}
