/* The leaf loops, once. Included by one file per instruction set, which defines
   KEEL_WIDTH   floats in a vector
   KEEL_TABLE   the name of the table
   KEEL_NAME    the level's name as a string */

#include "CKeelLoops.h"

#include <string.h>

#include "vectors.h"

INLINE void epilogueRow(float *y, long channels, const float *bias, const float *residual,
                        const KeelCut cut) {
  long c = 0;
#define BODY(T)                             \
  T v = LOAD(T, y + c);                     \
  if (bias) v += LOAD(T, bias + c);         \
  if (residual) v += LOAD(T, residual + c); \
  CUT(T, v, cut)                            \
  STORE(T, y + c, v);
  CHANNELS(BODY)
#undef BODY
}

static void epilogue(float *y, long rows, long channels, long stride, const float *bias,
                     const float *residual, long residualStride, KeelCut cut) {
  const KeelCut none = {.kind = KEEL_CUT_NONE}, below = {.kind = KEEL_CUT_BELOW};
  for (long r = 0; r < rows; r++) {
    float *row = y + r * stride;
    const float *add = residual ? residual + r * residualStride : 0;
    if (cut.kind == KEEL_CUT_NONE) epilogueRow(row, channels, bias, add, none);
    else if (cut.kind == KEEL_CUT_BELOW) epilogueRow(row, channels, bias, add, below);
    else epilogueRow(row, channels, bias, add, cut);
  }
}

static void add(float *y, const float *a, const float *b, long channels) {
  long c = 0;
#define BODY(T) STORE(T, y + c, LOAD(T, a + c) + LOAD(T, b + c));
  CHANNELS(BODY)
#undef BODY
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

#include "normalization.h"
#include "normalizedrows.h"
#include "optimizers.h"
#if KEEL_WIDTH == 16
#include "tables.h"
#endif
#include "activations.h"
#include "elementwise.h"
#include "arithmetic.h"
#include "reductions.h"
#include "softmax.h"
#include "losses.h"
#include "windows.h"
#include "pooling.h"
#include "products.h"
#include "dots.h"
#include "packing.h"
#include "winograd.h"
#include "depthwise.h"
#include "depthwiseWeight.h"
#include "whitening.h"
#include "jacobi.h"

const KeelLoops KEEL_TABLE = {
    .name = KEEL_NAME,
    .width = KEEL_WIDTH,
    .panel = PANEL,
    .lanes = EIGEN_LANES,
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
    .cellMaps = cellMaps,
    .cellAdjoints = cellAdjoints,
    .normalize = normalize,
    .normalizeReduce = normalizeReduce,
    .normalizeGradient = normalizeGradient,
    .normalizeRows = normalizeRows,
    .normalizeRowsGradient = normalizeRowsGradient,
    .gather = gather,
    .locate = locate,
    .windowProduct = windowProduct,
    .pixelProduct = pixelProduct,
    .mapRows = mapRows,
    .streamedProduct = streamedProduct,
    .windowDots = windowDots,
    .windowGradient = windowGradient,
    .winogradInput = winogradInput,
    .winogradProduct = winogradProduct,
    .winogradWeight = winogradWeight,
    .winogradOutput = winogradOutput,
    .winogradMoments = winogradMoments,
    .weighTaps = weighTaps,
    .packPanel = packPanel,
    .copyRows = copyRows,
    .depthwise = depthwise,
    .depthwiseWeight = depthwiseWeight,
    .centerRows = centerRows,
    .drain = drainStores,
    .comoments = comoments,
    .fetch = fetch,
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
    .jacobi = jacobi,
};
