/* Sums, norms and extremes along rows and columns, and their gradients. */
#include <math.h>

#include "check.h"

enum { ROWS = 7, OUTER = 2 };

static double begin(int kind) {
  return kind == KEEL_LARGEST ? -INFINITY : kind == KEEL_SMALLEST ? INFINITY : 0;
}

static double join(int kind, double sum, double x) {
  switch (kind) {
    case KEEL_SUM: return sum + x;
    case KEEL_ABSOLUTE_SUM: return sum + fabs(x);
    case KEEL_SQUARE_SUM: return sum + x * x;
    case KEEL_LARGEST: return fmax(sum, x);
    default: return fmin(sum, x);
  }
}

static void testColumns(long channels) {
  const long stride = channels + 3;
  for (int kind = KEEL_SUM; kind <= KEEL_SMALLEST; kind++) {
    float *x = numbers(ROWS * stride), *y = blank(channels);
    double *expected = doubles(channels), *to = doubles(channels), *tables = doubles(channels);
    for (long c = 0; c < channels; c++) {
      expected[c] = begin(kind);
      for (long r = 0; r < ROWS; r++) expected[c] = join(kind, expected[c], x[r * stride + c]);
    }
    if (kind != KEEL_SQUARE_SUM) {
      ENTRY(foldRows)(kind, y, x, ROWS, stride, channels);
      expect("foldRows", 1000 * kind + channels, y, expected, channels, 4e-6);
    }
    if (kind == KEEL_SUM || kind == KEEL_LARGEST || kind == KEEL_SMALLEST) {
      for (long c = 0; c < channels; c++) {
        to[c] = tables[c] = 0.25;
        expected[c] = kind == KEEL_SUM ? 0.25 + x[c] : join(kind, 0.25, x[c]);
      }
      ENTRY(foldFloats)(kind, to, x, channels);
      expectDoubles("foldFloats", 1000 * kind + channels, to, expected, channels, 1e-12);
      for (long c = 0; c < channels; c++) expected[c] = join(kind, 0.25, to[c]);
      ENTRY(foldTables)(kind, tables, to, channels);
      expectDoubles("foldTables", 1000 * kind + channels, tables, expected, channels, 1e-12);
    }
    release();
  }
  float *x = numbers(ROWS * channels);
  double *to = doubles(channels), *expected = doubles(channels);
  for (long i = 0; i < ROWS * channels; i++) expected[i % channels] += (double)x[i] * x[i];
  ENTRY(squareRows)(to, x, ROWS, channels);
  expectDoubles("squareRows", channels, to, expected, channels, 1e-12);
  release();
}

static void testRows(long count) {
  for (int kind = KEEL_SUM; kind <= KEEL_SMALLEST; kind++) {
    float *x = numbers(ROWS * count), *y = blank(ROWS);
    double *expected = doubles(ROWS);
    for (long r = 0; r < ROWS; r++) {
      expected[r] = begin(kind);
      for (long i = 0; i < count; i++) expected[r] = join(kind, expected[r], x[r * count + i]);
    }
    double found = ENTRY(foldRow)(kind, x, count);
    expectDoubles("foldRow", 1000 * kind + count, &found, expected, 1, 2e-5);
    float factor = kind == KEEL_SUM || kind == KEEL_ABSOLUTE_SUM ? 0.5f : 1;
    for (long r = 0; r < ROWS; r++)
      expected[r] = kind == KEEL_SQUARE_SUM ? sqrt(expected[r]) : factor * expected[r];
    ENTRY(foldShortRows)(kind, y, x, ROWS, count, factor);
    expect("foldShortRows", 1000 * kind + count, y, expected, ROWS, 2e-5);
    release();
  }
  float *x = numbers(count);
  double sum = 0;
  for (long i = 0; i < count; i++) sum += x[i];
  double found = ENTRY(sumFloats)(x, count);
  if (!(fabs(found - sum) <= 1e-12 * (double)count)) fail("sumFloats", count, "another sum");
  release();
}

static void testSpreading(long channels) {
  const long count = OUTER * ROWS * channels;
  for (int kind = KEEL_LARGEST; kind <= KEEL_SMALLEST; kind++) {
    float *x = numbers(count), *dy = numbers(OUTER * channels), *dx = blank(count);
    double *expected = doubles(count);
    for (long i = 0; i < count; i++) x[i] = roundf(x[i]);
    for (long i = 0; i < OUTER * channels; i++) {
      const long first = i / channels * ROWS * channels + i % channels;
      long best = first;
      for (long r = 1; r < ROWS; r++) {
        long at = first + r * channels;
        if (kind == KEEL_LARGEST ? x[at] > x[best] : x[at] < x[best]) best = at;
      }
      expected[best] = dy[i];
    }
    ENTRY(extremeGradient)(kind, dx, dy, x, OUTER, ROWS, channels);
    expect("extremeGradient", channels, dx, expected, count, 0);
    release();
  }
  float *x = numbers(OUTER * channels), *y = numbers(count);
  double *expected = doubles(count);
  for (long i = 0; i < OUTER * channels; i++) expected[i] = y[i] + 2.5 * x[i];
  ENTRY(addScaled)(y, x, 2.5f, OUTER * channels);
  expect("addScaled", channels, y, expected, OUTER * channels, 1e-6);
  for (long i = 0; i < count; i++)
    expected[i] = 0.75 * x[i / (ROWS * channels) * channels + i % channels];
  ENTRY(expand)(y, x, OUTER, ROWS, channels, 0.75f);
  expect("expand", channels, y, expected, count, 1e-6);
  release();
}

void testReductions(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testColumns(lengths[l]);
    testRows(lengths[l]);
    testSpreading(lengths[l]);
  }
}
