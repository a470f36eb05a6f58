/* Co-moments of channels in double, and rows less a centre. Part of loops.h. */

typedef double Wide __attribute__((ext_vector_type(KEEL_WIDTH / 2)));
typedef double WideU __attribute__((ext_vector_type(KEEL_WIDTH / 2), aligned(8)));
typedef float Narrow __attribute__((ext_vector_type(KEEL_WIDTH / 2)));
typedef float NarrowU __attribute__((ext_vector_type(KEEL_WIDTH / 2), aligned(4)));

/* A strip is two vectors of channels; a panel holds 64 rows of it, one after another. */
enum { STRIP = KEEL_WIDTH, HALF_STRIP = KEEL_WIDTH / 2, PANEL_ROWS = 64 };
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

/* The rows of one strip less the pivot, in double, and their sums. */
INLINE void widenStrip(double *panel, double *sums, const float *x, long rows, long stride,
                       long channels, const float *pivot) {
  if (channels >= STRIP) {
    Wide s[2] = {0, 0}, p[2];
    for (int h = 0; h < 2; h++)
      p[h] = __builtin_convertvector((Narrow)(*(const NarrowU *)(pivot + h * HALF_STRIP)), Wide);
    for (long r = 0; r < rows; r++, x += stride, panel += STRIP)
      for (int h = 0; h < 2; h++) {
        Wide v = __builtin_convertvector((Narrow)(*(const NarrowU *)(x + h * HALF_STRIP)), Wide) - p[h];
        *(WideU *)(panel + h * HALF_STRIP) = v;
        s[h] += v;
      }
    for (int h = 0; h < 2; h++) *(WideU *)(sums + h * HALF_STRIP) += s[h];
  } else {
    for (long r = 0; r < rows; r++, x += stride, panel += STRIP)
      for (long c = 0; c < STRIP; c++) {
        panel[c] = c < channels ? (double)x[c] - (double)pivot[c] : 0;
        if (c < channels) sums[c] += panel[c];
      }
  }
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

static void comoments(double *products, double *sums, const float *x, long rows, long stride,
                      long channels, const float *pivot, double *panel) {
  const long strips = (channels + STRIP - 1) / STRIP, order = strips * STRIP;
  for (long first = 0; first < rows; first += PANEL_ROWS) {
    const long count = first + PANEL_ROWS < rows ? PANEL_ROWS : rows - first;
    for (long s = 0; s < strips; s++)
      widenStrip(panel + s * PANEL_ROWS * STRIP, sums + s * STRIP, x + first * stride + s * STRIP,
                 count, stride, channels - s * STRIP, pivot + s * STRIP);
    for (long i = 0; i < order; i += STRIP_ROWS)
      for (long j = 0; j <= i; j += STRIP)
        comomentTile(products + i * order + j, order,
                     panel + i / STRIP * PANEL_ROWS * STRIP + i % STRIP,
                     panel + j * PANEL_ROWS, count);
  }
}
