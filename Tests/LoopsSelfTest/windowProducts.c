/* Products of windows that are given as tables of pointers. */
#include "check.h"

enum { RUNS = 3, MOST = 16, OFFSET = 2 };

/* Rows of `length` numbers, `count` of them, in an order that is not that of memory. */
static void makeRows(const float **table, long count, long length) {
  const float *all = numbers(count * length);
  for (long i = 0; i < count; i++) table[i] = all + (i * 7 % count) * length;
}

/* What an epilogue makes of a sum; `form` has a bit for each of its parts. */
static double finished(int form, double sum, float bias, float residual) {
  if (form & 1) sum += bias;
  if (form & 2) sum += residual;
  return form & 4 ? cutOff(sum, cutOf(1, form & 1)) : sum;
}

static KeelEpilogue epilogueOf(int form, const float *bias, const float *residual, const float *y) {
  return (KeelEpilogue){.bias = form & 1 ? bias : 0, .adds = form >> 1 & 1, .residual = residual - y,
                        .cut = cutOf(form >> 2, form & 1)};
}

static void testProduct(long columns, long depth) {
  const long width = ENTRY(width), most = width * ENTRY(panel);
  const long step = (columns + width - 1) / width * width;
  for (long rows = 1; rows <= MOST; rows += 5) {
    /* Packed, then tap by tap from a weight that lies otherwise, which may be wider. */
    for (int form = columns > most ? 8 : 0; form < (columns == step ? 9 : 8); form++) {
      const int streamed = form == 8;
      const long taps[RUNS] = {4, 0, 2}, column = 3, wide = column + columns;
      const float *from[RUNS * MOST];
      float *to[MOST], *both = numbers(2 * rows * wide), *y = both, *bias = numbers(columns), *b = numbers(5 * depth * step),
            *copy = blank(64 * most);
      double *expected = doubles(rows * wide);
      makeRows(from, RUNS * rows, OFFSET + depth);
      for (long p = 0; p < rows; p++) to[p] = y + p * wide;
      for (long i = 0; i < rows * wide; i++) {
        const long p = i / wide, j = i % wide - column;
        expected[i] = y[i];
        if (j < 0) continue;
        double sum = 0;
        for (long r = 0; r < RUNS; r++)
          for (long k = 0; k < depth; k++)
            sum += (double)from[r * rows + p][OFFSET + k] *
                   b[((streamed ? taps[r] : r) * depth + k) * step + j];
        expected[i] = streamed ? sum : finished(form, sum, bias[j], y[rows * wide + i]);
      }
      const KeelEpilogue epilogue = epilogueOf(form, bias, y + rows * wide, y);
      if (streamed)
        ENTRY(streamedProduct)(to, from, rows, RUNS, depth, OFFSET, b, step, depth * step, taps,
                               copy, column, columns);
      else
        ENTRY(windowProduct)(to, from, rows, RUNS, depth, OFFSET, b, column, columns, &epilogue);
      expect(streamed ? "streamedProduct" : "windowProduct", columns, y, expected, rows * wide,
             8e-6);
      release();
    }
  }
}

static void testPixels(long columns, long depth) {
  const long width = ENTRY(width);
  if (columns > width * ENTRY(panel)) return;
  const long whole = (columns + width - 1) / width * width;
  for (long rows = 1; rows <= 2 * MOST; rows += 5)
    for (int form = 0; form < 8; form++) {
      const long gap = form & 1;
      const long wide = columns + gap, xStep = depth + gap;
      float *y = numbers(2 * rows * wide), *bias = numbers(columns), *x = numbers(rows * xStep), *b = numbers(depth * whole);
      double *expected = doubles(rows * wide);
      for (long i = 0; i < rows * wide; i++) {
        const long p = i / wide, j = i % wide;
        expected[i] = j < columns ? 0 : y[i];
        for (long k = 0; j < columns && k < depth; k++)
          expected[i] += (double)x[p * xStep + k] * b[k * whole + j];
        if (j < columns) expected[i] = finished(form, expected[i], bias[j], y[rows * wide + i]);
      }
      const KeelEpilogue epilogue = epilogueOf(form, bias, y + rows * wide, y);
      ENTRY(pixelProduct)(y, wide, x, xStep, rows, depth, b, columns, &epilogue);
      expect("pixelProduct", columns, y, expected, rows * wide, 2e-5);
      release();
    }
}

