/* Products whose operands are read where they lie, through tables of addresses: no gathered copy of the
   windows, no packing of either side of a weight gradient ("indirect convolution", Dukhan 2019). Part of
   loops.h.

   A tile is R rows of V vectors of the result, kept in registers: R·V sums, V vectors of the right operand
   and one broadcast float. R·V ≥ 10 hides the latency of a multiply-add at two of them a cycle. */

#if KEEL_WIDTH >= 16 || defined(__aarch64__)
enum { PANEL = 4 };
static const int tileRows[PANEL + 1] = {0, 12, 12, 8, 6}; /* of 32 registers */
#else
enum { PANEL = 2 };
static const int tileRows[PANEL + 1] = {0, 12, 6}; /* of 16 registers */
#endif
enum { MOST_ROWS = 12, LINE = 16 };

/* Unrolled before arrays of vectors become registers; otherwise the sums live in memory. */
#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)

/* What the tiles of one panel and one part of its depth share. The rows of the operand and of the result
   are given by tables, or lie `xStep` and `yStep` floats apart. */
typedef struct Block {
  float *const *to;
  const float *const *from; /* per run, the addresses of all rows */
  long rows;                /* of the block, and addresses from one run to the next */
  long runs, offset, depth;
  const float *x;
  float *y;
  long xStep, yStep;
  const float *b;    /* runs × depth rows of V vectors, one after another */
  const float *next; /* what the next blocks or tiles read, to be brought nearer meanwhile */
  long ahead;        /* floats that `next` moves for every V of the depth; 0: nothing is to be brought */
  long column, columns; /* of the result: the first, and how many there are */
  int add;           /* whether the result holds the sum of earlier blocks */
  KeelEpilogue last; /* what follows the last block; nothing after the others */
} Block;

/* The ends of rows that are no whole vectors: out of line, because every tile has some. */
static __attribute__((noinline)) void storeEnds(float *const *rows, long count, long first,
                                                const float *ends, long channels, int add) {
  for (long r = 0; r < count; r++, ends += KEEL_WIDTH) {
    float *to = rows[r] + first;
#if KEEL_MASKS
    const Vector v = load(ends);
    storeFirst(to, add ? loadFirst(to, channels) + v : v, channels);
#else
    long c = 0;
#define BODY(T) STORE(T, to + c, add ? LOAD(T, to + c) + LOAD(T, ends + c) : LOAD(T, ends + c));
    CHANNELS(BODY)
#undef BODY
#endif
  }
}

/* Stores R rows of V vectors, of which `columns` floats count. The addresses are known before the first
   store, which could change them for all that the compiler sees. */
#define STORE_SUMS(R, V, row, columns, add)                                                       \
  {                                                                                               \
    float *to_[MOST_ROWS];                                                                        \
    EACH(r, R) to_[r] = (row);                                                                    \
    const long rest_ = (columns) - ((V) - 1) * KEEL_WIDTH;                                        \
    const int add_ = (add), whole_ = rest_ < KEEL_WIDTH ? (V) - 1 : (V);                          \
    EACH(v, V) if (v < whole_) {                                                                  \
      if (add_) EACH(r, R) s[r][v] += load(to_[r] + v * KEEL_WIDTH);                              \
      EACH(r, R) store(to_[r] + v * KEEL_WIDTH, s[r][v]);                                         \
    }                                                                                             \
    if (whole_ < (V)) {                                                                           \
      float ends[MOST_ROWS * KEEL_WIDTH];                                                         \
      EACH(r, R) store(ends + r * KEEL_WIDTH, s[r][(V) - 1]);                                     \
      storeEnds(to_, R, ((V) - 1) * KEEL_WIDTH, ends, rest_, add_);                               \
    }                                                                                             \
  }

