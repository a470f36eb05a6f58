/* Elementwise loops: epilogue, add, activations, scale. */
#include <math.h>

#include "check.h"

static void testEpilogue(long channels) {
  enum { ROWS = 3 };
  const long stride = channels + 5, far = channels + 9;
  for (int has = 0; has < 8; has++) {
    float *y = numbers(ROWS * stride), *bias = numbers(channels), *residual = numbers(ROWS * far);
    double *expected = doubles(ROWS * stride);
    for (long i = 0; i < ROWS * stride; i++) {
      expected[i] = y[i];
      long c = i % stride;
      if (c >= channels) continue;
      if (has & 1) expected[i] += bias[c];
      if (has & 2) expected[i] += residual[i / stride * far + c];
      expected[i] = cutOff(expected[i], cutOf(has & 4, has & 1));
    }
    ENTRY(epilogue)(y, ROWS, channels, stride, has & 1 ? bias : 0, has & 2 ? residual : 0,
                    far, cutOf(has & 4, has & 1));
    expect("epilogue", channels, y, expected, ROWS * stride, 1e-6);
    release();
  }
}

static void testSums(long count) {
  float *y = blank(count), *a = numbers(count), *b = numbers(count);
  double *expected = doubles(count);
  for (long i = 0; i < count; i++) expected[i] = (double)a[i] + b[i];
  ENTRY(add)(y, a, b, count);
  expect("add", count, y, expected, count, 1e-6);
  for (long i = 0; i < count; i++) expected[i] = 2.5 * a[i];
  ENTRY(scale)(y, a, 2.5f, count);
  expect("scale", count, y, expected, count, 1e-6);
  release();
}

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double normal(double x) { return 0.5 * erfc(-x / sqrt(2)); }
static double ramp(double x) { return fmin(fmax(x / 6 + 0.5, 0), 1); }

static double activation(double x, KeelActivation f) {
  const double k = sqrt(2 / M_PI);
  switch (f.kind) {
    case KEEL_RELU: return x > 0 ? x : 0;
    case KEEL_SIGMOID: return sigmoid(x);
    case KEEL_TANH: return tanh(x);
    case KEEL_LEAKY_RELU: return x > 0 ? x : f.a * x;
    case KEEL_ELU: return x > 0 ? f.a * x : f.b * expm1(x);
    case KEEL_SOFTPLUS: return log1p(exp(x));
    case KEEL_GELU: return x * normal(x);
    case KEEL_GELU_TANH: return 0.5 * x * (1 + tanh(k * (x + 0.044715 * x * x * x)));
    case KEEL_SILU: return x * sigmoid(x);
    case KEEL_HARD_SIGMOID: return ramp(x);
    case KEEL_HARD_SWISH: return x * ramp(x);
    default: return fmin(fmax(x, f.a), f.b);
  }
}

/* The kinds whose gradient is made from the argument; the others' is made from the result. */
static int takesArgument(int kind) {
  return kind == KEEL_GELU || kind == KEEL_GELU_TANH || kind == KEEL_SILU ||
         kind == KEEL_HARD_SWISH;
}

static void testActivations(long count) {
  for (int kind = KEEL_RELU; kind <= KEEL_CLIP; kind++) {
    KeelActivation f = {kind, 0.25f, 0.75f};
    if (kind == KEEL_CLIP) f.a = -0.5f;
    if (kind == KEEL_ELU) f.a = 1.25f;
    float *x = numbers(count), *y = blank(count), *dx = blank(count), *dy = numbers(count);
    double *expected = doubles(count), *slopes = doubles(count);
    for (long i = 0; i < count; i++) {
      /* Differences need a way of 1e-4 to the next kink. */
      for (double kink = -3; kink <= 3; kink += 0.25)
        if (fabs(x[i] - kink) < 1e-4) x[i] += 1e-3f;
      expected[i] = activation(x[i], f);
      const double h = 1e-5;
      slopes[i] = dy[i] * (activation(x[i] + h, f) - activation(x[i] - h, f)) / (2 * h);
    }
    ENTRY(activate)(y, x, count, f);
    expect("activate", 1000 * kind + count, y, expected, count, 2e-6);
    ENTRY(activateGradient)(dx, dy, takesArgument(kind) ? x : y, count, f);
    expect("activateGradient", 1000 * kind + count, dx, slopes, count, 1e-5);
    release();
  }
}

void testElementwise(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testEpilogue(lengths[l]);
    testSums(lengths[l]);
    testActivations(lengths[l]);
  }
}
