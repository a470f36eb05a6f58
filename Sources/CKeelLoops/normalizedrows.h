/* Normalizations whose cells lie within one row: a row is read from L1 again and again. Part of loops.h. */

enum { ROW_STEPS = 256 }; /* vectors added in float before a sum goes on in double */

/* BODY(T, at) over n floats from p on in runs of ROW_STEPS vectors, each followed by END. */
#define ROW_CHUNKS(n, BODY, END)                                              \
  for (long start_ = 0; start_ < (n); start_ += ROW_STEPS * KEEL_WIDTH) {     \
    long stop_ = start_ + ROW_STEPS * KEEL_WIDTH < (n) ? start_ + ROW_STEPS * KEEL_WIDTH : (n); \
    long i = start_;                                                          \
    for (; i + KEEL_WIDTH <= stop_; i += KEEL_WIDTH) { BODY(Vector) }         \
    for (; i < stop_; i++) { BODY(Single) }                                   \
    END                                                                       \
  }

INLINE double acrossSum(Vector v);

/* The mean of n floats, rounded and the rest, and Σ(x − mean)²: first about the first float, then about
   the mean so found. */
INLINE void rowMoments(const float *x, long n, float *mean, double *rest, double *deviations) {
  const float first = x[0];
  double sum = 0;
  Vector s_Vector = splat(0);
  float s_Single = 0;
#define BODY(T) s_##T += LOAD(T, x + i) - SPLAT(T, first);
#define END                             \
  sum += acrossSum(s_Vector) + s_Single; \
  s_Vector = splat(0);                  \
  s_Single = 0;
  ROW_CHUNKS(n, BODY, END)
#undef BODY
#undef END
  const float pivot = (float)(first + sum / n);
  double offsets = 0, squares = 0;
  Vector q_Vector = splat(0);
  float q_Single = 0;
#define BODY(T)                              \
  T d = LOAD(T, x + i) - SPLAT(T, pivot);    \
  s_##T += d;                                \
  q_##T += d * d;
#define END                                   \
  offsets += acrossSum(s_Vector) + s_Single;  \
  squares += acrossSum(q_Vector) + q_Single;  \
  s_Vector = q_Vector = splat(0);             \
  s_Single = q_Single = 0;
  ROW_CHUNKS(n, BODY, END)
#undef BODY
#undef END
  double offset = offsets / n, m = pivot + offset, own = squares - offsets * offset;
  *mean = (float)m;
  *rest = m - *mean;
  *deviations = own < 0 ? 0 : own;
}

INLINE void normalizeEachRow(const int streams, const KeelOperation *op, const KeelMap *map, float *y,
                             const float *x, long rows, long channels, long group,
                             const float *residual, int relu, float *count, float *mean,
                             float *rest, float *deviations) {
  const KeelOperation local = *op;
  for (long r = 0; r < rows; r++) {
    const float *rowScale = map->rowScale ? map->rowScale + r * map->scaleStride : 0;
    const float *rowShift = map->rowShift ? map->rowShift + r * map->shiftStride : 0;
    for (long g = 0; g < channels / group; g++) {
      const long cell = r * (channels / group) + g, at = r * channels + g * group;
      double tail, square;
      rowMoments(x + at, group, mean + cell, &tail, &square);
      count[cell] = (float)group;
      rest[cell] = (float)tail;
      deviations[cell] = (float)square;
      CellMap z = cellMap(&local, group, mean[cell], rest[cell], deviations[cell]);
      const float pivot = z.pivot, inverse = (float)z.inverse, offset = (float)z.offset;
      const float *from = x + at, *more = residual ? residual + at : 0;
      const float *k = rowScale ? rowScale + g * group : 0, *t = rowShift ? rowShift + g * group : 0;
      float *to = y + at;
#define BODY(T)                                                                        \
  T v = SPLAT(T, inverse) * (LOAD(T, from + i) - SPLAT(T, pivot)) + SPLAT(T, offset);  \
  if (k) v = LOAD(T, k + i) * v + LOAD(T, t + i);                                      \
  if (more) v += LOAD(T, more + i);                                                    \
  if (relu) v = POSITIVE(T, v);                                                        \
  PUT(T, to + i, v);
      ROW_CHUNKS(group, BODY, )
#undef BODY
    }
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
  const KeelOperation local = *op;
  for (long r = 0; r < rows; r++) {
    for (long g = 0; g < channels / group; g++) {
      const long cell = firstCell + r * (channels / group) + g;
      const long at = r * channels + g * group;
      const long scaleAt = r * map->scaleStride + g * group, shiftAt = r * map->shiftStride + g * group;
      const float mean = moments->mean[cell];
      const double rest = moments->rest[cell], square = moments->deviations[cell];
      CellMap z = cellMap(&local, group, mean, rest, square);
      const float pivot = z.pivot, inverse = (float)z.inverse, offset = (float)z.offset;
      const float *k = map->rowScale ? map->rowScale + scaleAt : 0;
      const float *t = map->rowShift ? map->rowShift + shiftAt : 0;
      float *dk = dScale ? dScale + scaleAt : 0, *dt = dShift ? dShift + shiftAt : 0;
      double sums = 0, products = 0;
      Vector s_Vector = splat(0), p_Vector = splat(0);
      float s_Single = 0, p_Single = 0;
      const float *from = x + at, *up = dy + at, *out = y ? y + at : 0;
      /* g·γ is kept for the second pass over the row. */
#define BODY(T)                                                                        \
  T d = LOAD(T, from + i) - SPLAT(T, pivot), e = LOAD(T, up + i);                      \
  T w = SPLAT(T, inverse) * d + SPLAT(T, offset);                                      \
  if (mask == KEEL_MASK_OUTPUT) e = (LOAD(T, out + i) > SPLAT(T, 0)) ? e : SPLAT(T, 0); \
  if (mask == KEEL_MASK_RECOMPUTE) {                                                   \
    T v = k ? LOAD(T, k + i) * w + LOAD(T, t + i) : w;                                 \
    e = (v > SPLAT(T, 0)) ? e : SPLAT(T, 0);                                           \
  }                                                                                    \
  if (dResidual) PUT(T, dResidual + at + i, e);                                        \
  if (dk) {                                                                            \
    STORE(T, dk + i, LOAD(T, dk + i) + e * w);                                         \
    STORE(T, dt + i, LOAD(T, dt + i) + e);                                             \
  }                                                                                    \
  if (k) e *= LOAD(T, k + i);                                                          \
  STORE(T, kept + i, e);                                                               \
  s_##T += e;                                                                          \
  p_##T += e * d;
#define END                                     \
  sums += acrossSum(s_Vector) + s_Single;       \
  products += acrossSum(p_Vector) + p_Single;   \
  s_Vector = p_Vector = splat(0);               \
  s_Single = p_Single = 0;
      ROW_CHUNKS(group, BODY, END)
#undef BODY
#undef END
      CellAdjoint adjoint = cellAdjoint(&local, group, mean, rest, square, &z, sums, products);
      const double slope = 2 * adjoint.deviations;
      const float b = (float)slope;
      const float c0 = (float)(adjoint.mean / group + slope * (pivot - (mean + rest)));
      float *to = dx + at;
#define BODY(T)                                                     \
  T d = LOAD(T, from + i) - SPLAT(T, pivot);                        \
  PUT(T, to + i, SPLAT(T, inverse) * LOAD(T, kept + i) + (SPLAT(T, b) * d + SPLAT(T, c0)));
      ROW_CHUNKS(group, BODY, )
#undef BODY
    }
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
