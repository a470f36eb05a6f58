/* The leaf loops, once. Included by one file per instruction set, which defines
   KEEL_WIDTH   floats in a vector
   KEEL_TABLE   the name of the table
   KEEL_NAME    the level's name as a string */

#include "CKeelLoops.h"

#include <string.h>

#include "vectors.h"

INLINE void epilogueRow(float *y, long channels, const float *bias, const float *residual,
                        int relu) {
  long c = 0;
#define BODY(T)                             \
  T v = LOAD(T, y + c);                     \
  if (bias) v += LOAD(T, bias + c);         \
  if (residual) v += LOAD(T, residual + c); \
  if (relu) v = POSITIVE(T, v);             \
  STORE(T, y + c, v);
  CHANNELS(BODY)
#undef BODY
}

static void epilogue(float *y, long rows, long channels, long stride, const float *bias,
                     const float *residual, int relu) {
  for (long r = 0; r < rows; r++) {
    float *row = y + r * stride;
    if (residual) {
      if (relu) epilogueRow(row, channels, bias, residual + r * stride, 1);
      else epilogueRow(row, channels, bias, residual + r * stride, 0);
    } else {
      if (relu) epilogueRow(row, channels, bias, 0, 1);
      else epilogueRow(row, channels, bias, 0, 0);
    }
  }
}

static void add(float *y, const float *a, const float *b, long channels) {
  long c = 0;
#define BODY(T) STORE(T, y + c, LOAD(T, a + c) + LOAD(T, b + c));
  CHANNELS(BODY)
#undef BODY
}

static void moments(const float *x, long rows, long channels, const float *pivot, float *sum,
                    float *square) {
  enum { BLOCK = 4 }; /* eight independent sums hide the latency of an addition */
  long c = 0;
  for (; c + BLOCK * KEEL_WIDTH <= channels; c += BLOCK * KEEL_WIDTH) {
    Vector p[BLOCK], s[BLOCK], q[BLOCK];
    for (int b = 0; b < BLOCK; b++) {
      p[b] = load(pivot + c + b * KEEL_WIDTH);
      s[b] = q[b] = splat(0);
    }
    for (long r = 0; r < rows; r++) {
      const float *row = x + r * channels + c;
      for (int b = 0; b < BLOCK; b++) {
        Vector d = load(row + b * KEEL_WIDTH) - p[b];
        s[b] += d;
        q[b] += d * d;
      }
    }
    for (int b = 0; b < BLOCK; b++) {
      store(sum + c + b * KEEL_WIDTH, s[b]);
      store(square + c + b * KEEL_WIDTH, q[b]);
    }
  }
#define BODY(T)                                                  \
  T p = LOAD(T, pivot + c);                                      \
  T s0 = SPLAT(T, 0), q0 = SPLAT(T, 0), s1 = s0, q1 = q0;        \
  long r = 0;                                                    \
  for (; r + 2 <= rows; r += 2) {                                \
    T d0 = LOAD(T, x + r * channels + c) - p;                    \
    T d1 = LOAD(T, x + (r + 1) * channels + c) - p;              \
    s0 += d0;                                                    \
    q0 += d0 * d0;                                               \
    s1 += d1;                                                    \
    q1 += d1 * d1;                                               \
  }                                                              \
  if (r < rows) {                                                \
    T d = LOAD(T, x + r * channels + c) - p;                     \
    s0 += d;                                                     \
    q0 += d * d;                                                 \
  }                                                              \
  STORE(T, sum + c, s0 + s1);                                    \
  STORE(T, square + c, q0 + q1);
  CHANNELS(BODY)
#undef BODY
}

/* With offsets from the pivot p: the rows' mean is p + s/n, their deviations q − s²/n; merging adds
   δ²·n·m/(n + m) for the distance δ of the two means. The compiler makes vectors of this. */
static void mergeMoments(double *restrict mean, double *restrict deviations, double before,
                         float *restrict pivot, const float *restrict sum,
                         const float *restrict square, double count, long channels) {
  const double total = before + count, inverse = 1 / count;
  const double weight = count / total, cross = before * count / total;
  for (long c = 0; c < channels; c++) {
    double s = sum[c];
    double offset = s * inverse;
    double own = square[c] - s * offset;
    double distance = pivot[c] + offset - mean[c];
    double merged = before > 0 ? mean[c] + distance * weight : pivot[c] + offset;
    double both = before > 0 ? deviations[c] + own + distance * distance * cross : own;
    mean[c] = merged;
    deviations[c] = both < 0 ? 0 : both;
    pivot[c] = (float)merged;
  }
}

