/* Pooling: windows of 4, 9, 12 and 81 pixels, in the padding, dilated, tiles; gradients in bands. */
#include <math.h>
#include <stdlib.h>

#include "check.h"

enum { BATCH = 2, MOST = 32 };

typedef struct Axis {
  long input, window, stride, padding, step;
} Axis;

typedef struct Case {
  KeelPool pool;
  long tables[9][MOST], offsets[64];
} Case;

static void makeAxis(KeelPoolAxis *to, long tables[3][MOST], Axis a) {
  *to = (KeelPoolAxis){.input = a.input, .window = a.window, .step = a.step, .first = tables[0],
                       .count = tables[1], .divisor = tables[2]};
  to->output = (a.input + 2 * a.padding - a.step * (a.window - 1) - 1) / a.stride + 1;
  for (long i = 0; i < to->output; i++) {
    long first = -1, count = 0;
    for (long t = 0; t < a.window; t++) {
      long x = i * a.stride + t * a.step - a.padding;
      if (x < 0 || x >= a.input) continue;
      if (first < 0) first = x;
      count++;
    }
    tables[0][i] = first;
    tables[1][i] = count;
    tables[2][i] = a.window;
  }
}

static void makeCase(Case *c, const Axis axes[3], long channels, long xStride, long yStride,
                     int tiles) {
  KeelPool *p = &c->pool;
  makeAxis(&p->z, c->tables, axes[0]);
  makeAxis(&p->y, c->tables + 3, axes[1]);
  makeAxis(&p->x, c->tables + 6, axes[2]);
  p->channels = channels;
  p->xStride = xStride;
  p->yStride = yStride;
  p->taps = p->z.window * p->y.window * p->x.window;
  p->offset = c->offsets;
  p->tiles = tiles;
  if (p->taps > 64) return;
  long *offset = c->offsets;
  for (long z = 0; z < p->z.window; z++)
    for (long y = 0; y < p->y.window; y++)
      for (long x = 0; x < p->x.window; x++)
        *offset++ = ((z * p->z.step * p->y.input + y * p->y.step) * p->x.input + x * p->x.step) *
                    xStride;
}

/* The pixels of a window in order; returns how many. */
static long pixelsOf(const KeelPool *p, long position, long *pixels) {
  long x = position % p->x.output, y = position / p->x.output % p->y.output;
  long z = position / p->x.output / p->y.output, n = 0;
  for (long t = 0; t < p->z.count[z]; t++)
    for (long u = 0; u < p->y.count[y]; u++)
      for (long v = 0; v < p->x.count[x]; v++)
        pixels[n++] = ((p->z.first[z] + t * p->z.step) * p->y.input + p->y.first[y] +
                       u * p->y.step) * p->x.input + p->x.first[x] + v * p->x.step;
  return n;
}

static void testPool(const Axis axes[3], long channels, int tiles) {
  Case c;
  makeCase(&c, axes, channels, channels, channels, tiles);
  const KeelPool *p = &c.pool;
  const long in = p->z.input * p->y.input * p->x.input;
  const long out = p->z.output * p->y.output * p->x.output;
  float *x = numbers(BATCH * in * channels), *dy = numbers(out * channels),
        *y = blank((BATCH * out - 1) * channels), *dx = blank(in * channels), *norm;
  double *highest = doubles(BATCH * out * channels), *mean = doubles(BATCH * out * channels),
         *root = doubles(BATCH * out * channels), *dHighest = doubles(in * channels),
         *dMean = doubles(in * channels), *dRoot = doubles(in * channels);
  long long *index = (long long *)blank(2 * (BATCH * out - 1) * channels);
  long *where = malloc((size_t)(BATCH * out * channels) * sizeof(long)), pixels[128];
  if (!where) abort();
  /* Ties, and some NaN, of which the first in a window wins. */
  for (long i = 0; i < BATCH * in * channels; i++)
    x[i] = i % 97 == 41 ? NAN : roundf(2 * x[i]) / 2;
  for (long i = 0; i < BATCH * out; i++) {
    long count = pixelsOf(p, i % out, pixels);
    for (long k = 0; k < channels; k++) {
      const float *image = x + i / out * in * channels + k;
      long best = pixels[0];
      double sum = 0, squares = 0;
      for (long t = 0; t < count; t++) {
        float v = image[pixels[t] * channels];
        float b = image[best * channels];
        if (v > b || (isnan(v) && !isnan(b))) best = pixels[t];
        sum += v;
        squares += (double)v * v;
      }
      long at = i * channels + k;
      where[at] = best;
      highest[at] = image[best * channels];
      mean[at] = sum / (double)p->taps;
      root[at] = sqrt(squares);
      if (i >= out) continue;
      dHighest[best * channels + k] += dy[at];
      for (long t = 0; t < count; t++) {
        long to = pixels[t] * channels + k;
        dMean[to] += dy[at] / (double)p->taps;
        if (squares != 0) dRoot[to] += image[pixels[t] * channels] * dy[at] / root[at];
      }
    }
  }
  /* All positions but the first. */
  const long first = 1, rest = BATCH * out - 1, size = 1000 * p->taps + channels;
  ENTRY(poolMaximum)(y, x, p, first, rest);
  expect("poolMaximum", size, y, highest + channels, rest * channels, 0);
  ENTRY(poolMaximumIndices)(y, index, x, p, first, rest);
  expect("poolMaximumIndices", size, y, highest + channels, rest * channels, 0);
  for (long i = 0; i < rest * channels; i++)
    if (index[i] != where[i + channels]) fail("poolMaximumIndices", size, "another index");
  ENTRY(poolAverage)(y, x, p, first, rest);
  expect("poolAverage", size, y, mean + channels, rest * channels, 2e-6);
  ENTRY(poolNorm)(y, x, p, first, rest);
  expect("poolNorm", size, y, root + channels, rest * channels, 2e-6);

  norm = blank(out * channels);
  for (long i = 0; i < out * channels; i++) norm[i] = (float)root[i];
  /* In bands that windows reach over, or of whole tiles. */
  const long row = p->y.input * p->x.input / (p->y.input > 1 ? p->y.input : 1);
  const long band = (tiles ? axes[1].window : 2) * row;
  for (int kind = 0; kind < 3; kind++) {
    for (long from = 0; from < in; from += band) {
      long pixelCount = in - from < band ? in - from : band;
      if (kind == 0) ENTRY(poolMaximumGradient)(dx, dy, x, p, from, pixelCount);
      if (kind == 1) ENTRY(poolAverageGradient)(dx, dy, p, from, pixelCount);
      if (kind == 2) ENTRY(poolNormGradient)(dx, dy, x, norm, p, from, pixelCount);
    }
    const char *names[] = {"poolMaximumGradient", "poolAverageGradient", "poolNormGradient"};
    double *expected[] = {dHighest, dMean, dRoot};
    expect(names[kind], size, dx, expected[kind], in * channels, 4e-6);
  }
  free(where);
  release();
}

