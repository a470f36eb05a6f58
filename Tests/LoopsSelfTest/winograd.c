/* Winograd's filtering: its transforms against their matrices, its products against plain sums, and all of them
   together against the convolution that they stand for. */
#include "check.h"

#include <math.h>
#include <string.h>

enum { MOST_EDGE = 6, MOST_SIZE = 4 };

/* The matrices of F(2×2) and F(4×4), from the points. */
static double forward[MOST_EDGE][MOST_EDGE], kernel[MOST_EDGE][3], back[MOST_SIZE][MOST_EDGE];

/* Bᵀ has the coefficients of the polynomials that vanish at all points but one, G the points' powers over what
   those have there, Aᵀ the points' powers; the last point is infinity. */
static void makeMatrices(long size) {
  const double half = sqrt(0.5), points[2][5] = {{0, 1, -1}, {0, half, -half, 2 * half, -2 * half}};
  const long edge = size + 2, finite = edge - 1;
  const double *p = points[size / 4];
  memset(forward, 0, sizeof forward);
  memset(back, 0, sizeof back);
  for (long i = 0; i < edge; i++) {
    double polynomial[MOST_EDGE + 1] = {1}, value = 1;
    long degree = 0;
    for (long j = 0; j < finite; j++) {
      if (j == i) continue;
      for (long k = ++degree; k > 0; k--) polynomial[k] = polynomial[k - 1] - p[j] * polynomial[k];
      polynomial[0] *= -p[j];
      if (i < finite) value *= p[i] - p[j];
    }
    /* F(2×2) has the sign of its first row turned. */
    const double sign = size == 2 && i == 0 ? -1 : 1;
    for (long k = 0; k <= degree; k++) forward[i][k] = sign * polynomial[k];
    for (long k = 0; k < 3; k++)
      kernel[i][k] = i < finite ? sign * pow(p[i], (double)k) / value : k == 2;
    for (long k = 0; k < size; k++) back[k][i] = i < finite ? pow(p[i], (double)k) : k == size - 1;
  }
}

static void testInput(long size, long channels) {
  enum { TILES = 3, STRIDE = 4 };
  const long edge = size + 2, count = edge * edge, row = channels + 1, step = TILES * row + 3;
  const long offset = channels % 5;
  const float *from[MOST_EDGE * MOST_EDGE * STRIDE];
  const float *pixels = numbers(count * STRIDE * channels);
  for (long i = 0; i < count * STRIDE; i++) from[i] = pixels + (i * 7 % (count * STRIDE - 4)) * channels;
  float *to = numbers(count * step);
  double *expected = doubles(count * step);
  for (long i = 0; i < count * step; i++) expected[i] = to[i];
  for (long e = 0; e < count; e++)
    for (long t = 0; t < TILES; t++)
      for (long c = 0; c < channels; c++) {
        double sum = 0;
        for (long p = 0; p < count; p++)
          sum += forward[e / edge][p / edge] * forward[e % edge][p % edge] * from[p * STRIDE + t][offset + c];
        expected[e * step + t * row + c] = sum;
      }
  ENTRY(winogradInput)(size, to, step, row, from, STRIDE, offset, TILES, channels);
  expect("winogradInput", channels, to, expected, count * step, 1e-6);
  release();
}

static void testOutput(long size, long channels, int form) {
  const long edge = size + 2, count = edge * edge, height = 2 * size - 1, width = size + 1;
  /* Two images of two by two tiles, of which the last seven are made. */
  enum { FIRST = 1, TILES = 7 };
  const long row = channels + 2, step = TILES * row + 1, yStep = channels + 3, yRow = width * yStep;
  const long rStep = channels + 1, rRow = width * rStep, pixels = 2 * height * width;
  float *from = numbers(count * step), *y = numbers(pixels * yStep), *bias = numbers(channels);
  float *residual = numbers(pixels * rStep);
  double *expected = doubles(pixels * yStep);
  for (long i = 0; i < pixels * yStep; i++) {
    const long pixel = i / yStep, c = i % yStep, x = pixel % width, line = pixel / width;
    const long image = line / height, at = line % height;
    const long tile = (image * 2 + at / size) * 2 + x / size - FIRST;
    expected[i] = y[i];
    if (c >= channels || tile < 0) continue;
    double sum = 0;
    for (long e = 0; e < count; e++)
      sum += back[at % size][e / edge] * back[x % size][e % edge] * from[e * step + tile * row + c];
    if (form & 1) sum += bias[c];
    if (form & 2) sum += residual[pixel * rStep + c];
    expected[i] = form & 4 ? cutOff(sum, cutOf(1, form & 1)) : sum;
  }
  KeelWinogradTiles tiles = {.size = size, .height = height, .width = width, .step = step, .row = row,
                             .y = y, .yRow = yRow, .yStep = yStep, .bias = form & 1 ? bias : 0,
                             .residual = form & 2 ? residual : 0, .residualRow = rRow,
                             .residualStep = rStep, .cut = cutOf(form >> 2, form & 1)};
  ENTRY(winogradOutput)(&tiles, from, FIRST, TILES, channels);
  expect("winogradOutput", channels, y, expected, pixels * yStep, 1e-6);
  release();
}

