/* Keel's leaf loops: the innermost work of every kernel that is not a matrix product.

   A leaf allocates nothing, starts no thread and checks nothing; Swift has checked before it calls.
   Every leaf works on rows of `channels` floats that lie one after another ("rows × channels"), and is
   compiled once per instruction set; `keel_loops` hands out the table of one set. Sums run in float
   over the rows of one call: callers cut long sums into short calls and merge those in double. */
#ifndef CKEELLOOPS_H
#define CKEELLOOPS_H

/* Where a sliding window reads: position (n, k, i, j) of a grid sees, for run r, `runTaps[r]` neighbouring
   source pixels that start at plane k*stepZ + runZ[r], row i*stepY + runY[r], column j*stepX + runX[r];
   images have one plane, sequences one plane of one row. Pixels outside the source read as zero (or are
   left out, for pooling). */
typedef struct KeelWindow {
  long sourceDepth, sourceHeight, sourceWidth;
  long sourceStride; /* floats from one source pixel to the next */
  long channels;     /* floats used of each pixel */
  long gridDepth, gridHeight, gridWidth;
  long stepZ, stepY, stepX;
  long runCount;
  const long *runZ, *runY, *runX, *runTaps;
  const long *runOffset; /* floats from the pixel at the steps to the run's first, over whole planes */
} KeelWindow;

/* How a backward pass knows where the activation was active. */
enum KeelMask {
  KEEL_MASK_NONE = 0,      /* there was no activation */
  KEEL_MASK_RECOMPUTE = 1, /* active where scale·(x − pivot) + shift > 0 */
  KEEL_MASK_OUTPUT = 2     /* active where the saved output > 0 */
};

/* The numbers of one step of Adam. */
typedef struct KeelAdam {
  float rate;    /* of this step, over 1 − beta1ᵗ */
  float beta1, beta2;
  float root;    /* 1/√(1 − beta2ᵗ) */
  float epsilon; /* outside the root */
  float decay;   /* coupled: times w, added to the gradient */
  float shrink;  /* decoupled: times w, taken from w */
} KeelAdam;

/* The elementwise functions. Their two parameters: slope of leaky ReLU in a; ELU and SELU are a·x above 0
   and b·(e^x − 1) below; clip is from a to b. */
enum {
  KEEL_RELU,
  KEEL_SIGMOID,
  KEEL_TANH,
  KEEL_LEAKY_RELU,
  KEEL_ELU,
  KEEL_SOFTPLUS,
  KEEL_GELU,
  KEEL_GELU_TANH,
  KEEL_SILU,
  KEEL_HARD_SIGMOID,
  KEEL_HARD_SWISH,
  KEEL_CLIP,
  KEEL_EXPONENTIAL
};

typedef struct KeelActivation {
  int kind;
  float a, b;
} KeelActivation;