/* The same on pixels that are slices of larger ones, bit for bit; what lies between stays. */
static void testSlices(const Axis axes[3], long channels) {
  const long xStride = channels + 3, yStride = channels + 5;
  Case dense, apart;
  makeCase(&dense, axes, channels, channels, channels, 0);
  makeCase(&apart, axes, channels, xStride, yStride, 0);
  const KeelPool *p = &dense.pool;
  const long in = BATCH * p->z.input * p->y.input * p->x.input;
  const long out = BATCH * p->z.output * p->y.output * p->x.output;
  float *x = numbers(in * xStride), *xDense = blank(in * channels), *y = numbers(out * yStride),
        *yDense = blank(out * channels);
  long long *index = (long long *)blank(2 * out * channels),
            *indexDense = (long long *)blank(2 * out * channels);
  double *expected = doubles(out * yStride);
  for (long i = 0; i < in; i++)
    for (long c = 0; c < channels; c++) xDense[i * channels + c] = x[i * xStride + c];
  for (int kind = 0; kind < 4; kind++) {
    for (int form = 0; form < 2; form++) {
      const KeelPool *q = form ? &apart.pool : p;
      float *to = form ? y : yDense;
      const float *from = form ? x : xDense;
      if (kind == 0) ENTRY(poolMaximum)(to, from, q, 0, out);
      if (kind == 1) ENTRY(poolAverage)(to, from, q, 0, out);
      if (kind == 2) ENTRY(poolNorm)(to, from, q, 0, out);
      if (kind == 3) ENTRY(poolMaximumIndices)(to, form ? index : indexDense, from, q, 0, out);
      if (form) continue;
      for (long i = 0; i < out * yStride; i++)
        expected[i] = i % yStride < channels ? yDense[i / yStride * channels + i % yStride] : y[i];
    }
    expect("pooling of slices", channels, y, expected, out * yStride, 0);
  }
  for (long i = 0; i < out * channels; i++)
    if (index[i] != indexDense[i]) fail("poolMaximumIndices of slices", channels, "another index");
  release();
}

void testPooling(void) {
  static const struct { Axis axes[3]; int tiles; } cases[] = {
      {{{1, 1, 1, 0, 1}, {6, 2, 2, 0, 1}, {8, 2, 2, 0, 1}}, 1},
      {{{1, 1, 1, 0, 1}, {7, 2, 2, 0, 1}, {5, 2, 1, 0, 1}}, 0},
      {{{1, 1, 1, 0, 1}, {9, 3, 2, 1, 1}, {8, 3, 2, 1, 1}}, 0},
      {{{3, 2, 1, 1, 1}, {7, 2, 2, 1, 3}, {6, 3, 1, 1, 1}}, 0},
      {{{1, 1, 1, 0, 1}, {10, 9, 1, 4, 1}, {9, 9, 2, 4, 1}}, 0},
      {{{1, 1, 1, 0, 1}, {1, 1, 1, 0, 1}, {23, 3, 2, 1, 1}}, 0},
  };
  for (int l = 0; l < LENGTHS; l++)
    for (unsigned i = 0; i < sizeof cases / sizeof cases[0]; i++) {
      testPool(cases[i].axes, lengths[l], cases[i].tiles);
      testSlices(cases[i].axes, lengths[l]);
    }
}
