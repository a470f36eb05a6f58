/* Operands of products brought into the order in which they are read. Part of loops.h. */

/* The first, or last, halves of two vectors, element by element in turn. */
#if KEEL_WIDTH == 16
#define FIRST_HALVES(a, b) \
  __builtin_shufflevector(a, b, 0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23)
#define LAST_HALVES(a, b) \
  __builtin_shufflevector(a, b, 8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31)
enum { SHUFFLES = 4 };
#elif KEEL_WIDTH == 8
#define FIRST_HALVES(a, b) __builtin_shufflevector(a, b, 0, 8, 1, 9, 2, 10, 3, 11)
#define LAST_HALVES(a, b) __builtin_shufflevector(a, b, 4, 12, 5, 13, 6, 14, 7, 15)
enum { SHUFFLES = 3 };
#else
#define FIRST_HALVES(a, b) __builtin_shufflevector(a, b, 0, 4, 1, 5)
#define LAST_HALVES(a, b) __builtin_shufflevector(a, b, 2, 6, 3, 7)
enum { SHUFFLES = 2 };
#endif

/* to[k·toStep + c] = from[c·fromStep + k] for a square of vectors; the squares that follow along k are brought
   nearer. */
INLINE void transposeSquare(float *to, long toStep, const float *from, long fromStep) {
  enum { AHEAD = 32 };
  Vector v[KEEL_WIDTH], w[KEEL_WIDTH];
  EACH(i, KEEL_WIDTH) {
    v[i] = load(from + i * fromStep);
    __builtin_prefetch(from + i * fromStep + AHEAD, 0, 3);
  }
  EACH(s, SHUFFLES) {
    EACH(i, KEEL_WIDTH / 2) {
      w[2 * i] = FIRST_HALVES(v[i], v[i + KEEL_WIDTH / 2]);
      w[2 * i + 1] = LAST_HALVES(v[i], v[i + KEEL_WIDTH / 2]);
    }
    EACH(i, KEEL_WIDTH) v[i] = w[i];
  }
  EACH(i, KEEL_WIDTH) store(to + i * toStep, v[i]);
}

/* R planes of floats one after another become one of R floats each, and back. */
INLINE void interleave(const int R, float *to, const float *from, long step, long count) {
  for (long c = 0; c < count; c++) EACH(r, R) to[c * R + r] = from[r * step + c];
}
INLINE void separate(const int R, float *to, long step, const float *from, long count) {
  for (long c = 0; c < count; c++) EACH(r, R) to[r * step + c] = from[c * R + r];
}

/* Images of few channels, the other way round: rows or columns that are fewer than a vector. */
static int transposeFew(float *target, long targetStride, const float *source, long sourceStride,
                        long rows, long columns) {
#define FEW(R)                                                         \
  if (rows == R && targetStride == R) {                                \
    interleave(R, target, source, sourceStride, columns);              \
    return 1;                                                          \
  }                                                                    \
  if (columns == R && sourceStride == R) {                             \
    separate(R, target, targetStride, source, rows);                   \
    return 1;                                                          \
  }
  FEW(2)
  FEW(3)
  FEW(4)
#undef FEW
  return 0;
}

static void transpose(float *target, long targetStride, const float *source, long sourceStride,
                      long rows, long columns) {
  if (transposeFew(target, targetStride, source, sourceStride, rows, columns)) return;
  long r0 = 0;
  for (; r0 + KEEL_WIDTH <= rows; r0 += KEEL_WIDTH) {
    long c = 0;
    for (; c + KEEL_WIDTH <= columns; c += KEEL_WIDTH)
      transposeSquare(target + c * targetStride + r0, targetStride, source + r0 * sourceStride + c,
                      sourceStride);
    for (; c < columns; c++)
      for (long r = r0; r < r0 + KEEL_WIDTH; r++)
        target[c * targetStride + r] = source[r * sourceStride + c];
  }
  for (long c = 0; c < columns; c++)
    for (long r = r0; r < rows; r++) target[c * targetStride + r] = source[r * sourceStride + c];
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
  for (long k0 = 0; k0 < depth; k0 += KEEL_WIDTH) {
    const long k1 = k0 + KEEL_WIDTH < depth ? k0 + KEEL_WIDTH : depth;
    const int isSquare = kStride == 1 && k0 + KEEL_WIDTH <= depth;
    long c = 0;
    for (; isSquare && c + KEEL_WIDTH <= columns; c += KEEL_WIDTH)
      transposeSquare(to + k0 * width + c, width, b + c * columnStride + k0, columnStride);
    for (; c < columns; c++)
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
