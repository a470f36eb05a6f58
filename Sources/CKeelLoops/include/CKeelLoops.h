/* Keel's leaf loops: the innermost work of every kernel that is not a matrix product.

   A leaf allocates nothing, starts no thread and checks nothing; Swift has checked before it calls.
   Every leaf works on rows of `channels` floats that lie one after another ("rows × channels"), and is
   compiled once per instruction set; `keel_loops` hands out the table of one set. Sums run in float
   over the rows of one call: callers cut long sums into short calls and merge those in double. */
#ifndef CKEELLOOPS_H
#define CKEELLOOPS_H

#include "KeelOperands.h"
#include "KeelThreads.h"

typedef struct KeelLoops {
  const char *name;
  long width; /* floats of a vector */
  long panel; /* the most vectors of a panel: of the columns that one call of windowProduct makes */
  long lanes; /* the most matrices of one call of jacobi */

  /* y[r, c] = cut(y[r, c] + bias[c] + residual[r, c]); bias and residual may be null; rows of y lie `stride`
     floats apart, those of the residual `residualStride`. */
  void (*epilogue)(float *y, long rows, long channels, long stride, const float *bias,
                   const float *residual, long residualStride, KeelCut cut);
  void (*add)(float *y, const float *a, const float *b, long count);
  /* y = f(x); y may be x */
  void (*activate)(float *y, const float *x, long count, KeelActivation f);
  /* dx = dy·f′, from v = f(x) or, for GELU, SiLU and hard swish, v = x; dx may be dy or v */
  void (*activateGradient)(float *dx, const float *dy, const float *v, long count,
                           KeelActivation f);

  /* y = a ∘ b on rows × channels; y may be an operand that is not broadcast */
  void (*arithmetic)(int operation, float *y, const KeelBroadcast *a, const KeelBroadcast *b,
                     long rows, long channels);
  /* KEEL_LARGER_OF, KEEL_SMALLER_OF: dx = dy where a wins, dy/2 where both are equal, 0 where it loses;
     KEEL_BASE, KEEL_EXPONENT: dx = dy·∂(aᵇ)/∂a or ∂b; dx may be dy */
  void (*arithmeticGradient)(int operand, float *dx, const float *dy, const KeelBroadcast *a,
                             const KeelBroadcast *b, long rows, long channels);
  /* y = f(x); y may be x */
  void (*elementwise)(int function, float *y, const float *x, long count);
  /* y = x where x > 0, slope·x elsewhere; slope has one float where step is 0; y may be x */
  void (*parametricReLU)(float *y, const float *x, const float *slope, int step, long rows,
                         long channels);
  /* dx = dy where x > 0, slope·dy elsewhere; sum[c] = Σ of x·dy elsewhere; dx may be dy */
  void (*parametricReLUGradient)(float *dx, float *sum, const float *dy, const float *x,
                                 const float *slope, long rows, long channels);
  /* y[i] = x[i]·(bits(first + i, key) < threshold ? 0 : factor); y may be x */
  void (*dropout)(float *y, const float *x, long first, long count, KeelKey key, unsigned threshold,
                  float factor);

  /* y[c] = Σ x, Σ |x|, or the extreme over rows that lie `stride` floats apart, in float; not for
     squares */
  void (*foldRows)(int kind, float *y, const float *x, long rows, long stride, long channels);
  /* to[c] += Σ x², in double */
  void (*squareRows)(double *to, const float *x, long rows, long channels);
  /* to[c] = to[c] + from[c], or the more extreme of both */
  void (*foldFloats)(int kind, double *to, const float *from, long channels);
  void (*foldTables)(int kind, double *to, const double *from, long channels);
  /* Σ x, Σ |x|, Σ x², or the extreme of contiguous floats: float over short chunks, merged in double */
  double (*foldRow)(int kind, const float *x, long count);
  /* y[r] = factor·(Σ x or Σ |x| of row r), √Σ x², or its extreme: for rows of a few floats */
  void (*foldShortRows)(int kind, float *y, const float *x, long rows, long count, float factor);
  /* x outer × rows × channels, dy outer × channels: dx = dy at the first row that holds the extreme,
     else 0 */
  void (*extremeGradient)(int kind, float *dx, const float *dy, const float *x, long outer,
                          long rows, long channels);
  /* y[o, r, c] = factor·x[o, c] for each of `copies` rows r */
  void (*expand)(float *y, const float *x, long outer, long copies, long channels, float factor);

  /* sum[c] = Σ (x − pivot[c]); square[c] = Σ (x − pivot[c])², over rows that lie `stride` apart */
  void (*moments)(const float *x, long rows, long stride, long channels, const float *pivot,
                  float *sum, float *square);
  /* Merges the moments of `count` rows (what `moments` wrote) into running ones of `before` rows, in
     double (Chan, Golub and LeVeque 1979), and sets the next pivot to the merged mean:
     mean[c], deviations[c] = Σ (x − mean)². */
  void (*mergeMoments)(double *mean, double *deviations, double before, float *pivot,
                       const float *sum, const float *square, double count, long channels);
  /* to[c] += from[c] */
  void (*accumulate)(double *to, const float *from, long channels);
  /* For each of `cells` cells from `first` on: z = inverse·(x − pivot) + offset. */
  void (*cellMaps)(const KeelOperation *op, const KeelMoments *moments, long first, long cells,
                   float *pivot, double *inverse, double *offset);
  /* For each of these cells, from sum = Σ g and product = Σ g·(x − pivot), with g the gradient of z: the
     gradients of its mean, and of Σ(x − mean)². */
  void (*cellAdjoints)(const KeelOperation *op, const KeelMoments *moments, long first, long cells,
                       const double *sum, const double *product, double *dMean,
                       double *dDeviations);
  /* y = act(v + residual), v of the map; residual may be null, and each of the three has rows that lie its
     stride of floats apart. `streams` here and below: results go past the caches where they are aligned
     vectors. */
  void (*normalize)(const KeelMap *map, float *y, long yStride, const float *x, long xStride,
                    long rows, long channels, const float *residual, long residualStride, int relu,
                    int streams);
  /* With g = dy where active, else 0, and γ = rowScale if there is one, else 1: sum[c] = Σ γ·g,
     product[c] = Σ γ·g·(x − pivot[c]). With a saved output, dResidual = g where not null. Where rows have scales of their
     own, dScale += g·z and dShift += g, each by its stride of the map with each row. */
  void (*normalizeReduce)(const KeelMap *map, const float *dy, const float *x, const float *y,
                          long rows, long channels, int mask, float *sum, float *product,
                          float *dResidual, int streams, float *dScale, float *dShift);
  /* dx = a·γ·g + b·(x − pivot) + c, with that g; dResidual, where not null, is g */
  void (*normalizeGradient)(const KeelMap *map, float *dx, float *dResidual, const float *dy,
                            const float *x, const float *y, long rows, long channels, int mask,
                            const float *a, const float *b, const float *c, int streams);
  /* Cells of `group` neighbouring channels of one row: y = act(rowScale·z + rowShift + residual), with z of
     the operation; the map's rowScale and rowShift may be null, the rest of it is not read. Writes the
     moments of each cell. */
  void (*normalizeRows)(const KeelOperation *op, const KeelMap *map, float *y, const float *x,
                        long rows, long channels, long group, const float *residual, int relu,
                        float *count, float *mean, float *rest, float *deviations, int streams);
  /* Its gradients, from moments of cells from `firstCell` on: dx, dResidual (or null), and where not null
     dScale += g·z, dShift += g, which advance as in normalizeReduce. `kept` has room for a row. */
  void (*normalizeRowsGradient)(const KeelOperation *op, const KeelMap *map, float *dx,
                                float *dResidual, const float *dy, const float *x, const float *y,
                                long rows, long channels, long group, int mask,
                                const KeelMoments *moments, long firstCell, float *dScale,
                                float *dShift, float *kept, int streams);

  /* columns[p·stride ...] = the window of grid position first + p, runs one after another */
  void (*gather)(float *columns, long stride, const float *source, const KeelWindow *window,
                 long first, long count);
  /* table[r·stride + p] = where run firstRun + r of position first + p starts, for `runs` runs and `count`
     positions. A run that is not wholly inside the source starts at `zeros`. */
  void (*locate)(const float **table, long stride, const float *source, const float *zeros,
                 const KeelWindow *window, long firstRun, long runs, long first, long count);
  /* to[p][column + j] = Σ_r Σ_k from[r·rows + p][offset + k]·b[r·depth + k, j] for all rows p and `columns`
     columns, at most `panel` vectors; b is padded to whole vectors. The epilogue may be null, here and below. */
  void (*windowProduct)(float *const *to, const float *const *from, long rows, long runs, long depth,
                        long offset, const float *b, long column, long columns,
                        const KeelEpilogue *epilogue);
  /* y[p·yStep + j] = Σ_k x[p·xStep + k]·b[k, j], likewise: where windows are pixels, no table is needed. */
  void (*pixelProduct)(float *y, long yStep, const float *x, long xStep, long rows, long depth,
                       const float *b, long columns, const KeelEpilogue *epilogue);
  /* Rows of a block map, for at most `panel` vectors of columns. */
  void (*mapRows)(const KeelBlockMap *map, long rows, long columns);
  /* The same as windowProduct with a weight that is used once, where it lies: row k of run r is at
     b + taps[r]·tapStride + k·step, `columns` are whole vectors, as many as there are, and `copy` has room
     for 64·panel vectors. */
  void (*streamedProduct)(float *const *to, const float *const *from, long rows, long runs,
                          long depth, long offset, const float *b, long step, long tapStride,
                          const long *taps, float *copy, long column, long columns);
  /* The same for at most 4 columns and a depth that is a multiple of the vector's width; here column j of
     b is contiguous: b[j, r·depth + k]. */
  void (*windowDots)(float *const *to, const float *const *from, long rows, long runs, long depth,
                     long offset, const float *b, long column, long columns);
  /* sum[r, j] = Σ_p a[p][aOffset + r]·b[p][bOffset + j] over `count` positions, for r < rows and
     j < columns, at most `panel` vectors; added to it where `add` is set. Reads whole vectors of b. What
     lies aAhead and bAhead floats after the rows of a and b is brought nearer, where they are not 0. */
  void (*windowGradient)(float *sum, long sumStride, const float *const *a, long aOffset,
                         const float *const *b, long bOffset, long count, long rows, long columns,
                         int add, long aAhead, long bAhead);
  /* The components of tiles of (size + 2)² source pixels, which lie `offset` floats after the addresses
     from[pixel·stride + tile]: to[e·step + tile·row + c] = (Bᵀ·d·B)[e] for every channel c. The size is 2 or 4. */
  void (*winogradInput)(long size, float *to, long step, long row, const float *const *from,
                        long stride, long offset, long tiles, long channels);
  /* y[e·yStep + i·columns + j] = Σ_k x[e·xStep + i·xRow + k]·b[e·bStep + k·columns + j] for i < rows and every
     component e, added to it where `add` is set; the columns are whole vectors, at most `panel`. Meanwhile
     `floats` from `next` on are brought nearer, or where it is null what follows each part of b. */
  void (*winogradProduct)(float *y, long yStep, const float *x, long xStep, long xRow, long rows,
                          long depth, const float *b, long bStep, long columns, long components,
                          int add, const float *next, long floats);
  /* The 36 components of weights of F(4×4): to[e·step + i] = (G·g·Gᵀ)[e] for i < count, whole vectors, of the taps
     g[t] = from[t·tapStep + i]. */
  void (*winogradWeight)(float *to, long step, const float *from, long tapStep, long count);
  /* Pixels of the result from components: y = act(Aᵀ·s·A + bias + residual) for `tiles` tiles from `first` on, counted
     over the images, and the channels that the tiles' pointers point at; s is at `from` for the first. */
  void (*winogradOutput)(const KeelWinogradTiles *tiles, const float *from, long first, long count,
                         long channels);
  /* Of the pixels of `tiles` tiles from `first` on, as they are stored: pivot[c], the mean of the first tile's, and
     the sums of distances from it and of their squares. */
  void (*winogradMoments)(const KeelWinogradTiles *tiles, long first, long count, long channels,
                          float *pivot, float *sum, float *square);
  /* to[c] = Σ_t factors[t]·from[t·step + c], summed in double */
  void (*weighTaps)(float *to, const float *from, long step, const double *factors, long taps,
                    long count);
  /* to[k, j] = b[k·kStride + j·columnStride], the rows padded with zeros to whole vectors */
  void (*packPanel)(float *to, const float *b, long depth, long kStride, long columns,
                    long columnStride);
  /* to[p·stride + j] = from[p][offset + j], padded with zeros to the stride */
  void (*copyRows)(float *to, long stride, const float *const *from, long offset, long rows,
                   long columns);
  /* y[p·yStep + c] = Σ_t weight[t, c]·source[window t of position first + p, c], for `count` positions of each
     of `rows` neighbouring rows of the grid, in one plane; y points at position first, and the rows of y lie
     yRow floats apart. `fetch` says what is fetched ahead. */
  void (*depthwise)(float *y, long yStep, long yRow, const float *source, const float *weight,
                    const KeelWindow *window, long first, long count, long rows, int fetch,
                    const float *bias, KeelCut cut);
  /* dWeight[t, c] += Σ_p dy[p, c]·source[window t of p, c] for `count` positions; dy points at position first */
  void (*depthwiseWeight)(float *dWeight, const float *source, const float *dy,
                          const KeelWindow *window, long first, long count, int fetch);
  /* to[r, c] = (x[r·stride + c] − high[c]) − low[c], or x where high is null; the rows of `to` are padded
     with zeros to whole vectors. */
  void (*centerRows)(float *to, const float *x, long rows, long stride, long channels,
                     const float *high, const float *low);
  /* Makes what was stored past the caches visible to whoever sees what is stored next. */
  void (*drain)(void);
  /* For each block of `size` channels, with z = x − pivot in double: products[i·order + j] += Σ_r z[r, i]·z[r, j]
     for j ≤ i at least, then at most² sums += Σ_r z[r, c]. The order is the block's channels padded to whole
     vectors of floats, `most` that of whole blocks; blocks lie most² + most apart. `panel` has room for 32
     rows of the orders of all blocks. Where not `wide`, z and the sums of 32 rows are floats. */
  void (*comoments)(double *products, const float *x, long rows, long channels, long size,
                    const float *pivot, double *panel, int wide);
  /* Brings floats nearer, for what reads them next. */
  void (*fetch)(const float *from, long count);
  /* Pooling: y[p, c] for `count` positions from `first` on, counted over the images of x; y points at
     position first. The largest of the window; NaN wins. */
  void (*poolMaximum)(float *y, const float *x, const KeelPool *pool, long first, long count);
  /* The same, and where it stands: index[p, c] is the pixel in its image of the first of equals. */
  void (*poolMaximumIndices)(float *y, long long *index, const float *x, const KeelPool *pool,
                             long first, long count);
  /* Σ window / divisor */
  void (*poolAverage)(float *y, const float *x, const KeelPool *pool, long first, long count);
  /* √Σ window² */
  void (*poolNorm)(float *y, const float *x, const KeelPool *pool, long first, long count);
  /* The gradients of one image, each for `pixels` pixels of dx from firstPixel on, which are written
     whatever they held; pointers are to the image. dx[first maximum of window p, c] += dy[p, c] */
  void (*poolMaximumGradient)(float *dx, const float *dy, const float *x, const KeelPool *pool,
                              long firstPixel, long pixels);
  /* dx[every pixel of window p, c] += dy[p, c] / divisor */
  void (*poolAverageGradient)(float *dx, const float *dy, const KeelPool *pool, long firstPixel,
                              long pixels);
  /* dx[every pixel q of window p, c] += x[q, c]·dy[p, c] / y[p, c], nothing where y is 0 */
  void (*poolNormGradient)(float *dx, const float *dy, const float *x, const float *y,
                           const KeelPool *pool, long firstPixel, long pixels);

  /* c = a·b for few rows of a, where packing b would cost more than the product: c rows × columns with
     rows cStride floats apart, a rows × depth with rows aStride apart, b depth × columns. */
  void (*fewRows)(float *c, long cStride, const float *a, long aStride, const float *b, long rows,
                  long columns, long depth);

  /* target[c, r] = source[r, c]; rows lie targetStride and sourceStride floats apart */
  void (*transpose)(float *target, long targetStride, const float *source, long sourceStride,
                    long rows, long columns);
  /* target[c] = value·source[c] */
  void (*scale)(float *target, const float *source, float value, long count);
  /* target[c] += value·source[c] */
  void (*addScaled)(float *target, const float *source, float value, long count);
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

  /* Along each row: largest = max x and logSum = log Σ e^(x − largest), kept apart, since their sum would
     round away the second where the first is large. */
  void (*logSumExp)(float *largest, float *logSum, const float *x, long rows, long columns);
  /* y = e^x/Σ e^x along each row, or its logarithm; y may be x */
  void (*softmax)(float *y, const float *x, long rows, long columns, int isLog);
  /* dx from the result y: y·(dy − Σ dy·y), or for the logarithm dy − e^y·Σ dy; dx may be dy or y */
  void (*softmaxGradient)(float *dx, const float *dy, const float *y, long rows, long columns,
                          int isLog);
  /* y = scale[r]·softmax(x), from what logSumExp wrote */
  void (*scaledSoftmax)(float *y, const float *x, const float *largest, const float *logSum,
                        const float *scale, long rows, long columns);
  /* y[r] = −Σ p·log p with p = softmax(x), 0·log 0 = 0 */
  void (*entropy)(float *y, const float *x, const float *largest, const float *logSum, long rows,
                  long columns);
  /* dx = −scale[r]·p·(log p + entropy[r]) */
  void (*entropyGradient)(float *dx, const float *x, const float *largest, const float *logSum,
                          const float *entropy, const float *scale, long rows, long columns);
  /* out = the loss of x and y; w is a third operand or null */
  void (*pointLoss)(float *out, const float *x, const float *y, const float *w, long count,
                    KeelLoss f);
  /* dx = (dy or, where that is null, factor)·the derivative of the loss by x */
  void (*pointLossGradient)(float *dx, const float *x, const float *y, const float *w,
                            const float *dy, float factor, long count, KeelLoss f);
  /* Σ x, in double, in an order that is the same for every instruction set */
  double (*sumFloats)(const float *x, long count);
  /* With t′ = w·(keep·t + spread), null targets being 0 and null w 1:
     out[r] = −Σ t′·log softmax(x), total[r] = Σ t′ */
  void (*targetLoss)(float *out, float *total, const float *x, const float *targets, const float *w,
                     float keep, float spread, const float *largest, const float *logSum, long rows,
                     long columns);
  /* dx −= scale[r]·t′ */
  void (*subtractTargets)(float *dx, const float *targets, const float *w, float keep, float spread,
                          const float *scale, long rows, long columns);

  /* Eigenvalues, ascending, and orthonormal eigenvectors of `count` symmetric matrices of one order, at most
     `lanes` of them, each by itself whatever runs beside it: values[m, k] with vectors[m, k, ...], whose
     largest component, the first of equals, is positive. Reads lower triangles of finite numbers, row by
     row. Scratch: (2·order + 1)·order·lanes doubles, aligned to 64 bytes. The bits of matrices that have not
     converged are set in the result. */
  long (*jacobi)(double *values, double *vectors, const double *matrices, long order, long count,
                 double *scratch);
} KeelLoops;

/* The instruction sets, lowest first. On arm64 the baseline is NEON. */
enum { KEEL_LEVEL_BASELINE = 0, KEEL_LEVEL_AVX2 = 1, KEEL_LEVEL_AVX512 = 2 };

/* The highest level that this CPU and its operating system support. */
int keel_supported_level(void);

/* The table of a level.
   Precondition: level is at most keel_supported_level(). */
const KeelLoops *keel_loops(int level);

#endif
