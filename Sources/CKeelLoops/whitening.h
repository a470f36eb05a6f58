/* Co-moments of channels in double, and rows less a centre. Part of loops.h. */

typedef double Wide __attribute__((ext_vector_type(KEEL_WIDTH / 2)));
typedef double WideU __attribute__((ext_vector_type(KEEL_WIDTH / 2), aligned(8)));
typedef float Narrow __attribute__((ext_vector_type(KEEL_WIDTH / 2)));
typedef float NarrowU __attribute__((ext_vector_type(KEEL_WIDTH / 2), aligned(4)));

/* A strip is two vectors of channels; a panel holds 32 rows of it, one after another. */
enum { STRIP = KEEL_WIDTH, HALF_STRIP = KEEL_WIDTH / 2, PANEL_ROWS = 32 };
#if KEEL_WIDTH >= 16
enum { STRIP_ROWS = 8 };
#else
enum { STRIP_ROWS = 4 };
#endif

static void centerRows(float *to, const float *x, long rows, long stride, long channels,
                       const float *high, const float *low) {
  const long padded = (channels + KEEL_WIDTH - 1) / KEEL_WIDTH * KEEL_WIDTH;
  for (long r = 0; r < rows; r++, to += padded, x += stride) {
    long c = 0;
    if (high) {
#define BODY(T) STORE(T, to + c, (LOAD(T, x + c) - LOAD(T, high + c)) - LOAD(T, low + c));
      CHANNELS(BODY)
#undef BODY
    } else {
#define BODY(T) STORE(T, to + c, LOAD(T, x + c));
      CHANNELS(BODY)
#undef BODY
    }
    for (; c < padded; c++) to[c] = 0;
  }
}

/* One row of one strip less the pivot, in double. */
INLINE void widenStrip(double *to, const float *x, long channels, const float *pivot) {
  if (channels >= STRIP) {
    for (int h = 0; h < 2; h++)
      *(WideU *)(to + h * HALF_STRIP) =
          __builtin_convertvector((Narrow)(*(const NarrowU *)(x + h * HALF_STRIP)), Wide) -
          __builtin_convertvector((Narrow)(*(const NarrowU *)(pivot + h * HALF_STRIP)), Wide);
  } else {
    for (long c = 0; c < STRIP; c++) to[c] = c < channels ? (double)x[c] - (double)pivot[c] : 0;
  }
}

INLINE void sumStrip(double *sums, const double *panel, long rows) {
  Wide s[2] = {0, 0};
  for (long r = 0; r < rows; r++, panel += STRIP)
    for (int h = 0; h < 2; h++) s[h] += *(const WideU *)(panel + h * HALF_STRIP);
  for (int h = 0; h < 2; h++) *(WideU *)(sums + h * HALF_STRIP) += s[h];
}

/* to[i, ...] += Σ_r a[r, i]·b[r, ...] for some channels i of one strip and all of another. */
INLINE void comomentTile(double *to, long order, const double *a, const double *b, long rows) {
  Wide s[STRIP_ROWS][2];
  EACH(i, STRIP_ROWS) EACH(h, 2) s[i][h] = 0;
  for (long r = 0; r < rows; r++, a += STRIP, b += STRIP) {
    Wide v[2];
    EACH(h, 2) v[h] = *(const WideU *)(b + h * HALF_STRIP);
    EACH(i, STRIP_ROWS) {
      Wide x = a[i];
      EACH(h, 2) s[i][h] += x * v[h];
    }
  }
  EACH(i, STRIP_ROWS) EACH(h, 2) *(WideU *)(to + i * order + h * HALF_STRIP) += s[i][h];
}

/* The same in Float: strips of one vector, as many rows of the tile as a strip has channels. Sums of at most
   32 rows, added in double. */
INLINE void comomentTileFloat(double *to, long order, const float *a, const float *b, long rows) {
  Vector s[STRIP];
  EACH(i, STRIP) s[i] = splat(0);
  for (long r = 0; r < rows; r++, a += STRIP, b += STRIP) {
    Vector v = load(b);
    EACH(i, STRIP) s[i] += splat(a[i]) * v;
  }
  EACH(i, STRIP) {
    float sums[STRIP];
    store(sums, s[i]);
    EACH(h, 2)
      *(WideU *)(to + i * order + h * HALF_STRIP) +=
          __builtin_convertvector((Narrow)(*(const NarrowU *)(sums + h * HALF_STRIP)), Wide);
  }
}

