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

/* What bias and activation make of sums. */
static void finish(double *sums, long rows, long channels, const float *bias, KeelCut cut) {
  for (long i = 0; i < rows * channels; i++) sums[i] = cutOff(sums[i] + bias[i % channels], cut);
}

static void testWindow(long channels) {
  Case c;
  makeCase(&c, channels, channels + 2);
  const long stride = channels + 2, first = 5, count = 61;
  float *source = numbers(BATCH * 60 * stride), *weight = numbers(TAPS * channels),
        *dy = numbers(count * channels), *y = blank(count * channels),
        *columns = blank(count * TAPS * channels), *dWeight = numbers(TAPS * channels);
  const float *bias = numbers(channels);
  const KeelCut cut = cutOf(channels & 2, channels & 1);
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
    ENTRY(depthwise)(y + p * channels, channels, 0, source, weight, &c.w, first + p, next - p, 1, 0, bias, cut);
  }
  finish(sums, count, channels, bias, cut);
  expect("depthwise", channels, y, sums, count * channels, 4e-6);
  ENTRY(depthwiseWeight)(dWeight, source, dy, &c.w, first, count, 0);
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

/* Windows of 3×3 pixels, two apart, of rows and columns that are another image's, some of them zeros. */
void testMappedWindows(void) {
  enum { H = 7, W = 8, HELD_H = 3, HELD_W = 4, STRIDE = 5, COUNT = 2 * 4 * 4 };
  long z[9] = {0}, y[9], x[9], one[9], rows[H] = {2, -1, 0, 0, 1, 2, 1}, columns[W] = {3, 2, 1, 0, 0, -1, 3, 3};
  for (long t = 0; t < 9; t++) {
    y[t] = t / 3 - 1;
    x[t] = t % 3 - 1;
    one[t] = 1;
  }
  KeelWindow window = {
      .sourceDepth = 1, .sourceHeight = H, .sourceWidth = W, .sourceStride = STRIDE, .channels = 3,
      .gridDepth = 1, .gridHeight = 4, .gridWidth = 4, .stepZ = 1, .stepY = 2, .stepX = 2,
      .runCount = 9, .runZ = z, .runY = y, .runX = x, .runTaps = one, .rows = rows,
      .columns = columns, .heldHeight = HELD_H, .heldWidth = HELD_W};
  const float *table[9 * COUNT], *source = numbers(2 * HELD_H * HELD_W * STRIDE), *zeros = numbers(3);
  const long first = 3, count = COUNT - first - 2;
  ENTRY(locate)(table, COUNT, source, zeros, &window, 1, 8, first, count);
  for (long r = 0; r < 8; r++)
    for (long p = 0; p < count; p++) {
      const long i = (first + p) / 4 % 4 * 2 + y[r + 1], j = (first + p) % 4 * 2 + x[r + 1];
      const long row = i < 0 || i >= H ? -1 : rows[i], column = j < 0 || j >= W ? -1 : columns[j];
      const float *expected = row < 0 || column < 0
          ? zeros : source + (((first + p) / 16 * HELD_H + row) * HELD_W + column) * STRIDE;
      if (table[r * COUNT + p] != expected) fail("locate", p, "another place of a mapped image");
    }
  release();
}

/* Two planes of 7 × 21 pixels under a rectangle of taps: the loops for many pixels at once. Results lie two
   pixels and two rows apart, as those of an input gradient's phase do. */
