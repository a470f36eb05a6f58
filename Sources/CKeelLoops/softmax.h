/* Softmax along rows, and what else takes an exponential for each class. Part of loops.h.

   Rows of at most FEW columns are turned, as many at a time as a vector has lanes: each lane holds a row, so
   no lane is idle and nothing is added across lanes. Longer rows go a vector of columns at a time. Either
   way the result of a row does not depend on the rows beside it. */

enum {
  FEW = 32,       /* the most columns of a row that shares its vectors */
  SUM_STEPS = 64, /* vectors added in float before a sum goes on in double */
};

/* The first `count` floats of a vector, and `fill` in the other lanes. */
INLINE Vector loadFilled(const float *p, long count, float fill) {
  float part[KEEL_WIDTH];
  for (long i = 0; i < KEEL_WIDTH; i++) part[i] = fill;
  for (long i = 0; i < count; i++) part[i] = p[i];
  return load(part);
}

/* The sum of the first `count` lanes. */
INLINE double partSum(Vector v, long count) {
  float lanes[KEEL_WIDTH];
  store(lanes, v);
  double sum = 0;
  for (long i = 0; i < count; i++) sum += lanes[i];
  return sum;
}

/* The sum of all lanes, by halves. */
INLINE double acrossSum(Vector v) {
  float lanes[KEEL_WIDTH];
  double sums[KEEL_WIDTH];
  store(lanes, v);
  for (int i = 0; i < KEEL_WIDTH; i++) sums[i] = lanes[i];
  for (int half = KEEL_WIDTH / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) sums[i] += sums[i + half];
  return sums[0];
}

/* block[c, lane] = x[lane, c] for `count` rows; the other lanes are 0. */
INLINE void turnIn(float *block, const float *x, long count, long columns) {
  if (count == KEEL_WIDTH) {
    for (long c = 0; c < columns; c++)
      for (long r = 0; r < KEEL_WIDTH; r++) block[c * KEEL_WIDTH + r] = x[r * columns + c];
  } else {
    memset(block, 0, columns * KEEL_WIDTH * sizeof(float));
    for (long r = 0; r < count; r++)
      for (long c = 0; c < columns; c++) block[c * KEEL_WIDTH + r] = x[r * columns + c];
  }
}

INLINE void turnOut(float *y, const float *block, long count, long columns) {
  for (long r = 0; r < count; r++)
    for (long c = 0; c < columns; c++) y[r * columns + c] = block[c * KEEL_WIDTH + r];
}

/* Runs BODY for each group of rows: rows r to r + n. */
#define GROUPS(...)                                                   \
  for (long r = 0; r < rows; r += KEEL_WIDTH) {                       \
    long n = rows - r < KEEL_WIDTH ? rows - r : KEEL_WIDTH;           \
    __VA_ARGS__                                                       \
  }

/* Per lane: the largest of n vectors; NaN is left out, but comes back with its exponential. */
INLINE Vector largestOf(const float *p, long n) {
  Vector m = splat(-__builtin_inff());
  for (long i = 0; i < n; i++) {
    Vector v = load(p + i * KEEL_WIDTH);
    m = v > m ? v : m;
  }
  return m;
}

/* Per lane: Σ e^(x − shift) over n vectors; the terms go to y, unless it is null. */
INLINE Vector exponentialSum(float *y, const float *x, long n, Vector shift) {
  Vector sum = splat(0);
  for (long i = 0; i < n; i++) {
    Vector e = exponential(load(x + i * KEEL_WIDTH) - shift);
    if (y) store(y + i * KEEL_WIDTH, e);
    sum += e;
  }
  return sum;
}

typedef struct RowNormalizer {
  float largest;
  double sum;
} RowNormalizer;

/* The largest x of a row and Σ e^(x − largest); the terms go to y, unless it is null. */
INLINE RowNormalizer normalizerOf(float *y, const float *x, long columns) {
  const long whole = columns / KEEL_WIDTH, rest = columns % KEEL_WIDTH, end = whole * KEEL_WIDTH;
  Vector m = largestOf(x, whole), last = m;
  if (rest) { /* filled with a number of the row: e^−∞ in idle lanes would take the slow way to 0 */
    last = loadFilled(x + end, rest, x[end]);
    m = last > m ? last : m;
  }
  float lanes[KEEL_WIDTH];
  store(lanes, m);
  RowNormalizer row = {-__builtin_inff(), 0};
  for (int i = 0; i < KEEL_WIDTH; i++) row.largest = lanes[i] > row.largest ? lanes[i] : row.largest;
  Vector shift = splat(row.largest);
  for (long i = 0; i < whole; i += SUM_STEPS) {
    long n = whole - i < SUM_STEPS ? whole - i : SUM_STEPS, at = i * KEEL_WIDTH;
    row.sum += acrossSum(exponentialSum(y ? y + at : 0, x + at, n, shift));
  }
  if (rest) {
    Vector e = exponential(last - shift);
    if (y) storePart(y + end, e, rest);
    row.sum += partSum(e, rest);
  }
  return row;
}