static void testMaps(long columns, long depth) {
  const long width = ENTRY(width);
  if (columns > width * ENTRY(panel)) return;
  const long whole = (columns + width - 1) / width * width;
  for (long rows = 1; rows <= 2 * MOST; rows += 5)
    for (int form = 0; form < 16; form++) {
      const int hasShift = form & 1, hasResidual = form & 2, streams = form & 4, hasMore = form & 8;
      const long wide = columns + (hasShift ? 0 : 3), xStep = depth + 1;
      float *y = numbers(rows * wide), *x = numbers(rows * xStep), *b = numbers(2 * depth * whole);
      float *more = numbers(rows * wide + depth);
      float *shift = numbers(columns), *residual = numbers(rows * wide);
      double *expected = doubles(rows * wide);
      for (long i = 0; i < rows * wide; i++) {
        const long p = i / wide, j = i % wide;
        expected[i] = j >= columns ? y[i]
                                   : (hasShift ? shift[j] : 0) + (hasResidual ? residual[i] : 0);
        for (long k = 0; j < columns && k < depth; k++)
          expected[i] += (double)x[p * xStep + k] * b[k * whole + j] +
                         (hasMore ? (double)more[p * wide + k] * b[(depth + k) * whole + j] : 0);
      }
      const KeelBlockMap map = {
          .y = y, .x = x, .more = hasMore ? more : 0, .shift = hasShift ? shift : 0,
          .residual = hasResidual ? residual : 0, .yStep = wide, .xStep = xStep, .depth = depth,
          .b = b, .streams = streams, .near = x, .nearMore = more, .lines = rows / 2};
      ENTRY(mapRows)(&map, rows, columns);
      ENTRY(drain)();
      expect("mapRows", columns, y, expected, rows * wide, 2e-5);
      release();
    }
}

static void testDots(long columns) {
  const long depth = 2 * ENTRY(width), length = RUNS * depth, wide = columns + 1;
  for (long rows = 1; rows <= MOST; rows += 5) {
    const float *from[RUNS * MOST];
    float *to[MOST], *y = numbers(rows * wide), *b = numbers(columns * length);
    double *expected = doubles(rows * wide);
    makeRows(from, RUNS * rows, OFFSET + depth);
    for (long p = 0; p < rows; p++) {
      to[p] = y + p * wide;
      expected[p * wide] = y[p * wide];
      for (long j = 0; j < columns; j++) {
        double sum = 0;
        for (long i = 0; i < length; i++)
          sum += (double)from[i / depth * rows + p][OFFSET + i % depth] * b[j * length + i];
        expected[p * wide + 1 + j] = sum;
      }
    }
    ENTRY(windowDots)(to, from, rows, RUNS, depth, OFFSET, b, 1, columns);
    expect("windowDots", columns, y, expected, rows * wide, 8e-6);
    release();
  }
}

static void testGradient(long columns) {
  const long width = ENTRY(width), count = MOST;
  if (columns > width * ENTRY(panel)) return;
  const long whole = (columns + width - 1) / width * width, stride = columns + 2;
  for (long rows = 1; rows <= 9; rows++)
    for (int add = 0; add < 2; add++) {
      const float *a[MOST], *b[MOST];
      float *sum = numbers(rows * stride);
      double *expected = doubles(rows * stride);
      makeRows(a, count, OFFSET + rows);
      makeRows(b, count, OFFSET + whole);
      for (long i = 0; i < rows * stride; i++) {
        const long r = i / stride, j = i % stride;
        expected[i] = add || j >= columns ? sum[i] : 0;
        for (long p = 0; j < columns && p < count; p++)
          expected[i] += (double)a[p][OFFSET + r] * b[p][OFFSET + j];
      }
      ENTRY(windowGradient)(sum, stride, a, OFFSET, b, OFFSET, count, rows, columns, add, 3 * add,
                            add);
      expect("windowGradient", columns, sum, expected, rows * stride, 8e-6);
      release();
    }
}

static void testPacking(long columns) {
  enum { DEPTH = 37 };
  const long width = ENTRY(width), whole = (columns + width - 1) / width * width;
  const float *from[MOST];
  float *b = numbers(DEPTH * columns), *to = blank(DEPTH * whole),
        *rows = blank(MOST * (columns + 4));
  double *expected = doubles(DEPTH * whole), *copied = doubles(MOST * (columns + 4));
  /* Once along rows and once along columns of b. */
  for (int turned = 0; turned < 2 && columns <= width * ENTRY(panel); turned++) {
    const long kStride = turned ? 1 : columns, columnStride = turned ? DEPTH : 1;
    for (long i = 0; i < DEPTH * whole; i++)
      expected[i] =
          i % whole < columns ? b[i / whole * kStride + i % whole * columnStride] : 0;
    ENTRY(packPanel)(to, b, DEPTH, kStride, columns, columnStride);
    expect("packPanel", columns, to, expected, DEPTH * whole, 0);
  }
  makeRows(from, MOST, OFFSET + columns);
  for (long i = 0; i < MOST * (columns + 4); i++) {
    const long j = i % (columns + 4);
    copied[i] = j < columns ? from[i / (columns + 4)][OFFSET + j] : 0;
  }
  ENTRY(copyRows)(rows, columns + 4, from, OFFSET, MOST, columns);
  expect("copyRows", columns, rows, copied, MOST * (columns + 4), 0);
  release();
}

void testWindowProducts(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testProduct(lengths[l], 5);
    testProduct(lengths[l], 67);
    testPixels(lengths[l], 7);
    testMaps(lengths[l], 7);
    testPixels(lengths[l], 400);
    testGradient(lengths[l]);
    testPacking(lengths[l]);
  }
  /* More panels than one. */
  testProduct(ENTRY(width) * (ENTRY(panel) + 1), 67);
  for (long columns = 1; columns <= 4; columns++) testDots(columns);
}