static void testImage(long channels, long kernel, long step, int isRectangle) {
  enum { H = 7, W = 21, PLANES = 2 };
  long z[49] = {0}, y[49], x[49], one[49], offset[49], taps = kernel * kernel;
  for (long t = 0; t < taps; t++) {
    y[t] = t / kernel - kernel / 2;
    x[t] = t % kernel - kernel / 2;
    one[t] = 1;
    offset[t] = (y[t] * W + x[t]) * channels;
  }
  const long h = (H - 1) / step + 1, w = (W - 1) / step + 1, count = PLANES * h * w;
  KeelWindow window = {
      .sourceDepth = 1, .sourceHeight = H, .sourceWidth = W, .sourceStride = channels,
      .channels = channels, .gridDepth = 1, .gridHeight = h, .gridWidth = w, .stepZ = 1, .stepY = step,
      .stepX = step, .runCount = taps, .runZ = z, .runY = y, .runX = x, .runTaps = one,
      .runOffset = offset, .tapRows = isRectangle ? kernel : 0, .tapColumns = isRectangle ? kernel : 0};
  const KeelCut none = cutOf(0, 0), cut = cutOf(channels & 2, channels & 1);
  const float *bias = numbers(channels);
  float *source = numbers(PLANES * H * W * channels), *weight = numbers(taps * channels),
        *dy = numbers(count * channels), *result = blank(count * channels),
        *spread = blank(4 * count * channels), *dWeight = numbers(taps * channels);
  double *sums = doubles(count * channels), *products = doubles(taps * channels);
  for (long i = 0; i < taps * channels; i++) products[i] = dWeight[i];
  for (long p = 0; p < count; p++)
    for (long t = 0; t < taps; t++) {
      long plane = p / (h * w), i = p / w % h * step + y[t], j = p % w * step + x[t];
      if (i < 0 || i >= H || j < 0 || j >= W) continue;
      for (long c = 0; c < channels; c++) {
        double value = source[((plane * H + i) * W + j) * channels + c];
        sums[p * channels + c] += value * weight[t * channels + c];
        products[t * channels + c] += value * dy[p * channels + c];
      }
    }
  /* Whole rows, two at a time, and pieces of one. */
  for (long i = 0; i < PLANES * h; i++) {
    ENTRY(depthwise)(result + i * w * channels, channels, 0, source, weight, &window, i * w, 5, 1, 0, 0, none);
    ENTRY(depthwise)(result + (i * w + 5) * channels, channels, 0, source, weight, &window, i * w + 5,
                     w - 5, 1, KEEL_FETCH_BOTH, 0, none);
  }
  expect("depthwise", channels, result, sums, count * channels, 8e-6);
  for (long i = 0; i < PLANES * h; i++) {
    const long rows = i % h + 1 < h ? 2 : 1, row = w * channels;
    ENTRY(depthwise)(result + i * row, channels, row, source, weight, &window, i * w, w, rows, i % 3,
                     bias, cut);
    ENTRY(depthwise)(spread + 4 * i * row, 2 * channels, 4 * row, source, weight, &window, i * w, w,
                     rows, 0, bias, cut);
    for (long p = 0; p < w; p++)
      for (long c = 0; c < channels; c++)
        if (spread[4 * i * row + 2 * p * channels + c] != result[(i * w + p) * channels + c])
          fail("depthwise", channels, "another result two pixels apart");
    i += rows - 1;
  }
  finish(sums, count, channels, bias, cut);
  expect("depthwise", channels, result, sums, count * channels, 8e-6);
  /* Slices that begin and end within rows. */
  const long middle = count / 3;
  ENTRY(depthwiseWeight)(dWeight, source, dy, &window, 0, middle, 0);
  ENTRY(depthwiseWeight)(dWeight, source, dy + middle * channels, &window, middle, count - middle, KEEL_FETCH_BOTH);
  expect("depthwiseWeight", channels, dWeight, products, taps * channels, 4e-5);
  release();
}

void testWindows(void) {
  for (int l = 0; l < LENGTHS; l++) testWindow(lengths[l]);
}

void testRowsOfWindows(void) {
  for (int l = 0; l < LENGTHS; l++) {
    for (long kernel = 1; kernel <= 7; kernel++)
      for (long step = 1; step <= 3; step++)
        for (int isRectangle = 0; isRectangle < 2; isRectangle++)
          testImage(lengths[l], kernel, step, isRectangle);
  }
}