/* The ends of a block's rows, with its epilogue. */
static __attribute__((noinline)) void finishEnds(float *const *rows, long count, long first,
                                                 const float *ends, long channels, const Block *q) {
  const KeelEpilogue last = q->last;
  const float *bias = last.bias ? last.bias + first : 0;
#if KEEL_MASKS
  const Vector shift = bias ? loadFirst(bias, channels) : splat(0);
#endif
  for (long r = 0; r < count; r++, ends += KEEL_WIDTH) {
    float *to = rows[r] + first;
#if KEEL_MASKS
    Vector v = load(ends);
    if (q->add) v += loadFirst(to, channels);
    if (bias) v += shift;
    if (last.adds) v += loadFirst(to + last.residual, channels);
    CUT(Vector, v, last.cut)
    storeFirst(to, v, channels);
#else
    long c = 0;
#define BODY(T)                                           \
  T v = LOAD(T, ends + c);                                \
  if (q->add) v += LOAD(T, to + c);                       \
  if (bias) v += LOAD(T, bias + c);                       \
  if (last.adds) v += LOAD(T, to + last.residual + c);    \
  CUT(T, v, last.cut)                                     \
  STORE(T, to + c, v);
    CHANNELS(BODY)
#undef BODY
#endif
  }
}

/* Stores a block's sums like STORE_SUMS, with its epilogue. */
#define FINISH_SUMS(R, V, row, q)                                                                 \
  {                                                                                               \
    float *to_[MOST_ROWS];                                                                        \
    EACH(r, R) to_[r] = (row);                                                                    \
    const KeelEpilogue last_ = (q)->last;                                                         \
    const long rest_ = (q)->columns - ((V) - 1) * KEEL_WIDTH;                                     \
    const int add_ = (q)->add, whole_ = rest_ < KEEL_WIDTH ? (V) - 1 : (V);                       \
    EACH(v, V) if (v < whole_) {                                                                  \
      if (add_) EACH(r, R) s[r][v] += load(to_[r] + v * KEEL_WIDTH);                              \
      if (last_.bias) {                                                                           \
        const Vector t_ = load(last_.bias + v * KEEL_WIDTH);                                      \
        EACH(r, R) s[r][v] += t_;                                                                 \
      }                                                                                           \
      if (last_.adds) EACH(r, R) s[r][v] += load(to_[r] + last_.residual + v * KEEL_WIDTH);       \
      EACH(r, R) CUT(Vector, s[r][v], last_.cut)                                                  \
      EACH(r, R) store(to_[r] + v * KEEL_WIDTH, s[r][v]);                                         \
    }                                                                                             \
    if (whole_ < (V)) {                                                                           \
      float ends[MOST_ROWS * KEEL_WIDTH];                                                         \
      EACH(r, R) store(ends + r * KEEL_WIDTH, s[r][(V) - 1]);                                     \
      finishEnds(to_, R, ((V) - 1) * KEEL_WIDTH, ends, rest_, q);                                 \
    }                                                                                             \
  }

/* One step of the depth: s[r, ...] += a[r][k]·b[...]. */
INLINE void addOuter(const int R, const int V, Vector s[MOST_ROWS][PANEL], const float *const *a,
                     long k, const float *b) {
  Vector w[PANEL];
  EACH(v, V) w[v] = load(b + v * KEEL_WIDTH);
  EACH(r, R) {
    Vector x = splat(a[r][k]);
    EACH(v, V) s[r][v] += x * w[v];
  }
}

/* Windows' rows; for every V of the depth, V lines of the next block's b are brought into L2. */
INLINE void windowTile(const int R, const int V, long row, const Block *q) {
  Vector s[MOST_ROWS][PANEL];
  EACH(r, R) EACH(v, V) s[r][v] = splat(0);
  const float *b = q->b, *next = q->next;
  const long depth = q->depth, ahead = q->ahead;
  for (long run = 0; run < q->runs; run++) {
    const float *a[MOST_ROWS];
    EACH(r, R) a[r] = q->from[run * q->rows + row + r] + q->offset;
    long k = 0;
    for (; k + V <= depth; k += V) {
      EACH(u, V) {
        __builtin_prefetch(next + u * KEEL_WIDTH, 0, 2);
        addOuter(R, V, s, a, k + u, b);
        b += V * KEEL_WIDTH;
      }
      next += ahead;
    }
    for (; k < depth; k++, b += V * KEEL_WIDTH) addOuter(R, V, s, a, k, b);
  }
  FINISH_SUMS(R, V, q->to[row + r] + q->column, q)
}

