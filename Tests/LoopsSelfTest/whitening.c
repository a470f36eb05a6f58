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

static void testComoments(long channels, long rows) {
  const long stride = channels + STRIDE_MORE;
  const long order = (channels + loops->width - 1) / loops->width * loops->width;
  float *x = numbers(rows * stride), *pivot = numbers(channels);
  double *products = doubles(order * order), *sums = doubles(order), *panel = doubles(64 * order);
  double *expected = doubles(order * order), *expectedSums = doubles(order);
  for (long i = 0; i < order * order; i++) products[i] = expected[i] = 0.25;
  for (long i = 0; i < order; i++) sums[i] = expectedSums[i] = i < channels ? 0.5 : 0;
  for (long r = 0; r < rows; r++)
    for (long i = 0; i < channels; i++) {
      const double a = (double)x[r * stride + i] - (double)pivot[i];
      expectedSums[i] += a;
      for (long j = 0; j <= i; j++)
        expected[i * order + j] += a * ((double)x[r * stride + j] - (double)pivot[j]);
    }
  ENTRY(comoments)(products, sums, x, rows, stride, channels, pivot, panel);
  for (long i = 0; i < order; i++)
    for (long j = 0; j < order; j++)
      if (i >= channels || j > i) products[i * order + j] = expected[i * order + j] = 0;
  expectDoubles("comoments", 1000 * channels + rows, products, expected, order * order, 1e-13);
  expectDoubles("sums of comoments", 1000 * channels + rows, sums, expectedSums, order, 1e-13);
  release();
}

void testWhitening(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testCentering(lengths[l]);
    for (int k = 0; k < CASES; k++) testComoments(lengths[l], rowCounts[k]);
  }
}
