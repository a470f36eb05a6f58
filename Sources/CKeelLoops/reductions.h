/* Sums, extremes and norms along rows and across them, and their way back. Part of loops.h. */

#define FOLDED(kind, s, v)                          \
  ((kind) == KEEL_LARGEST    ? EXTREME(s, >, v)     \
   : (kind) == KEEL_SMALLEST ? EXTREME(s, <, v)     \
                             : (s) + (v))
#define TERM(T, kind, v) ((kind) == KEEL_ABSOLUTE_SUM ? ((v) < SPLAT(T, 0) ? -(v) : (v)) : (v))

INLINE float foldStart(const int kind) {
  return kind == KEEL_LARGEST    ? -__builtin_inff()
         : kind == KEEL_SMALLEST ? __builtin_inff()
                                 : 0;
}

INLINE void foldRowsOf(const int kind, float *y, const float *x, long rows, long stride,
                       long channels) {
  const float start = foldStart(kind);
  long c = 0;
#define BODY(T)                                              \
  T s0 = SPLAT(T, start), s1 = s0;                           \
  long r = 0;                                                \
  for (; r + 2 <= rows; r += 2) {                            \
    T u = LOAD(T, x + r * stride + c);                     \
    T v = LOAD(T, x + (r + 1) * stride + c);               \
    s0 = FOLDED(kind, s0, TERM(T, kind, u));                 \
    s1 = FOLDED(kind, s1, TERM(T, kind, v));                 \
  }                                                          \
  if (r < rows) {                                            \
    T u = LOAD(T, x + r * stride + c);                     \
    s0 = FOLDED(kind, s0, TERM(T, kind, u));                 \
  }                                                          \
  STORE(T, y + c, FOLDED(kind, s0, s1));
  CHANNELS(BODY)
#undef BODY
}

static void foldRows(int kind, float *y, const float *x, long rows, long stride, long channels) {
  switch (kind) {
    case KEEL_SUM: foldRowsOf(KEEL_SUM, y, x, rows, stride, channels); break;
    case KEEL_ABSOLUTE_SUM: foldRowsOf(KEEL_ABSOLUTE_SUM, y, x, rows, stride, channels); break;
    case KEEL_LARGEST: foldRowsOf(KEEL_LARGEST, y, x, rows, stride, channels); break;
    case KEEL_SMALLEST: foldRowsOf(KEEL_SMALLEST, y, x, rows, stride, channels); break;
  }
}

static void squareRows(double *restrict to, const float *restrict x, long rows, long channels) {
  long r = 0;
  for (; r + 4 <= rows; r += 4) {
    const float *p = x + r * channels;
    for (long c = 0; c < channels; c++) {
      double s = p[c], t = p[channels + c], u = p[2 * channels + c], v = p[3 * channels + c];
      to[c] += (s * s + t * t) + (u * u + v * v);
    }
  }
  for (; r < rows; r++)
    for (long c = 0; c < channels; c++) {
      double s = x[r * channels + c];
      to[c] += s * s;
    }
}

static void foldFloats(int kind, double *restrict to, const float *restrict from, long channels) {
  for (long c = 0; c < channels; c++) {
    double s = to[c], v = from[c];
    to[c] = FOLDED(kind, s, v);
  }
}

static void foldTables(int kind, double *restrict to, const double *restrict from, long channels) {
  for (long c = 0; c < channels; c++) {
    double s = to[c], v = from[c];
    to[c] = FOLDED(kind, s, v);
  }
}

/* Sixteen or more sums run side by side over at most 4096 floats, then go into one double. */
INLINE double foldRowOf(const int kind, const float *x, long count) {
  enum { CHUNK = 4096 };
  const float start = foldStart(kind);
  double result = start;
  long i = 0;
  while (i + KEEL_WIDTH <= count) {
    long end = count - i < CHUNK ? count : i + CHUNK;
    Vector s[4] = {splat(start), splat(start), splat(start), splat(start)};
    for (; i + 4 * KEEL_WIDTH <= end; i += 4 * KEEL_WIDTH)
      for (int b = 0; b < 4; b++) {
        Vector v = load(x + i + b * KEEL_WIDTH);
        s[b] = FOLDED(kind, s[b], TERM(Vector, kind, v));
      }
    for (; i + KEEL_WIDTH <= end; i += KEEL_WIDTH) {
      Vector v = load(x + i);
      s[0] = FOLDED(kind, s[0], TERM(Vector, kind, v));
    }
    Vector both = FOLDED(kind, s[0], s[1]), other = FOLDED(kind, s[2], s[3]);
    both = FOLDED(kind, both, other);
    for (int lane = 0; lane < KEEL_WIDTH; lane++) {
      double v = both[lane];
      result = FOLDED(kind, result, v);
    }
  }
  for (; i < count; i++) {
    double v = TERM(Single, kind, x[i]);
    result = FOLDED(kind, result, v);
  }
  return result;
}