static void logarithms(float *y, long count) {
  for (long i = 0; i < count; i += KEEL_WIDTH) {
    long n = count - i < KEEL_WIDTH ? count - i : KEEL_WIDTH;
    storePart(y + i, logarithm(loadFilled(y + i, n, 1)), n);
  }
}

static void logSumExp(float *largest, float *logSum, const float *x, long rows, long columns) {
  if (columns <= FEW) {
    float block[FEW * KEEL_WIDTH];
    GROUPS({
      turnIn(block, x + r * columns, n, columns);
      Vector m = largestOf(block, columns);
      storePart(largest + r, m, n);
      storePart(logSum + r, logarithm(exponentialSum(0, block, columns, m)), n);
    })
    return;
  }
  for (long r = 0; r < rows; r++) {
    RowNormalizer row = normalizerOf(0, x + r * columns, columns);
    largest[r] = row.largest;
    logSum[r] = (float)row.sum;
  }
  logarithms(logSum, rows);
}

static void softmax(float *y, const float *x, long rows, long columns, int isLog) {
  if (columns <= FEW) {
    float block[FEW * KEEL_WIDTH];
    GROUPS({
      turnIn(block, x + r * columns, n, columns);
      Vector m = largestOf(block, columns);
      Vector sum = exponentialSum(isLog ? 0 : block, block, columns, m);
      Vector log = logarithm(sum);
      for (long c = 0; c < columns; c++) {
        Vector v = load(block + c * KEEL_WIDTH);
        store(block + c * KEEL_WIDTH, isLog ? (v - m) - log : v / sum);
      }
      turnOut(y + r * columns, block, n, columns);
    })
    return;
  }
  for (long r = 0; r < rows; r++) {
    const float *from = x + r * columns;
    float *to = y + r * columns;
    RowNormalizer row = normalizerOf(isLog ? 0 : to, from, columns);
    float log = (float)row.sum, inverse = (float)(1 / row.sum);
    if (isLog) logarithms(&log, 1);
    const long channels = columns;
    long c = 0;
    if (isLog) {
#define BODY(T) STORE(T, to + c, (LOAD(T, from + c) - SPLAT(T, row.largest)) - SPLAT(T, log));
      CHANNELS(BODY)
#undef BODY
    } else {
#define BODY(T) STORE(T, to + c, LOAD(T, to + c) * SPLAT(T, inverse));
      CHANNELS(BODY)
#undef BODY
    }
  }
}

/* Per lane: Σ dy·p over n vectors, or Σ dy. */
INLINE Vector cotangentSum(const float *dy, const float *y, long n, int isLog) {
  Vector sum = splat(0);
  for (long i = 0; i < n; i++) {
    Vector g = load(dy + i * KEEL_WIDTH);
    sum += isLog ? g : g * load(y + i * KEEL_WIDTH);
  }
  return sum;
}

INLINE Vector softmaxSlope(Vector g, Vector y, Vector sum, int isLog) {
  return isLog ? g - exponential(y) * sum : y * (g - sum);
}

static void softmaxGradient(float *dx, const float *dy, const float *y, long rows, long columns,
                            int isLog) {
  if (columns <= FEW) {
    float g[FEW * KEEL_WIDTH], v[FEW * KEEL_WIDTH];
    GROUPS({
      turnIn(g, dy + r * columns, n, columns);
      turnIn(v, y + r * columns, n, columns);
      Vector sum = cotangentSum(g, v, columns, isLog);
      for (long i = 0; i < columns * KEEL_WIDTH; i += KEEL_WIDTH)
        store(g + i, softmaxSlope(load(g + i), load(v + i), sum, isLog));
      turnOut(dx + r * columns, g, n, columns);
    })
    return;
  }
  const long whole = columns / KEEL_WIDTH, rest = columns % KEEL_WIDTH, end = whole * KEEL_WIDTH;
  for (long r = 0; r < rows; r++) {
    const float *g = dy + r * columns, *v = y + r * columns;
    float *to = dx + r * columns;
    double total = 0;
    for (long i = 0; i < whole; i += SUM_STEPS) {
      long n = whole - i < SUM_STEPS ? whole - i : SUM_STEPS;
      total += acrossSum(cotangentSum(g + i * KEEL_WIDTH, v + i * KEEL_WIDTH, n, isLog));
    }
    Vector lastG = loadPart(g + end, rest), lastV = loadPart(v + end, rest);
    total += acrossSum(isLog ? lastG : lastG * lastV);
    Vector sum = splat((float)total);
    for (long i = 0; i < end; i += KEEL_WIDTH)
      store(to + i, softmaxSlope(load(g + i), load(v + i), sum, isLog));
    storePart(to + end, softmaxSlope(lastG, lastV, sum, isLog), rest);
  }
}

