/* Winograd's minimal filtering F(m×m, 3×3) (Winograd 1980; Lavin and Gray 2016, arXiv 1509.09308): a tile of
   (m + 2)² source pixels becomes as many components, Bᵀ·d·B, each of which is one product of matrices away from
   the components of m² pixels of the result, Aᵀ·s·A. Part of loops.h.

   The points of F(2×2) are 0, ±1 and ∞; those of F(4×4) 0, ±1/√2, ±√2 and ∞, which round half as much as
   0, ±1, ±2 and ∞ do with the same number of operations. */

#define ROOT_2 1.41421356237309504880f
#define ROOT_HALF 0.70710678118654752440f

/* winogradIn: d[i·step] for i < m + 2 becomes Bᵀ·d. winogradOut: the first m of them become Aᵀ·d. */
#define WINOGRAD_POINTS(T)                                                                         \
  INLINE void winogradIn2##T(T *d, const int step) {                                               \
    T d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step];                                 \
    d[0] = d0 - d2;                                                                                \
    d[step] = d1 + d2;                                                                             \
    d[2 * step] = d2 - d1;                                                                         \
    d[3 * step] = d3 - d1;                                                                         \
  }                                                                                                \
  INLINE void winogradOut2##T(T *d, const int step) {                                              \
    T d1 = d[step], d2 = d[2 * step];                                                              \
    d[0] = d[0] + (d1 + d2);                                                                       \
    d[step] = (d1 - d2) + d[3 * step];                                                             \
  }                                                                                                \
  INLINE void winogradIn4##T(T *d, const int step) {                                               \
    T d0 = d[0], d1 = d[step], d2 = d[2 * step], d3 = d[3 * step], d4 = d[4 * step],               \
      d5 = d[5 * step];                                                                            \
    T even = d4 - SPLAT(T, 2) * d2, odd = d3 - SPLAT(T, 2) * d1;                                   \
    T evenFar = d4 - SPLAT(T, 0.5f) * d2, oddFar = d3 - SPLAT(T, 0.5f) * d1;                       \
    d[0] = (d0 + d4) - SPLAT(T, 2.5f) * d2;                                                        \
    d[step] = even + SPLAT(T, ROOT_HALF) * odd;                                                    \
    d[2 * step] = even - SPLAT(T, ROOT_HALF) * odd;                                                \
    d[3 * step] = evenFar + SPLAT(T, ROOT_2) * oddFar;                                             \
    d[4 * step] = evenFar - SPLAT(T, ROOT_2) * oddFar;                                             \
    d[5 * step] = (d1 + d5) - SPLAT(T, 2.5f) * d3;                                                 \
  }                                                                                                \
  INLINE void winogradOut4##T(T *d, const int step) {                                              \
    T sum = d[step] + d[2 * step], gap = d[step] - d[2 * step];                                    \
    T sumFar = d[3 * step] + d[4 * step], gapFar = d[3 * step] - d[4 * step];                      \
    d[0] = d[0] + (sum + sumFar);                                                                  \
    d[step] = SPLAT(T, ROOT_HALF) * gap + SPLAT(T, ROOT_2) * gapFar;                               \
    d[2 * step] = SPLAT(T, 0.5f) * sum + SPLAT(T, 2) * sumFar;                                     \
    d[3 * step] = d[5 * step] +                                                                    \
                  (SPLAT(T, 0.5f * ROOT_HALF) * gap + SPLAT(T, 2 * ROOT_2) * gapFar);              \
  }
WINOGRAD_POINTS(Vector)
#if KEEL_WIDTH >= 8
WINOGRAD_POINTS(Half)
#endif
#if KEEL_WIDTH >= 16
WINOGRAD_POINTS(Quarter)
#endif
WINOGRAD_POINTS(Single)
#undef WINOGRAD_POINTS

#define COMPONENTS(M) (((M) + 2) * ((M) + 2))

/* The components of one tile's channels from c on. */
#define INPUT_TILE(M, T)                                                                           \
  {                                                                                                \
    T d[COMPONENTS(M)];                                                                            \
    EACH(j, M + 2) {                                                                               \
      EACH(i, M + 2) d[i * (M + 2) + j] = LOAD(T, pixel[i * (M + 2) + j] + c);                     \
      winogradIn##M##T(d + j, M + 2);                                                              \
    }                                                                                              \
    EACH(i, M + 2) {                                                                               \
      winogradIn##M##T(d + (M + 2) * i, 1);                                                        \
      EACH(j, M + 2) STORE(T, to + (i * (M + 2) + j) * step + c, d[i * (M + 2) + j]);              \
    }                                                                                              \
  }
