/* Steps of optimizers and clipping. */
#include <math.h>

#include "check.h"

static void testSGD(long count) {
  for (int nesterov = 0; nesterov < 2; nesterov++) {
    float *w = numbers(count), *v = numbers(count), *g = numbers(count);
    double *newW = doubles(count), *newV = doubles(count);
    for (long i = 0; i < count; i++) {
      double d = g[i] + 0.01f * (double)w[i];
      newV[i] = 0.9f * (double)v[i] + d;
      newW[i] = w[i] - 0.1f * (nesterov ? d + 0.9f * newV[i] : newV[i]);
    }
    ENTRY(sgd)(w, v, g, count, 0.1f, 0.9f, 0.01f, nesterov);
    expect("sgd, w", count, w, newW, count, 1e-6);
    expect("sgd, v", count, v, newV, count, 1e-6);
    release();
  }
}

static void testAdam(long count) {
  const KeelAdam step = {.rate = 0.1f, .beta1 = 0.9f, .beta2 = 0.999f, .root = 2, .epsilon = 1e-3f,
                         .decay = 0.01f, .shrink = 0.02f};
  float *w = numbers(count), *m = numbers(count), *v = positives(count), *g = numbers(count);
  double *newW = doubles(count), *newM = doubles(count), *newV = doubles(count);
  for (long i = 0; i < count; i++) {
    double d = g[i] + (double)step.decay * w[i];
    newM[i] = (double)step.beta1 * m[i] + (1 - (double)step.beta1) * d;
    newV[i] = (double)step.beta2 * v[i] + (1 - (double)step.beta2) * d * d;
    newW[i] = w[i] - step.rate * newM[i] / (step.root * sqrt(newV[i]) + step.epsilon) -
              (double)step.shrink * w[i];
  }
  ENTRY(adam)(w, m, v, g, count, &step);
  expect("adam, w", count, w, newW, count, 2e-6);
  expect("adam, m", count, m, newM, count, 1e-6);
  expect("adam, v", count, v, newV, count, 1e-6);
  release();
}

static void testRMSProp(long count) {
  for (int has = 0; has < 4; has++) {
    float *w = numbers(count), *square = positives(count), *mean = numbers(count),
          *velocity = numbers(count), *g = numbers(count);
    double *newW = doubles(count), *newSquare = doubles(count), *newMean = doubles(count),
           *newVelocity = doubles(count);
    const double alpha = 0.75, rest = 0.25;
    for (long i = 0; i < count; i++) {
      double d = g[i] + 0.01f * (double)w[i], away = d - mean[i];
      newSquare[i] = has & 1 ? alpha * (square[i] + rest * away * away)
                             : alpha * square[i] + rest * d * d;
      newMean[i] = mean[i] + rest * away;
      d /= sqrt(newSquare[i]) + 1e-3f;
      newVelocity[i] = 0.5 * velocity[i] + d;
      newW[i] = w[i] - 0.125 * (has & 2 ? newVelocity[i] : d);
    }
    ENTRY(rmsProp)(w, square, has & 1 ? mean : 0, has & 2 ? velocity : 0, g, count, 0.125f, 0.75f,
                   1e-3f, 0.5f, 0.01f);
    expect("rmsProp, w", count, w, newW, count, 2e-6);
    expect("rmsProp, square", count, square, newSquare, count, 2e-6);
    if (has & 1) expect("rmsProp, mean", count, mean, newMean, count, 1e-6);
    if (has & 2) expect("rmsProp, velocity", count, velocity, newVelocity, count, 2e-6);
    release();
  }
}

static void testClip(long count) {
  float *g = numbers(count);
  double *expected = doubles(count);
  double sum = 0;
  for (long i = 0; i < count; i++) sum += (double)g[i] * g[i];
  double found = ENTRY(squareSum)(g, count);
  expectDoubles("squareSum", count, &found, &sum, 1, 1e-12);
  g[count / 2] = NAN;
  for (long i = 0; i < count; i++)
    expected[i] = isnan(g[i]) ? g[i] : fmin(fmax(g[i], -0.75), 0.75);
  ENTRY(clip)(g, count, 0.75f);
  expect("clip", count, g, expected, count, 0);
  release();
}

void testOptimizers(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testSGD(lengths[l]);
    testAdam(lengths[l]);
    testRMSProp(lengths[l]);
    testClip(lengths[l]);
  }
}
