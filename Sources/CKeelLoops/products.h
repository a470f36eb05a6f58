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
enum { MOST_ROWS = 12 };

/* Unrolled before arrays of vectors become registers; otherwise the sums live in memory. */
#define EACH(i, count) _Pragma("clang loop unroll(full)") for (int i = 0; i < (count); i++)

/* What the tiles of one panel and one part of its depth share. */
typedef struct Block {
  const float *const *from; /* per run, the addresses of all rows */
  long rows;                /* addresses from one run to the next */
  long runs, offset, depth;
  const float *b;    /* runs × depth rows of V vectors, `step` floats apart */
  const float *next; /* the next block's b, to be brought into L2 meanwhile */
  long step;
  long ahead;        /* floats that `next` moves for each of the depth, 0 for a tile that need not */
  long column, columns; /* of the result: the first, and how many there are */
  int add;           /* whether the result holds the sum of earlier blocks */
} Block;

/* The end of a row that is no whole vector: out of line, because every tile has many. */
static __attribute__((noinline)) void storeEnd(float *to, const float *part, long channels, int add) {
  long c = 0;
#define BODY(T) STORE(T, to + c, add ? LOAD(T, to + c) + LOAD(T, part + c) : LOAD(T, part + c));
  CHANNELS(BODY)
#undef BODY
}

/* Stores R rows of V vectors, of which `columns` floats count. */
#define STORE_SUMS(R, V, row, columns, add)                                       \
  if ((columns) >= (V) * KEEL_WIDTH) {                                            \
    EACH(r, R) EACH(v, V) {                                                       \
      float *to_ = (row) + v * KEEL_WIDTH;                                        \
      store(to_, (add) ? load(to_) + s[r][v] : s[r][v]);                          \
    }                                                                             \
  } else {                                                                        \
    EACH(r, R) {                                                                  \
      float part[PANEL * KEEL_WIDTH];                                             \
      EACH(v, V) store(part + v * KEEL_WIDTH, s[r][v]);                           \
      storeEnd((row), part, (columns), (add));                                   \
    }                                                                             \
  }

INLINE void productTile(const int R, const int V, float *const *to, long row, const Block *q) {
  Vector s[MOST_ROWS][PANEL];
  EACH(r, R) EACH(v, V) s[r][v] = splat(0);
  const float *b = q->b, *next = q->next;
  const long depth = q->depth, step = q->step, ahead = q->ahead;
  if (!q->add) EACH(r, R) EACH(v, V) __builtin_prefetch(to[row + r] + q->column + v * KEEL_WIDTH, 1);
  for (long run = 0; run < q->runs; run++) {
    const float *a[MOST_ROWS];
    EACH(r, R) a[r] = q->from[run * q->rows + row + r] + q->offset;
    for (long k = 0; k < depth; k++) {
      __builtin_prefetch(next, 0, 2);
      next += ahead;
      Vector w[PANEL];
      EACH(v, V) w[v] = load(b + v * KEEL_WIDTH);
      b += step;
      EACH(r, R) {
        Vector x = splat(a[r][k]);
        EACH(v, V) s[r][v] += x * w[v];
      }
    }
  }
  STORE_SUMS(R, V, to[row + r] + q->column, q->columns, q->add)
}

