/* The leaf loops of pooling. Part of loops.h.

   What lies inside the source of a window is a box of pixels: along each axis `count` taps from `first`
   on. Its pixels are listed as offsets from the first of them, at most PORTION at a time, so that long
   windows are summed in short sums. Where nothing of a window is cut off, which is nearly everywhere, the
   list is the pool's own. */

enum { PORTION = 64 };

/* What is made of a window. */
enum { POOL_MAXIMUM, POOL_AVERAGE, POOL_NORM };

typedef struct PoolPlace {
  long image, z, y, x;
} PoolPlace;

typedef struct PoolBox {
  long first; /* the first pixel, counted in its image */
  long countZ, countY, countX;
  int whole; /* nothing of the window is cut off */
} PoolBox;

/* The next tap to be listed. */
typedef struct PoolCursor {
  long z, y, x;
} PoolCursor;

INLINE PoolPlace poolPlace(const KeelPool *p, long position) {
  long x = position % p->x.output, row = position / p->x.output;
  long y = row % p->y.output, plane = row / p->y.output;
  return (PoolPlace){plane / p->z.output, plane % p->z.output, y, x};
}

INLINE void poolAdvance(const KeelPool *p, PoolPlace *at) {
  if (++at->x < p->x.output) return;
  at->x = 0;
  if (++at->y < p->y.output) return;
  at->y = 0;
  if (++at->z < p->z.output) return;
  at->z = 0;
  at->image++;
}

INLINE PoolBox poolBox(const KeelPool *p, long z, long y, long x) {
  PoolBox b;
  b.first = (p->z.first[z] * p->y.input + p->y.first[y]) * p->x.input + p->x.first[x];
  b.countZ = p->z.count[z];
  b.countY = p->y.count[y];
  b.countX = p->x.count[x];
  b.whole = b.countX == p->x.window && b.countY == p->y.window && b.countZ == p->z.window;
  return b;
}

INLINE float poolDivisor(const KeelPool *p, long z, long y, long x) {
  return (float)(p->z.divisor[z] * p->y.divisor[y] * p->x.divisor[x]);
}

/* Lists the next pixels of a box in row-major order, as floats from its first one; returns how many. */
INLINE long listPixels(const KeelPool *p, const PoolBox *b, PoolCursor *at, long *offset) {
  long n = 0;
  while (at->z < b->countZ) {
    long row = (at->z * p->z.step * p->y.input + at->y * p->y.step) * p->x.input;
    for (; at->x < b->countX && n < PORTION; at->x++)
      offset[n++] = (row + at->x * p->x.step) * p->xStride;
    if (at->x < b->countX) break;
    at->x = 0;
    if (++at->y == b->countY) {
      at->y = 0;
      at->z++;
    }
  }
  return n;
}

/* Runs BODY for the pixels of a box, portion by portion: `offset` and `count` list them, `again` is 0 for
   the first portion, `last` is 1 for the last one. */
#define FOR_PORTIONS(p, b, BODY)                                    \
  do {                                                              \
    long listed[PORTION];                                           \
    PoolCursor cursor = {0, 0, 0};                                  \
    const int own = (b).whole && (p)->taps <= PORTION;              \
    const long *offset = own ? (p)->offset : listed;                \
    int again = 0, last = own;                                      \
    do {                                                            \
      long count = own ? (p)->taps : listPixels((p), &(b), &cursor, listed); \
      last = own || cursor.z == (b).countZ;                         \
      BODY;                                                         \
      again = 1;                                                    \
    } while (!last);                                                \
  } while (0)

/* Whether x takes the place of the best so far: it is larger, or the first NaN. Not less or equal is one
   comparison that either NaN passes. */
#define WINS(x, best) ((((x) <= (best)) == 0) & ((best) == (best)))
#define POOL_START(T, to) \
  (again ? LOAD(T, to) : SPLAT(T, kind == POOL_MAXIMUM ? -__builtin_inff() : 0.0f))
/* A larger number takes the place of s, in which NaN stays; another NaN is noted in `lost`. */
#define POOL_JOIN(s, lost, v)            \
  do {                                   \
    if (kind == POOL_MAXIMUM) {          \
      lost |= (v) != (v);                \
      s = (v) > (s) ? (v) : (s);         \
    } else if (kind == POOL_AVERAGE) {   \
      s += v;                            \
    } else {                             \
      s += v * v;                        \
    }                                    \
  } while (0)
#define POOL_FINISH(T, to, s, lost)                                    \
  do {                                                                 \
    if (kind == POOL_MAXIMUM) s = (lost) ? SPLAT(T, __builtin_nanf("")) : s; \
    if (kind == POOL_AVERAGE && last) s = s / SPLAT(T, divisor);       \
    if (kind == POOL_NORM && last) s = __builtin_elementwise_sqrt(s);  \
    STORE(T, to, s);                                                   \
  } while (0)

