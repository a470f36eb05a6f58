/* Depthwise convolutions: channels along vectors, and neighbouring pixels at once, so that a weight is loaded
   once for all of them. Part of loops.h.

   Windows that are dense rectangles, as nearly all are, are summed in tiles of up to two rows of the grid.
   Others go row by row: most pixels of a row see all taps whose source row exists, and only the first and
   last few are looked at one by one. Every sum runs over the taps in order, whichever loop makes it. */

/* The pixels of a tile: the sums of two rows of them and the weights of both stay in registers. */
enum { PIXELS = KEEL_REGISTERS / 4 };

/* Keeps the compiler from turning a pointer that walks into one register for each of its places. */
#define WALK(p, step) \
  do {                \
    (p) += (step);    \
    __asm__("" : "+r"(p)); \
  } while (0)

enum { MOST_TAP_ROWS = 8 };

/* A rectangle of taps on up to two rows of the grid. */
typedef struct Band {
  const float *row[MOST_TAP_ROWS + 2]; /* of the source: at the first tap of the first pixel */
  long low, high;                      /* the rows of those that exist */
  long tapRows, tapColumns;
  long left, width;                    /* the first tap's column for the first pixel, the source's columns */
  long pixel, channels;
  long nextRow;                        /* floats from the band's first source row to the next band's */
  const float *bias;                   /* may be null */
  KeelCut cut;
} Band;

INLINE int hasTiles(const KeelWindow *w) {
  return w->tapColumns > 0 && w->tapRows <= MOST_TAP_ROWS && w->channels >= KEEL_WIDTH &&
         w->stepY == w->stepX && w->stepX <= 2 && w->tapRows >= w->stepY &&
         w->tapColumns <= 7 && w->tapColumns != 6 &&
         (w->stepX == 1 || (w->tapColumns > 2 && w->tapColumns != 4));
}

INLINE Band bandAt(const KeelWindow *w, const float *source, Position p, long rows) {
  const long rowFloats = w->sourceWidth * w->sourceStride, count = w->tapRows + (rows - 1) * w->stepY;
  const long top = p.y * w->stepY + w->runY[0];
  Band b = {.low = top < 0 ? -top : 0,
            .high = w->sourceHeight - top < count ? w->sourceHeight - top : count,
            .tapRows = w->tapRows, .tapColumns = w->tapColumns,
            .left = p.x * w->stepX + w->runX[0], .width = w->sourceWidth,
            .pixel = w->sourceStride, .channels = w->channels,
            .nextRow = rows * w->stepY * rowFloats};
  if (isOutside(p.z * w->stepZ + w->runZ[0], w->sourceDepth)) b.high = 0;
  const float *first = source + (centerOffset(w, p) + w->runOffset[0]);
  for (long i = 0; i < count; i++) b.row[i] = first + i * rowFloats;
  return b;
}

/* Whether all taps of P pixels from pixel i on lie in columns of the source. */
INLINE int seesColumns(const Band *b, long P, long S, long i) {
  return b->left + i * S >= 0 && b->left + (i + P - 1) * S + b->tapColumns <= b->width;
}

/* The channels of the vector after c's, 0 behind the last. The last vector overlaps the one before where
   channels are no whole vectors. */
INLINE long nextChannels(long c, long channels) {
  if (c + KEEL_WIDTH >= channels) return 0;
  return c + 2 * KEEL_WIDTH <= channels ? c + KEEL_WIDTH : channels - KEEL_WIDTH;
}

/* One row of the source into the sums of a row of pixels, of the next row, or of both: an input is loaded
   once for all taps that see it. */
