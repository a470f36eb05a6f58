/* The leaf loops over sliding windows of convolutions. Part of loops.h. */

INLINE void copyFloats(float *to, const float *from, long channels) {
  long c = 0;
#define BODY(T) STORE(T, to + c, LOAD(T, from + c));
  CHANNELS(BODY)
#undef BODY
}

/* Copies a run of any length with at most one overlapping move in place of a chain of shorter ones. */
INLINE void copyRun(float *to, const float *from, long count) {
#if KEEL_WIDTH >= 8
  if (count < KEEL_WIDTH && count >= KEEL_WIDTH / 2) {
    Half low = LOAD(Half, from), high = LOAD(Half, from + count - KEEL_WIDTH / 2);
    STORE(Half, to, low);
    STORE(Half, to + count - KEEL_WIDTH / 2, high);
    return;
  }
#endif
  if (count < KEEL_WIDTH) {
    copyFloats(to, from, count);
    return;
  }
  for (long i = 0; i + KEEL_WIDTH < count; i += KEEL_WIDTH) store(to + i, load(from + i));
  store(to + count - KEEL_WIDTH, load(from + count - KEEL_WIDTH));
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
INLINE void gatherEdge(float *to, const float *source, long center, const KeelWindow *w,
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
}

static void gather(float *columns, long stride, const float *source, const KeelWindow *window,
                   long first, long count) {
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
  for (long i = 0; i < count; i++) {
    float *to = columns + i * stride;
    long center = centerOffset(&w, p);
    long z = p.z * w.stepZ, y = p.y * w.stepY, x = p.x * w.stepX;
    if (z + front >= 0 && z + back < w.sourceDepth && y + top >= 0 &&
        y + bottom < w.sourceHeight && x + left >= 0 && x + right < w.sourceWidth) {
      for (long r = 0; r < w.runCount; r++) {
        long length = w.runTaps[r] * w.channels;
        copyRun(to, source + (center + w.runOffset[r]), length);
        to += length;
      }
    } else {
      gatherEdge(to, source, center, &w, p);
    }
    advance(&w, &p);
  }
}

/* The same as locate where the source is made of rows and columns of another image. */
static void locateMapped(const float **table, long stride, const float *source, const float *zeros,
                         const KeelWindow *w, long firstRun, long runs, long first, long count) {
  Position p = positionAt(w, first);
  for (long i = 0; i < count;) {
    const long length = w->gridWidth - p.x < count - i ? w->gridWidth - p.x : count - i;
    const float *image = source + p.image * w->heldHeight * w->heldWidth * w->sourceStride;
    for (long r = 0; r < runs; r++) {
      const float **to = table + r * stride + i;
      const long y = p.y * w->stepY + w->runY[firstRun + r];
      const long row = isOutside(y, w->sourceHeight) ? -1 : w->rows[y];
      long x = p.x * w->stepX + w->runX[firstRun + r];
      for (long j = 0; j < length; j++, x += w->stepX) {
        const long column = row < 0 || isOutside(x, w->sourceWidth) ? -1 : w->columns[x];
        to[j] = column < 0 ? zeros : image + (row * w->heldWidth + column) * w->sourceStride;
      }
    }
    i += length;
    p.x += length - 1;
    advance(w, &p);
  }
}

/* Addresses of windows, in stretches of positions of one grid row: only their ends need looking at. */
static void locate(const float **table, long stride, const float *source, const float *zeros,
                   const KeelWindow *window, long firstRun, long runs, long first, long count) {
  const KeelWindow w = *window;
  if (w.rows) return locateMapped(table, stride, source, zeros, window, firstRun, runs, first, count);
  Position p = positionAt(&w, first);
  const long step = w.stepX * w.sourceStride;
  for (long i = 0; i < count;) {
    long length = w.gridWidth - p.x < count - i ? w.gridWidth - p.x : count - i;
    long center = centerOffset(&w, p);
    for (long r = 0; r < runs; r++) {
      const float **to = table + r * stride + i;
      long run = firstRun + r;
      long x = p.x * w.stepX + w.runX[run], width = w.sourceWidth - w.runTaps[run];
      if (isOutside(p.z * w.stepZ + w.runZ[run], w.sourceDepth) ||
          isOutside(p.y * w.stepY + w.runY[run], w.sourceHeight)) {
        for (long j = 0; j < length; j++) to[j] = zeros;
        continue;
      }
      const float *from = source + (center + w.runOffset[run]);
      long low = 0, high = length;
      for (; low < length && x + low * w.stepX < 0; low++) to[low] = zeros;
      for (; high > low && x + (high - 1) * w.stepX > width; high--) to[high - 1] = zeros;
      for (long j = low; j < high; j++) to[j] = from + j * step;
    }
    i += length;
    p.x += length - 1;
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
