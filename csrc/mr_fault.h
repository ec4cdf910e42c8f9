/* A file that is truncated while it is mapped: SIGBUS becomes a status.
 *
 * Touching a mapped page that the file no longer has raises SIGBUS. mr_fault_call() runs a
 * kernel over mapped text under a guard: a fault inside the guarded range jumps out of the
 * kernel and gives MR_FAULT; any other SIGBUS goes to the handler that was there before.
 * What the kernel was writing is then in an unknown state, and the caller throws it away.
 * POSIX.1-2017 leaves siglongjmp() out of a handler defined when the interrupted function
 * is not async-signal-unsafe: kernels call nothing but memcpy and their own.
 */
#ifndef MR_FAULT_H
#define MR_FAULT_H

#include <stddef.h>

#include "mr_status.h"

/* Installs the handler, once; 0, or errno of sigaction. */
int mr_fault_install(void);

/* Returns kernel(context), or MR_FAULT when memory in [base, base + size) could not be read. */
mr_status mr_fault_call(mr_status (*kernel)(void *), void *context, const void *base, size_t size);

#endif
