/* Softmax, entropy, and losses of elements and of rows. */
#include <math.h>

#include "check.h"

enum { ROWS = 5 };

/* p = softmax of a row of x and its logarithm. */
static void softmaxOf(const float *x, long columns, double *p, double *logarithm) {
  double sum = 0;
  for (long c = 0; c < columns; c++) sum += exp(x[c]);
  for (long c = 0; c < columns; c++) {
    p[c] = exp(x[c]) / sum;
    logarithm[c] = x[c] - log(sum);
  }
}

static void testSoftmax(long columns) {
  const long count = ROWS * columns;
  float *x = numbers(count), *dy = numbers(count), *y = blank(count), *log = blank(count),
        *dx = blank(count), *largest = blank(ROWS), *logSum = blank(ROWS), *scale = numbers(ROWS),
        *entropies = blank(ROWS), *targets = positives(count), *w = positives(columns),
        *loss = blank(ROWS), *total = blank(ROWS);
  double *p = doubles(count), *l = doubles(count), *a = doubles(count), *b = doubles(count),
         *h = doubles(ROWS), *sums = doubles(ROWS), *total1 = doubles(ROWS),
         *loss1 = doubles(ROWS);
  ENTRY(logSumExp)(largest, logSum, x, ROWS, columns);
  for (long r = 0; r < ROWS; r++) {
    const long at = r * columns;
    softmaxOf(x + at, columns, p + at, l + at);
    sums[r] = x[at] - l[at];
    double product = 0, sum = 0;
    for (long c = at; c < at + columns; c++) {
      h[r] -= p[c] * l[c];
      product += dy[c] * p[c];
      sum += dy[c];
      double t = w[c - at] * (0.75 * targets[c] + 0.125);
      loss1[r] -= t * l[c];
      total1[r] += t;
    }
    for (long c = at; c < at + columns; c++) {
      a[c] = p[c] * (dy[c] - product);
      b[c] = dy[c] - p[c] * sum;
    }
    float both = largest[r] + logSum[r];
    expect("logSumExp", columns, &both, sums + r, 1, 4e-6);
  }
  ENTRY(softmax)(y, x, ROWS, columns, 0);
  expect("softmax", columns, y, p, count, 4e-6);
  loops->softmax(log, x, ROWS, columns, 1);
  if (columns > 1) expect("log-softmax", columns, log, l, count, 4e-6);
  ENTRY(softmaxGradient)(dx, dy, y, ROWS, columns, 0);
  if (columns > 1) expect("softmaxGradient", columns, dx, a, count, 1e-5);
  loops->softmaxGradient(dx, dy, log, ROWS, columns, 1);
  if (columns > 1) expect("log-softmax gradient", columns, dx, b, count, 1e-5);
  for (long i = 0; i < count; i++) a[i] = scale[i / columns] * p[i];
  ENTRY(scaledSoftmax)(y, x, largest, logSum, scale, ROWS, columns);
  expect("scaledSoftmax", columns, y, a, count, 4e-6);
  ENTRY(entropy)(entropies, x, largest, logSum, ROWS, columns);
  if (columns > 1) expect("entropy", columns, entropies, h, ROWS, 1e-5);
  for (long r = 0; r < ROWS; r++) entropies[r] = (float)h[r];
  for (long i = 0; i < count; i++) a[i] = -scale[i / columns] * p[i] * (l[i] + h[i / columns]);
  ENTRY(entropyGradient)(dx, x, largest, logSum, entropies, scale, ROWS, columns);
  if (columns > 1) expect("entropyGradient", columns, dx, a, count, 2e-5);
  ENTRY(targetLoss)(loss, total, x, targets, w, 0.75f, 0.125f, largest, logSum, ROWS, columns);
  if (columns > 1) expect("targetLoss", columns, loss, loss1, ROWS, 1e-5);
  expect("targetLoss, total", columns, total, total1, ROWS, 1e-5);
  for (long i = 0; i < count; i++)
    a[i] = y[i] - scale[i / columns] * (double)w[i % columns] * (0.75 * targets[i] + 0.125);
  ENTRY(subtractTargets)(y, targets, w, 0.75f, 0.125f, scale, ROWS, columns);
  expect("subtractTargets", columns, y, a, count, 4e-6);
  release();
}

static double softplus(double z) { return log1p(exp(z)); }

static double lossOf(double x, double y, double w, KeelLoss f) {
  double e = fabs(x - y), s = y > 0.5 ? x : -x;
  switch (f.kind) {
    case KEEL_SQUARED_ERROR: return e * e;
    case KEEL_ABSOLUTE_ERROR: return e;
    case KEEL_SMOOTH_L1: return e < f.a ? e * e / (2 * f.a) : e - f.a / 2;
    case KEEL_HUBER: return e <= f.a ? e * e / 2 : f.a * (e - f.a / 2);
    case KEEL_LOGISTIC: return softplus(-y * x);
    case KEEL_BINARY: return y * w * softplus(-x) + (1 - y) * softplus(x);
    case KEEL_BINARY_FOCAL:
      return (y > 0.5 ? f.b : 1 - f.b) * exp(-f.a * softplus(s)) * softplus(-s);
    case KEEL_KL: return y * (log(y) - x);
    default: return fmax(0, f.a - w * (x - y));
  }
}

static void testPointLosses(long count) {
  for (int kind = KEEL_SQUARED_ERROR; kind <= KEEL_RANKING; kind++) {
    const KeelLoss f = {kind, kind == KEEL_BINARY_FOCAL ? 2 : 0.75f, 0.25f, 1};
    float *x = numbers(count), *y = positives(count), *w = numbers(count), *dy = numbers(count),
          *out = blank(count);
    double *expected = doubles(count), *slopes = doubles(count);
    const double h = 1e-5;
    for (long i = 0; i < count; i++) {
      if (kind == KEEL_LOGISTIC || kind == KEEL_RANKING) w[i] = w[i] > 0 ? 1 : -1;
      if (kind == KEEL_BINARY || kind == KEEL_BINARY_FOCAL) y[i] = y[i] > 1 ? 1 : 0;
      /* A way of 1e-3 to the kinks. */
      double e = x[i] - y[i];
      if (fabs(e) < 1e-3 || fabs(fabs(e) - 0.75) < 1e-3) x[i] += 0.01f;
      expected[i] = lossOf(x[i], y[i], w[i], f);
      slopes[i] = dy[i] * (lossOf(x[i] + h, y[i], w[i], f) - lossOf(x[i] - h, y[i], w[i], f)) / (2 * h);
    }
    ENTRY(pointLoss)(out, x, y, w, count, f);
    expect("pointLoss", 1000 * kind + count, out, expected, count, 1e-5);
    ENTRY(pointLossGradient)(out, x, y, w, dy, 0, count, f);
    expect("pointLossGradient", 1000 * kind + count, out, slopes, count, 1e-5);
    release();
  }
}

void testLosses(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testSoftmax(lengths[l]);
    testPointLosses(lengths[l]);
  }
}