/* One portion of one window, for all channels, four vectors at a time: long windows would otherwise wait
   for each addition, and short ones for addresses. */
INLINE void poolPixels(const int kind, float *y, const float *x, long channels, const long *offset,
                       const long count, const int again, const int last, float divisor) {
  long c = 0;
  for (; c + 4 * KEEL_WIDTH <= channels; c += 4 * KEEL_WIDTH) {
    Vector s[4];
    Mask lost[4];
    for (int i = 0; i < 4; i++) {
      s[i] = POOL_START(Vector, y + c + i * KEEL_WIDTH);
      lost[i] = (Mask)(0);
    }
    for (long t = 0; t < count; t++) {
      const float *from = x + offset[t] + c;
      for (int i = 0; i < 4; i++) {
        Vector v = load(from + i * KEEL_WIDTH);
        POOL_JOIN(s[i], lost[i], v);
      }
    }
    for (int i = 0; i < 4; i++) POOL_FINISH(Vector, y + c + i * KEEL_WIDTH, s[i], lost[i]);
  }
#define BODY(T)                           \
  T s = POOL_START(T, y + c);             \
  __typeof__(s != s) lost = (s != s);     \
  for (long t = 0; t < count; t++) {      \
    T v = LOAD(T, x + offset[t] + c);     \
    POOL_JOIN(s, lost, v);                \
  }                                       \
  POOL_FINISH(T, y + c, s, lost);
  CHANNELS(BODY)
#undef BODY
}

INLINE void pool(const int kind, float *y, const float *x, const KeelPool *pool, long first,
                 long count) {
  const KeelPool p = *pool;
  const long channels = p.channels, pixels = p.z.input * p.y.input * p.x.input;
  PoolPlace at = poolPlace(&p, first);
  for (long i = 0; i < count;) {
    PoolBox b = poolBox(&p, at.z, at.y, at.x);
    const float *from = x + (at.image * pixels + b.first) * p.xStride;
    /* 2×2 and 3×3 windows are unrolled, and those of which nothing is cut off follow each other. */
    const int isShort = b.whole && (p.taps == 4 || p.taps == 9);
    do {
      float *to = y + i * p.yStride;
      float divisor = kind == POOL_AVERAGE ? poolDivisor(&p, at.z, at.y, at.x) : 1;
      if (isShort && p.taps == 4)
        poolPixels(kind, to, from, channels, p.offset, 4, 0, 1, divisor);
      else if (isShort)
        poolPixels(kind, to, from, channels, p.offset, 9, 0, 1, divisor);
      else
        FOR_PORTIONS(&p, b, poolPixels(kind, to, from, channels, offset, count, again, last, divisor));
      i++;
      if (at.x + 1 < p.x.output) from += (p.x.first[at.x + 1] - p.x.first[at.x]) * p.xStride;
      poolAdvance(&p, &at);
    } while (isShort && i < count && at.x > 0 && p.x.count[at.x] == p.x.window);
  }
}

static void poolMaximum(float *y, const float *x, const KeelPool *p, long first, long count) {
  pool(POOL_MAXIMUM, y, x, p, first, count);
}

static void poolAverage(float *y, const float *x, const KeelPool *p, long first, long count) {
  pool(POOL_AVERAGE, y, x, p, first, count);
}

static void poolNorm(float *y, const float *x, const KeelPool *p, long first, long count) {
  pool(POOL_NORM, y, x, p, first, count);
}

/* One portion of one window: the best so far and the pixel of it. Which tap won is kept as a float, so
   that it has the width of the values. */
INLINE void maximumPixels(float *best, long long *index, const float *x, long channels,
                          const long *offset, const long long *pixel, long count, int again) {
  long c = 0;
#define BODY(T)                                                              \
  T highest = again ? LOAD(T, best + c) : LOAD(T, x + offset[0] + c);        \
  T winner = SPLAT(T, again ? -1.0f : 0.0f);                                 \
  for (long t = 0; t < count; t++) {                                         \
    T v = LOAD(T, x + offset[t] + c);                                        \
    winner = WINS(v, highest) ? SPLAT(T, (float)t) : winner;                 \
    highest = WINS(v, highest) ? v : highest;                                \
  }                                                                          \
  STORE(T, best + c, highest);                                               \
  float won[LENGTH(T)];                                                      \
  STORE(T, won, winner);                                                     \
  for (long l = 0; l < LENGTH(T); l++)                                       \
    if (won[l] >= 0) index[c + l] = pixel[(long)won[l]];
  CHANNELS(BODY)
#undef BODY
}

