/* The leaf loops, once. Included by one file per instruction set, which defines
   KEEL_WIDTH   floats in a vector
   KEEL_TABLE   the name of the table
   KEEL_NAME    the level's name as a string */

#include "CKeelLoops.h"

#include <string.h>

typedef float Vector __attribute__((ext_vector_type(KEEL_WIDTH)));
typedef float VectorU __attribute__((ext_vector_type(KEEL_WIDTH), aligned(4)));
typedef int Mask __attribute__((ext_vector_type(KEEL_WIDTH)));

#define INLINE static inline __attribute__((always_inline))

INLINE Vector load(const float *p) { return *(const VectorU *)p; }
INLINE void store(float *p, Vector v) { *(VectorU *)p = v; }
INLINE Vector splat(float x) { return (Vector)(x); }

/* x where x > 0 or x is NaN, else 0. */
INLINE Vector positive(Vector x) { return (x <= splat(0)) ? splat(0) : x; }
INLINE float positive1(float x) { return x <= 0 ? 0 : x; }

/* Loops over channels in blocks of four vectors, then one, then single floats. BODY(V, width) is a
   macro that handles channels c to c + width. */

static void epilogue(float *y, long rows, long channels, long stride, const float *bias,
                     const float *residual, int relu) {
  for (long r = 0; r < rows; r++) {
    float *row = y + r * stride;
    const float *add = residual ? residual + r * stride : 0;
    long c = 0;
    for (; c + KEEL_WIDTH <= channels; c += KEEL_WIDTH) {
      Vector v = load(row + c);
      if (bias) v += load(bias + c);
      if (add) v += load(add + c);
      if (relu) v = positive(v);
      store(row + c, v);
    }
    for (; c < channels; c++) {
      float v = row[c];
      if (bias) v += bias[c];
      if (add) v += add[c];
      if (relu) v = positive1(v);
      row[c] = v;
    }
  }
}

static void add(float *y, const float *a, const float *b, long count) {
  long i = 0;
  for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH) store(y + i, load(a + i) + load(b + i));
  for (; i < count; i++) y[i] = a[i] + b[i];
}

static void relu(float *y, const float *x, long count) {
  long i = 0;
  for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH) store(y + i, positive(load(x + i)));
  for (; i < count; i++) y[i] = positive1(x[i]);
}

static void reluGradient(float *dx, const float *dy, const float *y, long count) {
  long i = 0;
  for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH)
    store(dx + i, (load(y + i) > splat(0)) ? load(dy + i) : splat(0));
  for (; i < count; i++) dx[i] = y[i] > 0 ? dy[i] : 0;
}

#define MOMENTS_BLOCK 4

