/* Moments of rows × channels, what a normalization makes of them, and its passes. Part of loops.h.

   z = scale·(x − pivot) + shift, with one scale, shift and pivot per channel of the rows of a call; where
   rows have scales of their own, v = rowScale·z + rowShift, else v = z. */

/* Sums over rows go over this many rows at a time, so that what they read of wide rows stays near. */
enum { SUM_ROWS = 16 };

/* A loop over the rows in runs of SUM_ROWS: `count` rows from `first` on. */
#define EACH_ROW_BLOCK                                                               \
  for (long first = 0, count = rows < SUM_ROWS ? rows : SUM_ROWS; first < rows;      \
       first += SUM_ROWS, count = rows - first < SUM_ROWS ? rows - first : SUM_ROWS)

static void moments(const float *x, long rows, long stride, long channels, const float *pivot,
                    float *sum, float *square) {
  enum { BLOCK = 4 }; /* eight independent sums hide the latency of an addition */
  EACH_ROW_BLOCK {
    const float *from = x + first * stride;
    long c = 0;
    for (; c + BLOCK * KEEL_WIDTH <= channels; c += BLOCK * KEEL_WIDTH) {
      Vector p[BLOCK], s[BLOCK], q[BLOCK];
      for (int b = 0; b < BLOCK; b++) {
        long at = c + b * KEEL_WIDTH;
        p[b] = load(pivot + at);
        s[b] = first ? load(sum + at) : splat(0);
        q[b] = first ? load(square + at) : splat(0);
      }
      for (long r = 0; r < count; r++) {
        const float *row = from + r * stride + c;
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
    T p = LOAD(T, pivot + c);                                    \
    T s0 = first ? LOAD(T, sum + c) : SPLAT(T, 0);               \
    T q0 = first ? LOAD(T, square + c) : SPLAT(T, 0);            \
    T s1 = SPLAT(T, 0), q1 = s1;                                 \
    long r = 0;                                                  \
    for (; r + 2 <= count; r += 2) {                             \
      T d0 = LOAD(T, from + r * stride + c) - p;                 \
      T d1 = LOAD(T, from + (r + 1) * stride + c) - p;           \
      s0 += d0;                                                  \
      q0 += d0 * d0;                                             \
      s1 += d1;                                                  \
      q1 += d1 * d1;                                             \
    }                                                            \
    if (r < count) {                                             \
      T d = LOAD(T, from + r * stride + c) - p;                  \
      s0 += d;                                                   \
      q0 += d * d;                                               \
    }                                                            \
    STORE(T, sum + c, s0 + s1);                                  \
    STORE(T, square + c, q0 + q1);
    CHANNELS(BODY)
#undef BODY
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

/* r² of an operation, from a cell's moments. */
INLINE double cellSquare(const KeelOperation *op, double count, double mean, double deviations) {
  switch (op->divisor) {
    case KEEL_DEVIATION: return deviations / count;
    case KEEL_SAMPLE_DEVIATION: return deviations / (count - 1);
    case KEEL_ROOT_MEAN_SQUARE: return deviations / count + mean * mean;
    case KEEL_NORM: return deviations + count * mean * mean;
    default: return 1;
  }
}

/* What elements are divided by. */
INLINE double cellDivisor(const KeelOperation *op, double square) {
  if (op->divisor == KEEL_NO_DIVISOR) return 1;
  const double epsilon = op->epsilon;
  switch (op->placement) {
    case KEEL_EPSILON_INSIDE: return __builtin_sqrt(square + epsilon);
    case KEEL_EPSILON_BESIDE: return __builtin_sqrt(square) + epsilon;
    default: {
      double root = __builtin_sqrt(square);
      return root < epsilon ? epsilon : root;
    }
  }
}

/* The derivative of the divisor by r². */
INLINE double cellSlope(const KeelOperation *op, double square) {
  if (op->divisor == KEEL_NO_DIVISOR) return 0;
  const double epsilon = op->epsilon, root = __builtin_sqrt(square);
  switch (op->placement) {
    case KEEL_EPSILON_INSIDE: return 0.5 / __builtin_sqrt(square + epsilon);
    case KEEL_EPSILON_BESIDE: return root <= 0 ? 0 : 0.5 / root;
    default: return root <= epsilon ? 0 : 0.5 / root;
  }
}

/* z = inverse·(x − pivot) + offset of one cell. */
typedef struct {
  float pivot;
  double inverse, offset;
} CellMap;

INLINE CellMap cellMap(const KeelOperation *op, double count, float mean, double rest,
                       double deviations) {
  double square = cellSquare(op, count, mean + rest, deviations);
  CellMap map;
  map.inverse = count > 0 ? 1 / cellDivisor(op, square) : 0;
  /* A root of squares has no mean to subtract, and 0 as the pivot saves a rounding. */
  map.pivot = op->divisor == KEEL_ROOT_MEAN_SQUARE || op->divisor == KEEL_NORM ? 0 : mean;
  map.offset = op->centers ? -rest * map.inverse
               : map.pivot == 0 ? 0 : (double)map.pivot * map.inverse;
  return map;
}

/* The gradients of mean and Σ(x − mean)² of one cell, from sum = Σ g and product = Σ g·(x − pivot). */
typedef struct {
  double mean, deviations;
} CellAdjoint;

INLINE CellAdjoint cellAdjoint(const KeelOperation *op, double count, float mean, double rest,
                               double deviations, const CellMap *map, double sum,
                               double product) {
  CellAdjoint d = {0, 0};
  if (count <= 0) return d;
  double m = mean + rest, square = cellSquare(op, count, m, deviations);
  double zProduct = map->inverse * product + map->offset * sum; /* Σ g·z */
  double dSquare = -zProduct * map->inverse * cellSlope(op, square);
  if (op->centers) d.mean = -sum * map->inverse;
  switch (op->divisor) {
    case KEEL_DEVIATION: d.deviations = dSquare / count; break;
    case KEEL_SAMPLE_DEVIATION: d.deviations = dSquare / (count - 1); break;
    case KEEL_ROOT_MEAN_SQUARE:
      d.deviations = dSquare / count;
      d.mean += 2 * dSquare * m;
      break;
    case KEEL_NORM:
      d.deviations = dSquare;
      d.mean += 2 * dSquare * m * count;
      break;
    default: break;
  }
  return d;
}

/* Calls LOOP with the operation known when it is compiled where it is the common one, z = (x − μ)/√(σ² + ε):
   the compiler makes vectors of that. */
#define EACH_OPERATION(LOOP)                                                                   \
  if (op->centers && op->divisor == KEEL_DEVIATION && op->placement == KEEL_EPSILON_INSIDE && \
      moments->count && moments->rest) {                                                       \
    const KeelOperation known = {1, KEEL_DEVIATION, KEEL_EPSILON_INSIDE, op->epsilon};         \
    LOOP(known, moments->count[at], moments->rest[at])                                         \
  } else {                                                                                     \
    const KeelOperation known = *op;                                                           \
    LOOP(known, (moments->count ? moments->count[at] : 1), (moments->rest ? moments->rest[at] : 0)) \
  }

static void cellMaps(const KeelOperation *op, const KeelMoments *moments, long first, long cells,
                     float *restrict pivot, double *restrict inverse, double *restrict offset) {
#define LOOP(KNOWN, COUNT, REST)                                                             \
  for (long i = 0; i < cells; i++) {                                                         \
    const long at = first + i;                                                               \
    CellMap map = cellMap(&KNOWN, COUNT, moments->mean[at], REST, moments->deviations[at]);  \
    pivot[i] = map.pivot;                                                                    \
    inverse[i] = map.inverse;                                                                \
    offset[i] = map.offset;                                                                  \
  }
  EACH_OPERATION(LOOP)
#undef LOOP
}

static void cellAdjoints(const KeelOperation *op, const KeelMoments *moments, long first,
                         long cells, const double *restrict sum, const double *restrict product,
                         double *restrict dMean, double *restrict dDeviations) {
#define LOOP(KNOWN, COUNT, REST)                                                              \
  for (long i = 0; i < cells; i++) {                                                          \
    const long at = first + i;                                                                \
    const double count = COUNT, rest = REST;                                                  \
    const float mean = moments->mean[at], deviations = moments->deviations[at];               \
    CellMap map = cellMap(&KNOWN, count, mean, rest, deviations);                             \
    CellAdjoint d = cellAdjoint(&KNOWN, count, mean, rest, deviations, &map, sum[i], product[i]); \
    dMean[i] = d.mean;                                                                        \
    dDeviations[i] = d.deviations;                                                            \
  }
  EACH_OPERATION(LOOP)
#undef LOOP
}

/* v for the channels at c; `d` is x − pivot. The same expression wherever v is needed, so that forward and
   backward passes agree to the last bit on what is active. */
#define VALUE(T, d)                                                               \
  (rows_ ? LOAD(T, rowScale + c) * (LOAD(T, scale + c) * (d) + LOAD(T, shift + c)) \
               + LOAD(T, rowShift + c)                                             \
         : LOAD(T, scale + c) * (d) + LOAD(T, shift + c))

INLINE void normalizeRow(const int rows_, const int relu, const int streams, float *y, const float *x, long channels,
                         const float *pivot, const float *scale, const float *shift,
                         const float *rowScale, const float *rowShift, const float *residual) {
  long c = 0;
#define BODY(T)                                   \
  T d = LOAD(T, x + c) - LOAD(T, pivot + c);      \
  T v = VALUE(T, d);                              \
  if (residual) v += LOAD(T, residual + c);       \
  if (relu) v = POSITIVE(T, v);                   \
  PUT(T, y + c, v);
  CHANNELS(BODY)
#undef BODY
}

static void normalize(const KeelMap *map, float *y, long yStride, const float *x, long xStride,
                      long rows, long channels, const float *residual, long residualStride,
                      int relu, int streams) {
  const float *pivot = map->pivot, *scale = map->scale, *shift = map->shift;
#define ROWS(HAS, RELU, RESIDUAL, STREAMS)                                                    \
  for (long r = 0; r < rows; r++)                                                             \
    normalizeRow(HAS, RELU, STREAMS, y + r * yStride, x + r * xStride, channels, pivot, scale, \
                 shift, HAS ? map->rowScale + r * map->scaleStride : 0,                       \
                 HAS ? map->rowShift + r * map->shiftStride : 0,                              \
                 RESIDUAL ? residual + r * residualStride : 0);
#define FORMS(HAS, STREAMS)                                                                        \
  if (residual) { if (relu) { ROWS(HAS, 1, 1, STREAMS) } else { ROWS(HAS, 0, 1, STREAMS) } } \
  else { if (relu) { ROWS(HAS, 1, 0, STREAMS) } else { ROWS(HAS, 0, 0, STREAMS) } }
  if (streams && canStream(y, channels) && canStream(y, yStride)) {
    if (map->rowScale) { FORMS(1, 1) } else { FORMS(0, 1) }
    drain();
  } else {
    if (map->rowScale) { FORMS(1, 0) } else { FORMS(0, 0) }
  }
#undef FORMS
#undef ROWS
}

/* dy where the activation was active. */
#define ACTIVE(T, dy, d, y)                                                    \
  (mask == KEEL_MASK_OUTPUT      ? ((LOAD(T, y) > SPLAT(T, 0)) ? (dy) : SPLAT(T, 0)) \
   : mask == KEEL_MASK_RECOMPUTE ? ((VALUE(T, d) > SPLAT(T, 0)) ? (dy) : SPLAT(T, 0)) \
                                 : (dy))

INLINE void reduceChannels(const int rows_, const int mask, const int streams, const KeelMap *map, const float *dy,
                           const float *x, const float *y, long rows, long channels, float *sum,
                           float *product, float *dResidual, float *dScale, float *dShift) {
  enum { BLOCK = 4 };
  const float *pivot = map->pivot, *scale = map->scale, *shift = map->shift;
  const long scaleStride = map->scaleStride, shiftStride = map->shiftStride;
  /* Adds an element's part at channel c of row r to S and Q. */
#define STEP(T, r, S, Q)                                                  \
  {                                                                       \
    const float *rowScale = rows_ ? map->rowScale + (r) * scaleStride : 0; \
    const float *rowShift = rows_ ? map->rowShift + (r) * shiftStride : 0; \
    const long at = (r) * channels + c;                                   \
    T d = LOAD(T, x + at) - LOAD(T, pivot + c), dy0 = LOAD(T, dy + at);   \
    T g = ACTIVE(T, dy0, d, y + at);                                      \
    if (mask == KEEL_MASK_OUTPUT && dResidual) PUT(T, dResidual + at, g);  \
    if (rows_) {                                                          \
      float *dk = dScale + (r) * scaleStride + c, *dt = dShift + (r) * shiftStride + c; \
      STORE(T, dk, LOAD(T, dk) + g * (LOAD(T, scale + c) * d + LOAD(T, shift + c)));    \
      STORE(T, dt, LOAD(T, dt) + g);                                      \
      g *= LOAD(T, rowScale + c);                                         \
    }                                                                     \
    S += g;                                                               \
    Q += g * d;                                                           \
  }
  EACH_ROW_BLOCK {
    const long end = first + count;
    long c = 0;
    while (c + BLOCK * KEEL_WIDTH <= channels) {
      Vector s[BLOCK], q[BLOCK];
      const long start = c;
      for (int b = 0; b < BLOCK; b++) {
        s[b] = first ? load(sum + start + b * KEEL_WIDTH) : splat(0);
        q[b] = first ? load(product + start + b * KEEL_WIDTH) : splat(0);
      }
      for (long r = first; r < end; r++)
        for (int b = 0; b < BLOCK; b++) {
          c = start + b * KEEL_WIDTH;
          STEP(Vector, r, s[b], q[b])
        }
      for (int b = 0; b < BLOCK; b++) {
        store(sum + start + b * KEEL_WIDTH, s[b]);
        store(product + start + b * KEEL_WIDTH, q[b]);
      }
      c = start + BLOCK * KEEL_WIDTH;
    }
#define BODY(T)                                                             \
    T s0 = first ? LOAD(T, sum + c) : SPLAT(T, 0);                          \
    T q0 = first ? LOAD(T, product + c) : SPLAT(T, 0);                      \
    T s1 = SPLAT(T, 0), q1 = s1;                                            \
    long r = first;                                                         \
    for (; r + 2 <= end; r += 2) { STEP(T, r, s0, q0) STEP(T, r + 1, s1, q1) } \
    if (r < end) STEP(T, r, s0, q0)                                         \
    STORE(T, sum + c, s0 + s1);                                             \
    STORE(T, product + c, q0 + q1);
    CHANNELS(BODY)
#undef BODY
  }
#undef STEP
}

static void normalizeReduce(const KeelMap *map, const float *dy, const float *x, const float *y,
                            long rows, long channels, int mask, float *sum, float *product,
                            float *dResidual, int streams, float *dScale, float *dShift) {
#define FORM(ROWS, MASK, STREAMS)                                                           \
  reduceChannels(ROWS, MASK, STREAMS, map, dy, x, y, rows, channels, sum, product, dResidual, \
                 dScale, dShift)
#define FORMS(ROWS)                                                                            \
  if (mask == KEEL_MASK_RECOMPUTE) { FORM(ROWS, KEEL_MASK_RECOMPUTE, 0); }                     \
  else if (mask == KEEL_MASK_NONE) { FORM(ROWS, KEEL_MASK_NONE, 0); }                          \
  else if (streams && dResidual && canStream(dResidual, channels)) {                                        \
    FORM(ROWS, KEEL_MASK_OUTPUT, 1);                                                           \
    drain();                                                                                   \
  } else { FORM(ROWS, KEEL_MASK_OUTPUT, 0); }
  if (map->rowScale) { FORMS(1) } else { FORMS(0) }
#undef FORMS
#undef FORM
}

INLINE void gradientRow(const int rows_, const int mask, const int streams, float *dx, float *dResidual,
                        const float *dy, const float *x, const float *y, long channels,
                        const float *pivot, const float *scale, const float *shift,
                        const float *rowScale, const float *rowShift, const float *a,
                        const float *b, const float *offset) {
  long c = 0;
#define BODY(T)                                                                        \
  T d = LOAD(T, x + c) - LOAD(T, pivot + c), dy0 = LOAD(T, dy + c);                    \
  T g = ACTIVE(T, dy0, d, y + c);                                                      \
  if (dResidual) PUT(T, dResidual + c, g);                                             \
  if (rows_) g *= LOAD(T, rowScale + c);                                               \
  PUT(T, dx + c, LOAD(T, a + c) * g + (LOAD(T, b + c) * d + LOAD(T, offset + c)));
  CHANNELS(BODY)
#undef BODY
}

static void normalizeGradient(const KeelMap *map, float *dx, float *dResidual, const float *dy,
                              const float *x, const float *y, long rows, long channels, int mask,
                              const float *a, const float *b, const float *c, int streams) {
#define FORM(ROWS, MASK, STREAMS)                                                             \
  for (long r = 0; r < rows; r++) {                                                           \
    long at = r * channels;                                                                   \
    gradientRow(ROWS, MASK, STREAMS, dx + at, dResidual ? dResidual + at : 0, dy + at, x + at, \
                MASK == KEEL_MASK_OUTPUT ? y + at : 0, channels, map->pivot, map->scale,      \
                map->shift,                                                                   \
                ROWS ? map->rowScale + r * map->scaleStride : 0,                              \
                ROWS ? map->rowShift + r * map->shiftStride : 0, a, b, c);                    \
  }
#define FORMS(ROWS, STREAMS)                                                   \
  if (mask == KEEL_MASK_RECOMPUTE) { FORM(ROWS, KEEL_MASK_RECOMPUTE, STREAMS) } \
  else if (mask == KEEL_MASK_OUTPUT) { FORM(ROWS, KEEL_MASK_OUTPUT, STREAMS) }  \
  else { FORM(ROWS, KEEL_MASK_NONE, STREAMS) }
  if (streams && canStream(dx, channels) && (!dResidual || canStream(dResidual, channels))) {
    if (map->rowScale) { FORMS(1, 1) } else { FORMS(0, 1) }
    drain();
  } else {
    if (map->rowScale) { FORMS(1, 0) } else { FORMS(0, 0) }
  }
#undef FORMS
#undef FORM
}