/* The maxima of 2×2 pixels are those of the pixels as they are stored, and are the same without storing these. */
static void testPooled(long size, long channels, long height, long width, int special) {
  const long edge = size + 2, count = edge * edge, row = channels + 1;
  const long tiles = 2 * ((height + size - 1) / size) * ((width + size - 1) / size);
  const long step = tiles * row, yStep = channels + 1, pStep = channels + 2;
  const long halves = 2 * (height / 2) * (width / 2);
  float *from = numbers(count * step), *y = numbers(2 * height * width * yStep);
  float *pooled = numbers(halves * pStep), *alone = numbers(halves * pStep);
  if (special) from[step + (tiles / 2) * row] = __builtin_nanf("");
  KeelWinogradTiles q = {.size = size, .height = height, .width = width, .step = step, .row = row,
                         .y = y, .yRow = width * yStep, .yStep = yStep, .cut = cutOf(1, 0),
                         .pooled = pooled, .pooledRow = width / 2 * pStep, .pooledStep = pStep};
  ENTRY(winogradOutput)(&q, from, 0, tiles, channels);
  q.y = 0;
  q.pooled = alone;
  ENTRY(winogradOutput)(&q, from, 0, tiles, channels);
  for (long p = 0; p < halves; p++)
    for (long c = 0; c < channels; c++) {
      const long x = p % (width / 2), line = p / (width / 2), image = line / (height / 2);
      const long i = image * height + line % (height / 2) * 2;
      float largest = -__builtin_inff();
      int lost = 0;
      for (long k = 0; k < 4; k++) {
        const float v = y[((i + k / 2) * width + 2 * x + k % 2) * yStep + c];
        lost |= v != v;
        if (v > largest) largest = v;
      }
      const float found = pooled[p * pStep + c];
      if (lost ? found == found : found != largest) fail("winogradOutput", channels, "another maximum");
      if (memcmp(&found, alone + p * pStep + c, sizeof found) != 0)
        fail("winogradOutput", channels, "another maximum without the pixels");
    }
  release();
}

/* Moments of some tiles of two images, the last of a line and of an image smaller. */
static void testMoments(long size, long channels, long first, long tiles) {
  const long height = 2 * size - 1, width = 2 * size + 1, yStep = channels + 1, count = 2 * height * width;
  float *y = numbers(count * yStep), *pivot = blank(channels), *sum = blank(channels), *square = blank(channels);
  for (long i = 0; i < count * yStep; i++) y[i] += 3;
  double *mean = doubles(channels), *sums = doubles(channels), *squares = doubles(channels);
  for (long c = 0; c < channels; c++) {
    for (int pass = 0; pass < 2; pass++) {
      long pixels = 0;
      for (long p = 0; p < count; p++) {
        const long line = p / width, at = line % height;
        const long tile = (line / height * 2 + at / size) * 3 + p % width / size;
        if (tile < first || tile >= first + (pass ? tiles : 1)) continue;
        const double v = y[p * yStep + c];
        if (pass == 0) mean[c] += v;
        else {
          sums[c] += v - (double)pivot[c];
          squares[c] += (v - (double)pivot[c]) * (v - (double)pivot[c]);
        }
        pixels++;
      }
      if (pass) continue;
      mean[c] /= (double)pixels;
      KeelWinogradTiles q = {.size = size, .height = height, .width = width, .y = y, .yRow = width * yStep,
                             .yStep = yStep};
      if (c == 0) ENTRY(winogradMoments)(&q, first, tiles, channels, pivot, sum, square);
    }
  }
  expect("winogradMoments, pivot", channels, pivot, mean, channels, 1e-6);
  expect("winogradMoments, sum", channels, sum, sums, channels, 4e-6);
  expect("winogradMoments, square", channels, square, squares, channels, 4e-6);
  release();
}

static void testProduct(long rows, long depth, long vectors, int add) {
  enum { COMPONENTS = 3 };
  const long columns = vectors * ENTRY(width), xRow = depth + 1, xStep = rows * xRow + 2;
  const long yStep = rows * columns + 5;
  float *y = numbers(COMPONENTS * yStep), *x = numbers(COMPONENTS * xStep);
  const long bStep = depth * columns + 7;
  float *b = numbers(COMPONENTS * bStep);
  double *expected = doubles(COMPONENTS * yStep);
  for (long i = 0; i < COMPONENTS * yStep; i++) {
    const long e = i / yStep, r = i % yStep / columns, j = i % yStep % columns;
    expected[i] = y[i];
    if (r >= rows) continue;
    if (!add) expected[i] = 0;
    for (long k = 0; k < depth; k++)
      expected[i] += (double)x[e * xStep + r * xRow + k] * b[e * bStep + k * columns + j];
  }
  ENTRY(winogradProduct)(y, yStep, x, xStep, xRow, rows, depth, b, bStep, columns, COMPONENTS,
                         add, add ? x : 0, xStep);
  expect("winogradProduct", rows, y, expected, COMPONENTS * yStep, 2e-5);
  release();
}