#define INPUT_TILE2(T) INPUT_TILE(2, T)
#define INPUT_TILE4(T) INPUT_TILE(4, T)
#define INPUT_TILES(M)                                                                             \
  static void winogradInput##M(float *to, long step, long row, const float *const *from,           \
                               long stride, long offset, long tiles, long channels) {              \
    for (long t = 0; t < tiles; t++, to += row) {                                                  \
      const float *pixel[COMPONENTS(M)];                                                           \
      EACH(e, COMPONENTS(M)) pixel[e] = from[e * stride + t] + offset;                             \
      long c = 0;                                                                                  \
      CHANNELS(INPUT_TILE##M)                                                                      \
    }                                                                                              \
  }
INPUT_TILES(2)
INPUT_TILES(4)

static void winogradInput(long size, float *to, long step, long row, const float *const *from,
                          long stride, long offset, long tiles, long channels) {
  if (size == 2) winogradInput2(to, step, row, from, stride, offset, tiles, channels);
  else winogradInput4(to, step, row, from, stride, offset, tiles, channels);
}

/* The largest of four numbers, NaN where one of them is: as pooling has it. */
#define LARGEST(T, a, b, c, d)                                                                     \
  ({                                                                                               \
    T m_ = a;                                                                                      \
    m_ = b > m_ ? b : m_;                                                                          \
    m_ = c > m_ ? c : m_;                                                                          \
    m_ = d > m_ ? d : m_;                                                                          \
    ((a != a) | (b != b) | (c != c) | (d != d)) ? SPLAT(T, __builtin_nanf("")) : m_;               \
  })

/* The pixels of one tile's channels from c on; those beyond the result's edge are not stored. */
#define OUTPUT_TILE(M, POOLS, T)                                                                   \
  {                                                                                                \
    T d[COMPONENTS(M)];                                                                            \
    EACH(j, M + 2) {                                                                               \
      EACH(i, M + 2) d[i * (M + 2) + j] = LOAD(T, from + (i * (M + 2) + j) * w.step + c);         \
      winogradOut##M##T(d + j, M + 2);                                                             \
    }                                                                                              \
    const T bias = w.bias ? LOAD(T, w.bias + c) : SPLAT(T, 0);                                     \
    EACH(i, M) if (i < rows) {                                                                     \
      T *const row = d + (M + 2) * i;                                                              \
      winogradOut##M##T(row, 1);                                                                   \
      EACH(j, M) if (j < columns) {                                                                \
        T s = row[j] + bias;                                                                       \
        if (residual) s += LOAD(T, residual + i * w.residualRow + j * w.residualStep + c);         \
        CUT(T, s, w.cut)                                                                           \
        if (!POOLS || y) STORE(T, y + i * w.yRow + j * w.yStep + c, s);                            \
        row[j] = s;                                                                                \
      }                                                                                            \
      if (POOLS && i % 2) EACH(j, M / 2) if (2 * j + 1 < columns) {                                \
        const T *const above = row - (M + 2);                                                      \
        STORE(T, pooled + i / 2 * w.pooledRow + j * w.pooledStep + c,                              \
              LARGEST(T, above[2 * j], above[2 * j + 1], row[2 * j], row[2 * j + 1]));             \
      }                                                                                            \
    }                                                                                              \
  }
#define OUTPUT_TILE2(T) OUTPUT_TILE(2, 0, T)
#define OUTPUT_TILE4(T) OUTPUT_TILE(4, 0, T)
#define POOLED_TILE2(T) OUTPUT_TILE(2, 1, T)
#define POOLED_TILE4(T) OUTPUT_TILE(4, 1, T)
#define OUTPUT_TILES(NAME, TILE, M)                                                                \
  static void NAME(const KeelWinogradTiles *q, long rows, long columns, long channels,             \
                   const float *from, float *y, const float *residual, float *pooled) {            \
    const KeelWinogradTiles w = *q;                                                                \
    long c = 0;                                                                                    \
    (void)pooled;                                                                                  \
    if (rows == M && columns == M) {                                                               \
      rows = columns = M;                                                                          \
      CHANNELS(TILE)                                                                               \
    } else {                                                                                       \
      CHANNELS(TILE)                                                                               \
    }                                                                                              \
  }
OUTPUT_TILES(winogradOutput2, OUTPUT_TILE2, 2)
OUTPUT_TILES(winogradOutput4, OUTPUT_TILE4, 4)
OUTPUT_TILES(winogradPooled2, POOLED_TILE2, 2)
OUTPUT_TILES(winogradPooled4, POOLED_TILE4, 4)

/* Where a tile's pixels are: its image, its first line and column there, and how many of each the image has. */
typedef struct TilePlace {
  long image, i, j, rows, columns;
} TilePlace;
INLINE TilePlace tilePlace(const KeelWinogradTiles *q, long tile) {
  const long across = (q->width + q->size - 1) / q->size, down = (q->height + q->size - 1) / q->size;
  const long rest = tile / across, i = rest % down * q->size, j = tile % across * q->size;
  return (TilePlace){rest / down, i, j, q->height - i < q->size ? q->height - i : q->size,
                     q->width - j < q->size ? q->width - j : q->size};
}

static void winogradOutput(const KeelWinogradTiles *q, const float *from, long first, long tiles,
                           long channels) {
  void (*const output)(const KeelWinogradTiles *, long, long, long, const float *, float *,
                       const float *, float *) =
      q->pooled ? (q->size == 2 ? winogradPooled2 : winogradPooled4)
                : (q->size == 2 ? winogradOutput2 : winogradOutput4);
  for (long t = 0; t < tiles; t++, from += q->row) {
    const TilePlace p = tilePlace(q, first + t);
    const long line = p.image * q->height + p.i, half = p.image * (q->height / 2) + p.i / 2;
    output(q, p.rows, p.columns, channels, from, q->y ? q->y + line * q->yRow + p.j * q->yStep : 0,
           q->residual ? q->residual + line * q->residualRow + p.j * q->residualStep : 0,
           q->pooled ? q->pooled + half * q->pooledRow + p.j / 2 * q->pooledStep : 0);
  }
}

/* Calls BODY for each pixel of some tiles, with `at` its floats from y and j its column within the tile. */
#define TILE_PIXELS(q, first, count, BODY)                                                         \
  for (long t_ = (first); t_ < (first) + (count); t_++) {                                          \
    const TilePlace p_ = tilePlace(q, t_);                                                         \
    const long line_ = p_.image * (q)->height + p_.i;                                              \
    for (long r_ = 0; r_ < p_.rows; r_++)                                                          \
      for (long j = 0; j < p_.columns; j++) {                                                      \
        const long at = (line_ + r_) * (q)->yRow + (p_.j + j) * (q)->yStep;                        \
        BODY                                                                                       \
      }                                                                                            \
  }

/* The pivot is the first tile's mean, by distances from its first pixel: exact of pixels that are all alike. Four
   sums each, so that none waits for itself. */
#define TILE_MOMENTS(T)                                                                            \
  {                                                                                                \
    const TilePlace place = tilePlace(q, first);                                                   \
    const T origin = LOAD(T, q->y + (place.image * q->height + place.i) * q->yRow +                \
                                 place.j * q->yStep + c);                                          \
    T mean = SPLAT(T, 0), s[4], v[4];                                                              \
    TILE_PIXELS(q, first, 1, mean += LOAD(T, q->y + at + c) - origin;)                             \
    mean = origin + mean / SPLAT(T, (float)(place.rows * place.columns));                          \
    EACH(k, 4) s[k] = v[k] = SPLAT(T, 0);                                                          \
    TILE_PIXELS(q, first, tiles, const T d = LOAD(T, q->y + at + c) - mean; s[j & 3] += d;         \
                v[j & 3] += d * d;)                                                                \
    STORE(T, pivot + c, mean);                                                                     \
    STORE(T, sum + c, (s[0] + s[1]) + (s[2] + s[3]));                                              \
    STORE(T, square + c, (v[0] + v[1]) + (v[2] + v[3]));                                           \
  }
static void winogradMoments(const KeelWinogradTiles *q, long first, long tiles, long channels,
                            float *pivot, float *sum, float *square) {
  long c = 0;
  CHANNELS(TILE_MOMENTS)
}
#undef TILE_PIXELS
#undef TILE_MOMENTS
#undef INPUT_TILE
#undef INPUT_TILE2
#undef INPUT_TILE4
#undef INPUT_TILES
#undef LARGEST
#undef OUTPUT_TILE
#undef OUTPUT_TILE2
#undef OUTPUT_TILE4
#undef POOLED_TILE2
#undef POOLED_TILE4
#undef OUTPUT_TILES

/* A tile of the components' products: like pixelTile, but `lines` lines of what comes next are brought into L2,
   one for each of the depth's first steps. */
INLINE void componentTile(const int R, const int V, float *y, long yStep, const float *x, long xStep,
                          long depth, const float *b, const float *next, long lines, int add) {
  Vector s[MOST_ROWS][PANEL];
  EACH(r, R) EACH(v, V) s[r][v] = splat(0);
  const float *a[MOST_ROWS];
  EACH(r, R) a[r] = x + r * xStep;
  long k = 0;
  for (; k < lines; k++, b += V * KEEL_WIDTH, next += LINE) {
    __builtin_prefetch(next, 0, 2);
    addOuter(R, V, s, a, k, b);
  }
  for (; k < depth; k++, b += V * KEEL_WIDTH) addOuter(R, V, s, a, k, b);
  STORE_SUMS(R, V, y + r * yStep, V * KEEL_WIDTH, add)
}

#define COMPONENT(R, V) componentTile(R, V, y, yStep, x, xStep, depth, b, next, lines, add)
#define COMPONENT_TILES(V, CASES)                                                                  \
  static __attribute__((noinline)) void componentTiles##V(                                         \
      long R, float *y, long yStep, const float *x, long xStep, long depth, const float *b,        \
      const float *next, long lines, int add) {                                                    \
    switch (R) { CASES(COMPONENT, V) }                                                             \
  }
