/* Statistics and normalization. */
#include "check.h"

#include <math.h>

enum { ROWS = 7 };

static void testMoments(long channels) {
  const long stride = channels + 3;
  float *x = numbers(ROWS * stride), *pivot = numbers(channels), *sum = blank(channels),
        *square = blank(channels);
  double *s = doubles(channels), *q = doubles(channels), *plain = doubles(channels),
         *mean = doubles(channels), *deviations = doubles(channels);
  for (long i = 0; i < ROWS * channels; i++) {
    const float value = x[i / channels * stride + i % channels];
    double d = (double)value - pivot[i % channels];
    s[i % channels] += d;
    q[i % channels] += d * d;
    plain[i % channels] += x[i];
  }
  ENTRY(moments)(x, ROWS, stride, channels, pivot, sum, square);
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

/* A map with numbers in every field. Rows of scales advance by `channels`, or stay where they are. */
static KeelMap maps(long channels, int byRow, long scaleStride, long shiftStride) {
  KeelMap map = {numbers(channels), numbers(channels), numbers(channels), 0, 0, 0, 0};
  if (byRow) {
    map.rowScale = numbers(ROWS * channels);
    map.rowShift = numbers(ROWS * channels);
    map.scaleStride = scaleStride;
    map.shiftStride = shiftStride;
  }
  return map;
}

static float scaleOf(const KeelMap *map, long r, long c) {
  return map->rowScale ? map->rowScale[r * map->scaleStride + c] : 1;
}

/* z, and v of a map at an element. */
static double mapped(const KeelMap *map, float x, long c) {
  return (double)map->scale[c] * ((double)x - map->pivot[c]) + map->shift[c];
}

static double valued(const KeelMap *map, float x, long r, long c) {
  double z = mapped(map, x, c);
  return map->rowScale
             ? scaleOf(map, r, c) * z + map->rowShift[r * map->shiftStride + c]
             : z;
}

static void testNormalize(long channels) {
  for (int has = 0; has < 32; has++) {
    /* Rows of larger ones, each of its own; what lies between those of y stays. */
    const long apart = has & 16 ? 1 : 0, yStride = channels + 16 * apart,
               xStride = channels + 3 * apart, residualStride = channels + 7 * apart;
    float *y = numbers(ROWS * yStride), *x = numbers(ROWS * xStride),
          *residual = numbers(ROWS * residualStride);
    KeelMap map = maps(channels, has & 4, channels, has & 1 ? channels : 0);
    double *expected = doubles(ROWS * yStride);
    for (long i = 0; i < ROWS * yStride; i++) expected[i] = y[i];
    for (long i = 0; i < ROWS * channels; i++) {
      const long r = i / channels, c = i % channels;
      double v = valued(&map, x[r * xStride + c], r, c);
      if (has & 1) v += residual[r * residualStride + c];
      expected[r * yStride + c] = (has & 2) && v < 0 ? 0 : v;
    }
    ENTRY(normalize)(&map, y, yStride, x, xStride, ROWS, channels, has & 1 ? residual : 0,
                     residualStride, (has & 2) / 2, (has & 8) / 8);
    expect("normalize", channels, y, expected, ROWS * yStride, 2e-6);
    release();
  }
}

/* dy where active; x is moved off where rounding would decide. */
static void activeGradients(const KeelMap *map, int mask, long channels, float *x, const float *dy,
                            const float *y, double *g) {
  for (long i = 0; i < ROWS * channels; i++) {
    long r = i / channels, c = i % channels;
    for (double v = valued(map, x[i], r, c); v > -1e-4 && v < 1e-4; v = valued(map, x[i], r, c))
      x[i] += 0.5f;
    double v = valued(map, x[i], r, c);
    int active = mask == KEEL_MASK_NONE || (mask == KEEL_MASK_OUTPUT ? y[i] > 0 : v > 0);
    g[i] = active ? dy[i] : 0;
  }
}

static void testGradient(long channels) {
  for (int form = 0; form < 9; form++) {
    const int mask = form % 3, byRow = form / 3;
    float *x = numbers(ROWS * channels), *dy = numbers(ROWS * channels),
          *y = numbers(ROWS * channels), *a = numbers(channels), *b = numbers(channels),
          *c = numbers(channels), *sum = blank(channels), *product = blank(channels),
          *dx = blank(ROWS * channels), *dResidual = blank(ROWS * channels),
          *dScale = numbers(ROWS * channels), *dShift = numbers(ROWS * channels);
    KeelMap map = maps(channels, byRow, byRow == 1 ? channels : 0, channels);
    double *g = doubles(ROWS * channels), *s = doubles(channels), *p = doubles(channels),
           *expected = doubles(ROWS * channels), *scales = doubles(ROWS * channels),
           *shifts = doubles(ROWS * channels);
    activeGradients(&map, mask, channels, x, dy, y, g);
    for (long i = 0; i < ROWS * channels; i++) {
      scales[i] = dScale[i];
      shifts[i] = dShift[i];
    }
    for (long i = 0; i < ROWS * channels; i++) {
      long r = i / channels, k = i % channels;
      double distance = (double)x[i] - map.pivot[k], scaled = g[i] * scaleOf(&map, r, k);
      s[k] += scaled;
      p[k] += scaled * distance;
      expected[i] = a[k] * scaled + b[k] * distance + c[k];
      scales[r * map.scaleStride + k] += g[i] * mapped(&map, x[i], k);
      shifts[r * map.shiftStride + k] += g[i];
    }
    const float *saved = mask == KEEL_MASK_OUTPUT ? y : 0;
    ENTRY(normalizeReduce)(&map, dy, x, saved, ROWS, channels, mask, sum, product, dResidual,
                           byRow != 1, dScale, dShift);
    expect("normalizeReduce, sum", channels, sum, s, channels, 1e-5);
    expect("normalizeReduce, product", channels, product, p, channels, 1e-5);
    if (byRow) {
      expect("normalizeReduce, dScale", channels, dScale, scales, ROWS * channels, 1e-5);
      expect("normalizeReduce, dShift", channels, dShift, shifts, ROWS * channels, 1e-5);
    }
    if (saved) expect("normalizeReduce, dResidual", channels, dResidual, g, ROWS * channels, 0);
    float *again = blank(ROWS * channels);
    ENTRY(normalizeGradient)(&map, dx, again, dy, x, saved, ROWS, channels, mask, a, b, c, byRow != 2);
    expect("normalizeGradient, dResidual", channels, again, g, ROWS * channels, 0);
    expect("normalizeGradient, dx", channels, dx, expected, ROWS * channels, 4e-6);
    release();
  }
}

/* The operations, each with what z is divided by and what that is worth by r². */
static const KeelOperation operations[] = {
    {1, KEEL_DEVIATION, KEEL_EPSILON_INSIDE, 1e-3f},
    {1, KEEL_SAMPLE_DEVIATION, KEEL_EPSILON_BESIDE, 1e-2f},
    {1, KEEL_NO_DIVISOR, KEEL_EPSILON_INSIDE, 0},
    {0, KEEL_DEVIATION, KEEL_EPSILON_INSIDE, 1e-3f},
    {0, KEEL_ROOT_MEAN_SQUARE, KEEL_EPSILON_INSIDE, 1e-3f},
    {0, KEEL_NORM, KEEL_EPSILON_FLOOR, 1e-6f},
    {0, KEEL_NORM, KEEL_EPSILON_FLOOR, 1e6f},
};
enum { OPERATIONS = sizeof operations / sizeof *operations };

/* The divisor of numbers, from their definition. */
static double divisorOf(const KeelOperation *op, const double *x, long n) {
  double mean = 0, square = 0;
  for (long i = 0; i < n; i++) mean += x[i] / n;
  const int deviates = op->divisor == KEEL_DEVIATION || op->divisor == KEEL_SAMPLE_DEVIATION;
  for (long i = 0; i < n; i++) {
    double d = deviates ? x[i] - mean : x[i];
    square += d * d;
  }
  if (op->divisor == KEEL_NO_DIVISOR) return 1;
  if (op->divisor == KEEL_SAMPLE_DEVIATION) square /= n - 1;
  else if (op->divisor != KEEL_NORM) square /= n;
  if (op->placement == KEEL_EPSILON_INSIDE) return sqrt(square + op->epsilon);
  if (op->placement == KEEL_EPSILON_BESIDE) return sqrt(square) + op->epsilon;
  return fmax(sqrt(square), op->epsilon);
}

static double meanOf(const KeelOperation *op, const double *x, long n) {
  double mean = 0;
  for (long i = 0; i < n && op->centers; i++) mean += x[i] / n;
  return mean;
}

/* Σ cotangent·z over a row of numbers. */
static double rowLoss(const KeelOperation *op, const double *x, const double *cotangent, long n) {
  double mean = meanOf(op, x, n), divisor = divisorOf(op, x, n), loss = 0;
  for (long i = 0; i < n; i++) loss += cotangent[i] * (x[i] - mean) / divisor;
  return loss;
}

/* Rows of two groups: results from the definition, dx from differences. */
static void testRows(long group) {
  const long channels = 2 * group, cells = 2 * ROWS;
  for (int o = 0; o < OPERATIONS; o++) {
    for (int form = 0; form < 6; form++) {
      const KeelOperation *op = operations + o;
      const int mask = form % 3, byRow = form / 3;
      float *x = numbers(ROWS * channels), *dy = numbers(ROWS * channels),
            *residual = numbers(ROWS * channels), *y = blank(ROWS * channels),
            *dx = blank(ROWS * channels), *dResidual = blank(ROWS * channels),
            *dScale = blank(ROWS * channels), *dShift = blank(ROWS * channels),
            *kept = blank(channels), *count = blank(cells), *mean = blank(cells),
            *rest = blank(cells), *deviations = blank(cells);
      KeelMap map = maps(channels, byRow, channels, 0);
      double *expected = doubles(ROWS * channels), *expectedDx = doubles(ROWS * channels),
             *g = doubles(ROWS * channels), *scales = doubles(ROWS * channels),
             *shifts = doubles(ROWS * channels);
      for (long i = 0; i < ROWS * channels; i++) dScale[i] = dShift[i] = 0;
      for (long cell = 0; cell < cells; cell++) {
        const long r = cell / 2, first = cell * group;
        double values[channels], cotangent[channels];
        for (long i = 0; i < group; i++) values[i] = x[first + i];
        double m = meanOf(op, values, group), s = divisorOf(op, values, group);
        for (long i = 0; i < group; i++) {
          const long c = (cell % 2) * group + i;
          const double k = byRow ? map.rowScale[r * channels + c] : 1,
                       t = byRow ? map.rowShift[c] : 0, z = (values[i] - m) / s;
          double v = k * z + t;
          if (mask == KEEL_MASK_OUTPUT) v += residual[first + i];
          /* Where rounding decides what is active, nothing is. */
          if (v > -1e-4 && v < 1e-4) dy[first + i] = 0;
          expected[first + i] = mask && v < 0 ? 0 : v;
          g[first + i] = mask && v <= 0 ? 0 : dy[first + i];
          cotangent[i] = g[first + i] * k;
          scales[r * channels + c] += g[first + i] * z;
          shifts[c] += g[first + i];
        }
        for (long i = 0; i < group; i++) {
          const double at = values[i], h = 1e-5;
          values[i] = at + h;
          double up = rowLoss(op, values, cotangent, group);
          values[i] = at - h;
          double down = rowLoss(op, values, cotangent, group);
          values[i] = at;
          expectedDx[first + i] = (up - down) / (2 * h);
        }
      }
      ENTRY(normalizeRows)(op, &map, y, x, ROWS, channels, group,
                           mask == KEEL_MASK_OUTPUT ? residual : 0, mask != KEEL_MASK_NONE, count,
                           mean, rest, deviations, byRow);
      expect("normalizeRows", group, y, expected, ROWS * channels, 1e-5);
      KeelMoments moments = {count, mean, rest, deviations};
      ENTRY(normalizeRowsGradient)(op, &map, dx, mask ? dResidual : 0, dy, x,
                                   mask == KEEL_MASK_OUTPUT ? y : 0, ROWS, channels, group, mask,
                                   &moments, 0, byRow ? dScale : 0, byRow ? dShift : 0, kept,
                                   !byRow);
      expect("normalizeRowsGradient, dx", group, dx, expectedDx, ROWS * channels, 2e-5);
      if (mask)
        expect("normalizeRowsGradient, dResidual", group, dResidual, g, ROWS * channels, 0);
      if (byRow) {
        expect("normalizeRowsGradient, dScale", group, dScale, scales, ROWS * channels, 2e-5);
        expect("normalizeRowsGradient, dShift", group, dShift, shifts, channels, 2e-5);
      }

      /* The same numbers by cells. */
      float *pivot = blank(cells);
      double *inverse = doubles(cells), *offset = doubles(cells), *sum = doubles(cells),
             *product = doubles(cells), *dMean = doubles(cells), *dDeviations = doubles(cells);
      ENTRY(cellMaps)(op, &moments, 0, cells, pivot, inverse, offset);
      for (long cell = 0; cell < cells; cell++)
        for (long i = cell * group; i < (cell + 1) * group; i++) {
          const double k = byRow ? map.rowScale[(cell / 2) * channels + i % channels] : 1;
          sum[cell] += g[i] * k;
          product[cell] += g[i] * k * ((double)x[i] - pivot[cell]);
        }
      ENTRY(cellAdjoints)(op, &moments, 0, cells, sum, product, dMean, dDeviations);
      for (long i = 0; i < ROWS * channels; i++) {
        const long cell = i / group;
        const double k = byRow ? map.rowScale[(cell / 2) * channels + i % channels] : 1;
        const double m = (double)mean[cell] + rest[cell];
        dx[i] = (float)(g[i] * k * inverse[cell] + dMean[cell] / group +
                        2 * dDeviations[cell] * (x[i] - m));
      }
      expect("cellAdjoints", group, dx, expectedDx, ROWS * channels, 2e-5);
      release();
    }
  }
}

void testNormalization(void) {
  for (int l = 0; l < LENGTHS; l++) {
    testMoments(lengths[l]);
    testNormalize(lengths[l]);
    testGradient(lengths[l]);
    if (lengths[l] > 2) testRows(lengths[l]);
  }
}
