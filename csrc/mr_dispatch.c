#include "mr_dispatch.h"

static const mr_dispatch scalar = {
    .tokenize = {mr_tokenize_whitespace_scalar, mr_tokenize_ascii_scalar, mr_tokenize_lines_scalar},
};
#if defined(__aarch64__)
static const mr_dispatch neon = {
    .tokenize = {mr_tokenize_whitespace_neon, mr_tokenize_ascii_neon, mr_tokenize_lines_neon},
};
#elif defined(__x86_64__)
static const mr_dispatch avx2 = {
    .tokenize = {mr_tokenize_whitespace_avx2, mr_tokenize_ascii_avx2, mr_tokenize_lines_avx2},
};
static const mr_dispatch avx512 = {
    .tokenize = {mr_tokenize_whitespace_avx512, mr_tokenize_ascii_avx512, mr_tokenize_lines_avx512},
};
#endif

const mr_dispatch *mr_dispatch_at(mr_cpu_level level)
{
    if ((unsigned)level >= MR_CPU_LEVELS || !(mr_cpu_available() >> level & 1))
        return 0;
    switch (level) {
#if defined(__aarch64__)
    case MR_CPU_NEON: return &neon;
#elif defined(__x86_64__)
    case MR_CPU_AVX2: return &avx2;
    case MR_CPU_AVX512: return &avx512;
#endif
    default: return &scalar;
    }
}
