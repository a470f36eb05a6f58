/* Depthwise convolutions, one row of the grid per call: channels along vectors, and PIXELS neighbouring
   pixels at once, so that a weight is loaded once for all of them. Part of loops.h.

   Most pixels of a row see all taps whose source row exists: only the first and last few are looked at one
   by one. Every sum runs over the taps in order, whichever loop makes it. */

enum { PIXELS = 8 };

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
                            const float *weight, long channels, const RowTaps *row, int portion) {
  long c = 0;
#define BODY(T)                                                                      \
  T s[PIXELS];                                                                       \
  EACH(p, P) __builtin_prefetch(y + (P + p) * yStep + c, 1);                         \
  EACH(p, P) s[p] = portion ? LOAD(T, y + p * yStep + c) : SPLAT(T, 0);              \
  for (long t = 0; t < row->count; t++) {                                            \
    T k = LOAD(T, weight + row->weight[t] * channels + c);                           \
    const float *from = x + row->offset[t] + c;                                      \
    EACH(p, P) s[p] += LOAD(T, from + p * xStep) * k;                                \
  }                                                                                  \
  EACH(p, P) STORE(T, y + p * yStep + c, s[p]);
  CHANNELS(BODY)
#undef BODY
}

/* The same where the taps are rows of K neighbouring pixels and the pixels lie S apart: a source pixel is
   loaded once for all taps that see it. */
