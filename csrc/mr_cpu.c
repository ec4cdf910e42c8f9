#include "mr_cpu.h"

uint32_t mr_cpu_available(void)
{
    uint32_t levels = 1u << MR_CPU_SCALAR;
#if defined(__aarch64__)
    levels |= 1u << MR_CPU_NEON;
#elif defined(__x86_64__)
    /* The builtin also asks the operating system (XGETBV), so a level that is reported
     * has its registers saved on a context switch. */
    __builtin_cpu_init();
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
        __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt")) {
        levels |= 1u << MR_CPU_AVX2;
        if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
            __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512dq") &&
            __builtin_cpu_supports("avx512vbmi") && __builtin_cpu_supports("avx512vbmi2"))
            levels |= 1u << MR_CPU_AVX512;
    }
#endif
    return levels;
}