static void scaledSoftmax(float *y, const float *x, const float *largest, const float *logSum,
                          const float *scale, long rows, long columns) {
  if (columns <= FEW) {
    float block[FEW * KEEL_WIDTH];
    GROUPS({
      turnIn(block, x + r * columns, n, columns);
      Vector m = loadPart(largest + r, n), l = loadPart(logSum + r, n), s = loadPart(scale + r, n);
      for (long i = 0; i < columns * KEEL_WIDTH; i += KEEL_WIDTH)
        store(block + i, s * exponential((load(block + i) - m) - l));
      turnOut(y + r * columns, block, n, columns);
    })
    return;
  }
  const long rest = columns % KEEL_WIDTH, end = columns - rest;
  for (long r = 0; r < rows; r++) {
    const float *from = x + r * columns;
    float *to = y + r * columns;
    Vector m = splat(largest[r]), l = splat(logSum[r]), s = splat(scale[r]);
    for (long c = 0; c < end; c += KEEL_WIDTH)
      store(to + c, s * exponential((load(from + c) - m) - l));
    storePart(to + end, s * exponential((loadPart(from + end, rest) - m) - l), rest);
  }
}

/* −p·log p from d = log p. */
INLINE Vector surprise(Vector d) {
  Vector p = exponential(d);
  return p == splat(0) ? splat(0) : -p * d;
}

/* p·(log p + H). */
INLINE Vector surpriseSlope(Vector d, Vector entropy) {
  Vector p = exponential(d);
  return p == splat(0) ? splat(0) : p * (d + entropy);
}

static void entropy(float *y, const float *x, const float *largest, const float *logSum, long rows,
                    long columns) {
  if (columns <= FEW) {
    float block[FEW * KEEL_WIDTH];
    GROUPS({
      turnIn(block, x + r * columns, n, columns);
      Vector m = loadPart(largest + r, n), l = loadPart(logSum + r, n), sum = splat(0);
      for (long c = 0; c < columns; c++) sum += surprise((load(block + c * KEEL_WIDTH) - m) - l);
      storePart(y + r, sum, n);
    })
    return;
  }
  const long rest = columns % KEEL_WIDTH, end = columns - rest, step = SUM_STEPS * KEEL_WIDTH;
  for (long r = 0; r < rows; r++) {
    const float *from = x + r * columns;
    Vector m = splat(largest[r]), l = splat(logSum[r]);
    double total = 0;
    for (long first = 0; first < end; first += step) {
      long last = first + step < end ? first + step : end;
      Vector sum = splat(0);
      for (long c = first; c < last; c += KEEL_WIDTH) sum += surprise((load(from + c) - m) - l);
      total += acrossSum(sum);
    }
    if (rest) {
      Vector d = loadFilled(from + end, rest, from[end]);
      total += partSum(surprise((d - m) - l), rest);
    }
    y[r] = (float)total;
  }
}

static void entropyGradient(float *dx, const float *x, const float *largest, const float *logSum,
                            const float *entropy, const float *scale, long rows, long columns) {
  if (columns <= FEW) {
    float block[FEW * KEEL_WIDTH];
    GROUPS({
      turnIn(block, x + r * columns, n, columns);
      Vector m = loadPart(largest + r, n), l = loadPart(logSum + r, n);
      Vector h = loadPart(entropy + r, n), s = -loadPart(scale + r, n);
      for (long i = 0; i < columns * KEEL_WIDTH; i += KEEL_WIDTH)
        store(block + i, s * surpriseSlope((load(block + i) - m) - l, h));
      turnOut(dx + r * columns, block, n, columns);
    })
    return;
  }
  const long rest = columns % KEEL_WIDTH, end = columns - rest;
  for (long r = 0; r < rows; r++) {
    const float *from = x + r * columns;
    float *to = dx + r * columns;
    Vector m = splat(largest[r]), l = splat(logSum[r]), h = splat(entropy[r]), s = splat(-scale[r]);
    for (long c = 0; c < end; c += KEEL_WIDTH)
      store(to + c, s * surpriseSlope((load(from + c) - m) - l, h));
    storePart(to + end, s * surpriseSlope((loadPart(from + end, rest) - m) - l, h), rest);
  }
}
#undef GROUPS