/* Pixels' rows; a line of `next` is brought into L1 for each of the depth, and the result's lines where so
   few multiplications cannot hide their absence. */
INLINE void pixelTile(const int R, const int V, long row, const Block *q) {
  Vector s[MOST_ROWS][PANEL];
  EACH(r, R) EACH(v, V) s[r][v] = splat(0);
  const float *b = q->b, *next = q->next, *a[MOST_ROWS];
  EACH(r, R) a[r] = q->x + (row + r) * q->xStep;
  const long depth = q->depth;
  if (depth <= 16 && !q->add)
    EACH(r, R) EACH(v, V) __builtin_prefetch(q->y + (row + r) * q->yStep + v * KEEL_WIDTH, 1);
  for (long k = 0; k < depth; k++, b += V * KEEL_WIDTH, next += KEEL_WIDTH) {
    __builtin_prefetch(next, 0, 3);
    addOuter(R, V, s, a, k, b);
  }
  FINISH_SUMS(R, V, q->y + (row + r) * q->yStep, q)
}

/* The last columns, where they are no whole vector. */
static __attribute__((noinline)) void mapEnds(const KeelBlockMap *q, long row, long rows, long first,
                                              long columns, const float *ends) {
  for (long r = row; r < row + rows; r++, ends += KEEL_WIDTH) {
    const long at = r * q->yStep + first;
    for (long c = 0; c < columns - first; c++) {
      float sum = ends[c];
      if (q->shift) sum += q->shift[first + c];
      if (q->residual) sum += q->residual[at + c];
      q->y[at + c] = sum;
    }
  }
}

/* The products of R rows with one operand, while lines are brought into L2, as evenly as the depth allows. */
INLINE void addMapped(const int R, const int V, Vector s[MOST_ROWS][PANEL], const float *x, long step,
                      long depth, const float *b, const float *near, long lines) {
  const float *a[MOST_ROWS];
  EACH(r, R) a[r] = x + r * step;
  long k = 0;
  if (lines) {
    const long stops = lines < depth ? lines : depth, each = (lines + stops - 1) / stops;
    const long steps = stops < depth ? depth / stops : 1;
    for (long i = 0; i < stops; i++) {
      for (long j = 0; j < each; j++, near += LINE) __builtin_prefetch(near, 0, 2);
      for (const long end = k + steps; k < end; k++, b += V * KEEL_WIDTH) addOuter(R, V, s, a, k, b);
    }
  }
  for (; k < depth; k++, b += V * KEEL_WIDTH) addOuter(R, V, s, a, k, b);
}

INLINE void mapTile(const int R, const int V, long row, const KeelBlockMap *q, long columns) {
  Vector s[MOST_ROWS][PANEL];
  EACH(r, R) EACH(v, V) s[r][v] = splat(0);
  const long depth = q->depth;
  addMapped(R, V, s, q->x + row * q->xStep, q->xStep, depth, q->b, q->near, q->lines);
  if (q->more)
    addMapped(R, V, s, q->more + row * q->yStep, q->yStep, depth, q->b + depth * V * KEEL_WIDTH,
              q->nearMore, q->lines);
  const long step = q->yStep, rest = columns - (V - 1) * KEEL_WIDTH;
  const int whole = rest < KEEL_WIDTH ? V - 1 : V, streams = q->streams;
  const float *shift = q->shift, *residual = q->residual ? q->residual + row * step : 0;
  float *y = q->y + row * step;
  EACH(v, V) if (v < whole) {
    if (shift) {
      const Vector t = load(shift + v * KEEL_WIDTH);
      EACH(r, R) s[r][v] += t;
    }
    if (residual) EACH(r, R) s[r][v] += load(residual + r * step + v * KEEL_WIDTH);
    if (streams) EACH(r, R) __builtin_nontemporal_store(s[r][v], (Vector *)(y + r * step + v * KEEL_WIDTH));
    else EACH(r, R) store(y + r * step + v * KEEL_WIDTH, s[r][v]);
  }
  if (whole < V) {
    float ends[MOST_ROWS * KEEL_WIDTH];
    EACH(r, R) store(ends + r * KEEL_WIDTH, s[r][V - 1]);
    mapEnds(q, row, R, (V - 1) * KEEL_WIDTH, columns, ends);
  }
}