INLINE void tileRow(const int P, const int K, const int S, const int inside, const int upper,
                    const int lower, Vector *s, Vector *t, const float *from, long pixel,
                    const float *weight, const float *above, long channels, long left, long width) {
  Vector k[7], l[7];
  EACH(v, K) {
    if (upper) {
      k[v] = load(weight);
      WALK(weight, channels);
    }
    if (lower) {
      l[v] = load(above);
      WALK(above, channels);
    }
  }
  EACH(i, (P - 1) * S + K) {
    if (inside || !isOutside(left + i, width)) {
      Vector in = load(from);
      EACH(v, K) if ((i - v) % S == 0 && i >= v && (i - v) / S < P) {
        if (upper) s[(i - v) / S] += in * k[v];
        if (lower) t[(i - v) / S] += in * l[v];
      }
    }
    WALK(from, pixel);
  }
}

/* P pixels of R rows, of which `count` are stored; `ahead` leads to what is written next, `xAhead` to what is
   read next; 0 where it is not fetched. */
INLINE void depthwiseTile(const int R, const int P, const int K, const int S, const int inside,
                          float *y, long yStep, long yRow, const float *weight, const Band *b,
                          long first, long count, long ahead, long xAhead) {
  const KeelCut cut = b->cut;
  const long channels = b->channels, pixel = b->pixel, rowWeights = K * channels;
  const long left = b->left + first * S, width = b->width, taps = b->tapRows, high = b->high;
  const long dense = yStep == channels; /* what is written next is one piece */
  const long line = dense ? KEEL_WIDTH : yStep, lines = dense ? P : 1;
  long c = 0;
  do {
    if (ahead) {
      EACH(r, R) {
        const float *next = y + r * yRow + ahead + c * lines;
        EACH(p, P) {
          __builtin_prefetch(next, 1);
          WALK(next, line);
        }
      }
    }
    if (xAhead) {
      EACH(q, R * S) {
        const float *next = b->row[taps - S + q] + first * S * pixel + xAhead + c * (P * S);
        EACH(p, P * S) __builtin_prefetch(next + p * KEEL_WIDTH);
      }
    }
    Vector s[PIXELS], t[PIXELS];
    EACH(p, P) s[p] = t[p] = splat(0);
    long i = b->low;
    const float *w = weight + i * rowWeights + c;
    const long offset = first * S * pixel + c;
#define ROWS(END, UPPER, LOWER)                                                                    \
  for (; i < (END) && i < high; i++, w += rowWeights)                                              \
    tileRow(P, K, S, inside, UPPER, LOWER, s, t, b->row[i] + offset, pixel, w, w - S * rowWeights, \
            channels, left, width);
    if (R == 1) {
      ROWS(taps, 1, 0)
    } else {
      ROWS(S, 1, 0)
      ROWS(taps, 1, 1)
      ROWS(taps + S, 0, 1)
    }
#undef ROWS
    if (b->bias) {
      const Vector shift = load(b->bias + c);
      EACH(p, P) s[p] += shift;
      if (R == 2) EACH(p, P) t[p] += shift;
    }
    EACH(p, P) {
      CUT(Vector, s[p], cut)
      if (R == 2) { CUT(Vector, t[p], cut) }
    }
    EACH(r, R) {
      float *to = y + r * yRow + c;
      EACH(p, P) {
        if (inside || p < count) store(to, r ? t[p] : s[p]);
        WALK(to, yStep);
      }
    }
    c = nextChannels(c, channels);
  } while (c);
}

/* Pixels in fours where windows are far apart or have few taps: rows of more would take more streams than
   the caches' own fetching follows. */
