/* Runs all checks, and holds what they share. */
#include "driver.h"

int main(void)
{
    static const struct {
        const char *name;
        void (*run)(void);
    } checks[] = {
        {"accumulate", check_accumulate},
        {"cpu", check_cpu},
        {"hash", check_hash},
        {"tokenize", check_tokenize},
        {"fault", check_fault},
        {"sort", check_sort},
        {"table", check_table},
        {"radix", check_radix},
        {"values", check_values},
        {"record", check_record},
        {"merge", check_merge},
        {"postings", check_postings},
        {"unicode", check_unicode},
        {"ngrams", check_ngrams},
        {"hyperloglog", check_hyperloglog},
    };
    for (size_t i = 0; i < sizeof checks / sizeof *checks; i++) {
        checks[i].run();
        printf("%s ", checks[i].name);
        fflush(stdout);
    }
    puts("passed");
    return 0;
}

uint64_t roll(dice *dice, uint64_t below)
{
    uint64_t z = dice->state += 0x9E3779B97F4A7C15u;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (z ^ z >> 31) % below;
}

void *fresh(size_t size)
{
    void *memory = malloc(size);
    CHECK(memory);
    return memory;
}

uint8_t *exact(const void *bytes, size_t size)
{
    uint8_t *copy = fresh(size);
    if (size)
        memcpy(copy, bytes, size);
    return copy;
}

void *fresh_slots(size_t size)
{
    void *memory = aligned_alloc(64, size);
    CHECK(memory);
    return memset(memory, 0, size);
}

uint8_t *make_text(dice *dice, size_t size)
{
    static const char separators[] = " \n\t\r\v\f", letters[] = "abcdeXYZ019_";
    uint8_t *text = fresh(size);
    size_t longest = roll(dice, 8) ? 20 : 400;
    for (size_t at = 0; at < size;) {
        size_t token = at + roll(dice, roll(dice, 4) ? 9 : longest) + roll(dice, 2);
        for (; at < size && at < token; at++)
            text[at] = roll(dice, 40) ? (uint8_t)letters[roll(dice, 12)] : (uint8_t)roll(dice, 256);
        for (size_t gap = at + 1 + (roll(dice, 9) ? 0 : roll(dice, 90)); at < size && at < gap; at++)
            text[at] = (uint8_t)separators[roll(dice, 6)];
    }
    return text;
}

static int compare_words(const void *left, const void *right)
{
    const word *a = left, *b = right;
    return mr_bytes_compare(a->text, a->len, b->text, b->len);
}

words words_of_text(const uint8_t *text, size_t len, mr_tokenizer tokenizer)
{
    words all = {fresh((len + 1) * sizeof(word)), 0};
    for (size_t at = 0; at < len;) {
        size_t start = at;
        while (at < len && mr_tokenize_is_token(tokenizer, text[at]))
            at++;
        int empty_line = at == start && tokenizer == MR_TOKENIZER_LINES;
        if (at > start || empty_line)
            all.words[all.n++] = (word){text + start, at - start, 1};
        if (at < len) /* the separator behind the token, or one of many */
            at++;
    }
    qsort(all.words, all.n, sizeof(word), compare_words);
    size_t distinct = 0;
    for (size_t i = 0; i < all.n; i++) {
        if (distinct && !compare_words(&all.words[distinct - 1], &all.words[i]))
            all.words[distinct - 1].count++;
        else
            all.words[distinct++] = all.words[i];
    }
    all.n = distinct;
    return all;
}

int64_t words_find(const words *all, const uint8_t *text, size_t len)
{
    word wanted = {text, len, 0};
    const word *found = bsearch(&wanted, all->words, all->n, sizeof(word), compare_words);
    return found ? found->count : 0;
}

void run_add(run *run, const uint8_t *bytes, size_t size)
{
    run->block = realloc(run->block, (run->n + 1) * sizeof *run->block);
    run->size = realloc(run->size, (run->n + 1) * sizeof *run->size);
    CHECK(run->block && run->size);
    run->block[run->n] = exact(bytes, size);
    run->size[run->n++] = size;
}

run run_of_entries(const mr_entry *entries, size_t n, size_t room)
{
    run made = {0};
    size_t next = 0, written, want;
    uint8_t *out = fresh(room);
    for (mr_status status = MR_NEED_FLUSH; status == MR_NEED_FLUSH;) {
        status = mr_record_encode(entries, n, &next, out, room, &written, &want);
        CHECK(status == MR_OK || status == MR_NEED_FLUSH);
        if (written) {
            run_add(&made, out, written);
        } else if (status == MR_NEED_FLUSH) {
            CHECK(want > room);
            free(out);
            out = fresh(room = want);
        }
    }
    CHECK(next == n);
    free(out);
    return made;
}

void run_free(run *run)
{
    for (size_t i = 0; i < run->n; i++)
        free(run->block[i]);
    free(run->block);
    free(run->size);
}
