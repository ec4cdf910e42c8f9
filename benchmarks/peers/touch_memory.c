/* touch_memory MIB: takes MIB mebibytes of anonymous memory, writes to every page of it, and gives it back.
 *
 * A virtual machine's host hands out memory on first touch and takes back what lies idle, and a page costs
 * microseconds then. run.py runs this before everything that it times, so that ours and theirs alike find pages
 * which the guest already has.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE_BYTES 4096u

int main(int argc, char **argv)
{
    if (argc != 2) {
        fprintf(stderr, "usage: touch_memory MIB\n");
        return 2;
    }
    size_t bytes = (size_t)strtoull(argv[1], NULL, 10) << 20;
    if (!bytes)
        return 0;
    volatile char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (memory == MAP_FAILED) {
        perror("touch_memory: mmap");
        return 1;
    }
    for (size_t offset = 0; offset < bytes; offset += PAGE_BYTES)
        memory[offset] = 1;
    return 0; /* the kernel frees it all */
}
