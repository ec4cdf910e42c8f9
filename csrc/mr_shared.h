/* Counters that several processes add to, in memory that all of them have mapped. */
#ifndef MR_SHARED_H
#define MR_SHARED_H

#include <stdint.h>

/* Adds and returns the sum. */
static inline int64_t mr_shared_add(int64_t *counter, int64_t delta)
{
    return __atomic_add_fetch(counter, delta, __ATOMIC_RELAXED);
}

/* Raises the counter to `value` if it is below. */
static inline void mr_shared_max(int64_t *counter, int64_t value)
{
    int64_t now = __atomic_load_n(counter, __ATOMIC_RELAXED);
    while (now < value && !__atomic_compare_exchange_n(counter, &now, value, 1, __ATOMIC_RELAXED, __ATOMIC_RELAXED))
        ;
}

#endif