/* A tile of the weight's gradient: R columns of a by V vectors of b, summed over `count` positions. */
INLINE void gradientTile(const int R, const int V, float *sum, long sumStride,
                         const float *const *a, long aOffset, const float *const *b, long bOffset,
                         long count, long columns, int add) {
  Vector s[MOST_ROWS][PANEL];
  EACH(r, R) EACH(v, V) s[r][v] = splat(0);
  for (long p = 0; p < count; p++) {
    const float *g = a[p] + aOffset, *x = b[p] + bOffset;
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

#define PRODUCT(R, V) productTile(R, V, to, row, q)
#define GRADIENT(R, V) \
  gradientTile(R, V, sum, sumStride, a, aOffset, b, bOffset, count, columns, add)
#define TILES(V, CASES)                                                                           \
  static __attribute__((noinline)) void productTiles##V(long R, float *const *to, long row,       \
                                                        const Block *q) {                         \
    switch (R) { CASES(PRODUCT, V) }                                                              \
  }                                                                                               \
  static __attribute__((noinline)) void gradientTiles##V(                                         \
      long R, float *sum, long sumStride, const float *const *a, long aOffset,                    \
      const float *const *b, long bOffset, long count, long columns, int add) {                   \
    switch (R) { CASES(GRADIENT, V) }                                                             \
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
#undef PRODUCT
#undef GRADIENT

INLINE void anyProductTile(long vectors, long R, float *const *to, long row, const Block *q) {
  switch (vectors) {
  case 1: productTiles1(R, to, row, q); break;
  case 2: productTiles2(R, to, row, q); break;
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
  case 3: productTiles3(R, to, row, q); break;
  case 4: productTiles4(R, to, row, q); break;
#endif
  }
}

/* The depth of a block: its part of a panel, 64 kB at most, stays in L2 for all rows. */
enum { BLOCK_DEPTH = 256 };

static void productBlock(long vectors, float *const *to, Block q, long nextStep) {
  /* Tiles of nearly equal size: R or R − 1 rows run at the same speed, a last one of 1 row would not. */
  long tiles = (q.rows + tileRows[vectors] - 1) / tileRows[vectors];
  long size = q.rows / tiles, larger = q.rows % tiles;
  const float *next = q.next;
  const int streams = vectors <= 2 && q.depth >= 64 && q.runs == 1 && q.column == 0 && q.rows > 1 &&
                      q.from[1] - q.from[0] == q.depth;
  for (long t = 0, row = 0; t < tiles; t++) {
    long count = size + (t < larger);
    /* The first tiles bring a vector for each of their depth: in order, or of each row that lies apart. */
    if (t >= vectors) {
      /* Rows that follow each other are a stream of their own: the next tile's are brought instead. */
      int isStream = streams && row + count < q.rows;
      q.next = isStream ? q.from[row + count] + q.offset : next;
      q.ahead = isStream ? KEEL_WIDTH : 0;
    } else if (nextStep == vectors * KEEL_WIDTH) {
      q.next = next + t * q.runs * q.depth * KEEL_WIDTH;
      q.ahead = KEEL_WIDTH;
    } else {
      q.next = next + t * KEEL_WIDTH;
      q.ahead = nextStep;
    }
    anyProductTile(vectors, count, to, row, &q);
    row += count;
  }
}

static void copyBlock(float *to, const float *from, long step, long depth, long vectors) {
  for (long k = 0; k < depth; k++, from += step)
    for (long v = 0; v < vectors; v++, to += KEEL_WIDTH) store(to, load(from + v * KEEL_WIDTH));
}

static void windowProduct(float *const *to, const float *const *from, long rows, long runs,
                          long depth, long offset, const float *b, long step, long tapStride,
                          const long *taps, float *copy, long column, long columns) {
  long vectors = (columns + KEEL_WIDTH - 1) / KEEL_WIDTH;
  Block q = {.from = from, .rows = rows, .runs = runs, .depth = depth, .column = column,
             .columns = columns, .step = step};
  if (depth > BLOCK_DEPTH || taps) {
    long parts = (depth + BLOCK_DEPTH - 1) / BLOCK_DEPTH;
    long size = (depth + parts - 1) / parts;
    q.runs = 1;
    for (long run = 0; run < runs; run++) {
      const float *own = b + (taps ? taps[run] * tapStride : run * depth * step);
      const float *following = run + 1 == runs ? own
                               : b + (taps ? taps[run + 1] * tapStride : (run + 1) * depth * step);
      for (long k = 0; k < depth; k += size) {
        int isLast = k + size >= depth;
        q.from = from + run * rows;
        q.offset = offset + k;
        q.depth = isLast ? depth - k : size;
        q.b = own + k * step;
        q.next = isLast ? following : q.b + size * step;
        if (copy) {
          copyBlock(copy, q.b, step, q.depth, vectors);
          q.b = copy;
          q.step = vectors * KEEL_WIDTH;
        }
        productBlock(vectors, to, q, step);
        q.add = 1;
      }
    }
  } else {
    long size = BLOCK_DEPTH / depth;
    q.offset = offset;
    for (long run = 0; run < runs; run += size) {
      q.from = from + run * rows;
      q.runs = run + size < runs ? size : runs - run;
      q.b = b + run * depth * step;
      q.next = q.b + q.runs * depth * step;
      productBlock(vectors, to, q, step);
      q.add = 1;
    }
  }
}

static void windowGradient(float *sum, long sumStride, const float *const *a, long aOffset,
                           const float *const *b, long bOffset, long count, long rows,
                           long columns, int add) {
  long vectors = (columns + KEEL_WIDTH - 1) / KEEL_WIDTH;
  long tiles = (rows + tileRows[vectors] - 1) / tileRows[vectors];
  long size = rows / tiles, larger = rows % tiles;
  for (long t = 0; t < tiles; t++) {
    long R = size + (t < larger);
    switch (vectors) {
#define TILE(V)                                                                               \
  case V: gradientTiles##V(R, sum, sumStride, a, aOffset, b, bOffset, count, columns, add); \
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

INLINE float total(Vector v) {
#if KEEL_WIDTH >= 16
  Half h = v.lo + v.hi;
  Quarter q = h.lo + h.hi;
#elif KEEL_WIDTH >= 8
  Half q = v.lo + v.hi;
#else
  Vector q = v;
#endif
  return (q[0] + q[2]) + (q[1] + q[3]);
}

/* Few columns: vectors run along the depth, so that none is mostly empty. */
INLINE void dotTile(const int R, const int C, float *const *to, const float *const *from,
                    long rows, long row, long runs, long depth, long offset, const float *b,
                    long column) {
  Vector s[8][4];
  EACH(r, R) EACH(c, C) s[r][c] = splat(0);
  const long all = runs * depth;
  for (long run = 0; run < runs; run++) {
    const float *a[8];
    EACH(r, R) a[r] = from[run * rows + row + r] + offset;
    for (long k = 0; k < depth; k += KEEL_WIDTH) {
      Vector w[4];
      EACH(c, C) w[c] = load(b + c * all + k);
      EACH(r, R) {
        Vector x = load(a[r] + k);
        EACH(c, C) s[r][c] += x * w[c];
      }
    }
    b += depth;
  }
  EACH(r, R) EACH(c, C) to[row + r][column + c] = total(s[r][c]);
}

static void windowDots(float *const *to, const float *const *from, long rows, long runs, long depth,
                       long offset, const float *b, long column, long columns) {
  long row = 0;
#define TILE(R, C) dotTile(R, C, to, from, rows, row, runs, depth, offset, b, column)
#define ROWS(R, C)                                 \
  for (; row + (R) <= rows; row += (R)) TILE(R, C); \
  for (; row < rows; row++) TILE(1, C);            \
  break;
  switch (columns) {
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
  case 1: ROWS(8, 1)
  case 2: ROWS(8, 2)
  case 3: ROWS(8, 3)
  case 4: ROWS(6, 4)
#else
  case 1: ROWS(8, 1)
  case 2: ROWS(4, 2)
  case 3: ROWS(3, 3)
  case 4: ROWS(2, 4)
#endif
  }
#undef ROWS
#undef TILE
}

/* One panel: to[k][v·KEEL_WIDTH...] = b[k·kStride + column·columnStride], zero beyond `columns`. */
static void packPanel(float *to, const float *b, long depth, long kStride, long columns,
                      long columnStride) {
  long width = (columns + KEEL_WIDTH - 1) / KEEL_WIDTH * KEEL_WIDTH;
  if (columnStride == 1) {
    for (long k = 0; k < depth; k++) {
      copyFloats(to, b + k * kStride, columns);
      if (columns < width) zeroFloats(to + columns, width - columns);
      to += width;
    }
    return;
  }
  enum { PART = 16 };
  for (long k0 = 0; k0 < depth; k0 += PART) {
    long k1 = k0 + PART < depth ? k0 + PART : depth;
    for (long c = 0; c < columns; c++)
      for (long k = k0; k < k1; k++) to[k * width + c] = b[c * columnStride + k * kStride];
    if (columns < width)
      for (long k = k0; k < k1; k++) zeroFloats(to + k * width + columns, width - columns);
  }
}

/* Rows one after another, `stride` floats each, zero beyond `columns`. */
static void copyRows(float *to, long stride, const float *const *from, long offset, long rows,
                     long columns) {
  for (long r = 0; r < rows; r++, to += stride) {
    copyFloats(to, from[r] + offset, columns);
    if (columns < stride) zeroFloats(to + columns, stride - columns);
  }
}