static void moments(const float *x, long rows, long channels, const float *pivot, float *sum,
                    float *square) {
  long c = 0;
  for (; c + MOMENTS_BLOCK * KEEL_WIDTH <= channels; c += MOMENTS_BLOCK * KEEL_WIDTH) {
    Vector p[MOMENTS_BLOCK], s[MOMENTS_BLOCK], q[MOMENTS_BLOCK];
    for (int b = 0; b < MOMENTS_BLOCK; b++) {
      p[b] = load(pivot + c + b * KEEL_WIDTH);
      s[b] = q[b] = splat(0);
    }
    for (long r = 0; r < rows; r++) {
      const float *row = x + r * channels + c;
      for (int b = 0; b < MOMENTS_BLOCK; b++) {
        Vector d = load(row + b * KEEL_WIDTH) - p[b];
        s[b] += d;
        q[b] += d * d;
      }
    }
    for (int b = 0; b < MOMENTS_BLOCK; b++) {
      store(sum + c + b * KEEL_WIDTH, s[b]);
      store(square + c + b * KEEL_WIDTH, q[b]);
    }
  }
  for (; c + KEEL_WIDTH <= channels; c += KEEL_WIDTH) {
    Vector p = load(pivot + c), s0 = splat(0), q0 = splat(0), s1 = splat(0), q1 = splat(0);
    long r = 0;
    for (; r + 2 <= rows; r += 2) {
      Vector d0 = load(x + r * channels + c) - p, d1 = load(x + (r + 1) * channels + c) - p;
      s0 += d0;
      q0 += d0 * d0;
      s1 += d1;
      q1 += d1 * d1;
    }
    if (r < rows) {
      Vector d = load(x + r * channels + c) - p;
      s0 += d;
      q0 += d * d;
    }
    store(sum + c, s0 + s1);
    store(square + c, q0 + q1);
  }
  for (; c < channels; c++) {
    float p = pivot[c], s = 0, q = 0;
    for (long r = 0; r < rows; r++) {
      float d = x[r * channels + c] - p;
      s += d;
      q += d * d;
    }
    sum[c] = s;
    square[c] = q;
  }
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

static void sumRows(const float *x, long rows, long channels, float *sum) {
  long c = 0;
  for (; c + KEEL_WIDTH <= channels; c += KEEL_WIDTH) {
    Vector s0 = splat(0), s1 = splat(0);
    long r = 0;
    for (; r + 2 <= rows; r += 2) {
      s0 += load(x + r * channels + c);
      s1 += load(x + (r + 1) * channels + c);
    }
    if (r < rows) s0 += load(x + r * channels + c);
    store(sum + c, s0 + s1);
  }
  for (; c < channels; c++) {
    float s = 0;
    for (long r = 0; r < rows; r++) s += x[r * channels + c];
    sum[c] = s;
  }
}

INLINE void normalizeRow(float *y, const float *x, long channels, const float *pivot,
                         const float *scale, const float *shift, const float *residual, int relu) {
  long c = 0;
  for (; c + KEEL_WIDTH <= channels; c += KEEL_WIDTH) {
    Vector v = load(scale + c) * (load(x + c) - load(pivot + c)) + load(shift + c);
    if (residual) v += load(residual + c);
    if (relu) v = positive(v);
    store(y + c, v);
  }
  for (; c < channels; c++) {
    float v = scale[c] * (x[c] - pivot[c]) + shift[c];
    if (residual) v += residual[c];
    if (relu) v = positive1(v);
    y[c] = v;
  }
}

static void normalize(float *y, const float *x, long rows, long channels, const float *pivot,
                      const float *scale, const float *shift, const float *residual, int relu) {
  for (long r = 0; r < rows; r++) {
    float *to = y + r * channels;
    const float *from = x + r * channels;
    const float *more = residual + r * channels;
    if (residual) {
      if (relu) normalizeRow(to, from, channels, pivot, scale, shift, more, 1);
      else normalizeRow(to, from, channels, pivot, scale, shift, more, 0);
    } else {
      if (relu) normalizeRow(to, from, channels, pivot, scale, shift, 0, 1);
      else normalizeRow(to, from, channels, pivot, scale, shift, 0, 0);
    }
  }
}

/* dy where the activation was active. The recomputed output is the same expression as in
   normalizeRow, so that both agree to the last bit. */
INLINE Vector masked(int mask, Vector dy, Vector d, const float *y, Vector scale, Vector shift) {
  if (mask == KEEL_MASK_OUTPUT) return (load(y) > splat(0)) ? dy : splat(0);
  if (mask == KEEL_MASK_RECOMPUTE) return (scale * d + shift > splat(0)) ? dy : splat(0);
  return dy;
}

INLINE float masked1(int mask, float dy, float d, const float *y, float scale, float shift) {
  if (mask == KEEL_MASK_OUTPUT) return *y > 0 ? dy : 0;
  if (mask == KEEL_MASK_RECOMPUTE) return scale * d + shift > 0 ? dy : 0;
  return dy;
}

INLINE void reduceChannels(int mask, const float *dy, const float *x, const float *y, long rows,
                           long channels, const float *pivot, const float *scale,
                           const float *shift, float *sum, float *product) {
  long c = 0;
  for (; c + 2 * KEEL_WIDTH <= channels; c += 2 * KEEL_WIDTH) {
    Vector p[2], k[2], t[2], s[2], q[2];
    for (int b = 0; b < 2; b++) {
      long at = c + b * KEEL_WIDTH;
      p[b] = load(pivot + at);
      k[b] = mask == KEEL_MASK_RECOMPUTE ? load(scale + at) : splat(0);
      t[b] = mask == KEEL_MASK_RECOMPUTE ? load(shift + at) : splat(0);
      s[b] = q[b] = splat(0);
    }
    for (long r = 0; r < rows; r++) {
      for (int b = 0; b < 2; b++) {
        long at = r * channels + c + b * KEEL_WIDTH;
        Vector d = load(x + at) - p[b];
        Vector g = masked(mask, load(dy + at), d, y + at, k[b], t[b]);
        s[b] += g;
        q[b] += g * d;
      }
    }
    for (int b = 0; b < 2; b++) {
      store(sum + c + b * KEEL_WIDTH, s[b]);
      store(product + c + b * KEEL_WIDTH, q[b]);
    }
  }
  for (; c + KEEL_WIDTH <= channels; c += KEEL_WIDTH) {
    Vector p = load(pivot + c), s = splat(0), q = splat(0);
    Vector k = mask == KEEL_MASK_RECOMPUTE ? load(scale + c) : splat(0);
    Vector t = mask == KEEL_MASK_RECOMPUTE ? load(shift + c) : splat(0);
    for (long r = 0; r < rows; r++) {
      long at = r * channels + c;
      Vector d = load(x + at) - p;
      Vector g = masked(mask, load(dy + at), d, y + at, k, t);
      s += g;
      q += g * d;
    }
    store(sum + c, s);
    store(product + c, q);
  }
  for (; c < channels; c++) {
    float s = 0, q = 0;
    for (long r = 0; r < rows; r++) {
      long at = r * channels + c;
      float d = x[at] - pivot[c];
      float k = mask == KEEL_MASK_RECOMPUTE ? scale[c] : 0;
      float t = mask == KEEL_MASK_RECOMPUTE ? shift[c] : 0;
      float g = masked1(mask, dy[at], d, y + at, k, t);
      s += g;
      q += g * d;
    }
    sum[c] = s;
    product[c] = q;
  }
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
                        const float *shift, const float *a, const float *b, const float *c) {
  long i = 0;
  for (; i + KEEL_WIDTH <= channels; i += KEEL_WIDTH) {
    Vector d = load(x + i) - load(pivot + i);
    Vector k = mask == KEEL_MASK_RECOMPUTE ? load(scale + i) : splat(0);
    Vector t = mask == KEEL_MASK_RECOMPUTE ? load(shift + i) : splat(0);
    Vector g = masked(mask, load(dy + i), d, y + i, k, t);
    if (dResidual) store(dResidual + i, g);
    store(dx + i, load(a + i) * g + (load(b + i) * d + load(c + i)));
  }
  for (; i < channels; i++) {
    float d = x[i] - pivot[i];
    float k = mask == KEEL_MASK_RECOMPUTE ? scale[i] : 0;
    float t = mask == KEEL_MASK_RECOMPUTE ? shift[i] : 0;
    float g = masked1(mask, dy[i], d, y + i, k, t);
    if (dResidual) dResidual[i] = g;
    dx[i] = a[i] * g + (b[i] * d + c[i]);
  }
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
      gradientRow(KEEL_MASK_RECOMPUTE, dx + at, more, dy + at, x + at, y, channels, pivot, scale,
                  shift, a, b, c);
    else
      gradientRow(KEEL_MASK_NONE, dx + at, more, dy + at, x + at, y, channels, pivot, scale, shift,
                  a, b, c);
  }
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

static void scaleFloats(float *target, const float *source, float value, long count) {
  for (long i = 0; i < count; i++) target[i] = value * source[i];
}

static void sgd(float *w, float *v, const float *g, long count, float rate, float momentum,
                float decay, int nesterov) {
  long i = 0;
  for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH) {
    Vector old = load(w + i);
    Vector d = load(g + i) + splat(decay) * old;
    Vector m = splat(momentum) * load(v + i) + d;
    store(v + i, m);
    store(w + i, old - splat(rate) * (nesterov ? d + splat(momentum) * m : m));
  }
  for (; i < count; i++) {
    float d = g[i] + decay * w[i];
    float m = momentum * v[i] + d;
    v[i] = m;
    w[i] -= rate * (nesterov ? d + momentum * m : m);
  }
}

#include "windows.h"

const KeelLoops KEEL_TABLE = {
    .name = KEEL_NAME,
    .epilogue = epilogue,
    .add = add,
    .relu = relu,
    .reluGradient = reluGradient,
    .moments = moments,
    .mergeMoments = mergeMoments,
    .accumulate = accumulate,
    .sumRows = sumRows,
    .normalize = normalize,
    .normalizeReduce = normalizeReduce,
    .normalizeGradient = normalizeGradient,
    .gather = gather,
    .depthwise = depthwise,
    .depthwiseWeight = depthwiseWeight,
    .poolMaximum = poolMaximum,
    .poolAverage = poolAverage,
    .poolMaximumGradient = poolMaximumGradient,
    .poolAverageGradient = poolAverageGradient,
    .transpose = transpose,
    .scale = scaleFloats,
    .sgd = sgd,
};
