#include "mr_merge.h"

#define ENDED (~(uint64_t)0)  /* above every word: a run at its end loses to all others */
#define LINE_OVERHEAD 24      /* TAB, 19 digits and a sign, LF                          */

static int run_before(const mr_merge *merge, uint32_t a, uint32_t b)
{
    const mr_run *left = &merge->runs[a], *right = &merge->runs[b];
    if (left->word != right->word)
        return left->word < right->word;
    if (!mr_word_is_whole(left->word) && left->word != ENDED) {
        int order = mr_bytes_compare(left->key + MR_WORD_BYTES, left->len - MR_WORD_BYTES,
                                     right->key + MR_WORD_BYTES, right->len - MR_WORD_BYTES);
        if (order)
            return order < 0;
    }
    return a < b;
}

/* Steps a run to its next record. MR_NEED_INPUT: its block is used up. */
static mr_status run_step(mr_run *run)
{
    if (run->next == run->end) {
        if (!run->finished)
            return MR_NEED_INPUT;
        run->word = ENDED;
        return MR_OK;
    }
    const uint8_t *after = mr_record_decode(run->next, run->end, &run->key, &run->len, &run->value);
    if (!after)
        return MR_CORRUPT;
    /* Eight bytes can be loaded past most keys, for the block goes on. */
    uint64_t word;
    if (run->len < 8 && run->end - run->key >= 8)
        word = mr_word_short(mr_load64_be(run->key), run->len);
    else
        word = mr_word_at(run->key, run->len, 0);
    run->next = after;
    run->word = word;
    return MR_OK;
}

/* Plays the new record of the winner's run up to the root. */
static void replay(mr_merge *merge)
{
    uint32_t winner = merge->loser[0];
    for (uint32_t node = (winner + merge->k) / 2; node; node /= 2) {
        uint32_t other = merge->loser[node];
        if (run_before(merge, other, winner)) {
            merge->loser[node] = winner;
            winner = other;
        }
    }
    merge->loser[0] = winner;
}

static uint32_t build(mr_merge *merge, uint32_t node)
{
    if (node >= merge->k)
        return node - merge->k;
    uint32_t left = build(merge, 2 * node), right = build(merge, 2 * node + 1);
    int first = run_before(merge, left, right);
    merge->loser[node] = first ? right : left;
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

/* Finishes the pending record, or takes it back when it is below value_min. */
static void finish(mr_merge *merge)
{
    merge->pending = 0;
    if (merge->value < merge->value_min)
        return;
    uint8_t *at = merge->out + merge->key_at + merge->key_len;
    if (merge->emit == MR_EMIT_LINES) {
        *at++ = '\t';
        if ((uint64_t)merge->value < 10)
            *at++ = (uint8_t)('0' + merge->value);
        else
            at = put_decimal(at, merge->value);
        *at++ = '\n';
    } else {
        at = mr_varint_put(at, mr_zigzag(merge->value));
    }
    merge->done = (size_t)(at - merge->out);
    merge->records_out++;
}

/* Starts combining the winner's key: writes it behind the finished output. */
static mr_status begin(mr_merge *merge, const mr_run *run)
{
    size_t left = merge->room - merge->done;
    if (left < LINE_OVERHEAD + 8 || left - (LINE_OVERHEAD + 8) < run->len) {
        merge->want = run->len + LINE_OVERHEAD + 8;
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
    if (mr_word_is_whole(run->word))
        mr_word_store(run->word, at);
    else
        memcpy(at, run->key, run->len);
    return MR_OK;
}

/* -1, 0, 1: the run's key against the pending one, which it must not come before. */
static int against_pending(const mr_merge *merge, const mr_run *run)
{
    if (run->word != merge->key_word)
        return run->word < merge->key_word ? -1 : 1;
    if (mr_word_is_whole(run->word))
        return 0;
    return mr_bytes_compare(run->key, run->len, merge->out + merge->key_at, merge->key_len);
}

void mr_merge_flushed(mr_merge *merge, uint8_t *out, size_t room)
{
    merge->out = out;
    merge->room = room;
    merge->done = 0;
}

static mr_status take(mr_merge *merge, const mr_run *run)
{
    if (merge->pending) {
        int order = against_pending(merge, run);
        if (order < 0)
            return MR_CORRUPT;
        if (!order)
            return __builtin_add_overflow(merge->value, run->value, &merge->value) ? MR_OVERFLOW : MR_OK;
        finish(merge);
    }
    return begin(merge, run);
}

mr_status mr_merge_run(mr_merge *merge, uint64_t records)
{
    for (; !merge->playing; merge->primed++) {
        if (merge->primed == merge->k) {
            merge->loser[0] = build(merge, 1);
            merge->playing = 1;
            break;
        }
        merge->dry = merge->primed;
        mr_status status = run_step(&merge->runs[merge->primed]);
        if (status)
            return status;
    }
    for (uint64_t limit = merge->records_in + records;;) {
        uint32_t winner = merge->loser[0];
        mr_run *run = &merge->runs[winner];
        merge->dry = winner;
        if (merge->replay) { /* the record was taken: step, then find the next winner */
            mr_status status = run_step(run);
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