#define BAND(NAME, P, K, S)                                                                         \
  static __attribute__((noinline)) void NAME(float *y, long yStep, long yRow, const float *weight, \
                                             const Band *b, long rows, long count, int fetch) { \
    for (long i = 0; i < count; i += P) {                                                   \
      const long length = count - i < P ? count - i : P;                               \
      const int inside = length == P && seesColumns(b, P, S, i);                       \
      float *to = y + i * yStep;                                                                 \
      const int last = i + length == count;                                                      \
      const long ahead = !fetch ? 0 : last ? rows * yRow - i * yStep : P * yStep;                         \
      const long xAhead = fetch < KEEL_FETCH_BOTH ? 0 : last ? b->nextRow - i * S * b->pixel : P * S * b->pixel; \
      if (rows == 2 && inside)                                                                   \
        depthwiseTile(2, P, K, S, 1, to, yStep, yRow, weight, b, i, length, ahead, xAhead); \
      else if (rows == 2)                                                                        \
        depthwiseTile(2, P, K, S, 0, to, yStep, yRow, weight, b, i, length, ahead, xAhead); \
      else if (inside)                                                                           \
        depthwiseTile(1, P, K, S, 1, to, yStep, yRow, weight, b, i, length, ahead, xAhead); \
      else                                                                                       \
        depthwiseTile(1, P, K, S, 0, to, yStep, yRow, weight, b, i, length, ahead, xAhead); \
    }                                                                                            \
  }
BAND(band1, 4, 1, 1)
BAND(band2, 4, 2, 1)
BAND(band3, PIXELS, 3, 1)
BAND(band4, PIXELS, 4, 1)
BAND(band5, PIXELS, 5, 1)
BAND(band7, PIXELS, 7, 1)
BAND(band3By2, 4, 3, 2)
BAND(band5By2, 4, 5, 2)
BAND(band7By2, 4, 7, 2)
#undef BAND

INLINE void depthwiseBand(float *y, long yStep, long yRow, const float *weight, const Band *b,
                          long step, long rows, long count, int fetch) {
  void (*band)(float *, long, long, const float *, const Band *, long, long, int) = band1;
  switch (b->tapColumns) {
    case 2: band = band2; break;
    case 3: band = step == 1 ? band3 : band3By2; break;
    case 4: band = band4; break;
    case 5: band = step == 1 ? band5 : band5By2; break;
    case 7: band = step == 1 ? band7 : band7By2; break;
  }
  band(y, yStep, yRow, weight, b, rows, count, fetch);
}

/* The taps of one row of the grid whose source row exists, and the pixels that see all of them. */
typedef struct RowTaps {
  long count;        /* of taps here, at most LIST */
  long next;         /* the first tap that did not fit; runCount when all did */
  long low, high;    /* pixels of the row that see all taps */
  long offset[LIST]; /* from the pixel at the steps, floats */
  long weight[LIST]; /* the tap's number */
  long x[LIST];
} RowTaps;

INLINE void listRow(const KeelWindow *w, Position p, long first, long count, long next,
                    RowTaps *row) {
  long least = 0, most = 0, n = 0, r = next;
  for (; r < w->runCount && n < LIST; r++) {
    if (isOutside(p.z * w->stepZ + w->runZ[r], w->sourceDepth) ||
        isOutside(p.y * w->stepY + w->runY[r], w->sourceHeight))
      continue;
    row->offset[n] = w->runOffset[r];
    row->weight[n] = r;
    row->x[n] = w->runX[r];
    if (row->x[n] < least) least = row->x[n];
    if (row->x[n] > most) most = row->x[n];
    n++;
  }
  row->count = n;
  row->next = r;
  /* The pixels x with x·step + least ≥ 0 and x·step + most < width. */
  long low = (-least + w->stepX - 1) / w->stepX;
  long span = w->sourceWidth - 1 - most;
  long high = span < 0 ? 0 : span / w->stepX + 1;
  if (low < first) low = first;
  if (low > first + count) low = first + count;
  if (high > first + count) high = first + count;
  row->low = low;
  row->high = high < low ? low : high;
}

/* P pixels that see all taps. */
INLINE void depthwisePixels(const int P, float *y, long yStep, const float *x, long xStep,
                            const float *weight, long channels, const RowTaps *row) {
  long c = 0;
#define BODY(T)                                                                      \
  T s[PIXELS];                                                                       \
  EACH(p, P) s[p] = SPLAT(T, 0);                                                      \
  for (long t = 0; t < row->count; t++) {                                            \
    T k = LOAD(T, weight + row->weight[t] * channels + c);                           \
    const float *from = x + row->offset[t] + c;                                      \
    EACH(p, P) s[p] += LOAD(T, from + p * xStep) * k;                                \
  }                                                                                  \
  EACH(p, P) STORE(T, y + p * yStep + c, s[p]);
  CHANNELS(BODY)
#undef BODY
}