/* A tile of the weight's gradient: R columns of a by V vectors of b, summed over `count` positions. Where
   `brings` is set, a line is brought into L2 for each of them: `ahead` floats from what `near` says. */
INLINE void gradientTile(const int R, const int V, const int brings, float *sum, long sumStride,
                         const float *const *a, long aOffset, const float *const *b, long bOffset,
                         const float *const *near, long ahead, long count, long columns, int add) {
  Vector s[MOST_ROWS][PANEL];
  EACH(r, R) EACH(v, V) s[r][v] = splat(0);
  for (long p = 0; p < count; p++) {
    const float *g = a[p] + aOffset, *x = b[p] + bOffset;
    if (brings) __builtin_prefetch(near[p] + ahead, 0, 2);
    Vector w[PANEL];
    EACH(v, V) w[v] = load(x + v * KEEL_WIDTH);
    EACH(r, R) {
      Vector y = splat(g[r]);
      EACH(v, V) s[r][v] += y * w[v];
    }
  }
  STORE_SUMS(R, V, sum + r * sumStride, columns, add)
}

/* One function for each number of vectors, with a tile for each number of rows. */
#define CASE(BODY, R, V) \
  case R: BODY(R, V); break;
#define CASES6(BODY, V) \
  CASE(BODY, 1, V) CASE(BODY, 2, V) CASE(BODY, 3, V) CASE(BODY, 4, V) CASE(BODY, 5, V) CASE(BODY, 6, V)
#define CASES8(BODY, V) CASES6(BODY, V) CASE(BODY, 7, V) CASE(BODY, 8, V)
#define CASES12(BODY, V) \
  CASES8(BODY, V) CASE(BODY, 9, V) CASE(BODY, 10, V) CASE(BODY, 11, V) CASE(BODY, 12, V)

#define WINDOWS(R, V) windowTile(R, V, row, q)
#define PIXELS(R, V) pixelTile(R, V, row, q)
#define MAPPED(R, V) mapTile(R, V, row, q, columns)
#define GRADIENT(R, V) \
  gradientTile(R, V, 0, sum, sumStride, a, aOffset, b, bOffset, 0, 0, count, columns, add)
#define BRINGING(R, V) \
  gradientTile(R, V, 1, sum, sumStride, a, aOffset, b, bOffset, near, ahead, count, columns, add)
#define TILES(V, CASES)                                                                           \
  static __attribute__((noinline)) void windowTiles##V(long R, long row, const Block *q) {        \
    switch (R) { CASES(WINDOWS, V) }                                                              \
  }                                                                                               \
  static __attribute__((noinline)) void pixelTiles##V(long R, long row, const Block *q) {         \
    switch (R) { CASES(PIXELS, V) }                                                               \
  }                                                                                               \
  static __attribute__((noinline)) void mapTiles##V(long R, long row, const KeelBlockMap *q,           \
                                                         long columns) {                          \
    switch (R) { CASES(MAPPED, V) }                                                               \
  }                                                                                               \
  static __attribute__((noinline)) void gradientTiles##V(                                         \
      long R, float *sum, long sumStride, const float *const *a, long aOffset,                    \
      const float *const *b, long bOffset, const float *const *near, long ahead, long count,      \
      long columns, int add) {                                                                    \
    if (near) switch (R) { CASES(BRINGING, V) }                                                   \
    else switch (R) { CASES(GRADIENT, V) }                                                        \
  }
TILES(1, CASES12)
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
TILES(2, CASES12)
TILES(3, CASES8)
TILES(4, CASES6)
#else
TILES(2, CASES6)
#endif
#undef TILES
#undef WINDOWS
#undef PIXELS
#undef MAPPED
#undef GRADIENT
#undef BRINGING

typedef void (*TilesOf)(long R, long row, const Block *q);
static const TilesOf windowTiles[PANEL + 1] = {
    [1] = windowTiles1, [2] = windowTiles2,
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
    [3] = windowTiles3, [4] = windowTiles4,
#endif
};
static const TilesOf pixelTiles[PANEL + 1] = {
    [1] = pixelTiles1, [2] = pixelTiles2,
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
    [3] = pixelTiles3, [4] = pixelTiles4,
#endif
};

