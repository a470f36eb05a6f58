/* Losses: of elements, and of rows with a distribution for each. Part of loops.h. */

/* The values, of elements x and y and a third operand w. */
INLINE Vector squaredLoss(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w; (void)f;
  return (x - y) * (x - y);
}
INLINE Vector absoluteLoss(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w; (void)f;
  return magnitude(x - y);
}
INLINE Vector smoothL1Loss(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w;
  Vector e = magnitude(x - y);
  return e < splat(f.a) ? e * e / splat(2 * f.a) : e - splat(f.a / 2);
}
INLINE Vector huberLoss(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w;
  Vector e = magnitude(x - y);
  return e <= splat(f.a) ? e * e * splat(0.5f) : splat(f.a) * (e - splat(f.a / 2));
}
INLINE Vector logisticLoss(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w; (void)f;
  return softplus(-y * x);
}
/* Both terms by themselves: max(z, 0) − z·t would lose what is left of a small one. */
INLINE Vector binaryLoss(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)f;
  Vector log = log1pUnit(decay(x));
  return y * w * (POSITIVE(Vector, -x) + log) + (splat(1) - y) * (POSITIVE(Vector, x) + log);
}
/* (1 − P)^γ for the logit s of the target's side: log(1 − P) = −softplus(s). */
INLINE Vector focalFactor(Vector s, KeelLoss f) {
  return f.a == 0 ? splat(1) : exponential(splat(-f.a) * softplus(s));
}
INLINE Vector focalWeight(Vector y, KeelLoss f) {
  return f.b < 0 ? splat(1) : y > splat(0.5f) ? splat(f.b) : splat(1 - f.b);
}
INLINE Vector binaryFocalLoss(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w;
  Vector s = y > splat(0.5f) ? x : -x;
  return focalWeight(y, f) * focalFactor(s, f) * softplus(-s);
}
INLINE Vector klLoss(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w; (void)f;
  return y == splat(0) ? splat(0) : y * (logarithm(y) - x);
}
/* The signs are the third operand. */
INLINE Vector rankingLoss(Vector x, Vector y, Vector w, KeelLoss f) {
  Vector v = splat(f.a) - w * (x - y);
  return POSITIVE(Vector, v);
}

/* The derivatives by x. */
INLINE Vector squaredSlope(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w; (void)f;
  return splat(2) * (x - y);
}
/* The sign of a difference; NaN stays. */
INLINE Vector direction(Vector e) {
  return e > splat(0) ? splat(1) : e < splat(0) ? splat(-1) : e;
}
INLINE Vector absoluteSlope(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w; (void)f;
  return direction(x - y);
}
INLINE Vector smoothL1Slope(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w;
  Vector e = x - y;
  return magnitude(e) < splat(f.a) ? e / splat(f.a) : direction(e);
}
INLINE Vector huberSlope(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w;
  Vector e = x - y;
  return magnitude(e) <= splat(f.a) ? e : splat(f.a) * direction(e);
}
INLINE Vector logisticSlope(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w; (void)f;
  return -y * logistic(-y * x).of;
}
INLINE Vector binarySlope(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)f;
  Logistic p = logistic(x);
  return (splat(1) - y) * p.of - y * w * p.complement;
}
INLINE Vector binaryFocalSlope(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)w;
  Vector side = y > splat(0.5f) ? splat(1) : splat(-1), s = side * x;
  Logistic p = logistic(s);
  Vector inner = splat(f.a) * p.of * softplus(-s) + p.complement;
  return -(focalWeight(y, f) * side * focalFactor(s, f) * inner);
}
INLINE Vector klSlope(Vector x, Vector y, Vector w, KeelLoss f) {
  (void)x; (void)w; (void)f;
  return -y;
}
INLINE Vector rankingSlope(Vector x, Vector y, Vector w, KeelLoss f) {
  Vector v = splat(f.a) - w * (x - y);
  return v < splat(0) ? splat(0) : -w; /* NaN in v is in the loss, too */
}

/* One operand's whole vectors, and what is left filled up with ones, at which every function is finite. */
#define PIECE(p, n) ((n) == KEEL_WIDTH ? load((p) + i) : loadFilled((p) + i, n, 1))

#define APPLY(NAME)                                                                            \
  for (long i = 0; i < count; i += KEEL_WIDTH) {                                               \
    long n = count - i < KEEL_WIDTH ? count - i : KEEL_WIDTH;                                  \
    Vector third = w ? PIECE(w, n) : splat(f.weight);                                          \
    Vector v = NAME##Loss(PIECE(x, n), PIECE(y, n), third, f);                                 \
    if (n == KEEL_WIDTH) store(out + i, v);                                                    \
    else storePart(out + i, v, n);                                                             \
  }                                                                                            \
  break;

