/* The leaf loops for AVX2 with FMA. */
#if defined(__x86_64__)
#include <immintrin.h>
#include <string.h>
#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define KEEL_WIDTH 8
#define KEEL_TABLE keel_loops_avx2
#define KEEL_NAME "avx2"
#include "loops.h"
#pragma clang attribute pop
#endif
