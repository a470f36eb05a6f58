/* Activations and their gradients: elementwise loops around one exponential. Part of loops.h.

   Every element goes through a whole vector, at a row's end through one filled up with zeros: its result
   does not depend on where in the row it stands. */

typedef unsigned Bits __attribute__((ext_vector_type(KEEL_WIDTH)));

INLINE Bits bitsOf(Vector x) {
  union { Vector x; Bits bits; } both = {.x = x};
  return both.bits;
}

INLINE Vector fromBits(Bits bits) {
  union { Bits bits; Vector x; } both = {.bits = bits};
  return both.x;
}

INLINE Vector magnitude(Vector x) { return fromBits(bitsOf(x) & 0x7FFFFFFFu); }

/* y ≥ 0, or what has the sign of x already, with the sign of x. */
INLINE Vector withSign(Vector y, Vector x) {
  return fromBits(bitsOf(y) | (bitsOf(x) & 0x80000000u));
}

/* x with NaN as it is. */
INLINE Vector atLeast(Vector x, float low) { return x < splat(low) ? splat(low) : x; }
INLINE Vector atMost(Vector x, float high) { return x > splat(high) ? splat(high) : x; }

/* sign·x = n·log 2 + sign·r with n whole and |r| ≤ 0.3466: adding 1.5·2²³ leaves n in the low bits of the
   sum. log 2 is subtracted in two parts, of which n times the first is exact (Cody and Waite 1980). */
typedef struct Reduced {
  Vector r, n;
  Bits bits; /* n as an integer */
} Reduced;

INLINE Reduced reduce(Vector x, const float sign) {
  const float magic = 0x1.8p23f;
  Vector sum = x * splat(sign * 0x1.715476p0f) + splat(magic);
  Vector n = sum - splat(magic);
  Vector r = x - n * splat(sign * 0x1.63p-1f);
  r = r + n * splat(sign * 0x1.bd0106p-13f);
  return (Reduced){r, n, bitsOf(sum) - 0x4B400000u};
}

/* 2ⁿ for n from −126 to 127. */
INLINE Vector powerOfTwo(Bits n) { return fromBits((n + 127u) << 23); }

/* e^r − 1 for |r| ≤ 0.3466, to 3·10⁻⁹·r² before rounding. */
INLINE Vector reducedExpm1(Vector r) {
  Vector p = splat(0.0001985788440354777f);
  p = p * r + splat(0.0013933837180957198f);
  p = p * r + splat(0.008333360776305199f);
  p = p * r + splat(0.041666463017463684f);
  p = p * r + splat(0.1666666716337204f);
  p = p * r + splat(0.5f);
  return p * (r * r) + r;
}

/* p·2ⁿ with one rounding, also where that is a denormal or infinity, for n from −252 to 254. */
INLINE Vector scaled(Vector p, Reduced by) {
#if KEEL_WIDTH == 16
  return _mm512_scalef_ps(p, by.n);
#else
  union { Bits bits; Mask n; } both = {.bits = by.bits};
  Mask half = both.n >> 1;
  both.n = half;
  return p * powerOfTwo(both.bits) * powerOfTwo(by.bits - both.bits);
#endif
}

/* e^(sign·x) for |x| ≤ 104, and for NaN. With FMA the sign is part of the constants, and the polynomial is
   good to 5·10⁻⁹; without it the products' roundings count, and 1 is added to something small. */
INLINE Vector moderateExponential(Vector x, const float sign) {
  Reduced to = reduce(x, sign);
#if KEEL_WIDTH > 4 || defined(__aarch64__)
  Vector p = splat(0.001394644845277071f);
  p = p * to.r + splat(sign * 0.008366581983864307f);
  p = p * to.r + splat(0.04166628047823906f);
  p = p * to.r + splat(sign * 0.1666654348373413f);
  p = p * to.r + splat(0.5f);
  p = p * to.r + splat(sign);
  return scaled(p * to.r + splat(1), to);
#else
  return scaled(splat(1) + reducedExpm1(splat(sign) * to.r), to);
#endif
}