/* The depth of a block: its part of a panel, 96 kB at most, stays in L2 for all rows. */
enum { BLOCK_DEPTH = 384 };
/* The depth of a block of a weight that is used where it lies: few enough pages, and in L1. */
enum { STREAMED_DEPTH = 64 };

/* All tiles of a block. The first V of them bring the next block of the weight, where there is one, whose
   rows lie `nextStep` floats apart; the others bring the next tile's pixels, where those lie one after
   another. */
static void productBlock(long vectors, Block q, long nextStep) {
  /* Tiles of nearly equal size: R or R − 1 rows run at the same speed, a last one of 1 row would not. */
  long tiles = (q.rows + tileRows[vectors] - 1) / tileRows[vectors];
  long size = q.rows / tiles, larger = q.rows % tiles;
  const float *next = q.next;
  const long part = q.runs * q.depth / vectors;
  const TilesOf tilesOf = q.x ? pixelTiles[vectors] : windowTiles[vectors];
  for (long t = 0, row = 0; t < tiles; t++) {
    long count = size + (t < larger);
    const int bringsWeight = next && t < vectors;
    q.ahead = bringsWeight ? nextStep : 0;
    if (bringsWeight) q.next = next + t * part * nextStep;
    else if (q.x && q.xStep == q.depth && row + count < q.rows) q.next = q.x + (row + count) * q.xStep;
    else q.next = q.b;
    tilesOf(count, row, &q);
    row += count;
  }
}

static void windowProduct(float *const *to, const float *const *from, long rows, long runs,
                          long depth, long offset, const float *b, long column, long columns,
                          const KeelEpilogue *epilogue) {
  const long vectors = (columns + KEEL_WIDTH - 1) / KEEL_WIDTH, width = vectors * KEEL_WIDTH;
  Block q = {.to = to, .rows = rows, .b = b, .column = column, .columns = columns};
  /* Parts of a run, or some runs. */
  const long parts = (depth + BLOCK_DEPTH - 1) / BLOCK_DEPTH;
  const long most = (depth + parts - 1) / parts, some = parts > 1 ? 1 : BLOCK_DEPTH / depth;
  for (long run = 0; run < runs; run += some) {
    q.from = from + run * rows;
    q.runs = run + some < runs ? some : runs - run;
    for (long k = 0; k < depth; k += most) {
      q.offset = offset + k;
      q.depth = k + most < depth ? most : depth - k;
      q.next = q.b + q.runs * q.depth * width;
      if (epilogue && run + q.runs >= runs && k + q.depth >= depth) q.last = *epilogue;
      productBlock(vectors, q, width);
      q.b = q.next;
      q.add = 1;
    }
  }
}

static void pixelProduct(float *y, long yStep, const float *x, long xStep, long rows, long depth,
                         const float *b, long columns, const KeelEpilogue *epilogue) {
  const long vectors = (columns + KEEL_WIDTH - 1) / KEEL_WIDTH, width = vectors * KEEL_WIDTH;
  Block q = {.y = y, .yStep = yStep, .xStep = xStep, .rows = rows, .runs = 1, .b = b,
             .columns = columns};
  const long parts = (depth + BLOCK_DEPTH - 1) / BLOCK_DEPTH, most = (depth + parts - 1) / parts;
  for (long k = 0; k < depth; k += most) {
    q.x = x + k;
    q.depth = k + most < depth ? most : depth - k;
    q.next = parts > 1 ? q.b + q.depth * width : 0;
    if (epilogue && k + q.depth >= depth) q.last = *epilogue;
    productBlock(vectors, q, width);
    q.b += q.depth * width;
    q.add = 1;
  }
}

