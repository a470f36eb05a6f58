/* Sliding windows: gathering, locating and depthwise sums. */
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
  ENTRY(gather)(columns, TAPS * channels, source, &c.w, first, count);
  expect("gather", channels, columns, gathered, count * TAPS * channels, 0);
  /* Row by row of the grid. */
  for (long p = 0, next; p < count; p = next) {
    next = p + 6 - (first + p) % 6 < count ? p + 6 - (first + p) % 6 : count;
    ENTRY(depthwise)(y + p * channels, channels, source, weight, &c.w, first + p, next - p);
  }
  expect("depthwise", channels, y, sums, count * channels, 4e-6);
  ENTRY(depthwiseWeight)(dWeight, source, dy, &c.w, first, count);
  expect("depthwiseWeight", channels, dWeight, products, TAPS * channels, 8e-6);

  const float *table[TAPS * 64], *zeros = weight;
  const long firstRun = 4, runs = TAPS - firstRun;
  ENTRY(locate)(table, 64, source, zeros, &c.w, firstRun, runs, first, count);
  for (long r = 0; r < runs; r++)
    for (long p = 0; p < count; p++) {
      long pixel = pixelOf(&c, first + p, firstRun + r);
      if (table[r * 64 + p] != (pixel < 0 ? zeros : source + pixel * stride))
        fail("locate", channels, "another place");
    }
  release();
}

/* One plane of 13 × 21 pixels under 3×3 and 5×5 windows: the loops for many pixels at once. */
static void testImage(long channels, long kernel, long step) {
  enum { H = 13, W = 21 };
  long z[25] = {0}, y[25], x[25], one[25], offset[25], taps = kernel * kernel;
  for (long t = 0; t < taps; t++) {
    y[t] = t / kernel - kernel / 2;
    x[t] = t % kernel - kernel / 2;
    one[t] = 1;
    offset[t] = (y[t] * W + x[t]) * channels;
  }
  const long h = (H - 1) / step + 1, w = (W - 1) / step + 1;
  KeelWindow window = {
      .sourceDepth = 1, .sourceHeight = H, .sourceWidth = W, .sourceStride = channels,
      .channels = channels, .gridDepth = 1, .gridHeight = h, .gridWidth = w, .stepZ = 1, .stepY = step,
      .stepX = step, .runCount = taps, .runZ = z, .runY = y, .runX = x, .runTaps = one,
      .runOffset = offset};
  float *source = numbers(H * W * channels), *weight = numbers(taps * channels),
        *dy = numbers(h * w * channels), *result = blank(h * w * channels),
        *dWeight = numbers(taps * channels);
  double *sums = doubles(h * w * channels), *products = doubles(taps * channels);
  for (long i = 0; i < taps * channels; i++) products[i] = dWeight[i];
  for (long p = 0; p < h * w; p++)
    for (long t = 0; t < taps; t++) {
      long i = p / w * step + y[t], j = p % w * step + x[t];
      if (i < 0 || i >= H || j < 0 || j >= W) continue;
      for (long c = 0; c < channels; c++) {
        double value = source[(i * W + j) * channels + c];
        sums[p * channels + c] += value * weight[t * channels + c];
        products[t * channels + c] += value * dy[p * channels + c];
      }
    }
  for (long i = 0; i < h; i++)
    ENTRY(depthwise)(result + i * w * channels, channels, source, weight, &window, i * w, w);
  expect("depthwise", channels, result, sums, h * w * channels, 8e-6);
  ENTRY(depthwiseWeight)(dWeight, source, dy, &window, 0, h * w);
  expect("depthwiseWeight", channels, dWeight, products, taps * channels, 2e-5);
  release();
}

void testWindows(void) {
  for (int l = 0; l < LENGTHS; l++) testWindow(lengths[l]);
}

void testRowsOfWindows(void) {
  for (int l = 0; l < LENGTHS; l++) {
    for (long kernel = 3; kernel <= 5; kernel += 2)
      for (long step = 1; step <= 3; step++) testImage(lengths[l], kernel, step);
  }
}