static double foldRow(int kind, const float *x, long count) {
  switch (kind) {
    case KEEL_SUM: return foldRowOf(KEEL_SUM, x, count);
    case KEEL_ABSOLUTE_SUM: return foldRowOf(KEEL_ABSOLUTE_SUM, x, count);
    case KEEL_LARGEST: return foldRowOf(KEEL_LARGEST, x, count);
    case KEEL_SMALLEST: return foldRowOf(KEEL_SMALLEST, x, count);
    default: return squareSum(x, count);
  }
}

INLINE void foldShortOf(const int kind, float *restrict y, const float *restrict x, long rows,
                        const long count, float factor) {
  for (long r = 0; r < rows; r++) {
    if (kind == KEEL_SQUARE_SUM) {
      double s = 0;
      for (long i = 0; i < count; i++) s += (double)x[r * count + i] * x[r * count + i];
      y[r] = (float)__builtin_sqrt(s);
    } else {
      float s = TERM(Single, kind, x[r * count]);
      for (long i = 1; i < count; i++) {
        float v = TERM(Single, kind, x[r * count + i]);
        s = FOLDED(kind, s, v);
      }
      y[r] = kind == KEEL_LARGEST || kind == KEEL_SMALLEST ? s : s * factor;
    }
  }
}

/* Rows of two, three or four get loops of their own, of which the compiler makes vectors. */
#define SHORT(KIND)                                                      \
  case KIND:                                                             \
    if (count == 2) foldShortOf(KIND, y, x, rows, 2, factor);            \
    else if (count == 3) foldShortOf(KIND, y, x, rows, 3, factor);       \
    else if (count == 4) foldShortOf(KIND, y, x, rows, 4, factor);       \
    else foldShortOf(KIND, y, x, rows, count, factor);                   \
    break;

static void foldShortRows(int kind, float *y, const float *x, long rows, long count,
                          float factor) {
  switch (kind) {
    SHORT(KEEL_SUM)
    SHORT(KEEL_ABSOLUTE_SUM)
    SHORT(KEEL_SQUARE_SUM)
    SHORT(KEEL_LARGEST)
    SHORT(KEEL_SMALLEST)
  }
}
#undef SHORT

/* The extreme first, then dy at the first row that holds it. NaN beats everything. */
INLINE void extremeGradientOf(const int kind, float *dx, const float *dy, const float *x, long rows,
                              long channels) {
  long c = 0;
#define BODY(T)                                                                  \
  T best = LOAD(T, x + c), g = LOAD(T, dy + c), left = SPLAT(T, 1);              \
  for (long r = 1; r < rows; r++) {                                              \
    T v = LOAD(T, x + r * channels + c);                                         \
    best = FOLDED(kind, best, v);                                                \
  }                                                                              \
  for (long r = 0; r < rows; r++) {                                              \
    T v = LOAD(T, x + r * channels + c);                                         \
    T hit = ((v == best) | ((v != v) & (best != best))) ? left : SPLAT(T, 0);    \
    STORE(T, dx + r * channels + c, hit > SPLAT(T, 0) ? g : SPLAT(T, 0));        \
    left -= hit;                                                                 \
  }
  CHANNELS(BODY)
#undef BODY
}

static void extremeGradient(int kind, float *dx, const float *dy, const float *x, long outer,
                            long rows, long channels) {
  for (long o = 0; o < outer; o++) {
    long at = o * rows * channels;
    if (kind == KEEL_LARGEST)
      extremeGradientOf(KEEL_LARGEST, dx + at, dy + o * channels, x + at, rows, channels);
    else
      extremeGradientOf(KEEL_SMALLEST, dx + at, dy + o * channels, x + at, rows, channels);
  }
}

static void expand(float *y, const float *x, long outer, long copies, long channels,
                   float factor) {
  for (long o = 0; o < outer; o++) {
    float *to = y + o * copies * channels;
    const float *from = x + o * channels;
    if (channels == 1) {
      const float value = factor * *from;
      for (long r = 0; r < copies; r++) to[r] = value;
    } else {
      scaleFloats(to, from, factor, channels);
      for (long r = 1; r < copies; r++) memcpy(to + r * channels, to, sizeof(float) * channels);
    }
  }
}
