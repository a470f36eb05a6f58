/* Gradients of depthwise convolutions with respect to their weights. Part of loops.h. */

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

enum { MOST_SUM_ROWS = 5 };

/* The sums of U rows of K taps over P pixels of `rows` rows of the grid: those of one vector of channels stay in
   registers. */
INLINE void weightTile(const int P, const int K, const int U, const int S, const int inside,
                       float *dWeight, const float *dy, long dyRow, const Band *b, long firstTap,
                       long rows, long first, long count, long ahead, long xAhead) {
  const long channels = b->channels, pixel = b->pixel, left = b->left + first * S, width = b->width;
  const long low = b->low, high = b->high, taps = b->tapRows;
  Mask lane;
  EACH(j, KEEL_WIDTH) lane[j] = j;
  long c = 0, done = 0;
  do {
    if (ahead) {
      for (long r = 0; r < rows; r++) {
        EACH(p, P) __builtin_prefetch(dy + r * dyRow + ahead + c * P + p * KEEL_WIDTH);
        EACH(q, S) EACH(p, P * S) __builtin_prefetch(
            b->row[taps - S + r * S + q] + first * S * pixel + xAhead + c * (P * S) + p * KEEL_WIDTH);
      }
    }
    Vector s[MOST_SUM_ROWS][7];
    EACH(u, U) EACH(v, K) s[u][v] = splat(0);
    for (long r = 0; r < rows; r++) {
      Vector g[PIXELS];
      const float *from = dy + r * dyRow + c;
      EACH(p, P) {
        if (inside || p < count) g[p] = load(from);
        WALK(from, channels);
      }
      EACH(u, U) {
        const long i = firstTap + u + r * S;
        if (i >= low && i < high) {
          const float *x = b->row[i] + first * S * pixel + c;
          EACH(j, (P - 1) * S + K) {
            if (inside || (!isOutside(left + j, width) && j < (count - 1) * S + K)) {
              Vector in = load(x);
              EACH(v, K) if ((j - v) % S == 0 && j >= v && (j - v) / S < P) {
                if (inside || (j - v) / S < count) s[u][v] += g[(j - v) / S] * in;
              }
            }
            WALK(x, pixel);
          }
        }
      }
    }
    /* The last vector overlaps the one before: what is summed there already stays. */
    const Mask isNew = lane >= (int)(done - c);
    float *to = dWeight + firstTap * K * channels + c;
    EACH(u, U) EACH(v, K) {
      store(to, load(to) + (isNew ? s[u][v] : splat(0)));
      WALK(to, channels);
    }
    done = c + KEEL_WIDTH;
    c = nextChannels(c, channels);
  } while (c);
}

#define BAND(NAME, P, K, U, S)                                                                     \
  static __attribute__((noinline)) void NAME(float *dWeight, const float *dy, long dyRow,          \
                                             const Band *b, long rows, long count, int fetch) {  \
    for (long i = 0; i < count; i += P) {                                                          \
      const long length = count - i < P ? count - i : P;                                           \
      const int inside = length == P && seesColumns(b, P, S, i);                                   \
      const float *from = dy + i * b->channels;                                                    \
      const int last = i + length == count;                                                        \
      long ahead = fetch < KEEL_FETCH_BOTH ? 0 : last ? rows * dyRow - i * b->channels : P * b->channels;         \
      const long xAhead = last ? b->nextRow - i * S * b->pixel : P * S * b->pixel;                 \
      long t = 0;                                                                                  \
      for (; t + U <= b->tapRows; t += U, ahead = 0) {                                             \
        if (inside)                                                                                \
          weightTile(P, K, U, S, 1, dWeight, from, dyRow, b, t, rows, i, length, ahead, xAhead);   \
        else                                                                                       \
          weightTile(P, K, U, S, 0, dWeight, from, dyRow, b, t, rows, i, length, ahead, xAhead);   \
      }                                                                                            \
      for (; t < b->tapRows; t++, ahead = 0)                                                       \
        weightTile(P, K, 1, S, 0, dWeight, from, dyRow, b, t, rows, i, length, ahead, xAhead);     \
    }                                                                                              \
  }
BAND(weightBand3, 4, 3, 3, 1)
BAND(weightBand3By2, 4, 3, 3, 2)
#if KEEL_REGISTERS == 32
BAND(weightBand5, 4, 5, 5, 1)
BAND(weightBand5By2, 4, 5, 5, 2)
BAND(weightBand7, 4, 7, 3, 1)
BAND(weightBand7By2, 4, 7, 3, 2)
#else
BAND(weightBand5, 4, 5, 2, 1)
BAND(weightBand5By2, 4, 5, 2, 2)
BAND(weightBand7, 4, 7, 1, 1)
BAND(weightBand7By2, 4, 7, 1, 2)
#endif
#undef BAND

/* The positions of one row of the grid, whatever the window. */
static void depthwiseWeightRow(float *dWeight, const float *source, const float *dy,
                               const KeelWindow *w, Position p, long count) {
  const long start = p.x;
  RowTaps row;
  listRow(w, p, start, count, 0, &row);
  if (row.next < w->runCount) {
    edgeWeights(dWeight, source, dy, w, p, start, start, start + count);
    return;
  }
  edgeWeights(dWeight, source, dy, w, p, start, start, row.low);
  edgeWeights(dWeight, source, dy, w, p, start, row.high, start + count);
  if (row.high == row.low) return;
  p.x = row.low;
  weightRows(dWeight, dy + (row.low - start) * w->channels, source + centerOffset(w, p),
             w->stepX * w->sourceStride, &row, w->channels, row.high - row.low);
}

static void depthwiseWeight(float *dWeight, const float *source, const float *dy,
                            const KeelWindow *window, long first, long count, int fetch) {
  const KeelWindow w = *window;
  Position p = positionAt(&w, first);
  const long width = w.gridWidth, dyRow = width * w.channels;
  const int isTiled = hasTiles(&w) && w.tapColumns % 2 == 1 && w.tapColumns > 1;
  for (long i = 0; i < count;) {
    long length = width - p.x < count - i ? width - p.x : count - i, rows = 1;
    const float *from = dy + i * w.channels;
    if (isTiled) {
      if (p.x == 0 && p.y + 1 < w.gridHeight && count - i >= 2 * width) rows = 2;
      const Band b = bandAt(&w, source, p, rows);
      const int isDouble = w.stepX == 2;
      (w.tapColumns == 3   ? isDouble ? weightBand3By2 : weightBand3
       : w.tapColumns == 5 ? isDouble ? weightBand5By2 : weightBand5
       : isDouble          ? weightBand7By2
                           : weightBand7)(dWeight, from, dyRow, &b, rows, length, fetch);
    } else {
      depthwiseWeightRow(dWeight, source, from, &w, p, length);
    }
    i += rows * length;
    p.x += length - 1;
    p.y += rows - 1;
    advance(&w, &p);
  }
}