/* e^x, within 0.92 ulp with FMA and 0.95 without it (every 21st float): infinity above 88.7228, denormal
   below −87.3365, 0 below −103.9721, NaN for NaN. */
INLINE Vector exponential(Vector x) { return moderateExponential(atMost(atLeast(x, -104), 89), 1); }

/* e^−|x|. */
INLINE Vector decay(Vector x) { return moderateExponential(atMost(magnitude(x), 104), -1); }

/* e^x − 1 for x ≤ 0. Of log 2 the first part is enough: where |n| is large, 2ⁿ is small. */
INLINE Vector expm1Negative(Vector x) {
  Vector low = atLeast(x, -40), sum = low * splat(0x1.715476p0f) + splat(0x1.8p23f);
  Vector r = low - (sum - splat(0x1.8p23f)) * splat(0x1.62e43p-1f);
  /* The shift leaves n of the sum's bits. */
  Vector power = fromBits((bitsOf(sum) << 23) + 0x3F800000u);
  return power * reducedExpm1(r) + (power - splat(1));
}

#if KEEL_WIDTH == 16
/* The polynomial of the segment that a stands in, from 0 on: two registers hold a coefficient of all. */
INLINE Vector tabulated(Vector a, float segment, const float table[][32], const int degree) {
  Vector sum = a * splat(1 / segment) + splat(0x1.8p23f);
  Vector d = a - (sum - splat(0x1.8p23f)) * splat(segment), y = splat(0);
  for (int i = degree; i >= 0; i--) {
    Vector low = load(table[i]), high = load(table[i] + KEEL_WIDTH);
    y = y * d + _mm512_permutex2var_ps(low, (__m512i)bitsOf(sum), high);
  }
  return y;
}
#endif

/* log(1 + e) for e from 0 to 1: from a table of log(1 + e)/e, or 2·artanh(e/(2 + e)). */
INLINE Vector log1pUnit(Vector e) {
#if KEEL_WIDTH == 16
  return e * tabulated(e, LOG_SEGMENT, logTable, 3);
#else
  Vector s = e / (splat(2) + e), z = s * s;
  Vector p = splat(0.11616778373718262f);
  p = p * z + splat(0.10852266848087311f);
  p = p * z + splat(0.1429625004529953f);
  p = p * z + splat(0.19999851286411285f);
  p = p * z + splat(0.3333333432674408f);
  s = s + s;
  return s * z * p + s;
#endif
}

/* log(1 + e^z). */
INLINE Vector softplus(Vector z) { return POSITIVE(Vector, z) + log1pUnit(decay(z)); }

/* σ(x) and σ(−x) = 1 − σ(x), neither of them by subtraction. */
typedef struct Logistic {
  Vector of, complement;
} Logistic;

INLINE Logistic logistic(Vector x) {
  Vector e = decay(x);
  Vector large = splat(1) / (splat(1) + e), small = e / (splat(1) + e);
  return (Logistic){x < splat(0) ? small : large, x < splat(0) ? large : small};
}

/* The normal distribution function Φ(x), and e^(−x²/2), which its derivative is made of. With
   t = 1/(1 + 0.3·|x|): Φ(−|x|) = e^(−x²/2)·t·p(t), p fitted to 4·10⁻⁹. So Φ keeps its relative accuracy
   where it is small, up to the rounding of x²/2 in the exponent: x²/2·2⁻²⁴. */
typedef struct Normal {
  Vector distribution, bell;
} Normal;

INLINE Normal normal(Vector x) {
  Vector a = atMost(magnitude(x), 40);
  Vector bell = exponential(a * a * splat(-0.5f));
  Vector t = splat(1) / (splat(1) + splat(0.3f) * a);
  Vector p = splat(-0.020612947642803192f);
  p = p * t + splat(0.11237642914056778f);
  p = p * t + splat(-0.22806905210018158f);
  p = p * t + splat(0.1915837526321411f);
  p = p * t + splat(-0.0792490541934967f);
  p = p * t + splat(0.09605874866247177f);
  p = p * t + splat(0.07842525839805603f);
  p = p * t + splat(0.11022739112377167f);
  p = p * t + splat(0.11957283318042755f);
  p = p * t + splat(0.11968663334846497f);
  Vector tail = bell * (t * p);
  return (Normal){x < splat(0) ? tail : splat(1) - tail, bell};
}

