/* The leaf loops over sliding windows of convolutions. Part of loops.h. */

INLINE void copyFloats(float *to, const float *from, long channels) {
  long c = 0;
#define BODY(T) STORE(T, to + c, LOAD(T, from + c));
  CHANNELS(BODY)
#undef BODY
}

INLINE void zeroFloats(float *to, long channels) {
  long c = 0;
#define BODY(T) STORE(T, to + c, SPLAT(T, 0));
  CHANNELS(BODY)
#undef BODY
}

/* A position of the grid, stepped through in order. */
typedef struct Position {
  long image, z, y, x;
} Position;

INLINE Position positionAt(const KeelWindow *w, long index) {
  long rest = index / w->gridWidth, row = rest / w->gridHeight;
  return (Position){row / w->gridDepth, row % w->gridDepth, rest % w->gridHeight,
                    index % w->gridWidth};
}

INLINE void advance(const KeelWindow *w, Position *p) {
  if (++p->x < w->gridWidth) return;
  p->x = 0;
  if (++p->y < w->gridHeight) return;
  p->y = 0;
  if (++p->z < w->gridDepth) return;
  p->z = 0;
  p->image++;
}

/* Where the pixel at the steps of a position is, outside the source or not: floats from its start. */
INLINE long centerOffset(const KeelWindow *w, Position p) {
  long plane = p.image * w->sourceDepth + p.z * w->stepZ;
  return ((plane * w->sourceHeight + p.y * w->stepY) * w->sourceWidth + p.x * w->stepX) *
         w->sourceStride;
}

INLINE int isOutside(long coordinate, long extent) {
  return (unsigned long)coordinate >= (unsigned long)extent;
}

/* One gathered row where some taps lie outside the source. */
INLINE float *gatherEdge(float *to, const float *source, long center, const KeelWindow *w,
                         Position p) {
  for (long r = 0; r < w->runCount; r++) {
    long taps = w->runTaps[r];
    long x = p.x * w->stepX + w->runX[r];
    long low = x < 0 ? -x : 0;
    long high = w->sourceWidth - x < taps ? w->sourceWidth - x : taps;
    if (isOutside(p.z * w->stepZ + w->runZ[r], w->sourceDepth) ||
        isOutside(p.y * w->stepY + w->runY[r], w->sourceHeight) || high <= low) {
      zeroFloats(to, taps * w->channels);
    } else {
      if (low > 0) zeroFloats(to, low * w->channels);
      copyFloats(to + low * w->channels, source + (center + w->runOffset[r] + low * w->sourceStride),
                 (high - low) * w->channels);
      if (high < taps) zeroFloats(to + high * w->channels, (taps - high) * w->channels);
    }
    to += taps * w->channels;
  }
  return to;
}

static void gather(float *columns, const float *source, const KeelWindow *window, long first,
                   long count) {
  const KeelWindow w = *window;
  /* The positions whose windows lie inside: planes front..back, rows top..bottom, columns left..right of
     the source. */
  long front = 0, back = 0, top = 0, bottom = 0, left = 0, right = 0;
  for (long r = 0; r < w.runCount; r++) {
    if (w.runZ[r] < front) front = w.runZ[r];
    if (w.runZ[r] > back) back = w.runZ[r];
    if (w.runY[r] < top) top = w.runY[r];
    if (w.runY[r] > bottom) bottom = w.runY[r];
    if (w.runX[r] < left) left = w.runX[r];
    if (w.runX[r] + w.runTaps[r] - 1 > right) right = w.runX[r] + w.runTaps[r] - 1;
  }
  Position p = positionAt(&w, first);
  float *to = columns;
  for (long i = 0; i < count; i++) {
    long center = centerOffset(&w, p);
    long z = p.z * w.stepZ, y = p.y * w.stepY, x = p.x * w.stepX;
    if (z + front >= 0 && z + back < w.sourceDepth && y + top >= 0 &&
        y + bottom < w.sourceHeight && x + left >= 0 && x + right < w.sourceWidth) {
      for (long r = 0; r < w.runCount; r++) {
        long length = w.runTaps[r] * w.channels;
        copyFloats(to, source + (center + w.runOffset[r]), length);
        to += length;
      }
    } else {
      to = gatherEdge(to, source, center, &w, p);
    }
    advance(&w, &p);
  }
}

