/* Products through tables of addresses. */
#include "check.h"

enum { ROWS = 15, MOST_RUNS = 3, MOST_DEPTH = 600 };

/* Rows of `runs` pieces that lie anywhere, and a panel of `columns`. */
static void testProduct(long columns, long runs, long depth) {
  const long offset = 2, column = 3, stride = columns + 5, all = runs * depth;
  const long width = (columns + ENTRY(width) - 1) / loops->width * loops->width;
  float *source = numbers(ROWS * runs * (depth + 4)), *weight = numbers(all * columns),
        *packed = blank(all * width), *y = numbers(ROWS * stride);
  double *expected = doubles(ROWS * stride);
  const float *from[MOST_RUNS * ROWS];
  float *to[ROWS];
  for (long i = 0; i < ROWS * stride; i++) expected[i] = y[i];
  for (long p = 0; p < ROWS; p++) {
    to[p] = y + (ROWS - 1 - p) * stride;
    for (long r = 0; r < runs; r++) from[r * ROWS + p] = source + (p * runs + r) * (depth + 4);
    for (long j = 0; j < columns; j++) {
      double sum = 0;
      for (long k = 0; k < all; k++)
        sum += (double)from[k / depth * ROWS + p][offset + k % depth] * weight[k * columns + j];
      expected[(ROWS - 1 - p) * stride + column + j] = sum;
    }
  }
  ENTRY(packPanel)(packed, weight, all, columns, columns, 1);
  ENTRY(windowProduct)(to, from, ROWS, runs, depth, offset, packed, width, 0, NULL, NULL, column, columns);
  expect("windowProduct", columns, y, expected, ROWS * stride, 2e-5);
  /* The same weight turned round, and read where it lies. */
  float *turned = blank(columns * all), *again = blank(all * width), *copy = blank(256 * width);
  for (long i = 0; i < all * columns; i++) turned[i % columns * all + i / columns] = weight[i];
  loops->packPanel(again, turned, all, 1, columns, all);
  for (long i = 0; i < all * width; i++)
    if (again[i] != packed[i]) fail("packPanel", columns, "both ways differ");
  if (columns == width) {
    const long taps[MOST_RUNS] = {0, 1, 2};
    for (int copies = 0; copies < 2; copies++) {
      for (long p = 0; p < ROWS; p++)
        for (long j = 0; j < columns; j++) to[p][column + j] = 0;
      loops->windowProduct(to, from, ROWS, runs, depth, offset, weight, columns, depth * columns,
                           taps, copies ? copy : NULL, column, columns);
      expect("windowProduct, weight as it is", columns, y, expected, ROWS * stride, 2e-5);
    }
  }
  if (columns <= 4 && depth % loops->width == 0) {
    for (long p = 0; p < ROWS; p++)
      for (long j = 0; j < columns; j++) to[p][column + j] = 0;
    ENTRY(windowDots)(to, from, ROWS, runs, depth, offset, turned, column, columns);
    expect("windowDots", columns, y, expected, ROWS * stride, 2e-5);
  }
  release();
}

static void testGradient(long columns, long rows) {
  enum { COUNT = 29 };
  const long stride = columns + 2, width = (columns + loops->width - 1) / loops->width * loops->width;
  float *a = numbers(COUNT * (rows + 3)), *b = numbers(COUNT * (columns + 1)),
        *copy = blank(COUNT * width), *sum = numbers(rows * stride);
  double *expected = doubles(rows * stride);
  const float *left[COUNT], *right[COUNT];
  for (long p = 0; p < COUNT; p++) {
    left[p] = a + (COUNT - 1 - p) * (rows + 3);
    right[p] = b + p * (columns + 1);
  }
  ENTRY(copyRows)(copy, width, right, 1, COUNT, columns);
  for (long i = 0; i < COUNT * width; i++)
    if (copy[i] != (i % width < columns ? right[i / width][1 + i % width] : 0))
      fail("copyRows", columns, "a wrong number");
  for (long p = 0; p < COUNT; p++) right[p] = copy + p * width;
  for (int add = 0; add < 2; add++) {
    for (long i = 0; i < rows * stride; i++) {
      if (i % stride >= columns) expected[i] = sum[i];
      else {
        if (!add) expected[i] = 0;
        for (long p = 0; p < COUNT; p++)
          expected[i] += (double)left[p][2 + i / stride] * right[p][i % stride];
      }
    }
    ENTRY(windowGradient)(sum, stride, left, 2, right, 0, COUNT, rows, columns, add);
    expect("windowGradient", columns, sum, expected, rows * stride, 8e-6);
  }
  release();
}

void testIndirectProducts(void) {
  const long most = ENTRY(panel) * loops->width;
  for (int l = 0; l < LENGTHS; l++) {
    if (lengths[l] > most) continue;
    testProduct(lengths[l], 1, 5);
    testProduct(lengths[l], 3, 16);
    testProduct(lengths[l], 3, 112);
    testProduct(lengths[l], 2, MOST_DEPTH);
    for (long rows = 1; rows <= 26; rows += 5) testGradient(lengths[l], rows);
  }
  testProduct(most, 3, 48);
  testGradient(most, 13);
}
