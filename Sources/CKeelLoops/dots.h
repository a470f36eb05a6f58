/* Products of few columns: vectors run along the depth, so that none is mostly empty. Part of loops.h. */

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