INLINE void centreStrip(float *to, const float *x, long channels, const float *pivot) {
  if (channels >= STRIP) {
    store(to, load(x) - load(pivot));
  } else {
    for (long c = 0; c < STRIP; c++) to[c] = c < channels ? x[c] - pivot[c] : 0;
  }
}

INLINE void sumStripFloat(double *sums, const float *panel, long rows) {
  Vector s = splat(0);
  for (long r = 0; r < rows; r++, panel += STRIP) s += load(panel);
  for (int i = 0; i < STRIP; i++) sums[i] += s[i];
}

static void drainStores(void) { drain(); }

static void fetch(const float *from, long count) {
  for (long i = 0; i < count; i += 16) __builtin_prefetch(from + i, 0, 2);
}

/* Of the rows from x on, the panel of each strip; rows are read from end to end, whatever the blocks. */
#define FILL_PANELS(T, STRIP_OF)                                                              \
  for (long r = 0; r < count; r++) {                                                          \
    const float *row = x + (first + r) * channels;                                            \
    T *to = (T *)panel + r * STRIP;                                                           \
    for (long c = 0; c < channels; c += size)                                                 \
      for (long s = 0; s < size && c + s < channels; s += STRIP, to += PANEL_ROWS * STRIP) {  \
        const long rest = size - s < channels - c - s ? size - s : channels - c - s;          \
        STRIP_OF(to, row + c + s, rest, pivot + c + s);                                       \
      }                                                                                       \
  }

/* The products of each block, while the rows that follow are brought nearer, a part with each block. */
#define ADD_PRODUCTS(T, TILE, ROWS_OF_TILE, SUM)                                                     \
  {                                                                                                  \
    double *own = products;                                                                          \
    const T *strips = (const T *)panel;                                                              \
    for (long c = 0; c < channels; c += size, own += step) {                                         \
      const long width = size < channels - c ? size : channels - c;                                  \
      const long order = (width + STRIP - 1) / STRIP * STRIP;                                        \
      const long share = (PANEL_ROWS * size + order - 1) / order * ROWS_OF_TILE;                      \
      for (long i = 0; i < order; i += ROWS_OF_TILE) {                                               \
        const long part = c * PANEL_ROWS + i / ROWS_OF_TILE * share, all = following * channels;     \
        if (part < all)                                                                              \
          fetch(x + (first + count) * channels + part, part + share < all ? share : all - part);     \
        for (long j = 0; j <= i; j += STRIP)                                                         \
          TILE(own + i * order + j, order, strips + i / STRIP * PANEL_ROWS * STRIP + i % STRIP,      \
               strips + j * PANEL_ROWS, count);                                                      \
      }                                                                                              \
      for (long s = 0; s < order; s += STRIP) SUM(own + most * most + s, strips + s * PANEL_ROWS, count); \
      strips += order * PANEL_ROWS;                                                                  \
    }                                                                                                \
  }

static void comoments(double *products, const float *x, long rows, long channels, long size,
                      const float *pivot, double *panel, int wide) {
  const long most = (size + STRIP - 1) / STRIP * STRIP, step = most * most + most;
  for (long first = 0; first < rows; first += PANEL_ROWS) {
    const long rest = rows - first, count = rest < PANEL_ROWS ? rest : PANEL_ROWS;
    const long following = rest - count < PANEL_ROWS ? rest - count : PANEL_ROWS;
    if (wide) {
      FILL_PANELS(double, widenStrip)
      ADD_PRODUCTS(double, comomentTile, STRIP_ROWS, sumStrip)
    } else {
      FILL_PANELS(float, centreStrip)
      ADD_PRODUCTS(float, comomentTileFloat, STRIP, sumStripFloat)
    }
  }
}
#undef FILL_PANELS
#undef ADD_PRODUCTS
