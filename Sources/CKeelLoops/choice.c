/* Which table: filled in by the compiler, picked by what the CPU and the operating system support. */
#include "CKeelLoops.h"

extern const KeelLoops keel_loops_baseline;
#if defined(__x86_64__)
extern const KeelLoops keel_loops_avx2;
extern const KeelLoops keel_loops_avx512;
#endif

int keel_supported_level(void) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
      __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl"))
    return KEEL_LEVEL_AVX512;
  if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return KEEL_LEVEL_AVX2;
#endif
  return KEEL_LEVEL_BASELINE;
}

const KeelLoops *keel_loops(int level) {
#if defined(__x86_64__)
  if (level >= KEEL_LEVEL_AVX512) return &keel_loops_avx512;
  if (level >= KEEL_LEVEL_AVX2) return &keel_loops_avx2;
#endif
  (void)level;
  return &keel_loops_baseline;
}

KeelBody keel_body(const void *function, void *context) { return (KeelBody){function, context}; }