static void mapRows(const KeelBlockMap *map, long rows, long columns) {
  static void (*const tilesOf[PANEL + 1])(long, long, const KeelBlockMap *, long) = {
      [1] = mapTiles1, [2] = mapTiles2,
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
      [3] = mapTiles3, [4] = mapTiles4,
#endif
  };
  const long vectors = (columns + KEEL_WIDTH - 1) / KEEL_WIDTH;
  KeelBlockMap q = *map;
  /* Past the caches go whole lines only: others would wait for their rest. */
  q.streams = q.streams && columns % LINE == 0 && q.yStep % LINE == 0 &&
              (__UINTPTR_TYPE__)q.y % (LINE * sizeof(float)) == 0;
  const long most = tileRows[vectors];
  if (rows <= most) return tilesOf[vectors](rows, 0, &q, columns);
  const long tiles = (rows + most - 1) / most;
  long left = map->lines;
  for (long t = 0, row = 0; t < tiles; t++) {
    const long count = rows / tiles + (t < rows % tiles);
    q.lines = left / (tiles - t);
    tilesOf[vectors](count, row, &q, columns);
    left -= q.lines;
    q.near += q.lines * LINE;
    if (q.nearMore) q.nearMore += q.lines * LINE;
    row += count;
  }
}

/* Rows that lie far apart fall into few sets of the cache: they are brought together. */
static void copyBlock(float *to, const float *from, long step, long depth, long vectors) {
  for (long k = 0; k < depth; k++, from += step)
    for (long v = 0; v < vectors; v++, to += KEEL_WIDTH) store(to, load(from + v * KEEL_WIDTH));
}

static void streamedProduct(float *const *to, const float *const *from, long rows, long runs,
                            long depth, long offset, const float *b, long step, long tapStride,
                            const long *taps, float *copy, long column, long columns) {
  const long all = columns / KEEL_WIDTH;
  const long panels = (all + PANEL - 1) / PANEL;
  Block q = {.to = to, .rows = rows, .runs = 1, .b = copy};
  for (long k = 0; k < depth; k += STREAMED_DEPTH) {
    q.offset = offset + k;
    q.depth = k + STREAMED_DEPTH < depth ? STREAMED_DEPTH : depth - k;
    for (long run = 0; run < runs; run++) {
      const float *own = b + taps[run] * tapStride + k * step;
      const int isLast = run + 1 == runs;
      const long after = isLast ? k + q.depth : k;
      const float *following =
          b + taps[isLast ? 0 : run + 1] * tapStride + (after < depth ? after : 0) * step;
      q.from = from + run * rows;
      long first = 0;
      for (long p = 0; p < panels; p++) {
        const long vectors = all / panels + (p < all % panels);
        copyBlock(copy, own + first, step, q.depth, vectors);
        q.column = column + first;
        q.columns = vectors * KEEL_WIDTH;
        first += q.columns;
        q.next = p + 1 < panels ? own + first : following;
        productBlock(vectors, q, step);
      }
      q.add = 1;
    }
  }
}

static void windowGradient(float *sum, long sumStride, const float *const *a, long aOffset,
                           const float *const *b, long bOffset, long count, long rows,
                           long columns, int add, long aAhead, long bAhead) {
  long vectors = (columns + KEEL_WIDTH - 1) / KEEL_WIDTH;
  long tiles = (rows + tileRows[vectors] - 1) / tileRows[vectors];
  long size = rows / tiles, larger = rows % tiles;
  /* The first tiles bring a line each of the rows that follow: of b, then of a. */
  const long aFirst = aOffset, bLines = bAhead == 0 ? 0 : (columns + LINE - 1) / LINE;
  const long aLines = aAhead == 0 ? 0 : (rows + LINE - 1) / LINE;
  for (long t = 0; t < tiles; t++) {
    long R = size + (t < larger);
    const float *const *near = 0;
    long ahead = 0;
    if (t < bLines) {
      near = b;
      ahead = bOffset + bAhead + t * LINE;
    } else if (t < bLines + aLines) {
      near = a;
      ahead = aFirst + aAhead + (t - bLines) * LINE;
    }
    switch (vectors) {
#define TILE(V)                                                                                   \
  case V:                                                                                         \
    gradientTiles##V(R, sum, sumStride, a, aOffset, b, bOffset, near, ahead, count, columns, add); \
    break;
    TILE(1)
    TILE(2)
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
    TILE(3)
    TILE(4)
#endif
#undef TILE
    }
    sum += R * sumStride;
    aOffset += R;
  }
}
