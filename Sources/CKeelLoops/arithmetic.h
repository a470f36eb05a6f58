/* Arithmetic of two operands that are broadcast against each other, and the gradients that products and
   quotients cannot express. Part of loops.h. */

/* The operation is a constant where this is expanded. Maximum and minimum propagate NaN. */
#define EXTREME(u, better, v) ((((u)better(v)) | ((u) != (u))) ? (u) : (v))
#define COMBINED(operation, u, v)                     \
  ((operation) == KEEL_ADD         ? (u) + (v)        \
   : (operation) == KEEL_SUBTRACT  ? (u) - (v)        \
   : (operation) == KEEL_MULTIPLY  ? (u) * (v)        \
   : (operation) == KEEL_DIVIDE    ? (u) / (v)        \
   : (operation) == KEEL_LARGER_OF ? EXTREME(u, >, v) \
                                   : EXTREME(u, <, v))

INLINE void arithmeticRow(const int operation, const int aStep, const int bStep, float *y,
                          const float *a, const float *b, long channels) {
  const float a0 = *a, b0 = *b;
  long c = 0;
#define BODY(T)                                   \
  T u = aStep ? LOAD(T, a + c) : SPLAT(T, a0);    \
  T v = bStep ? LOAD(T, b + c) : SPLAT(T, b0);    \
  STORE(T, y + c, COMBINED(operation, u, v));
  CHANNELS(BODY)
#undef BODY
}

INLINE void arithmeticRows(const int operation, const int aStep, const int bStep, float *y,
                           const float *a, long aRow, const float *b, long bRow, long rows,
                           long channels) {
  for (long r = 0; r < rows; r++)
    arithmeticRow(operation, aStep, bStep, y + r * channels, a + r * aRow, b + r * bRow, channels);
}

enum { PATTERN = 256 };

/* Copies a short row until `PATTERN` floats are full: rows too short for a vector are then worked on
   several at a time. Returns the number of rows. */
static long repeatRow(float *pattern, const float *row, long channels) {
  long rows = PATTERN / channels;
  for (long r = 0; r < rows; r++)
    for (long c = 0; c < channels; c++) pattern[r * channels + c] = row[c];
  return rows;
}

INLINE void arithmeticOf(const int operation, float *y, const KeelBroadcast *a,
                         const KeelBroadcast *b, long rows, long channels) {
  const float *p = a->values, *q = b->values;
  if (a->step && b->step && rows > 1 && channels <= 4 * KEEL_WIDTH && channels <= PATTERN / 4 &&
      (a->row == channels) != (b->row == channels) && (a->row == 0 || b->row == 0)) {
    float pattern[PATTERN];
    long most = repeatRow(pattern, a->row == 0 ? p : q, channels);
    for (long r = 0; r < rows; r += most) {
      long at = r * channels, count = (rows - r < most ? rows - r : most) * channels;
      if (a->row == 0) arithmeticRow(operation, 1, 1, y + at, pattern, q + at, count);
      else arithmeticRow(operation, 1, 1, y + at, p + at, pattern, count);
    }
  } else if (a->step && b->step) {
    arithmeticRows(operation, 1, 1, y, p, a->row, q, b->row, rows, channels);
  } else if (a->step) {
    arithmeticRows(operation, 1, 0, y, p, a->row, q, b->row, rows, channels);
  } else if (b->step) {
    arithmeticRows(operation, 0, 1, y, p, a->row, q, b->row, rows, channels);
  } else {
    arithmeticRows(operation, 0, 0, y, p, a->row, q, b->row, rows, channels);
  }
}

static void arithmetic(int operation, float *y, const KeelBroadcast *a, const KeelBroadcast *b,
                       long rows, long channels) {
  switch (operation) {
    case KEEL_ADD: arithmeticOf(KEEL_ADD, y, a, b, rows, channels); break;
    case KEEL_SUBTRACT: arithmeticOf(KEEL_SUBTRACT, y, a, b, rows, channels); break;
    case KEEL_MULTIPLY: arithmeticOf(KEEL_MULTIPLY, y, a, b, rows, channels); break;
    case KEEL_DIVIDE: arithmeticOf(KEEL_DIVIDE, y, a, b, rows, channels); break;
    case KEEL_LARGER_OF: arithmeticOf(KEEL_LARGER_OF, y, a, b, rows, channels); break;
    case KEEL_SMALLER_OF: arithmeticOf(KEEL_SMALLER_OF, y, a, b, rows, channels); break;
    case KEEL_POWER:
      for (long r = 0; r < rows; r++)
        for (long c = 0; c < channels; c++)
          y[r * channels + c] = __builtin_powf(a->values[r * a->row + c * a->step],
                                               b->values[r * b->row + c * b->step]);
      break;
  }
}

/* A loser's gradient is 0 whatever dy is; of equals each takes half; next to a NaN both take all. */
INLINE void extremeShareRow(const int larger, const int aStep, const int bStep, float *dx,
                            const float *dy, const float *a, const float *b, long channels) {
  const float a0 = *a, b0 = *b;
  long c = 0;
#define BODY(T)                                                       \
  T u = aStep ? LOAD(T, a + c) : SPLAT(T, a0);                        \
  T v = bStep ? LOAD(T, b + c) : SPLAT(T, b0);                        \
  T g = LOAD(T, dy + c);                                              \
  T share = (u == v) ? SPLAT(T, 0.5f) * g : g;                        \
  if (larger) share = (u < v) ? SPLAT(T, 0) : share;                  \
  else share = (u > v) ? SPLAT(T, 0) : share;                         \
  STORE(T, dx + c, share);
  CHANNELS(BODY)
#undef BODY
}

INLINE void extremeShare(const int larger, float *dx, const float *dy, const KeelBroadcast *a,
                         const KeelBroadcast *b, long rows, long channels) {
  for (long r = 0; r < rows; r++) {
    float *to = dx + r * channels;
    const float *g = dy + r * channels, *p = a->values + r * a->row, *q = b->values + r * b->row;
    if (a->step && b->step) extremeShareRow(larger, 1, 1, to, g, p, q, channels);
    else if (a->step) extremeShareRow(larger, 1, 0, to, g, p, q, channels);
    else if (b->step) extremeShareRow(larger, 0, 1, to, g, p, q, channels);
    else extremeShareRow(larger, 0, 0, to, g, p, q, channels);
  }
}

static void arithmeticGradient(int operand, float *dx, const float *dy, const KeelBroadcast *a,
                               const KeelBroadcast *b, long rows, long channels) {
  if (operand == KEEL_LARGER_OF) {
    extremeShare(1, dx, dy, a, b, rows, channels);
  } else if (operand == KEEL_SMALLER_OF) {
    extremeShare(0, dx, dy, a, b, rows, channels);
  } else {
    for (long r = 0; r < rows; r++)
      for (long c = 0; c < channels; c++) {
        float x = a->values[r * a->row + c * a->step], n = b->values[r * b->row + c * b->step];
        float g = dy[r * channels + c], d;
        if (operand == KEEL_BASE) d = n == 0 ? 0 : g * (n * __builtin_powf(x, n - 1));
        else d = x == 0 && n >= 0 ? 0 : g * (__builtin_powf(x, n) * __builtin_logf(x));
        dx[r * channels + c] = d;
      }
  }
}