INLINE void depthwiseTaps(float *y, const float *source, const float *weight, long channels,
                          const Taps *taps, int portion) {
  long c = 0;
#define BODY(T)                                                                       \
  T s = portion ? LOAD(T, y + c) : SPLAT(T, 0);                                       \
  for (long t = 0; t < taps->count; t++)                                              \
    s += LOAD(T, source + taps->offset[t] + c) *                                      \
         LOAD(T, weight + taps->number[t] * channels + c);                            \
  STORE(T, y + c, s);
  CHANNELS(BODY)
#undef BODY
}

static __attribute__((noinline)) void anyPixels(float *y, long yStep, const float *x, long xStep,
                                                const float *weight, long channels,
                                                const RowTaps *row, long count) {
  long i = 0;
  for (; i + PIXELS <= count; i += PIXELS)
    depthwisePixels(PIXELS, y + i * yStep, yStep, x + i * xStep, xStep, weight, channels, row);
  for (; i + 4 <= count; i += 4)
    depthwisePixels(4, y + i * yStep, yStep, x + i * xStep, xStep, weight, channels, row);
  for (; i < count; i++)
    depthwisePixels(1, y + i * yStep, yStep, x + i * xStep, xStep, weight, channels, row);
}

/* Pixels of a row that do not see all taps. */
INLINE void edgePixels(float *y, long yStep, const float *source, const float *weight,
                       const KeelWindow *w, Position p, long first, long low, long high) {
  for (p.x = low; p.x < high; p.x++) {
    FOR_TAPS(w, p,
             depthwiseTaps(y + (p.x - first) * yStep, source, weight, w->channels, &taps, portion));
  }
}

/* One row of the grid, whatever the window. */
static void depthwiseRow(float *y, long yStep, const float *source, const float *weight,
                         const KeelWindow *w, Position p, long count) {
  const long start = p.x;
  RowTaps row;
  listRow(w, p, start, count, 0, &row);
  if (row.next < w->runCount) { /* more taps than one list: all pixels see few of them, or none all */
    edgePixels(y, yStep, source, weight, w, p, start, start, start + count);
    return;
  }
  edgePixels(y, yStep, source, weight, w, p, start, start, row.low);
  edgePixels(y, yStep, source, weight, w, p, start, row.high, start + count);
  if (row.high == row.low) return;
  p.x = row.low;
  anyPixels(y + (row.low - start) * yStep, yStep, source + centerOffset(w, p),
            w->stepX * w->sourceStride, weight, w->channels, &row, row.high - row.low);
}

static void depthwise(float *y, long yStep, long yRow, const float *source, const float *weight,
                      const KeelWindow *window, long first, long count, long rows, int fetch,
                      const float *bias, KeelCut cut) {
  const KeelWindow w = *window;
  Position p = positionAt(&w, first);
  for (long r = 0; r < rows; p.y += 1) {
    if (hasTiles(&w)) {
      const long pair = rows - r < 2 ? 1 : 2;
      Band b = bandAt(&w, source, p, pair);
      b.bias = bias;
      b.cut = cut;
      depthwiseBand(y + r * yRow, yStep, yRow, weight, &b, w.stepX, pair, count, fetch);
      p.y += pair - 1;
      r += pair;
    } else {
      depthwiseRow(y + r * yRow, yStep, source, weight, &w, p, count);
      if (bias || cut.kind != KEEL_CUT_NONE)
        epilogue(y + r * yRow, count, w.channels, yStep, bias, 0, 0, cut);
      r += 1;
    }
  }
}
