#include "CBenchmarkLoops.h"

/* Chains per level: at least pipelines times latency (2·5 on AVX2, 2·4 on AVX-512, 4·4 on wide arm64
   cores), at most what leaves two registers for a and b. */

#if defined(__x86_64__)

#define LOOPS(name) baseline_##name
#define LOOPS_LEVEL "baseline"
#define LOOPS_BYTES 16
#define LOOPS_CHAINS 12
#include "loops.inc"

#pragma clang attribute push(__attribute__((target("avx2,fma"))), apply_to = function)
#define LOOPS(name) avx2_##name
#define LOOPS_LEVEL "avx2"
#define LOOPS_BYTES 32
#define LOOPS_CHAINS 12
#include "loops.inc"
#pragma clang attribute pop

#pragma clang attribute push(__attribute__((target("avx512f,avx2,fma"))), apply_to = function)
#define LOOPS(name) avx512_##name
#define LOOPS_LEVEL "avx512"
#define LOOPS_BYTES 64
#define LOOPS_CHAINS 24
#include "loops.inc"
#pragma clang attribute pop

int benchmark_loops_count(void) {
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("avx2") || !__builtin_cpu_supports("fma")) return 1;
  return __builtin_cpu_supports("avx512f") ? 3 : 2;
}

const struct benchmark_loops *benchmark_loops_at(int index) {
  static const struct benchmark_loops *const all[] = {&baseline_table, &avx2_table, &avx512_table};
  return index >= 0 && index < benchmark_loops_count() ? all[index] : NULL;
}

#else

#if defined(__aarch64__)
#define LOOPS(name) neon_##name
#define LOOPS_LEVEL "neon"
#define LOOPS_CHAINS 24
#else
#define LOOPS(name) neon_##name
#define LOOPS_LEVEL "baseline"
#define LOOPS_CHAINS 8
#endif
#define LOOPS_BYTES 16
#include "loops.inc"

int benchmark_loops_count(void) { return 1; }

const struct benchmark_loops *benchmark_loops_at(int index) {
  return index == 0 ? &neon_table : NULL;
}

#endif