/* 2·√(2/π)·(x + 0.044715·x³), for |x| ≤ 40. */
#define GELU_FACTOR 1.5957691216057308f
INLINE Vector geluArgument(Vector x) {
  return splat(GELU_FACTOR) * x * (splat(0.044715f) * x * x + splat(1));
}

INLINE Vector unitRamp(Vector x) {
  return atMost(atLeast(x * splat(1.0f / 6) + splat(0.5f), 0), 1);
}

/* σ(x) alone, by one division; 0 below −88.73. */
INLINE Vector sigmoid(Vector x) {
  return splat(1) / (splat(1) + moderateExponential(atMost(atLeast(x, -104), 104), -1));
}

#if KEEL_WIDTH == 16
/* x·q(x) for q with 1 − q(x) = q(−x), from the table of q(−a): max(x, 0) − a·q(−a), with x's sign where it
   is 0. */
INLINE Vector gated(Vector x, const float table[][32]) {
  Vector a = atMost(magnitude(x), 31 * GATE_SEGMENT);
  return withSign(POSITIVE(Vector, x) - a * tabulated(a, GATE_SEGMENT, table, 5), x);
}
#endif

/* The functions. Where a product would be 0·∞ at −∞, x is first cut off where the result is 0. */
INLINE Vector reluOf(Vector x, KeelActivation f) { (void)f; return POSITIVE(Vector, x); }
INLINE Vector sigmoidOf(Vector x, KeelActivation f) { (void)f; return sigmoid(x); }
INLINE Vector tanhOf(Vector x, KeelActivation f) {
  (void)f;
#if KEEL_WIDTH == 16
  Vector y = tabulated(atMost(magnitude(x), 31 * TANH_SEGMENT), TANH_SEGMENT, tanhTable, 5);
#else
  Vector e = expm1Negative(splat(-2) * magnitude(x));
  Vector y = -e / (splat(2) + e);
#endif
  return withSign(magnitude(y), x);
}
INLINE Vector leakyReLUOf(Vector x, KeelActivation f) {
  return x > splat(0) ? x : splat(f.a) * x;
}
/* ELU and SELU: a for the positive side, b for the other. */
INLINE Vector eluOf(Vector x, KeelActivation f) {
  return x < splat(0) ? splat(f.b) * expm1Negative(x) : splat(f.a) * x;
}
INLINE Vector softplusOf(Vector x, KeelActivation f) { (void)f; return softplus(x); }
INLINE Vector geluOf(Vector x, KeelActivation f) {
  (void)f;
#if KEEL_WIDTH == 16
  return gated(x, geluTable);
#else
  return atLeast(x, -40) * normal(x).distribution;
#endif
}
INLINE Vector geluTanhOf(Vector x, KeelActivation f) {
  (void)f;
#if KEEL_WIDTH == 16
  return gated(x, geluTanhTable);
#else
  Vector cut = atLeast(x, -40);
  return cut * sigmoid(geluArgument(atMost(cut, 40)));
#endif
}
INLINE Vector siluOf(Vector x, KeelActivation f) {
  (void)f;
  Vector cut = atLeast(x, -104);
  return cut / (splat(1) + moderateExponential(atMost(cut, 104), -1));
}
INLINE Vector hardSigmoidOf(Vector x, KeelActivation f) { (void)f; return unitRamp(x); }
INLINE Vector hardSwishOf(Vector x, KeelActivation f) {
  (void)f;
  return atLeast(x, -3) * unitRamp(x);
}
INLINE Vector clipOf(Vector x, KeelActivation f) { return atMost(atLeast(x, f.a), f.b); }

