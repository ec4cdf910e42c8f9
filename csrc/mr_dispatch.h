/* Choosing a CPU path is this one file.
 *
 * mr_dispatch_at(level) gives the function pointers of one level; the caller keeps the
 * pointer and hands it to the kernels. A level that this build or machine lacks gives
 * NULL, so that a forced path that cannot run is an error, never a crash.
 */
#ifndef MR_DISPATCH_H
#define MR_DISPATCH_H

#include "mr_cpu.h"
#include "mr_tokenize.h"

typedef struct {
    mr_tokenize_fn tokenize[MR_TOKENIZERS];
} mr_dispatch;

const mr_dispatch *mr_dispatch_at(mr_cpu_level level);

#endif