static void testWeight(long vectors) {
  enum { TAPS = 9, EDGE = 6 };
  const long count = vectors * ENTRY(width), step = count + 3, tapStep = count + 1;
  float *to = numbers(EDGE * EDGE * step), *from = numbers(TAPS * tapStep);
  double *expected = doubles(EDGE * EDGE * step);
  for (long i = 0; i < EDGE * EDGE * step; i++) {
    const long e = i / step, at = i % step;
    expected[i] = to[i];
    if (at >= count) continue;
    expected[i] = 0;
    for (long t = 0; t < TAPS; t++)
      expected[i] += kernel[e / EDGE][t / 3] * kernel[e % EDGE][t % 3] * from[t * tapStep + at];
  }
  ENTRY(winogradWeight)(to, step, from, tapStep, count);
  expect("winogradWeight", count, to, expected, EDGE * EDGE * step, 3e-7);
  release();
}

static void testTaps(long count) {
  enum { TAPS = 9 };
  const long step = count + 2;
  double factors[TAPS];
  for (long t = 0; t < TAPS; t++) factors[t] = 0.3 * (double)t - 1;
  float *to = blank(count), *from = numbers(TAPS * step);
  double *expected = doubles(count);
  for (long i = 0; i < TAPS * count; i++)
    expected[i % count] += factors[i / count] * from[i / count * step + i % count];
  ENTRY(weighTaps)(to, from, step, factors, TAPS, count);
  expect("weighTaps", count, to, expected, count, 1e-7);
  release();
}

/* One tile of one channel through all of it: what the matrices are for. */
static void testFiltering(long size) {
  const long edge = size + 2, count = edge * edge;
  double pixels[MOST_EDGE * MOST_EDGE], taps[9], sums[MOST_EDGE * MOST_EDGE];
  float *found = blank(size * size);
  double *expected = doubles(size * size);
  for (long i = 0; i < count; i++) pixels[i] = (double)(i * 37 % 23) / 11 - 1;
  for (long i = 0; i < 9; i++) taps[i] = (double)(i * 5 % 9) / 4 - 1;
  for (long e = 0; e < count; e++) {
    double source = 0, weight = 0;
    for (long p = 0; p < count; p++)
      source += forward[e / edge][p / edge] * forward[e % edge][p % edge] * pixels[p];
    for (long t = 0; t < 9; t++) weight += kernel[e / edge][t / 3] * kernel[e % edge][t % 3] * taps[t];
    sums[e] = source * weight;
  }
  for (long i = 0; i < size * size; i++) {
    double sum = 0;
    for (long e = 0; e < count; e++)
      sum += back[i / size][e / edge] * back[i % size][e % edge] * sums[e];
    found[i] = (float)sum;
    for (long t = 0; t < 9; t++)
      expected[i] += taps[t] * pixels[(i / size + t / 3) * edge + i % size + t % 3];
  }
  expect("the matrices of Winograd", size, found, expected, size * size, 1e-7);
  release();
}

void testWinograd(void) {
  for (long size = 2; size <= 4; size += 2) {
    makeMatrices(size);
    testFiltering(size);
    for (int l = 0; l < LENGTHS; l++) {
      testInput(size, lengths[l]);
      for (int form = 0; form < 8; form++) testOutput(size, lengths[l], form);
    }
  }
  for (long vectors = 1; vectors <= ENTRY(panel); vectors++)
    for (long rows = 1; rows <= 27; rows += 2) {
      testProduct(rows, 5 * rows, vectors, rows % 4 == 1);
      testProduct(rows, 128 + 13 * rows, vectors, rows % 4 == 3);
    }
  for (long vectors = 1; vectors <= 3; vectors++) testWeight(vectors);
  for (int l = 0; l < LENGTHS; l++) {
    testTaps(lengths[l]);
    for (long size = 2; size <= 4; size += 2)
      for (int odd = 0; odd < 2; odd++)
        testPooled(size, lengths[l], 2 * size - odd, 3 * size - 1 + odd, odd);
    for (long size = 2; size <= 4; size += 2)
      for (long first = 0; first < 12; first += 5)
        testMoments(size, lengths[l], first, 12 - first > 8 ? 8 : 12 - first);
  }
}
