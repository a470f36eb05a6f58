/* Statistics and normalization. */
#include "check.h"

enum { ROWS = 7 };

static void testMoments(long channels) {
  float *x = numbers(ROWS * channels), *pivot = numbers(channels), *sum = blank(channels),
        *square = blank(channels);
  double *s = doubles(channels), *q = doubles(channels), *plain = doubles(channels),
         *mean = doubles(channels), *deviations = doubles(channels);
  for (long i = 0; i < ROWS * channels; i++) {
    double d = (double)x[i] - pivot[i % channels];
    s[i % channels] += d;
    q[i % channels] += d * d;
    plain[i % channels] += x[i];
  }
  ENTRY(moments)(x, ROWS, channels, pivot, sum, square);
  expect("moments, sum", channels, sum, s, channels, 4e-6);
  expect("moments, square", channels, square, q, channels, 4e-6);

  /* Of no rows and of eleven rows with these means and deviations. */
  for (double before = 0; before <= 11; before += 11) {
    float *next = blank(channels);
    double *newMean = doubles(channels), *newDeviations = doubles(channels);
    for (long c = 0; c < channels; c++) {
      next[c] = pivot[c];
      mean[c] = before > 0 ? 0.01 * (double)c : 0;
      deviations[c] = before > 0 ? 3 : 0;
      double total = before + ROWS, own = pivot[c] + s[c] / ROWS, distance = own - mean[c];
      newMean[c] = (before * mean[c] + ROWS * own) / total;
      newDeviations[c] =
          deviations[c] + q[c] - s[c] * s[c] / ROWS + distance * distance * before * ROWS / total;
    }
    ENTRY(mergeMoments)(mean, deviations, before, next, sum, square, ROWS, channels);
    expectDoubles("mergeMoments, mean", channels, mean, newMean, channels, 4e-6);
    expectDoubles("mergeMoments, deviations", channels, deviations, newDeviations, channels, 2e-5);
    expect("mergeMoments, pivot", channels, next, newMean, channels, 4e-6);
  }

  ENTRY(foldRows)(KEEL_SUM, sum, x, ROWS, channels, channels);
  expect("foldRows, sum", channels, sum, plain, channels, 4e-6);
  for (long c = 0; c < channels; c++) {
    mean[c] = 0.5;
    plain[c] = 0.5 + sum[c];
  }
  ENTRY(accumulate)(mean, sum, channels);
  expectDoubles("accumulate", channels, mean, plain, channels, 1e-12);
  release();
}

static void testNormalize(long channels) {
  for (int has = 0; has < 4; has++) {
    float *y = blank(ROWS * channels), *x = numbers(ROWS * channels), *pivot = numbers(channels),
          *scale = numbers(channels), *shift = numbers(channels),
          *residual = numbers(ROWS * channels);
    double *expected = doubles(ROWS * channels);
    for (long i = 0; i < ROWS * channels; i++) {
      long c = i % channels;
      double v = (double)scale[c] * ((double)x[i] - pivot[c]) + shift[c];
      if (has & 1) v += residual[i];
      expected[i] = (has & 2) && v < 0 ? 0 : v;
    }
    ENTRY(normalize)(y, x, ROWS, channels, pivot, scale, shift, has & 1 ? residual : 0, has / 2);
    expect("normalize", channels, y, expected, ROWS * channels, 1e-6);
    release();
  }
}

static void testGradient(long channels) {
  for (int mask = KEEL_MASK_NONE; mask <= KEEL_MASK_OUTPUT; mask++) {
    float *x = numbers(ROWS * channels), *dy = numbers(ROWS * channels),
          *y = numbers(ROWS * channels), *pivot = numbers(channels), *scale = numbers(channels),
          *shift = numbers(channels), *a = numbers(channels), *b = numbers(channels),
          *c = numbers(channels), *sum = blank(channels), *product = blank(channels),
          *dx = blank(ROWS * channels), *dResidual = blank(ROWS * channels);
    double *g = doubles(ROWS * channels), *s = doubles(channels), *p = doubles(channels),
           *expected = doubles(ROWS * channels);
    for (long i = 0; i < ROWS * channels; i++) {
      long k = i % channels;
      float distance = x[i] - pivot[k];
      /* Not where rounding decides. */
      float v = scale[k] * distance + shift[k];
      if (v > -1e-5f && v < 1e-5f) {
        x[i] += 0.5f;
        distance = x[i] - pivot[k];
        v = scale[k] * distance + shift[k];
      }
      int active = mask == KEEL_MASK_NONE || (mask == KEEL_MASK_OUTPUT ? y[i] > 0 : v > 0);
      g[i] = active ? dy[i] : 0;
      s[k] += g[i];
      p[k] += g[i] * distance;
      expected[i] = a[k] * g[i] + b[k] * (double)distance + c[k];
    }
    const float *saved = mask == KEEL_MASK_OUTPUT ? y : 0;
    ENTRY(normalizeReduce)(dy, x, saved, ROWS, channels, pivot, scale, shift, mask, sum, product);
    expect("normalizeReduce, sum", channels, sum, s, channels, 4e-6);
    expect("normalizeReduce, product", channels, product, p, channels, 4e-6);
    ENTRY(normalizeGradient)(dx, mask ? dResidual : 0, dy, x, saved, ROWS, channels, pivot, scale,
                             shift, mask, a, b, c);
    expect("normalizeGradient, dx", channels, dx, expected, ROWS * channels, 2e-6);
    if (mask) expect("normalizeGradient, dResidual", channels, dResidual, g, ROWS * channels, 0);
    release();
  }
}

void testNormalization(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testMoments(lengths[l]);
    testNormalize(lengths[l]);
    testGradient(lengths[l]);
  }
}
