/* The leaf loops for AVX-512 (F, BW, DQ, VL). */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>
#pragma clang attribute push( \
    __attribute__((target("avx512f,avx512bw,avx512dq,avx512vl,avx2,fma"))), apply_to = function)
#define KEEL_WIDTH 16
#define KEEL_TABLE keel_loops_avx512
#define KEEL_NAME "avx512"
#include "loops.h"
#pragma clang attribute pop
#endif
