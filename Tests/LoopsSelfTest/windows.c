/* Sliding windows: gathering and depthwise sums. */
#include "check.h"

enum { BATCH = 2, TAPS = 18 };

/* Two planes of 5 × 6 pixels, a 2×3×3 window with steps 1, 2 and 1 and a row and column of padding. */
typedef struct Case {
  KeelWindow w;
  long z[TAPS], y[TAPS], x[TAPS], taps[TAPS], offset[TAPS];
} Case;

static void makeCase(Case *c, long channels, long stride) {
  for (long t = 0; t < TAPS; t++) {
    c->z[t] = t / 9 - 1;
    c->y[t] = t / 3 % 3 - 1;
    c->x[t] = t % 3 - 1;
    c->taps[t] = 1;
    c->offset[t] = ((c->z[t] * 5 + c->y[t]) * 6 + c->x[t]) * stride;
  }
  c->w = (KeelWindow){
      .sourceDepth = 2, .sourceHeight = 5, .sourceWidth = 6, .sourceStride = stride,
      .channels = channels, .gridDepth = 2, .gridHeight = 3, .gridWidth = 6, .stepZ = 1, .stepY = 2,
      .stepX = 1, .runCount = TAPS, .runZ = c->z, .runY = c->y, .runX = c->x, .runTaps = c->taps,
      .runOffset = c->offset};
}

/* The pixel that a tap of a grid position sees, or -1. */
static long pixelOf(const Case *c, long position, long tap) {
  long j = position % 6, i = position / 6 % 3, k = position / 18 % 2, n = position / 36;
  long z = k + c->z[tap], y = 2 * i + c->y[tap], x = j + c->x[tap];
  if (z < 0 || z >= 2 || y < 0 || y >= 5 || x < 0 || x >= 6) return -1;
  return ((n * 2 + z) * 5 + y) * 6 + x;
}

static void testWindow(long channels) {
  Case c;
  makeCase(&c, channels, channels + 2);
  const long stride = channels + 2, first = 5, count = 61;
  float *source = numbers(BATCH * 60 * stride), *weight = numbers(TAPS * channels),
        *dy = numbers(count * channels), *y = blank(count * channels),
        *columns = blank(count * TAPS * channels), *dWeight = numbers(TAPS * channels);
  double *sums = doubles(count * channels), *gathered = doubles(count * TAPS * channels),
         *products = doubles(TAPS * channels);
  for (long i = 0; i < TAPS * channels; i++) products[i] = dWeight[i];
  for (long p = 0; p < count; p++)
    for (long t = 0; t < TAPS; t++) {
      long pixel = pixelOf(&c, first + p, t);
      for (long k = 0; k < channels; k++) {
        double x = pixel < 0 ? 0 : source[pixel * stride + k];
        gathered[(p * TAPS + t) * channels + k] = x;
        sums[p * channels + k] += x * weight[t * channels + k];
        products[t * channels + k] += x * dy[p * channels + k];
      }
    }
  ENTRY(gather)(columns, source, &c.w, first, count);
  expect("gather", channels, columns, gathered, count * TAPS * channels, 0);
  ENTRY(depthwise)(y, source, weight, &c.w, first, count);
  expect("depthwise", channels, y, sums, count * channels, 4e-6);
  ENTRY(depthwiseWeight)(dWeight, source, dy, &c.w, first, count);
  expect("depthwiseWeight", channels, dWeight, products, TAPS * channels, 8e-6);
  release();
}

void testWindows(void) {
  for (int l = 0; l < LENGTHS; l++) testWindow(lengths[l]);
}