/* dy·f′, from v = y. */
INLINE Vector reluSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  return v > splat(0) ? dy : splat(0);
}
INLINE Vector sigmoidSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  return dy * (v * (splat(1) - v));
}
INLINE Vector tanhSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  return dy * ((splat(1) - v) * (splat(1) + v));
}
INLINE Vector leakyReLUSlope(Vector dy, Vector v, KeelActivation f) {
  return v > splat(0) ? dy : splat(f.a) * dy;
}
INLINE Vector eluSlope(Vector dy, Vector v, KeelActivation f) {
  return dy * (v > splat(0) ? splat(f.a) : v + splat(f.b));
}
INLINE Vector softplusSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  return dy * -expm1Negative(-v);
}
INLINE Vector hardSigmoidSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  return ((v > splat(0)) & (v < splat(1))) ? dy * splat(1.0f / 6) : splat(0);
}
INLINE Vector clipSlope(Vector dy, Vector v, KeelActivation f) {
  return ((v > splat(f.a)) & (v < splat(f.b))) ? dy : splat(0);
}
/* dy·f′, from v = x. */
INLINE Vector geluSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  Vector x = atMost(atLeast(v, -40), 40);
  Normal at = normal(x);
  return dy * (x * splat(0.3989422804014327f) * at.bell + at.distribution);
}
INLINE Vector geluTanhSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  Vector x = atMost(atLeast(v, -40), 40);
  Logistic at = logistic(geluArgument(x));
  Vector inner = splat(GELU_FACTOR) * (splat(3 * 0.044715f) * x * x + splat(1));
  return dy * (at.of * at.complement * x * inner + at.of);
}
INLINE Vector siluSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  Vector x = atMost(atLeast(v, -200), 200);
  Logistic at = logistic(x);
  return dy * (at.of * at.complement * x + at.of);
}
INLINE Vector hardSwishSlope(Vector dy, Vector v, KeelActivation f) {
  (void)f;
  Vector slope = v > splat(3) ? splat(1) : v * splat(1.0f / 3) + splat(0.5f);
  return v <= splat(-3) ? splat(0) : dy * slope;
}

/* The first `count` floats of a vector, and zeros. */
INLINE Vector loadPart(const float *p, long count) {
  float part[KEEL_WIDTH] = {0};
  for (long i = 0; i < count; i++) part[i] = p[i];
  return load(part);
}

INLINE void storePart(float *p, Vector v, long count) {
  float part[KEEL_WIDTH];
  store(part, v);
  for (long i = 0; i < count; i++) p[i] = part[i];
}

/* Each kind and the name of its functions. */
#define ACTIVATIONS(CASE)             \
  CASE(KEEL_RELU, relu)               \
  CASE(KEEL_SIGMOID, sigmoid)         \
  CASE(KEEL_TANH, tanh)               \
  CASE(KEEL_LEAKY_RELU, leakyReLU)    \
  CASE(KEEL_ELU, elu)                 \
  CASE(KEEL_SOFTPLUS, softplus)       \
  CASE(KEEL_GELU, gelu)               \
  CASE(KEEL_GELU_TANH, geluTanh)      \
  CASE(KEEL_SILU, silu)               \
  CASE(KEEL_HARD_SIGMOID, hardSigmoid) \
  CASE(KEEL_HARD_SWISH, hardSwish)    \
  CASE(KEEL_CLIP, clip)

static void activate(float *y, const float *x, long count, KeelActivation f) {
  long i = 0;
#define CASE(KIND, NAME)                                                                     \
  case KIND:                                                                                 \
    for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH) store(y + i, NAME##Of(load(x + i), f)); \
    if (i < count)                                                                           \
      storePart(y + i, NAME##Of(loadPart(x + i, count - i), f), count - i);                  \
    break;
  switch (f.kind) { ACTIVATIONS(CASE) }
#undef CASE
}

static void activateGradient(float *dx, const float *dy, const float *v, long count,
                             KeelActivation f) {
  long i = 0;
#define CASE(KIND, NAME)                                                                       \
  case KIND:                                                                                   \
    for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH)                                           \
      store(dx + i, NAME##Slope(load(dy + i), load(v + i), f));                                \
    if (i < count)                                                                             \
      storePart(dx + i, NAME##Slope(loadPart(dy + i, count - i), loadPart(v + i, count - i), f), \
                count - i);                                                                    \
    break;
  switch (f.kind) { ACTIVATIONS(CASE) }
#undef CASE
}
#undef ACTIVATIONS