static void pointLoss(float *out, const float *x, const float *y, const float *w, long count,
                      KeelLoss f) {
  switch (f.kind) {
    case KEEL_SQUARED_ERROR: APPLY(squared)
    case KEEL_ABSOLUTE_ERROR: APPLY(absolute)
    case KEEL_SMOOTH_L1: APPLY(smoothL1)
    case KEEL_HUBER: APPLY(huber)
    case KEEL_LOGISTIC: APPLY(logistic)
    case KEEL_BINARY: APPLY(binary)
    case KEEL_BINARY_FOCAL: APPLY(binaryFocal)
    case KEEL_KL: APPLY(kl)
    case KEEL_RANKING: APPLY(ranking)
  }
}
#undef APPLY

#define APPLY(NAME)                                                                            \
  for (long i = 0; i < count; i += KEEL_WIDTH) {                                               \
    long n = count - i < KEEL_WIDTH ? count - i : KEEL_WIDTH;                                  \
    Vector third = w ? PIECE(w, n) : splat(f.weight);                                          \
    Vector v = NAME##Slope(PIECE(x, n), PIECE(y, n), third, f);                                \
    v *= dy ? PIECE(dy, n) : splat(factor);                                                    \
    if (n == KEEL_WIDTH) store(dx + i, v);                                                     \
    else storePart(dx + i, v, n);                                                              \
  }                                                                                            \
  break;

static void pointLossGradient(float *dx, const float *x, const float *y, const float *w,
                              const float *dy, float factor, long count, KeelLoss f) {
  switch (f.kind) {
    case KEEL_SQUARED_ERROR: APPLY(squared)
    case KEEL_ABSOLUTE_ERROR: APPLY(absolute)
    case KEEL_SMOOTH_L1: APPLY(smoothL1)
    case KEEL_HUBER: APPLY(huber)
    case KEEL_LOGISTIC: APPLY(logistic)
    case KEEL_BINARY: APPLY(binary)
    case KEEL_BINARY_FOCAL: APPLY(binaryFocal)
    case KEEL_KL: APPLY(kl)
    case KEEL_RANKING: APPLY(ranking)
  }
}
#undef APPLY
#undef PIECE

/* In double throughout, in sixteen sums whatever the vectors' width. */
static double sumFloats(const float *x, long count) {
  enum { LANES = 16 };
  double sums[LANES] = {0};
  long c = 0;
  for (; c + LANES <= count; c += LANES)
    for (int i = 0; i < LANES; i++) sums[i] += x[c + i];
  for (int i = 0; c + i < count; i++) sums[i] += x[c + i];
  for (int half = LANES / 2; half > 0; half /= 2)
    for (int i = 0; i < half; i++) sums[i] += sums[i + half];
  return sums[0];
}

/* t′ = w·(keep·t + spread) */
#define TARGET(T)                                                                              \
  T t = (target ? SPLAT(T, keep) * LOAD(T, target + c) : SPLAT(T, 0)) + SPLAT(T, spread);      \
  if (w) t *= LOAD(T, w + c);

/* sum += the lanes of a vector of any length */
#define ADD_LANES(T, vector, sum)                                                              \
  {                                                                                            \
    union { T all; float lanes[LENGTH(T)]; } both = {(vector)};                                \
    for (long i = 0; i < LENGTH(T); i++) sum += both.lanes[i];                                 \
  }

static void targetLoss(float *out, float *total, const float *x, const float *targets,
                       const float *w, float keep, float spread, const float *largest,
                       const float *logSum, long rows, long columns) {
  enum { CHUNK = 1024 };
  for (long r = 0; r < rows; r++) {
    const float *z = x + r * columns, *target = targets ? targets + r * columns : 0;
    const float m = largest[r], l = logSum[r];
    double loss = 0, weight = 0;
    long c = 0;
    for (long first = 0; first < columns; first += CHUNK) {
      const long channels = first + CHUNK < columns ? first + CHUNK : columns;
      Vector s = splat(0), q = splat(0);
      for (; c + KEEL_WIDTH <= channels; c += KEEL_WIDTH) {
        TARGET(Vector)
        s += t * ((splat(m) - load(z + c)) + splat(l));
        q += t;
      }
      loss += acrossSum(s);
      weight += acrossSum(q);
#define BODY(T)                                                                                \
  TARGET(T)                                                                                    \
  T cost = t * ((SPLAT(T, m) - LOAD(T, z + c)) + SPLAT(T, l));                                  \
  ADD_LANES(T, cost, loss)                                                                     \
  ADD_LANES(T, t, weight)
      SHORT_STEPS(BODY)
      STEPS(Single, BODY)
#undef BODY
    }
    out[r] = (float)loss;
    total[r] = (float)weight;
  }
}

static void subtractTargets(float *dx, const float *targets, const float *w, float keep,
                            float spread, const float *scale, long rows, long columns) {
  for (long r = 0; r < rows; r++) {
    const float *target = targets ? targets + r * columns : 0;
    float *to = dx + r * columns;
    const long channels = columns;
    long c = 0;
#define BODY(T) TARGET(T) STORE(T, to + c, LOAD(T, to + c) - SPLAT(T, scale[r]) * t);
    CHANNELS(BODY)
#undef BODY
  }
}
#undef TARGET
#undef ADD_LANES