static void accumulate(double *restrict to, const float *restrict from, long channels) {
  for (long c = 0; c < channels; c++) to[c] += from[c];
}

INLINE void normalizeRow(float *y, const float *x, long channels, const float *pivot,
                         const float *scale, const float *shift, const float *residual, int relu) {
  long c = 0;
#define BODY(T)                                                                            \
  T v = LOAD(T, scale + c) * (LOAD(T, x + c) - LOAD(T, pivot + c)) + LOAD(T, shift + c);   \
  if (residual) v += LOAD(T, residual + c);                                                \
  if (relu) v = POSITIVE(T, v);                                                            \
  STORE(T, y + c, v);
  CHANNELS(BODY)
#undef BODY
}

static void normalize(float *y, const float *x, long rows, long channels, const float *pivot,
                      const float *scale, const float *shift, const float *residual, int relu) {
  for (long r = 0; r < rows; r++) {
    float *to = y + r * channels;
    const float *from = x + r * channels;
    if (residual) {
      const float *more = residual + r * channels;
      if (relu) normalizeRow(to, from, channels, pivot, scale, shift, more, 1);
      else normalizeRow(to, from, channels, pivot, scale, shift, more, 0);
    } else {
      if (relu) normalizeRow(to, from, channels, pivot, scale, shift, 0, 1);
      else normalizeRow(to, from, channels, pivot, scale, shift, 0, 0);
    }
  }
}

/* dy where the activation was active. The recomputed output is the same expression as in
   normalizeRow, so that both agree to the last bit. `k` and `t` are scale and shift. */
#define ACTIVE(T, mask, dy, d, y, k, t)                                             \
  ((mask) == KEEL_MASK_OUTPUT      ? ((LOAD(T, y) > SPLAT(T, 0)) ? (dy) : SPLAT(T, 0)) \
   : (mask) == KEEL_MASK_RECOMPUTE ? (((k) * (d) + (t) > SPLAT(T, 0)) ? (dy) : SPLAT(T, 0)) \
                                   : (dy))
#define SCALE_SHIFT(T, at)                                                            \
  T k = mask == KEEL_MASK_RECOMPUTE ? LOAD(T, scale + (at)) : SPLAT(T, 0);            \
  T t = mask == KEEL_MASK_RECOMPUTE ? LOAD(T, shift + (at)) : SPLAT(T, 0);

INLINE void reduceChannels(int mask, const float *dy, const float *x, const float *y, long rows,
                           long channels, const float *pivot, const float *scale,
                           const float *shift, float *sum, float *product) {
  long c = 0;
#define BODY(T)                                                                       \
  T p = LOAD(T, pivot + c), s0 = SPLAT(T, 0), q0 = s0, s1 = s0, q1 = s0;              \
  SCALE_SHIFT(T, c)                                                                   \
  long r = 0;                                                                         \
  for (; r + 2 <= rows; r += 2) {                                                     \
    long at = r * channels + c, next = at + channels;                                 \
    T d0 = LOAD(T, x + at) - p, d1 = LOAD(T, x + next) - p;                           \
    T dy0 = LOAD(T, dy + at), dy1 = LOAD(T, dy + next);                               \
    T g0 = ACTIVE(T, mask, dy0, d0, y + at, k, t);                                    \
    T g1 = ACTIVE(T, mask, dy1, d1, y + next, k, t);                                  \
    s0 += g0;                                                                         \
    q0 += g0 * d0;                                                                    \
    s1 += g1;                                                                         \
    q1 += g1 * d1;                                                                    \
  }                                                                                   \
  if (r < rows) {                                                                     \
    long at = r * channels + c;                                                       \
    T d = LOAD(T, x + at) - p, dy0 = LOAD(T, dy + at);                                \
    T g = ACTIVE(T, mask, dy0, d, y + at, k, t);                                      \
    s0 += g;                                                                          \
    q0 += g * d;                                                                      \
  }                                                                                   \
  STORE(T, sum + c, s0 + s1);                                                         \
  STORE(T, product + c, q0 + q1);
  CHANNELS(BODY)
#undef BODY
}