/* The maximum of a box and where it stands, for some of the pool's channels; x points at the box. */
INLINE void maximumOfBox(float *best, long long *index, const float *x, long channels,
                         const KeelPool *p, PoolBox b) {
  FOR_PORTIONS(p, b, {
    long long pixel[PORTION];
    for (long t = 0; t < count; t++) pixel[t] = b.first + offset[t] / p->xStride;
    maximumPixels(best, index, x, channels, offset, pixel, count, again);
  });
}

static void poolMaximumIndices(float *y, long long *index, const float *x, const KeelPool *pool,
                               long first, long count) {
  const KeelPool p = *pool;
  const long channels = p.channels, pixels = p.z.input * p.y.input * p.x.input;
  PoolPlace at = poolPlace(&p, first);
  for (long i = 0; i < count; i++) {
    PoolBox b = poolBox(&p, at.z, at.y, at.x);
    maximumOfBox(y + i * p.yStride, index + i * channels,
                 x + (at.image * pixels + b.first) * p.xStride, channels, &p, b);
    poolAdvance(&p, &at);
  }
}

/* dx += gradient where this tap won; `fresh` says that nobody has written dx yet. */
INLINE void maximumGradientPixels(float *dx, const float *dy, const float *x, long channels,
                                  const long *offset, const char *mine, const long count,
                                  const int fresh) {
  long c = 0;
#define BODY(T)                                                                  \
  T highest = LOAD(T, x + offset[0] + c);                                        \
  T winner = SPLAT(T, 0.0f);                                                     \
  for (long t = 1; t < count; t++) {                                             \
    T v = LOAD(T, x + offset[t] + c);                                            \
    winner = WINS(v, highest) ? SPLAT(T, (float)t) : winner;                     \
    highest = WINS(v, highest) ? v : highest;                                    \
  }                                                                              \
  T gradient = LOAD(T, dy + c);                                                  \
  for (long t = 0; t < count; t++) {                                             \
    if (mine && !mine[t]) continue;                                              \
    float *to = dx + offset[t] + c;                                              \
    T share = (winner == SPLAT(T, (float)t)) ? gradient : SPLAT(T, 0.0f);        \
    STORE(T, to, fresh ? share : LOAD(T, to) + share);                           \
  }
  CHANNELS(BODY)
#undef BODY
}

/* The gradient of a window of more than PORTION pixels, some channels at a time. */
INLINE void maximumGradientOfBox(float *dx, const float *dy, const float *x, const KeelPool *p,
                                 PoolBox b, long firstPixel, long end) {
  enum { CHANNELS_AT_ONCE = 256 };
  float best[CHANNELS_AT_ONCE];
  long long index[CHANNELS_AT_ONCE];
  for (long c0 = 0; c0 < p->channels; c0 += CHANNELS_AT_ONCE) {
    long rest = p->channels - c0, channels = rest < CHANNELS_AT_ONCE ? rest : CHANNELS_AT_ONCE;
    maximumOfBox(best, index, x + b.first * p->channels + c0, channels, p, b);
    for (long c = 0; c < channels; c++)
      if (index[c] >= firstPixel && index[c] < end)
        dx[index[c] * p->channels + c0 + c] += dy[c0 + c];
  }
}

/* dx += dy/divisor, or for the norm dx += x·dy/y (0 where y is 0). */
INLINE void sumGradientPixels(const int kind, float *dx, const float *dy, const float *x,
                              const float *y, long channels, const long *offset, const char *mine,
                              const long count, float divisor, const int fresh) {
  long c = 0;
#define BODY(T)                                                                     \
  T ratio = LOAD(T, dy + c);                                                        \
  if (kind == POOL_AVERAGE) {                                                       \
    ratio = ratio / SPLAT(T, divisor);                                              \
  } else {                                                                          \
    T norm = LOAD(T, y + c);                                                        \
    ratio = (norm == SPLAT(T, 0.0f)) ? SPLAT(T, 0.0f) : ratio / norm;               \
  }                                                                                 \
  for (long t = 0; t < count; t++) {                                                \
    if (mine && !mine[t]) continue;                                                 \
    float *to = dx + offset[t] + c;                                                 \
    T share = ratio;                                                                \
    if (kind == POOL_NORM) share = ratio * LOAD(T, x + offset[t] + c);              \
    STORE(T, to, fresh ? share : LOAD(T, to) + share);                              \
  }
  CHANNELS(BODY)
#undef BODY
}

INLINE void gradientPixels(const int kind, float *dx, const float *dy, const float *x,
                           const float *y, long channels, const long *offset, const char *mine,
                           const long count, float divisor, const int fresh) {
  if (kind == POOL_MAXIMUM)
    maximumGradientPixels(dx, dy, x, channels, offset, mine, count, fresh);
  else
    sumGradientPixels(kind, dx, dy, x, y, channels, offset, mine, count, divisor, fresh);
}