typedef struct KeelLoops {
  const char *name;
  long width; /* floats of a vector */
  long panel; /* the most vectors of a panel: of the columns that one call of windowProduct makes */

  /* y[r, c] = act(y[r, c] + bias[c] + residual[r, c]); bias and residual may be null; rows of y and
     residual lie `stride` floats apart. */
  void (*epilogue)(float *y, long rows, long channels, long stride, const float *bias,
                   const float *residual, int relu);
  void (*add)(float *y, const float *a, const float *b, long count);
  /* y = f(x); y may be x */
  void (*activate)(float *y, const float *x, long count, KeelActivation f);
  /* dx = dy·f′, from v = f(x) or, for GELU, SiLU and hard swish, v = x; dx may be dy or v. Not for the
     exponential. */
  void (*activateGradient)(float *dx, const float *dy, const float *v, long count,
                           KeelActivation f);

  /* sum[c] = Σ (x − pivot[c]); square[c] = Σ (x − pivot[c])² */
  void (*moments)(const float *x, long rows, long channels, const float *pivot, float *sum,
                  float *square);
  /* Merges the moments of `count` rows (what `moments` wrote) into running ones of `before` rows, in
     double (Chan, Golub and LeVeque 1979), and sets the next pivot to the merged mean:
     mean[c], deviations[c] = Σ (x − mean)². */
  void (*mergeMoments)(double *mean, double *deviations, double before, float *pivot,
                       const float *sum, const float *square, double count, long channels);
  /* to[c] += from[c] */
  void (*accumulate)(double *to, const float *from, long channels);
  /* sum[c] = Σ x */
  void (*sumRows)(const float *x, long rows, long channels, float *sum);
  /* y = act(scale·(x − pivot) + shift + residual); residual may be null */
  void (*normalize)(float *y, const float *x, long rows, long channels, const float *pivot,
                    const float *scale, const float *shift, const float *residual, int relu);
  /* With g = dy where active, else 0: sum[c] = Σ g, product[c] = Σ g·(x − pivot[c]) */
  void (*normalizeReduce)(const float *dy, const float *x, const float *y, long rows, long channels,
                          const float *pivot, const float *scale, const float *shift, int mask,
                          float *sum, float *product);
  /* dx = a·g + b·(x − pivot) + c; where dResidual is not null, dResidual = g */
  void (*normalizeGradient)(float *dx, float *dResidual, const float *dy, const float *x,
                            const float *y, long rows, long channels, const float *pivot,
                            const float *scale, const float *shift, int mask, const float *a,
                            const float *b, const float *c);

  /* columns[p·stride ...] = the window of grid position first + p, runs one after another */
  void (*gather)(float *columns, long stride, const float *source, const KeelWindow *window,
                 long first, long count);
  /* table[r·stride + p] = where run firstRun + r of position first + p starts, for `runs` runs and `count`
     positions. A run that is not wholly inside the source starts at `zeros`. */
  void (*locate)(const float **table, long stride, const float *source, const float *zeros,
                 const KeelWindow *window, long firstRun, long runs, long first, long count);
  /* to[p][column + j] = Σ_r Σ_k from[r·rows + p][offset + k]·b(r, k)[j] for all rows p and `columns` columns,
     at most `panel` vectors. Row k of run r of b lies at b + (r·depth + k)·step, where `taps` is null; else
     at b + taps[r]·tapStride + k·step, `columns` are whole vectors, and `copy`, where it is not null, has
     256·panel·width floats: rows that lie far apart are brought together there first. */
  void (*windowProduct)(float *const *to, const float *const *from, long rows, long runs, long depth,
                        long offset, const float *b, long step, long tapStride, const long *taps,
                        float *copy, long column, long columns);
  /* The same for at most 4 columns and a depth that is a multiple of the vector's width; here column j of
     b is contiguous: b[j, r·depth + k]. */
  void (*windowDots)(float *const *to, const float *const *from, long rows, long runs, long depth,
                     long offset, const float *b, long column, long columns);
  /* sum[r, j] = Σ_p a[p][aOffset + r]·b[p][bOffset + j] over `count` positions, for r < rows and
     j < columns, at most `panel` vectors; added to it where `add` is set. Reads whole vectors of b. */
  void (*windowGradient)(float *sum, long sumStride, const float *const *a, long aOffset,
                         const float *const *b, long bOffset, long count, long rows, long columns,
                         int add);
  /* to[k, j] = b[k·kStride + j·columnStride], the rows padded with zeros to whole vectors */
  void (*packPanel)(float *to, const float *b, long depth, long kStride, long columns,
                    long columnStride);
  /* to[p·stride + j] = from[p][offset + j], padded with zeros to the stride */
  void (*copyRows)(float *to, long stride, const float *const *from, long offset, long rows,
                   long columns);
  /* y[p·yStep + c] = Σ_t weight[t, c]·source[window t of position first + p, c], for positions of one row
     of the grid; y points at position first */
  void (*depthwise)(float *y, long yStep, const float *source, const float *weight,
                    const KeelWindow *window, long first, long count);
  /* dWeight[t, c] += Σ_p dy[p, c]·source[window t of p, c]; dy points at position first */
  void (*depthwiseWeight)(float *dWeight, const float *source, const float *dy,
                          const KeelWindow *window, long first, long count);
  /* y[p, c] = the largest of the window; NaN wins */
  void (*poolMaximum)(float *y, const float *source, const KeelWindow *window, long first,
                      long count);
  /* y[p, c] = Σ window / divisor, or / the pixels inside the source where divisor is 0 */
  void (*poolAverage)(float *y, const float *source, const KeelWindow *window, long first,
                      long count, long divisor);
  /* dx[first maximum of window p, c] += dy[p, c] */
  void (*poolMaximumGradient)(float *dx, const float *dy, const float *source,
                              const KeelWindow *window, long first, long count);
  /* dx[every pixel of window p, c] += dy[p, c] / divisor (as poolAverage) */
  void (*poolAverageGradient)(float *dx, const float *dy, const KeelWindow *window, long first,
                              long count, long divisor);

  /* c = a·b for few rows of a, where packing b would cost more than the product: c rows × columns with
     rows cStride floats apart, a rows × depth with rows aStride apart, b depth × columns. */
  void (*fewRows)(float *c, long cStride, const float *a, long aStride, const float *b, long rows,
                  long columns, long depth);

  /* target[c, r] = source[r, c]; rows lie targetStride and sourceStride floats apart */
  void (*transpose)(float *target, long targetStride, const float *source, long sourceStride,
                    long rows, long columns);
  /* target[c] = value·source[c] */
  void (*scale)(float *target, const float *source, float value, long count);
  /* g += decay·w; v = momentum·v + g; w −= rate·(nesterov ? g + momentum·v : v) */
  void (*sgd)(float *w, float *v, const float *g, long count, float rate, float momentum,
              float decay, int nesterov);
  /* g += decay·w; m = beta1·m + (1 − beta1)·g; v = beta2·v + (1 − beta2)·g²;
     w −= rate·m/(root·√v + epsilon) + shrink·w */
  void (*adam)(float *w, float *m, float *v, const float *g, long count, const KeelAdam *step);
  /* g += decay·w; where mean is null, square = alpha·square + (1 − alpha)·g²; where it is not, square is
     the mean square distance from it: square = alpha·(square + (1 − alpha)·(g − mean)²),
     mean += (1 − alpha)·(g − mean); d = g/(√square + epsilon); where velocity is not null,
     d = velocity = momentum·velocity + d; w −= rate·d */
  void (*rmsProp)(float *w, float *square, float *mean, float *velocity, const float *g, long count,
                  float rate, float alpha, float epsilon, float momentum, float decay);
  /* g = min(max(g, −limit), limit); NaN stays */
  void (*clip)(float *g, long count, float limit);
  /* Σ x², in double, in an order that is the same for every instruction set */
  double (*squareSum)(const float *x, long count);
} KeelLoops;

/* The instruction sets, lowest first. On arm64 the baseline is NEON. */
enum { KEEL_LEVEL_BASELINE = 0, KEEL_LEVEL_AVX2 = 1, KEEL_LEVEL_AVX512 = 2 };

/* The highest level that this CPU and its operating system support. */
int keel_supported_level(void);

/* The table of a level.
   Precondition: level is at most keel_supported_level(). */
const KeelLoops *keel_loops(int level);

#endif