static void normalizeReduce(const float *dy, const float *x, const float *y, long rows,
                            long channels, const float *pivot, const float *scale,
                            const float *shift, int mask, float *sum, float *product) {
  if (mask == KEEL_MASK_OUTPUT)
    reduceChannels(KEEL_MASK_OUTPUT, dy, x, y, rows, channels, pivot, scale, shift, sum, product);
  else if (mask == KEEL_MASK_RECOMPUTE)
    reduceChannels(KEEL_MASK_RECOMPUTE, dy, x, y, rows, channels, pivot, scale, shift, sum,
                   product);
  else
    reduceChannels(KEEL_MASK_NONE, dy, x, y, rows, channels, pivot, scale, shift, sum, product);
}

INLINE void gradientRow(int mask, float *dx, float *dResidual, const float *dy, const float *x,
                        const float *y, long channels, const float *pivot, const float *scale,
                        const float *shift, const float *a, const float *b, const float *shifts) {
  long c = 0;
#define BODY(T)                                                                       \
  T d = LOAD(T, x + c) - LOAD(T, pivot + c), dy0 = LOAD(T, dy + c);                   \
  SCALE_SHIFT(T, c)                                                                   \
  T g = ACTIVE(T, mask, dy0, d, y + c, k, t);                                         \
  if (dResidual) STORE(T, dResidual + c, g);                                          \
  STORE(T, dx + c, LOAD(T, a + c) * g + (LOAD(T, b + c) * d + LOAD(T, shifts + c)));
  CHANNELS(BODY)
#undef BODY
}

static void normalizeGradient(float *dx, float *dResidual, const float *dy, const float *x,
                              const float *y, long rows, long channels, const float *pivot,
                              const float *scale, const float *shift, int mask, const float *a,
                              const float *b, const float *c) {
  for (long r = 0; r < rows; r++) {
    long at = r * channels;
    float *more = dResidual ? dResidual + at : 0;
    if (mask == KEEL_MASK_OUTPUT)
      gradientRow(KEEL_MASK_OUTPUT, dx + at, more, dy + at, x + at, y + at, channels, pivot, scale,
                  shift, a, b, c);
    else if (mask == KEEL_MASK_RECOMPUTE)
      gradientRow(KEEL_MASK_RECOMPUTE, dx + at, more, dy + at, x + at, 0, channels, pivot, scale,
                  shift, a, b, c);
    else
      gradientRow(KEEL_MASK_NONE, dx + at, more, dy + at, x + at, 0, channels, pivot, scale, shift,
                  a, b, c);
  }
}

/* `rows` rows of a product; the compiler unrolls the inner loops, because `rows` is a constant where this
   is called. Four rows of two vectors are eight sums, which hide the latency of a multiply-add. */
INLINE void productRows(const int rows, float *y, long yStride, const float *a, long aStride,
                        const float *b, long channels, long depth) {
  long c = 0;
  for (; c + 2 * KEEL_WIDTH <= channels; c += 2 * KEEL_WIDTH) {
    Vector s[4], t[4];
    for (int r = 0; r < rows; r++) s[r] = t[r] = splat(0);
    for (long k = 0; k < depth; k++) {
      Vector low = load(b + k * channels + c), high = load(b + k * channels + c + KEEL_WIDTH);
      for (int r = 0; r < rows; r++) {
        Vector x = splat(a[r * aStride + k]);
        s[r] += x * low;
        t[r] += x * high;
      }
    }
    for (int r = 0; r < rows; r++) {
      store(y + r * yStride + c, s[r]);
      store(y + r * yStride + c + KEEL_WIDTH, t[r]);
    }
  }
#define BODY(T)                                                            \
  T s[4];                                                                  \
  for (int r = 0; r < rows; r++) s[r] = SPLAT(T, 0);                       \
  for (long k = 0; k < depth; k++) {                                       \
    T x = LOAD(T, b + k * channels + c);                                   \
    for (int r = 0; r < rows; r++) s[r] += SPLAT(T, a[r * aStride + k]) * x; \
  }                                                                        \
  for (int r = 0; r < rows; r++) STORE(T, y + r * yStride + c, s[r]);
  CHANNELS(BODY)
#undef BODY
}

