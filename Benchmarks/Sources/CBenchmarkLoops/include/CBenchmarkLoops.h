/* Loops that measure what a machine can do at most, each compiled for several instruction sets.
   No allocation, no threads: the harness brings both. */
#ifndef C_BENCHMARK_LOOPS_H
#define C_BENCHMARK_LOOPS_H

#include <stddef.h>

/* The loops of one instruction set. */
struct benchmark_loops {
  /* baseline, avx2, avx512 or neon. */
  const char *level;
  /* Floats in one vector register. */
  int lanes;
  /* Floating-point operations of one iteration of fma; a multiply-add is two. */
  long fma_operations;
  /* Independent chains of x = x*a + b that never leave the registers, as many as it takes to fill
     the pipelines; returns their sum, so that none can be dropped. */
  float (*fma)(long iterations, float a, float b);
  /* One read per element; returns the sum. */
  float (*read)(const float *x, size_t count);
  /* One read and one plain store per element: y = x. */
  void (*copy)(float *y, const float *x, size_t count);
  /* Two reads and one plain store per element: y = a + b. */
  void (*add)(float *y, const float *a, const float *b, size_t count);
  /* One plain store per element: y = value. */
  void (*fill)(float *y, float value, size_t count);
  /* Any mix: all of x is read and all of y stored, side by side in proportion; returns a number that
     depends on what was read. */
  float (*stream)(float *y, size_t y_count, const float *x, size_t x_count);
};

/* The number of instruction sets that this CPU has. */
int benchmark_loops_count(void);

/* The loops of one of them, narrowest first, so the last is the fastest; NULL past the end. */
const struct benchmark_loops *benchmark_loops_at(int index);

#endif