/* A position along an axis before which no window reaches `pixel`. Dilated windows that are cut off may
   begin and end up to a step out of order; two further steps make up for that. */
INLINE long firstReaching(const KeelPoolAxis *axis, long pixel) {
  long low = 0, high = axis->output;
  while (low < high) {
    long middle = low + (high - low) / 2;
    if (axis->first[middle] < pixel - (axis->window + 1) * axis->step) low = middle + 1;
    else high = middle;
  }
  return low;
}

/* The gradient of one image, for the pixels firstPixel..<firstPixel + pixels of dx alone; windows that
   reach over them are looked at by both sides. Where windows tile the source each pixel is stored once;
   else pixels are zeroed just before the first window that reaches them, while they are in the cache. */
INLINE void poolGradient(const int kind, float *dx, const float *dy, const float *x, const float *y,
                         const KeelPool *pool, long firstPixel, long pixels) {
  const KeelPool p = *pool;
  const long channels = p.channels, end = firstPixel + pixels;
  const int scatters = kind == POOL_MAXIMUM && p.taps > PORTION;
  const int fresh = p.tiles && !scatters;
  long zeroed = firstPixel;
  for (long z = 0; z < p.z.output; z++) {
    for (long i = 0; i < p.y.output; i++) {
      long row = (p.z.first[z] * p.y.input + p.y.first[i]) * p.x.input;
      long span = ((p.z.count[z] - 1) * p.z.step * p.y.input + (p.y.count[i] - 1) * p.y.step) * p.x.input;
      if (row >= end || row + span + p.x.input <= firstPixel) continue;
      for (long j = firstReaching(&p.x, firstPixel - row - span); j < p.x.output; j++) {
        PoolBox b = poolBox(&p, z, i, j);
        long lastPixel = b.first + span + (b.countX - 1) * p.x.step;
        if (b.first >= end + p.x.step) break;
        if (b.first >= end || lastPixel < firstPixel) continue;
        long position = ((z * p.y.output + i) * p.x.output + j) * channels;
        const float *g = dy + position, *v = kind == POOL_NORM ? y + position : 0;
        long until = lastPixel < end ? lastPixel + 1 : end;
        if (!fresh && zeroed < until) {
          zeroFloats(dx + zeroed * channels, (until - zeroed) * channels);
          zeroed = until;
        }
        if (scatters) {
          maximumGradientOfBox(dx, g, x, &p, b, firstPixel, end);
          continue;
        }
        float *to = dx + b.first * channels;
        const float *from = kind == POOL_AVERAGE ? 0 : x + b.first * channels;
        float divisor = kind == POOL_AVERAGE ? poolDivisor(&p, z, i, j) : 1;
        const int inside = b.first >= firstPixel && lastPixel < end;
        if (inside && b.whole && p.taps == 4 && fresh)
          gradientPixels(kind, to, g, from, v, channels, p.offset, 0, 4, divisor, 1);
        else if (inside && b.whole && p.taps == 4)
          gradientPixels(kind, to, g, from, v, channels, p.offset, 0, 4, divisor, 0);
        else if (inside && b.whole && p.taps == 9)
          gradientPixels(kind, to, g, from, v, channels, p.offset, 0, 9, divisor, fresh);
        else
          FOR_PORTIONS(&p, b, {
            char mine[PORTION];
            if (!inside)
              for (long t = 0; t < count; t++) {
                long pixel = b.first + offset[t] / channels;
                mine[t] = pixel >= firstPixel && pixel < end;
              }
            gradientPixels(kind, to, g, from, v, channels, offset, inside ? 0 : mine, count, divisor,
                           fresh);
            (void)again;
          });
      }
    }
  }
  if (!fresh && zeroed < end) zeroFloats(dx + zeroed * channels, (end - zeroed) * channels);
}

static void poolMaximumGradient(float *dx, const float *dy, const float *x, const KeelPool *p,
                                long firstPixel, long pixels) {
  poolGradient(POOL_MAXIMUM, dx, dy, x, 0, p, firstPixel, pixels);
}

static void poolAverageGradient(float *dx, const float *dy, const KeelPool *p, long firstPixel,
                                long pixels) {
  poolGradient(POOL_AVERAGE, dx, dy, 0, 0, p, firstPixel, pixels);
}

static void poolNormGradient(float *dx, const float *dy, const float *x, const float *y,
                             const KeelPool *p, long firstPixel, long pixels) {
  poolGradient(POOL_NORM, dx, dy, x, y, p, firstPixel, pixels);
}
