/* Normalizations whose cells lie within one row: a row is read from L1 again and again. Part of loops.h. */

enum { ROW_STEPS = 256 }; /* vectors added in float before a sum goes on in double */

/* BODY(T, i, u) over n floats from i = 0 on, with u the number of a sum of its own: four for whole vectors,
   so that additions do not wait for each other. In runs of ROW_STEPS vectors, each followed by END. */
#define ROW_CHUNKS(n, BODY, END)                                              \
  for (long start_ = 0; start_ < (n); start_ += ROW_STEPS * KEEL_WIDTH) {     \
    long stop_ = start_ + ROW_STEPS * KEEL_WIDTH < (n) ? start_ + ROW_STEPS * KEEL_WIDTH : (n); \
    long i_ = start_;                                                         \
    for (; i_ + 4 * KEEL_WIDTH <= stop_; i_ += 4 * KEEL_WIDTH) {              \
      { BODY(Vector, i_, 0) }                                                 \
      { BODY(Vector, i_ + KEEL_WIDTH, 1) }                                    \
      { BODY(Vector, i_ + 2 * KEEL_WIDTH, 2) }                                \
      { BODY(Vector, i_ + 3 * KEEL_WIDTH, 3) }                                \
    }                                                                         \
    ROW_PARTS(Vector, BODY) SHORT_PARTS(BODY) ROW_PARTS(Single, BODY)         \
    END                                                                       \
  }
#define ROW_PARTS(T, BODY) \
  for (; i_ + LENGTH(T) <= stop_; i_ += LENGTH(T)) { BODY(T, i_, 0) }

/* The sums of a run, by the type of what is added. */
typedef struct RowSum {
  Vector sum_Vector[4];
#if KEEL_WIDTH >= 16
#define SHORT_PARTS(BODY) ROW_PARTS(Half, BODY) ROW_PARTS(Quarter, BODY)
  Half sum_Half[1];
  Quarter sum_Quarter[1];
#elif KEEL_WIDTH >= 8
#define SHORT_PARTS(BODY) ROW_PARTS(Half, BODY)
  Half sum_Half[1];
#else
#define SHORT_PARTS(BODY)
#endif
  float sum_Single[1];
} RowSum;

/* All of a run's sums, in pairs. */
INLINE float rowTotal(const RowSum *s) {
  Vector all = (s->sum_Vector[0] + s->sum_Vector[1]) + (s->sum_Vector[2] + s->sum_Vector[3]);
#if KEEL_WIDTH >= 16
  Half half = (all.lo + all.hi) + s->sum_Half[0];
  Quarter four = (half.lo + half.hi) + s->sum_Quarter[0];
#elif KEEL_WIDTH >= 8
  Half four = (all.lo + all.hi) + s->sum_Half[0];
#else
  Vector four = all;
#endif
  return ((four.x + four.z) + (four.y + four.w)) + s->sum_Single[0];
}

/* Cells of a row that are worked on together. */
enum { ROW_CELLS = 32 };

/* Where results go past the caches, operands are not in them either: the last pass over a cell fetches what lies
   so many floats ahead at least, because while rows are worked on in L1 the memory would be idle. Once in four
   whole vectors, the lines of all four. */
enum { FETCH_AHEAD = 1024 };
#define FETCH(u, p)                                                                 \
  do {                                                                              \
    if (streams && (u) == 3)                                                        \
      for (int l_ = 0; l_ < 4 * KEEL_WIDTH; l_ += 16)                               \
        __builtin_prefetch((p) + (ahead - 3 * KEEL_WIDTH + l_));                    \
  } while (0)

/* The mean of n floats to a few roundings, from differences to the first. */
INLINE float rowPivot(const float *x, long n, double inverse) {
  const float first = x[0];
  double sum = 0;
  RowSum s = {0};
#define BODY(T, i, u) s.sum_##T[u] += LOAD(T, x + (i)) - SPLAT(T, first);
#define END            \
  sum += rowTotal(&s); \
  s = (RowSum){0};
  ROW_CHUNKS(n, BODY, END)
#undef BODY
#undef END
  return (float)(first + sum * inverse);
}

/* Σ(x − pivot) and Σ(x − pivot)² of n floats. */
INLINE void rowSquares(const float *x, long n, float pivot, double *offset, double *square) {
  double offsets = 0, squares = 0;
  RowSum s = {0}, q = {0};
#define BODY(T, i, u)                          \
  T d = LOAD(T, x + (i)) - SPLAT(T, pivot);    \
  s.sum_##T[u] += d;                           \
  q.sum_##T[u] += d * d;
#define END                \
  offsets += rowTotal(&s); \
  squares += rowTotal(&q); \
  s = q = (RowSum){0};
  ROW_CHUNKS(n, BODY, END)
#undef BODY
#undef END
  *offset = offsets;
  *square = squares;
}