/* The taps of a window that lie inside the source, at most LIST at a time: offsets into the source
   and numbers of the taps. */
enum { LIST = 64 };

typedef struct Taps {
  long count;
  long next; /* the first run not listed yet; runCount when all are */
  long offset[LIST];
  long number[LIST];
} Taps;

/* Lists taps from run `next` on. Windows used here have runs of one tap each. */
INLINE void listTaps(const KeelWindow *w, Position p, long next, Taps *taps) {
  long center = centerOffset(w, p);
  taps->count = 0;
  long r = next;
  for (; r < w->runCount && taps->count < LIST; r++) {
    if (isOutside(p.y * w->stepY + w->runY[r], w->sourceHeight) ||
        isOutside(p.x * w->stepX + w->runX[r], w->sourceWidth) ||
        isOutside(p.z * w->stepZ + w->runZ[r], w->sourceDepth))
      continue;
    taps->offset[taps->count] = center + w->runOffset[r];
    taps->number[taps->count] = r;
    taps->count++;
  }
  taps->next = r;
}

/* Calls BODY with `taps` filled for each portion of a window's taps; `portion` is 0 for the first. */
#define FOR_TAPS(w, p, BODY)                            \
  do {                                                  \
    Taps taps;                                          \
    long next = 0;                                      \
    for (int portion = 0; portion == 0 || next < (w)->runCount; portion++) { \
      listTaps((w), (p), next, &taps);                  \
      next = taps.next;                                 \
      BODY;                                             \
    }                                                   \
  } while (0)

INLINE void depthwiseTaps(float *y, const float *source, const float *weight, long channels,
                          const Taps *taps, int portion) {
  long c = 0;
  for (; c + 2 * KEEL_WIDTH <= channels; c += 2 * KEEL_WIDTH) {
    Vector s0 = portion ? load(y + c) : splat(0);
    Vector s1 = portion ? load(y + c + KEEL_WIDTH) : splat(0);
    for (long t = 0; t < taps->count; t++) {
      const float *x = source + taps->offset[t] + c;
      const float *k = weight + taps->number[t] * channels + c;
      s0 += load(x) * load(k);
      s1 += load(x + KEEL_WIDTH) * load(k + KEEL_WIDTH);
    }
    store(y + c, s0);
    store(y + c + KEEL_WIDTH, s1);
  }
#define BODY(T)                                                                       \
  T s = portion ? LOAD(T, y + c) : SPLAT(T, 0);                                       \
  for (long t = 0; t < taps->count; t++)                                              \
    s += LOAD(T, source + taps->offset[t] + c) *                                      \
         LOAD(T, weight + taps->number[t] * channels + c);                            \
  STORE(T, y + c, s);
  CHANNELS(BODY)
#undef BODY
}

static void depthwise(float *y, const float *source, const float *weight, const KeelWindow *window,
                      long first, long count) {
  const KeelWindow w = *window;
  Position p = positionAt(&w, first);
  for (long i = 0; i < count; i++) {
    FOR_TAPS(&w, p,
             depthwiseTaps(y + i * w.channels, source, weight, w.channels, &taps, portion));
    advance(&w, &p);
  }
}

/* to += a·b */
INLINE void multiplyAdd(float *to, const float *a, const float *b, long channels) {
  long c = 0;
#define BODY(T) STORE(T, to + c, LOAD(T, to + c) + LOAD(T, a + c) * LOAD(T, b + c));
  CHANNELS(BODY)
#undef BODY
}

static void depthwiseWeight(float *dWeight, const float *source, const float *dy,
                            const KeelWindow *window, long first, long count) {
  const KeelWindow w = *window;
  Position p = positionAt(&w, first);
  for (long i = 0; i < count; i++) {
    const float *g = dy + i * w.channels;
    FOR_TAPS(&w, p, {
      for (long t = 0; t < taps.count; t++) {
        const float *x = source + taps.offset[t];
        float *to = dWeight + taps.number[t] * w.channels;
        multiplyAdd(to, g, x, w.channels);
      }
    });
    advance(&w, &p);
  }
}
