/* Small products and transposition. */
#include "check.h"

static void testFewRows(long columns) {
  enum { DEPTH = 11 };
  for (long rows = 1; rows <= 7; rows++) {
    const long aStride = DEPTH + 2, cStride = columns + 3;
    float *a = numbers(rows * aStride), *b = numbers(DEPTH * columns), *c = numbers(rows * cStride);
    double *expected = doubles(rows * cStride);
    for (long r = 0; r < rows; r++)
      for (long j = 0; j < cStride; j++) {
        expected[r * cStride + j] = c[r * cStride + j];
        if (j >= columns) continue;
        double sum = 0;
        for (long k = 0; k < DEPTH; k++) sum += (double)a[r * aStride + k] * b[k * columns + j];
        expected[r * cStride + j] = sum;
      }
    ENTRY(fewRows)(c, cStride, a, aStride, b, rows, columns, DEPTH);
    expect("fewRows", columns, c, expected, rows * cStride, 4e-6);
    release();
  }
}

/* Some of them with rows that follow each other. */
static void testTranspose(long columns) {
  for (int l = 0; l < 2 * LENGTHS; l++) {
    const long rows = lengths[l / 2], gap = l % 2, sourceStride = columns + gap, targetStride = rows + 2 * gap;
    float *source = numbers(rows * sourceStride), *target = numbers(columns * targetStride);
    double *expected = doubles(columns * targetStride);
    for (long i = 0; i < columns * targetStride; i++) {
      long c = i / targetStride, r = i % targetStride;
      expected[i] = r < rows ? source[r * sourceStride + c] : target[i];
    }
    ENTRY(transpose)(target, targetStride, source, sourceStride, rows, columns);
    expect("transpose", columns, target, expected, columns * targetStride, 0);
    release();
  }
}

void testProducts(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testFewRows(lengths[l]);
    testTranspose(lengths[l]);
  }
}
