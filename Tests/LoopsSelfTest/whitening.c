/* Rows less a centre, and co-moments, against plain loops. */
#include <math.h>

#include "check.h"

enum { STRIDE_MORE = 3, CASES = 4 };
static const long rowCounts[CASES] = {1, 5, 64, 130};

static void testCentering(long channels) {
  const long rows = 7, stride = channels + STRIDE_MORE;
  const long padded = (channels + loops->width - 1) / loops->width * loops->width;
  float *x = numbers(rows * stride), *high = numbers(channels), *low = numbers(channels);
  float *y = blank(rows * padded);
  double *expected = doubles(rows * padded);
  for (int centers = 0; centers < 2; centers++) {
    for (long r = 0; r < rows; r++)
      for (long c = 0; c < padded; c++)
        expected[r * padded + c] =
            c >= channels ? 0
                          : (double)x[r * stride + c] -
                                (centers ? (double)high[c] + (double)low[c] : 0);
    ENTRY(centerRows)(y, x, rows, stride, channels, centers ? high : 0, low);
    expect("centerRows", channels, y, expected, rows * padded, 1e-6);
  }
  release();
}

static long padded(long channels) { return (channels + loops->width - 1) / loops->width * loops->width; }

static void testComoments(long channels, long size, long rows, int wide) {
  const long blocks = (channels + size - 1) / size, most = padded(size);
  const long step = most * most + most, count = blocks * step;
  float *x = numbers(rows * channels), *pivot = numbers(channels);
  double *products = doubles(count), *panel = doubles(32 * blocks * most), *expected = doubles(count);
  for (long i = 0; i < count; i++) products[i] = expected[i] = 0.25;
  for (long b = 0; b < blocks; b++) {
    const long first = b * size, width = first + size < channels ? size : channels - first;
    const long order = padded(width);
    double *own = expected + b * step;
    for (long r = 0; r < rows; r++)
      for (long i = 0; i < width; i++) {
        const double a = (double)x[r * channels + first + i] - (double)pivot[first + i];
        own[most * most + i] += a;
        for (long j = 0; j <= i; j++)
          own[i * order + j] += a * ((double)x[r * channels + first + j] - (double)pivot[first + j]);
      }
  }
  ENTRY(comoments)(products, x, rows, channels, size, pivot, panel, wide);
  ENTRY(fetch)(x, rows * channels);
  for (long b = 0; b < blocks; b++) {
    const long first = b * size, width = first + size < channels ? size : channels - first;
    const long order = padded(width);
    for (long i = 0; i < most * most; i++)
      if (i >= width * order || i % order > i / order)
        products[b * step + i] = expected[b * step + i] = 0;
  }
  expectDoubles("comoments", 1000 * channels + size, products, expected, count, wide ? 1e-13 : 3e-6);
  release();
}

void testWhitening(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testCentering(lengths[l]);
    for (int k = 0; k < CASES; k++)
      for (int s = 0; s < LENGTHS; s++)
        if (lengths[s] <= lengths[l] && lengths[l] <= 40)
          for (int wide = 0; wide < 2; wide++)
            testComoments(lengths[l], lengths[s], rowCounts[k], wide);
  }
}