COMPONENT_TILES(1, CASES12)
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
COMPONENT_TILES(2, CASES12)
COMPONENT_TILES(3, CASES8)
COMPONENT_TILES(4, CASES6)
#else
COMPONENT_TILES(2, CASES6)
#endif
#undef COMPONENT
#undef COMPONENT_TILES

/* The depth of a block of b, which stays in L1 for all rows. */
enum { COMPONENT_DEPTH = 128 };

static void winogradProduct(float *y, long yStep, const float *x, long xStep, long xRow, long rows,
                            long depth, const float *b, long bStep, long columns, long components,
                            int add, const float *next, long floats) {
  static void (*const tilesOf[PANEL + 1])(long, float *, long, const float *, long, long,
                                          const float *, const float *, long, int) = {
      [1] = componentTiles1, [2] = componentTiles2,
#if KEEL_WIDTH >= 16 || defined(__aarch64__)
      [3] = componentTiles3, [4] = componentTiles4,
#endif
  };
  const long vectors = columns / KEEL_WIDTH;
  const long tiles = (rows + tileRows[vectors] - 1) / tileRows[vectors];
  const long size = rows / tiles, larger = rows % tiles;
  const long each = (floats / LINE + components - 1) / components;
  for (long e = 0; e < components; e++, y += yStep, x += xStep, b += bStep)
    for (long k = 0; k < depth;) {
      const long part = depth - k < 3 * COMPONENT_DEPTH / 2 ? depth - k : COMPONENT_DEPTH;
      /* What comes next, of which the tiles of this block bring equal shares: the next block of b or of `next`. */
      const float *block = b + k * columns, *ahead = next ? next : block + part * columns;
      long left = next ? each * part / depth : part * columns / LINE;
      for (long t = 0, row = 0; t < tiles; t++) {
        const long count = size + (t < larger), share = left / (tiles - t);
        const long lines = share < part ? share : part;
        tilesOf[vectors](count, y + row * columns, columns, x + row * xRow + k, xRow, part, block,
                         ahead, lines, add || k > 0);
        ahead += lines * LINE;
        left -= lines;
        row += count;
      }
      if (next) next = ahead;
      k += part;
    }
}