INLINE void depthwiseSquare(const int P, const int K, const int S, float *y, long yStep,
                            const float *x, long pixel, const float *weight, long channels,
                            const RowTaps *row) {
  long c = 0;
#define BODY(T)                                                                           \
  T s[PIXELS];                                                                            \
  EACH(p, P) __builtin_prefetch(y + (P + p) * yStep + c, 1);                              \
  EACH(p, P) s[p] = SPLAT(T, 0);                                                          \
  for (long t = 0; t < row->count; t += K) {                                              \
    T k[7];                                                                               \
    EACH(v, K) k[v] = LOAD(T, weight + (row->weight[t] + v) * channels + c);              \
    const float *from = x + row->offset[t] + c;                                           \
    EACH(i, (P - 1) * S + K) {                                                            \
      T in = LOAD(T, from + i * pixel);                                                   \
      EACH(v, K) if ((i - v) % S == 0 && i >= v && (i - v) / S < P) s[(i - v) / S] += in * k[v]; \
    }                                                                                     \
  }                                                                                       \
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

/* Whether the listed taps are rows of K neighbours, in order. */
INLINE int isSquare(const RowTaps *row, long K, long pixel) {
  if (row->count % K) return 0;
  for (long t = 0; t < row->count; t++) {
    long v = t % K;
    if (row->offset[t] != row->offset[t - v] + v * pixel ||
        row->weight[t] != row->weight[t - v] + v)
      return 0;
  }
  return 1;
}

#define SQUARES(NAME, K, S)                                                                     \
  static __attribute__((noinline)) void NAME(float *y, long yStep, const float *x, long pixel,  \
                                             const float *weight, long channels,                \
                                             const RowTaps *row, long count) {                  \
    long i = 0;                                                                                 \
    for (; i + PIXELS <= count; i += PIXELS)                                                    \
      depthwiseSquare(PIXELS, K, S, y + i * yStep, yStep, x + i * S * pixel, pixel, weight,     \
                      channels, row);                                                           \
    for (; i + 4 <= count; i += 4)                                                              \
      depthwiseSquare(4, K, S, y + i * yStep, yStep, x + i * S * pixel, pixel, weight,          \
                      channels, row);                                                           \
    for (; i < count; i++)                                                                      \
      depthwiseSquare(1, K, S, y + i * yStep, yStep, x + i * S * pixel, pixel, weight,          \
                      channels, row);                                                           \
  }
SQUARES(square3, 3, 1)
SQUARES(square3By2, 3, 2)
#undef SQUARES

static __attribute__((noinline)) void anyPixels(float *y, long yStep, const float *x, long xStep,
                                                const float *weight, long channels,
                                                const RowTaps *row, long count, int portion) {
  long i = 0;
  for (; i + PIXELS <= count; i += PIXELS)
    depthwisePixels(PIXELS, y + i * yStep, yStep, x + i * xStep, xStep, weight, channels, row,
                    portion);
  for (; i + 4 <= count; i += 4)
    depthwisePixels(4, y + i * yStep, yStep, x + i * xStep, xStep, weight, channels, row, portion);
  for (; i < count; i++)
    depthwisePixels(1, y + i * yStep, yStep, x + i * xStep, xStep, weight, channels, row, portion);
}

/* Pixels of a row that do not see all taps. */
INLINE void edgePixels(float *y, long yStep, const float *source, const float *weight,
                       const KeelWindow *w, Position p, long first, long low, long high) {
  for (p.x = low; p.x < high; p.x++) {
    FOR_TAPS(w, p,
             depthwiseTaps(y + (p.x - first) * yStep, source, weight, w->channels, &taps, portion));
  }
}

static void depthwise(float *y, long yStep, const float *source, const float *weight,
                      const KeelWindow *window, long first, long count) {
  const KeelWindow w = *window;
  Position p = positionAt(&w, first);
  const long start = p.x, pixel = w.sourceStride;
  RowTaps row;
  listRow(&w, p, start, count, 0, &row);
  if (row.next < w.runCount) { /* more taps than one list: all pixels see few of them, or none all */
    edgePixels(y, yStep, source, weight, &w, p, start, start, start + count);
    return;
  }
  edgePixels(y, yStep, source, weight, &w, p, start, start, row.low);
  edgePixels(y, yStep, source, weight, &w, p, start, row.high, start + count);
  if (row.high == row.low) return;
  p.x = row.low;
  float *to = y + (row.low - start) * yStep;
  const float *from = source + centerOffset(&w, p);
  long inside = row.high - row.low;
  if (row.count > 0 && w.stepX <= 2 && isSquare(&row, 3, pixel)) {
    if (w.stepX == 1) square3(to, yStep, from, pixel, weight, w.channels, &row, inside);
    else square3By2(to, yStep, from, pixel, weight, w.channels, &row, inside);
  } else {
    anyPixels(to, yStep, from, w.stepX * pixel, weight, w.channels, &row, inside, 0);
  }
}

/* dWeight[t] += Σ dy·x for K·V sums at once: one row of K taps, V vectors of channels. */
INLINE void weightRow(const int K, const int V, float *dWeight, const float *dy, long dyStep,
                      const float *x, long xStep, const long *offset, const long *number,
                      long channels, long count) {
  Vector s[8][4];
  const float *from[8];
  EACH(k, K) {
    from[k] = x + offset[k];
    EACH(v, V) s[k][v] = splat(0);
  }
  for (long i = 0; i < count; i++) {
    EACH(v, V) {
      Vector g = load(dy + i * dyStep + v * KEEL_WIDTH);
      EACH(k, K) s[k][v] += g * load(from[k] + i * xStep + v * KEEL_WIDTH);
    }
  }
  EACH(k, K) EACH(v, V) {
    float *to = dWeight + number[k] * channels + v * KEEL_WIDTH;
    store(to, load(to) + s[k][v]);
  }
}

/* 3×3: nine sums and two pixels at once; pixels S apart share source pixels. */
INLINE void weightSquare(const int S, float *dWeight, const float *dy, long dyStep, const float *x,
                         long pixel, const RowTaps *row, long channels, long count) {
  Vector s[3][3];
  EACH(u, 3) EACH(v, 3) s[u][v] = splat(0);
  const float *a = x + row->offset[0], *b = x + row->offset[3], *c = x + row->offset[6];
  long i = 0;
  for (; i + 2 <= count; i += 2) {
    Vector g[2] = {load(dy), load(dy + dyStep)};
    dy += 2 * dyStep;
    EACH(j, 3 + S) {
      Vector in[3] = {load(a + j * pixel), load(b + j * pixel), load(c + j * pixel)};
      EACH(q, 2) EACH(u, 3) {
        if (j - q * S >= 0 && j - q * S < 3) s[u][j - q * S] += g[q] * in[u];
      }
    }
    a += 2 * S * pixel;
    b += 2 * S * pixel;
    c += 2 * S * pixel;
  }
  if (i < count) {
    Vector g = load(dy);
    EACH(j, 3) {
      s[0][j] += g * load(a + j * pixel);
      s[1][j] += g * load(b + j * pixel);
      s[2][j] += g * load(c + j * pixel);
    }
  }
  EACH(u, 3) EACH(v, 3) {
    float *to = dWeight + row->weight[u * 3 + v] * channels;
    store(to, load(to) + s[u][v]);
  }
}

/* to += a·b */
INLINE void multiplyAdd(float *to, const float *a, const float *b, long channels) {
  long c = 0;
#define BODY(T) STORE(T, to + c, LOAD(T, to + c) + LOAD(T, a + c) * LOAD(T, b + c));
  CHANNELS(BODY)
#undef BODY
}

INLINE void edgeWeights(float *dWeight, const float *source, const float *dy, const KeelWindow *w,
                        Position p, long first, long low, long high) {
  for (p.x = low; p.x < high; p.x++) {
    const float *g = dy + (p.x - first) * w->channels;
    FOR_TAPS(w, p, {
      for (long t = 0; t < taps.count; t++)
        multiplyAdd(dWeight + taps.number[t] * w->channels, g, source + taps.offset[t],
                    w->channels);
      (void)portion;
    });
  }
}

static __attribute__((noinline)) void weightRows(float *dWeight, const float *dy, const float *x,
                                                 long xStep, const RowTaps *row, long channels,
                                                 long count) {
  for (long t = 0; t < row->count;) {
    const long *offset = row->offset + t, *number = row->weight + t;
    long left = row->count - t, c = 0;
    long part = left >= 8 ? 8 : left >= 4 ? 4 : 1;
#define STEP(K, V)                                                                            \
  for (; c + (V) * KEEL_WIDTH <= channels; c += (V) * KEEL_WIDTH)                             \
    weightRow(K, V, dWeight + c, dy + c, channels, x + c, xStep, offset, number, channels, count);
    if (part == 8) {
      STEP(8, 1)
    } else if (part == 4) {
      STEP(4, 2)
      STEP(4, 1)
    } else {
      STEP(1, 4)
      STEP(1, 1)
    }
#undef STEP
    for (; c < channels; c++) {
      for (long k = 0; k < part; k++) {
        float s = 0;
        for (long i = 0; i < count; i++)
          s += dy[i * channels + c] * x[offset[k] + i * xStep + c];
        dWeight[number[k] * channels + c] += s;
      }
    }
    t += part;
  }
}

static __attribute__((noinline)) long weightSquares(float *dWeight, const float *dy,
                                                    const float *x, long pixel, long step,
                                                    const RowTaps *row, long channels,
                                                    long count) {
  long c = 0;
  for (; c + KEEL_WIDTH <= channels; c += KEEL_WIDTH) {
    if (step == 1)
      weightSquare(1, dWeight + c, dy + c, channels, x + c, pixel, row, channels, count);
    else
      weightSquare(2, dWeight + c, dy + c, channels, x + c, pixel, row, channels, count);
  }
  return c;
}

static void depthwiseWeight(float *dWeight, const float *source, const float *dy,
                            const KeelWindow *window, long first, long count) {
  const KeelWindow w = *window;
  Position p = positionAt(&w, first);
  for (long i = 0; i < count;) {
    long length = w.gridWidth - p.x < count - i ? w.gridWidth - p.x : count - i;
    const float *g = dy + i * w.channels;
    const long start = p.x;
    RowTaps row;
    listRow(&w, p, start, length, 0, &row);
    if (row.next < w.runCount) {
      edgeWeights(dWeight, source, g, &w, p, start, start, start + length);
    } else {
      edgeWeights(dWeight, source, g, &w, p, start, start, row.low);
      edgeWeights(dWeight, source, g, &w, p, start, row.high, start + length);
      if (row.high > row.low) {
        p.x = row.low;
        const float *from = source + centerOffset(&w, p);
        const float *inside = g + (row.low - start) * w.channels;
        long done = 0;
        if (row.count == 9 && w.stepX <= 2 && w.channels % KEEL_WIDTH == 0 &&
            isSquare(&row, 3, w.sourceStride))
          done = weightSquares(dWeight, inside, from, w.sourceStride, w.stepX, &row, w.channels,
                               row.high - row.low);
        if (done < w.channels)
          weightRows(dWeight, inside, from, w.stepX * w.sourceStride, &row, w.channels,
                     row.high - row.low);
      }
    }
    i += length;
    p.x = start + length - 1;
    advance(&w, &p);
  }
}
