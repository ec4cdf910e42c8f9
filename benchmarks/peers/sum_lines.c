/* sum_lines counts FILE...          lines of `key TAB number`
 * sum_lines groups FILE...          lines of `key TAB [number, ...]`, of which the first number counts
 * sum_lines index FOLDER FILE...    lines of `word TAB path,path,...`
 *
 * Reads an answer in whatever order its lines are and prints three numbers: how many lines there are, the sum of
 * their XXH3-64 (without the newline, mod 2^64, hexadecimal), and the sum of the numbers, or the number of paths.
 * A path counts from behind FOLDER/, so that it may be absolute or not. answers.py calls this: an answer of 60 million
 * lines takes half a second; in Python it would take longer than the run.
 */
#include "mr_hash.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

typedef struct {
    const char *folder; /* with a slash at its end; NULL: lines are counts or groups */
    size_t folder_size;
    int are_groups;
    char *line; /* with shortened paths */
    size_t line_size_max;
    uint64_t lines, hash_sum, total;
} sums;

static void fail(const char *what, const char *name)
{
    fprintf(stderr, "%s: %s\n", name, what);
    exit(1);
}

/* The number behind the last TAB. */
static uint64_t count_of(const char *line, size_t size, const char *name)
{
    size_t start = size;
    while (start && line[start - 1] >= '0' && line[start - 1] <= '9')
        start--;
    if (start == size || !start || line[start - 1] != '\t')
        fail("a line does not end in TAB and a decimal number", name);
    uint64_t count = 0;
    for (size_t i = start; i < size; i++)
        count = count * 10 + (uint64_t)(line[i] - '0');
    return count;
}

/* The number behind TAB and a bracket. */
static uint64_t group_of(const char *line, size_t size, const char *name)
{
    const char *end = line + size, *at = memmem(line, size, "\t[", 2);
    if (!at || at + 2 == end || at[2] < '0' || at[2] > '9')
        fail("a line holds no TAB, bracket and decimal number behind them", name);
    uint64_t count = 0;
    for (at += 2; at < end && *at >= '0' && *at <= '9'; at++)
        count = count * 10 + (uint64_t)(*at - '0');
    return count;
}

/* Where the path begins behind the folder; at its start if it does not name the folder. */
static const char *path_inside(const sums *s, const char *path, size_t size)
{
    if (size >= s->folder_size && !memcmp(path, s->folder, s->folder_size))
        return path + s->folder_size;
    for (const char *at = path; (at = memmem(at, size - (size_t)(at - path), s->folder, s->folder_size)); at++)
        if (at > path && at[-1] == '/')
            return at + s->folder_size;
    return path;
}

/* Copies the line with shortened paths to s->line; returns its size and adds to s->total. */
static size_t shorten_paths(sums *s, const char *line, size_t size, const char *name)
{
    const char *end = line + size, *tab = memchr(line, '\t', size);
    if (!tab || tab + 1 == end)
        fail("a line holds no TAB and paths behind it", name);
    if (size > s->line_size_max) {
        s->line_size_max = size * 2;
        s->line = realloc(s->line, s->line_size_max);
        if (!s->line)
            fail("no memory for a line", name);
    }
    size_t used = (size_t)(tab + 1 - line);
    memcpy(s->line, line, used);
    for (const char *path = tab + 1, *next; path < end; path = next) {
        const char *comma = memchr(path, ',', (size_t)(end - path));
        next = comma ? comma + 1 : end; /* the comma is copied with the path */
        const char *kept = path_inside(s, path, (size_t)(next - path));
        memcpy(s->line + used, kept, (size_t)(next - kept));
        used += (size_t)(next - kept);
        s->total++;
    }
    return used;
}

static void add_line(sums *s, const char *line, size_t size, const char *name)
{
    if (s->folder) {
        size = shorten_paths(s, line, size, name);
        line = s->line;
    } else {
        s->total += s->are_groups ? group_of(line, size, name) : count_of(line, size, name);
    }
    s->hash_sum += mr_hash_xxh3((const uint8_t *)line, size, 0);
    s->lines++;
}

static void add_file(sums *s, const char *name)
{
    int file = open(name, O_RDONLY);
    struct stat state;
    if (file < 0 || fstat(file, &state))
        fail("cannot be opened", name);
    size_t size = (size_t)state.st_size;
    if (size) {
        char *text = mmap(NULL, size, PROT_READ, MAP_PRIVATE, file, 0);
        if (text == MAP_FAILED)
            fail("cannot be mapped", name);
        madvise(text, size, MADV_SEQUENTIAL);
        for (const char *line = text, *end = text + size, *next; line < end; line = next + 1) {
            next = memchr(line, '\n', (size_t)(end - line));
            if (!next) /* a last line without a newline */
                next = end;
            add_line(s, line, (size_t)(next - line), name);
        }
        munmap(text, size);
    }
    close(file);
}

int main(int argc, char **argv)
{
    int is_index = argc > 2 && !strcmp(argv[1], "index"), first = is_index ? 3 : 2;
    int are_groups = argc > 1 && !strcmp(argv[1], "groups");
    if (argc < 2 || (!is_index && !are_groups && strcmp(argv[1], "counts"))) {
        fprintf(stderr, "usage: sum_lines counts FILE... | sum_lines groups FILE... | sum_lines index FOLDER FILE...\n");
        return 2;
    }
    sums s = {.are_groups = are_groups};
    if (is_index) {
        s.folder_size = strlen(argv[2]) + 1;
        char *folder = malloc(s.folder_size + 1);
        if (!folder)
            fail("no memory", argv[2]);
        sprintf(folder, "%s/", argv[2]);
        s.folder = folder;
    }
    for (int i = first; i < argc; i++)
        add_file(&s, argv[i]);
    printf("%llu %016llx %llu\n", (unsigned long long)s.lines, (unsigned long long)s.hash_sum,
           (unsigned long long)s.total);
    return 0;
}
