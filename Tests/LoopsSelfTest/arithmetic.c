/* Arithmetic of two operands, functions of one, parametric ReLU, dropout. */
#include <math.h>

#include "check.h"

enum { ROWS = 3 };

static double value(KeelBroadcast b, long r, long c) { return b.values[r * b.row + c * b.step]; }

static double combined(int operation, double a, double b) {
  switch (operation) {
    case KEEL_ADD: return a + b;
    case KEEL_SUBTRACT: return a - b;
    case KEEL_MULTIPLY: return a * b;
    case KEEL_DIVIDE: return a / b;
    case KEEL_LARGER_OF: return fmax(a, b);
    case KEEL_SMALLER_OF: return fmin(a, b);
    default: return pow(a, b);
  }
}

/* The share of dy that a's gradient (of KEEL_EXPONENT: b's) gets. */
static double share(int operand, double a, double b) {
  switch (operand) {
    case KEEL_LARGER_OF: return a > b ? 1 : a == b ? 0.5 : 0;
    case KEEL_SMALLER_OF: return a < b ? 1 : a == b ? 0.5 : 0;
    case KEEL_BASE: return b * pow(a, b - 1);
    default: return pow(a, b) * log(a);
  }
}

static void testArithmetic(long channels) {
  const long count = ROWS * channels;
  for (int form = 0; form < 16; form++) {
    float *x = positives(count), *z = positives(count), *dy = numbers(count), *y = blank(count);
    double *expected = doubles(count);
    /* Ties. */
    for (long i = 0; i < count; i++) {
      x[i] = roundf(8 * x[i]) / 8;
      z[i] = roundf(8 * z[i]) / 8;
    }
    KeelBroadcast a = {x, form & 1 ? channels : 0, (form & 2) != 0};
    KeelBroadcast b = {z, form & 4 ? channels : 0, (form & 8) != 0};
    for (int operation = KEEL_ADD; operation <= KEEL_POWER; operation++) {
      for (long i = 0; i < count; i++)
        expected[i] = combined(operation, value(a, i / channels, i % channels),
                               value(b, i / channels, i % channels));
      ENTRY(arithmetic)(operation, y, &a, &b, ROWS, channels);
      expect("arithmetic", 1000 * operation + channels, y, expected, count, 4e-6);
    }
    const int operands[] = {KEEL_LARGER_OF, KEEL_SMALLER_OF, KEEL_BASE, KEEL_EXPONENT};
    for (int k = 0; k < 4; k++) {
      for (long i = 0; i < count; i++)
        expected[i] = dy[i] * share(operands[k], value(a, i / channels, i % channels),
                                    value(b, i / channels, i % channels));
      ENTRY(arithmeticGradient)(operands[k], y, dy, &a, &b, ROWS, channels);
      expect("arithmeticGradient", 1000 * operands[k] + channels, y, expected, count, 4e-6);
    }
    release();
  }
}

static double function(int kind, double x) {
  switch (kind) {
    case KEEL_NEGATE: return -x;
    case KEEL_ABSOLUTE: return fabs(x);
    case KEEL_EXPONENTIAL: return exp(x);
    case KEEL_LOGARITHM: return log(x);
    case KEEL_SQUARE_ROOT: return sqrt(x);
    case KEEL_RECIPROCAL: return 1 / x;
    case KEEL_SQUARE: return x * x;
    case KEEL_SIGN: return x > 0 ? 1 : x < 0 ? -1 : 0;
    default: return erf(x);
  }
}

static void testFunctions(long count) {
  for (int kind = KEEL_NEGATE; kind <= KEEL_ERROR_FUNCTION; kind++) {
    int positive = kind == KEEL_LOGARITHM || kind == KEEL_SQUARE_ROOT || kind == KEEL_RECIPROCAL;
    float *x = positive ? positives(count) : numbers(count), *y = blank(count);
    double *expected = doubles(count);
    for (long i = 0; i < count; i++) expected[i] = function(kind, x[i]);
    ENTRY(elementwise)(kind, y, x, count);
    expect("elementwise", 1000 * kind + count, y, expected, count, 2e-6);
    release();
  }
}

static void testParametricReLU(long channels) {
  const long count = ROWS * channels;
  float *x = numbers(count), *dy = numbers(count), *slope = numbers(channels), *y = blank(count),
        *sum = blank(channels);
  double *expected = doubles(count), *slopes = doubles(channels);
  for (int step = 0; step < 2; step++) {
    for (long i = 0; i < count; i++)
      expected[i] = x[i] > 0 ? x[i] : (double)slope[step * (i % channels)] * x[i];
    ENTRY(parametricReLU)(y, x, slope, step, ROWS, channels);
    expect("parametricReLU", channels, y, expected, count, 1e-6);
  }
  for (long i = 0; i < count; i++) {
    expected[i] = x[i] > 0 ? dy[i] : (double)slope[i % channels] * dy[i];
    if (!(x[i] > 0)) slopes[i % channels] += (double)x[i] * dy[i];
  }
  ENTRY(parametricReLUGradient)(y, sum, dy, x, slope, ROWS, channels);
  expect("parametricReLUGradient, dx", channels, y, expected, count, 1e-6);
  expect("parametricReLUGradient, sum", channels, sum, slopes, channels, 4e-6);
  release();
}

/* The bits are the baseline's, wherever a call begins; that those are random is tested elsewhere. */
static void testDropout(long count) {
  const KeelKey key = {12345, 678};
  const unsigned half = 0x80000000u;
  float *x = numbers(count), *y = blank(count), *whole = blank(count);
  double *expected = doubles(count), *scaled = doubles(count);
  keel_loops(KEEL_LEVEL_BASELINE)->dropout(whole, x, 7, count, key, half, 2);
  for (long i = 0; i < count; i++) {
    scaled[i] = 2 * x[i];
    expected[i] = whole[i];
    if (whole[i] != 0 && whole[i] != 2 * x[i]) fail("dropout", count, "neither 0 nor 2x");
  }
  const long part = count / 3;
  ENTRY(dropout)(y, x, 7, part, key, half, 2);
  loops->dropout(y + part, x + part, 7 + part, count - part, key, half, 2);
  expect("dropout", count, y, expected, count, 0);
  loops->dropout(y, x, 7, count, key, 0, 2);
  expect("dropout of nothing", count, y, scaled, count, 0);
  long kept = 0;
  for (long i = 0; i < count; i++) kept += whole[i] != 0;
  if (count >= 64 && (kept < count / 4 || kept > 3 * count / 4))
    fail("dropout", count, "not near a half is kept");
  release();
}

void testArithmeticLoops(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testArithmetic(lengths[l]);
    testFunctions(lengths[l]);
    testParametricReLU(lengths[l]);
    testDropout(lengths[l]);
  }
}
