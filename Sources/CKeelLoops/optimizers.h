/* One step of each optimizer over flat weights, and what clips gradients before it. Part of loops.h. */

#define ROOT(x) __builtin_elementwise_sqrt(x)

static void sgd(float *w, float *v, const float *g, long channels, float rate, float momentum,
                float decay, int nesterov) {
  long c = 0;
#define BODY(T)                                                            \
  T old = LOAD(T, w + c);                                                  \
  T d = LOAD(T, g + c) + SPLAT(T, decay) * old;                            \
  T m = SPLAT(T, momentum) * LOAD(T, v + c) + d;                           \
  STORE(T, v + c, m);                                                      \
  if (nesterov) m = d + SPLAT(T, momentum) * m;                            \
  STORE(T, w + c, old - SPLAT(T, rate) * m);
  CHANNELS(BODY)
#undef BODY
}

/* 1 − beta is exact for a float beta of at least ½, so that the two factors add up to 1. */
static void adam(float *w, float *m, float *v, const float *g, long channels,
                 const KeelAdam *step) {
  const float beta1 = step->beta1, rest1 = 1 - beta1, beta2 = step->beta2, rest2 = 1 - beta2;
  const float rate = step->rate, root = step->root, epsilon = step->epsilon;
  const float decay = step->decay, shrink = step->shrink;
  long c = 0;
#define BODY(T)                                                            \
  T old = LOAD(T, w + c);                                                  \
  T d = LOAD(T, g + c) + SPLAT(T, decay) * old;                            \
  T mean = SPLAT(T, beta1) * LOAD(T, m + c) + SPLAT(T, rest1) * d;         \
  T square = SPLAT(T, beta2) * LOAD(T, v + c) + SPLAT(T, rest2) * (d * d); \
  STORE(T, m + c, mean);                                                   \
  STORE(T, v + c, square);                                                 \
  T size = SPLAT(T, root) * ROOT(square) + SPLAT(T, epsilon);              \
  STORE(T, w + c, old - (SPLAT(T, rate) * mean / size + SPLAT(T, shrink) * old));
  CHANNELS(BODY)
#undef BODY
}

static void rmsProp(float *w, float *square, float *mean, float *velocity, const float *g,
                    long channels, float rate, float alpha, float epsilon, float momentum,
                    float decay) {
  const float rest = 1 - alpha;
  long c = 0;
#define BODY(T)                                                            \
  T old = LOAD(T, w + c);                                                  \
  T d = LOAD(T, g + c) + SPLAT(T, decay) * old;                            \
  T s = LOAD(T, square + c);                                               \
  if (mean) {                                                              \
    T a = LOAD(T, mean + c), away = d - a;                                 \
    s = SPLAT(T, alpha) * (s + SPLAT(T, rest) * (away * away));            \
    STORE(T, mean + c, a + SPLAT(T, rest) * away);                         \
  } else {                                                                 \
    s = SPLAT(T, alpha) * s + SPLAT(T, rest) * (d * d);                    \
  }                                                                        \
  STORE(T, square + c, s);                                                 \
  d = d / (ROOT(s) + SPLAT(T, epsilon));                                   \
  if (velocity) {                                                          \
    d = SPLAT(T, momentum) * LOAD(T, velocity + c) + d;                    \
    STORE(T, velocity + c, d);                                             \
  }                                                                        \
  STORE(T, w + c, old - SPLAT(T, rate) * d);
  CHANNELS(BODY)
#undef BODY
}

static void clip(float *g, long channels, float limit) {
  long c = 0;
#define BODY(T)                                                            \
  T v = LOAD(T, g + c);                                                    \
  v = v > SPLAT(T, limit) ? SPLAT(T, limit) : v;                           \
  STORE(T, g + c, v < SPLAT(T, -limit) ? SPLAT(T, -limit) : v);
  CHANNELS(BODY)
#undef BODY
}

/* Sixteen sums whatever the vectors' width. The square of a float is exact in double, so a fused
   multiply-add rounds no differently: all instruction sets give the same bits. */
static double squareSum(const float *x, long channels) {
  enum { LANES = 16 };
  double sums[LANES] = {0};
  long c = 0;
  for (; c + LANES <= channels; c += LANES)
    for (int i = 0; i < LANES; i++) {
      double v = x[c + i];
      sums[i] += v * v;
    }
  for (int i = 0; c + i < channels; i++) {
    double v = x[c + i];
    sums[i] += v * v;
  }
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) sums[i] += sums[i + half];
  return sums[0];
}

#undef ROOT