/* The moments of `cells` neighbouring cells, at most ROW_CELLS, about the means of their first floats. Each step
   goes over all cells, so that none waits for another's.

   An eighth of a cell is enough for its pivot: where a share p of the floats has mean a, and the others mean b,
   (a − mean)² is at most (1 − p)/p times the variance, so Σ(x − pivot)² is at most 8 times what is left of it. */
INLINE void rowMoments(const float *x, long cells, long group, float *restrict count,
                       float *restrict mean, float *restrict rest, float *restrict deviations) {
  const double inverse = 1.0 / group;
  const long eighth = (group + 511) / 512 * 64;
  float pivots[ROW_CELLS];
  double offsets[ROW_CELLS], squares[ROW_CELLS];
  if (eighth < group)
    for (long j = 0; j < cells; j++) pivots[j] = rowPivot(x + j * group, eighth, 1.0 / eighth);
  else
    for (long j = 0; j < cells; j++) pivots[j] = rowPivot(x + j * group, group, inverse);
  for (long j = 0; j < cells; j++)
    rowSquares(x + j * group, group, pivots[j], offsets + j, squares + j);
  for (long j = 0; j < cells; j++) {
    const double offset = offsets[j] * inverse, m = pivots[j] + offset;
    const double own = squares[j] - offsets[j] * offset;
    count[j] = (float)group;
    mean[j] = (float)m;
    rest[j] = (float)(m - mean[j]);
    deviations[j] = (float)(own < 0 ? 0 : own);
  }
}

INLINE void normalizeEachRow(const int streams, const KeelOperation *op, const KeelMap *map, float *y,
                             const float *x, long rows, long channels, long group,
                             const float *residual, int relu, float *count, float *mean,
                             float *rest, float *deviations) {
  const long cells = channels / group;
  const KeelMoments moments = {count, mean, rest, deviations};
  float pivots[ROW_CELLS];
  double inverses[ROW_CELLS], offsets[ROW_CELLS];
  for (long first = 0; first < rows * cells;) {
    const long r = first / cells, g = first % cells;
    const long part = cells - g < ROW_CELLS ? cells - g : ROW_CELLS, at = r * channels + g * group;
    const long ahead = part * group > FETCH_AHEAD ? part * group : FETCH_AHEAD;
    rowMoments(x + at, part, group, count + first, mean + first, rest + first, deviations + first);
    cellMaps(op, &moments, first, part, pivots, inverses, offsets);
    for (long j = 0; j < part; j++) {
      const float pivot = pivots[j], inverse = (float)inverses[j], offset = (float)offsets[j];
      const long k = (g + j) * group;
      const float *from = x + at + j * group, *more = residual ? residual + at + j * group : 0;
      const float *scale = map->rowScale ? map->rowScale + r * map->scaleStride + k : 0;
      const float *shift = map->rowShift ? map->rowShift + r * map->shiftStride + k : 0;
      float *to = y + at + j * group;
#define BODY(T, i, u)                                                                     \
  FETCH(u, from + (i));                                                                  \
  if (more) FETCH(u, more + (i));                                                        \
  T v = SPLAT(T, inverse) * (LOAD(T, from + (i)) - SPLAT(T, pivot)) + SPLAT(T, offset);  \
  if (scale) v = LOAD(T, scale + (i)) * v + LOAD(T, shift + (i));                          \
  if (more) v += LOAD(T, more + (i));                                                    \
  if (relu) v = POSITIVE(T, v);                                                        \
  PUT(T, to + (i), v);
      ROW_CHUNKS(group, BODY, )
#undef BODY
    }
    first += part;
  }
}

static void normalizeRows(const KeelOperation *op, const KeelMap *map, float *y, const float *x,
                          long rows, long channels, long group, const float *residual, int relu,
                          float *count, float *mean, float *rest, float *deviations, int streams) {
  if (streams && canStream(y, group)) {
    normalizeEachRow(1, op, map, y, x, rows, channels, group, residual, relu, count, mean, rest,
                     deviations);
    drain();
  } else {
    normalizeEachRow(0, op, map, y, x, rows, channels, group, residual, relu, count, mean, rest,
                     deviations);
  }
}