static void fewRows(float *y, long yStride, const float *a, long aStride, const float *b,
                    long rows, long columns, long depth) {
  long r = 0;
  for (; r + 4 <= rows; r += 4)
    productRows(4, y + r * yStride, yStride, a + r * aStride, aStride, b, columns, depth);
  for (; r + 2 <= rows; r += 2)
    productRows(2, y + r * yStride, yStride, a + r * aStride, aStride, b, columns, depth);
  if (r < rows)
    productRows(1, y + r * yStride, yStride, a + r * aStride, aStride, b, columns, depth);
}

static void transpose(float *target, long targetStride, const float *source, long sourceStride,
                      long rows, long columns) {
  enum { BLOCK = 16 };
  for (long r0 = 0; r0 < rows; r0 += BLOCK) {
    long r1 = r0 + BLOCK < rows ? r0 + BLOCK : rows;
    for (long c = 0; c < columns; c++)
      for (long r = r0; r < r1; r++)
        target[c * targetStride + r] = source[r * sourceStride + c];
  }
}

static void scaleFloats(float *target, const float *source, float value, long channels) {
  long c = 0;
#define BODY(T) STORE(T, target + c, SPLAT(T, value) * LOAD(T, source + c));
  CHANNELS(BODY)
#undef BODY
}

static void addScaledFloats(float *target, const float *source, float value, long channels) {
  long c = 0;
#define BODY(T) STORE(T, target + c, LOAD(T, target + c) + SPLAT(T, value) * LOAD(T, source + c));
  CHANNELS(BODY)
#undef BODY
}

#include "optimizers.h"
#include "activations.h"
#include "elementwise.h"
#include "arithmetic.h"
#include "reductions.h"
#include "softmax.h"
#include "losses.h"
#include "windows.h"
#include "pooling.h"
#include "products.h"
#include "depthwise.h"
#include "depthwiseWeight.h"

const KeelLoops KEEL_TABLE = {
    .name = KEEL_NAME,
    .width = KEEL_WIDTH,
    .panel = PANEL,
    .epilogue = epilogue,
    .add = add,
    .activate = activate,
    .activateGradient = activateGradient,
    .arithmetic = arithmetic,
    .arithmeticGradient = arithmeticGradient,
    .elementwise = elementwise,
    .parametricReLU = parametricReLU,
    .parametricReLUGradient = parametricReLUGradient,
    .dropout = dropout,
    .foldRows = foldRows,
    .squareRows = squareRows,
    .foldFloats = foldFloats,
    .foldTables = foldTables,
    .foldRow = foldRow,
    .foldShortRows = foldShortRows,
    .extremeGradient = extremeGradient,
    .expand = expand,
    .moments = moments,
    .mergeMoments = mergeMoments,
    .accumulate = accumulate,
    .normalize = normalize,
    .normalizeReduce = normalizeReduce,
    .normalizeGradient = normalizeGradient,
    .gather = gather,
    .locate = locate,
    .windowProduct = windowProduct,
    .pixelProduct = pixelProduct,
    .streamedProduct = streamedProduct,
    .windowDots = windowDots,
    .windowGradient = windowGradient,
    .packPanel = packPanel,
    .copyRows = copyRows,
    .depthwise = depthwise,
    .depthwiseWeight = depthwiseWeight,
    .poolMaximum = poolMaximum,
    .poolMaximumIndices = poolMaximumIndices,
    .poolAverage = poolAverage,
    .poolNorm = poolNorm,
    .poolMaximumGradient = poolMaximumGradient,
    .poolAverageGradient = poolAverageGradient,
    .poolNormGradient = poolNormGradient,
    .fewRows = fewRows,
    .transpose = transpose,
    .scale = scaleFloats,
    .addScaled = addScaledFloats,
    .sgd = sgd,
    .adam = adam,
    .rmsProp = rmsProp,
    .clip = clip,
    .squareSum = squareSum,
    .logSumExp = logSumExp,
    .softmax = softmax,
    .softmaxGradient = softmaxGradient,
    .scaledSoftmax = scaledSoftmax,
    .entropy = entropy,
    .entropyGradient = entropyGradient,
    .pointLoss = pointLoss,
    .pointLossGradient = pointLossGradient,
    .sumFloats = sumFloats,
    .targetLoss = targetLoss,
    .subtractTargets = subtractTargets,
};