/* to[i·step] for i < 6 becomes G·g for the points of F(4×4). */
INLINE void winogradTaps4(Vector *to, const int step, Vector g0, Vector g1, Vector g2) {
  const Vector near = SPLAT(Vector, -1 / 1.5f), far = SPLAT(Vector, 1 / 6.0f);
  const Vector even = near * (g0 + SPLAT(Vector, 0.5f) * g2);
  const Vector odd = SPLAT(Vector, -ROOT_HALF / 1.5f) * g1;
  const Vector evenFar = far * (g0 + SPLAT(Vector, 2) * g2);
  const Vector oddFar = SPLAT(Vector, ROOT_2 / 6.0f) * g1;
  to[0] = g0;
  to[step] = even + odd;
  to[2 * step] = even - odd;
  to[3 * step] = evenFar + oddFar;
  to[4 * step] = evenFar - oddFar;
  to[5 * step] = g2;
}

static void winogradWeight(float *to, long step, const float *from, long tapStep, long count) {
  for (long i = 0; i < count; i += KEEL_WIDTH) {
    Vector half[18];
    EACH(j, 3)
      winogradTaps4(half + j, 3, load(from + j * tapStep + i), load(from + (3 + j) * tapStep + i),
                    load(from + (6 + j) * tapStep + i));
    EACH(r, 6) {
      Vector d[6];
      winogradTaps4(d, 1, half[3 * r], half[3 * r + 1], half[3 * r + 2]);
      EACH(j, 6) store(to + (6 * r + j) * step + i, d[j]);
    }
  }
}

/* In double, for weights that are transformed once and used often. */
static void weighTaps(float *to, const float *from, long step, const double *factors, long taps,
                      long count) {
  for (long c = 0; c < count; c++) {
    double sum = 0;
    for (long t = 0; t < taps; t++) sum += factors[t] * from[t * step + c];
    to[c] = (float)sum;
  }
}
