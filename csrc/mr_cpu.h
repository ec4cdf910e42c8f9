/* Which instruction sets a kernel may use.
 *
 * Detection has no state: mr_cpu_available() asks the processor each time, and the
 * caller carries the level it chose (mr_dispatch.h turns it into function pointers).
 * So a test can force every path that the machine has, in one process.
 */
#ifndef MR_CPU_H
#define MR_CPU_H

#include <stdint.h>

typedef enum {
    MR_CPU_SCALAR = 0, /* plain C, any machine                                         */
    MR_CPU_NEON = 1,   /* arm64: always there                                          */
    MR_CPU_AVX2 = 2,   /* x86-64-v3: AVX2, BMI1, BMI2, POPCNT                           */
    MR_CPU_AVX512 = 3, /* x86-64-v4 with VBMI2 (Ice Lake, Zen 4): byte masks, compress  */
    MR_CPU_LEVELS = 4
} mr_cpu_level;

/* Bit L is set when level L can run here; bit MR_CPU_SCALAR always is. */
uint32_t mr_cpu_available(void);

/* The function attribute that lets one translation unit use more than the baseline. */
#if defined(__x86_64__)
#define MR_TARGET_AVX2 __attribute__((target("avx2,bmi,bmi2,popcnt")))
#define MR_TARGET_AVX512 \
    __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vbmi,avx512vbmi2,avx2,bmi,bmi2,popcnt")))
#endif

#endif