INLINE void gradientOfEachRow(const int streams, const KeelOperation *op, const KeelMap *map, float *dx,
                              float *dResidual, const float *dy, const float *x, const float *y,
                              long rows, long channels, long group, int mask,
                              const KeelMoments *moments, long firstCell, float *dScale,
                              float *dShift, float *kept) {
  const long cells = channels / group;
  float pivots[ROW_CELLS];
  double inverses[ROW_CELLS], offsets[ROW_CELLS], sums[ROW_CELLS], products[ROW_CELLS],
      dMean[ROW_CELLS], dDeviations[ROW_CELLS];
  for (long first = 0; first < rows * cells;) {
    const long r = first / cells, g = first % cells, cell = firstCell + first;
    const long part = cells - g < ROW_CELLS ? cells - g : ROW_CELLS, at = r * channels + g * group;
    const long ahead = part * group > FETCH_AHEAD ? part * group : FETCH_AHEAD;
    cellMaps(op, moments, cell, part, pivots, inverses, offsets);
    for (long j = 0; j < part; j++) {
      const float pivot = pivots[j], inverse = (float)inverses[j], offset = (float)offsets[j];
      const long own = at + j * group, k = (g + j) * group;
      const float *scale = map->rowScale ? map->rowScale + r * map->scaleStride + k : 0;
      const float *shift = map->rowShift ? map->rowShift + r * map->shiftStride + k : 0;
      float *dk = dScale ? dScale + r * map->scaleStride + k : 0;
      float *dt = dShift ? dShift + r * map->shiftStride + k : 0;
      const float *from = x + own, *up = dy + own, *out = y ? y + own : 0;
      float *scaled = kept + k;
      double sum = 0, product = 0;
      RowSum s = {0}, p = {0};
      /* g·γ is kept for the second pass over the row. */
#define BODY(T, i, u)                                                                     \
  T d = LOAD(T, from + (i)) - SPLAT(T, pivot), e = LOAD(T, up + (i));                      \
  T w = SPLAT(T, inverse) * d + SPLAT(T, offset);                                      \
  if (mask == KEEL_MASK_OUTPUT) e = (LOAD(T, out + (i)) > SPLAT(T, 0)) ? e : SPLAT(T, 0); \
  if (mask == KEEL_MASK_RECOMPUTE) {                                                   \
    T v = scale ? LOAD(T, scale + (i)) * w + LOAD(T, shift + (i)) : w;                     \
    e = (v > SPLAT(T, 0)) ? e : SPLAT(T, 0);                                           \
  }                                                                                    \
  if (dResidual) PUT(T, dResidual + own + (i), e);                                       \
  if (dk) {                                                                            \
    STORE(T, dk + (i), LOAD(T, dk + (i)) + e * w);                                         \
    STORE(T, dt + (i), LOAD(T, dt + (i)) + e);                                             \
  }                                                                                    \
  if (scale) e *= LOAD(T, scale + (i));                                                  \
  STORE(T, scaled + (i), e);                                                             \
  s.sum_##T[u] += e;                                                                    \
  p.sum_##T[u] += e * d;
#define END                \
  sum += rowTotal(&s);     \
  product += rowTotal(&p); \
  s = p = (RowSum){0};
      ROW_CHUNKS(group, BODY, END)
#undef BODY
#undef END
      sums[j] = sum;
      products[j] = product;
    }
    cellAdjoints(op, moments, cell, part, sums, products, dMean, dDeviations);
    for (long j = 0; j < part; j++) {
      const double slope = 2 * dDeviations[j];
      const double mean = moments->mean[cell + j] + (double)moments->rest[cell + j];
      const float pivot = pivots[j], inverse = (float)inverses[j], b = (float)slope;
      const float c0 = (float)(dMean[j] / group + slope * (pivot - mean));
      const float *from = x + at + j * group, *scaled = kept + (g + j) * group;
      const float *up = dy + at + j * group, *out = mask == KEEL_MASK_OUTPUT ? y + at + j * group : 0;
      float *to = dx + at + j * group;
#define BODY(T, i, u)                                                  \
  FETCH(u, from + (i));                                                \
  FETCH(u, up + (i));                                                  \
  if (out) FETCH(u, out + (i));                                        \
  T d = LOAD(T, from + (i)) - SPLAT(T, pivot);                        \
  PUT(T, to + (i), SPLAT(T, inverse) * LOAD(T, scaled + (i)) + (SPLAT(T, b) * d + SPLAT(T, c0)));
      ROW_CHUNKS(group, BODY, )
#undef BODY
    }
    first += part;
  }
}

static void normalizeRowsGradient(const KeelOperation *op, const KeelMap *map, float *dx,
                                  float *dResidual, const float *dy, const float *x,
                                  const float *y, long rows, long channels, long group, int mask,
                                  const KeelMoments *moments, long firstCell, float *dScale,
                                  float *dShift, float *kept, int streams) {
  if (streams && canStream(dx, group) && (!dResidual || canStream(dResidual, group))) {
    gradientOfEachRow(1, op, map, dx, dResidual, dy, x, y, rows, channels, group, mask, moments,
                      firstCell, dScale, dShift, kept);
    drain();
  } else {
    gradientOfEachRow(0, op, map, dx, dResidual, dy, x, y, rows, channels, group, mask, moments,
                      firstCell, dScale, dShift, kept);
  }
}
