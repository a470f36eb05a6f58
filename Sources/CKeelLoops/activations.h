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

/* x with NaN as it is. */
INLINE Vector atLeast(Vector x, float low) { return x < splat(low) ? splat(low) : x; }
INLINE Vector atMost(Vector x, float high) { return x > splat(high) ? splat(high) : x; }

/* x = n·log 2 + r with n whole and |r| ≤ 0.3466: adding 1.5·2²³ leaves n in the low bits of the sum.
   log 2 is subtracted in two parts, of which n times the first is exact (Cody and Waite 1980). */
typedef struct Reduced {
  Vector r, n;
  Bits bits; /* n as an integer */
} Reduced;

INLINE Reduced reduce(Vector x) {
  const float magic = 0x1.8p23f;
  Vector sum = x * splat(0x1.715476p0f) + splat(magic);
  Vector n = sum - splat(magic);
  Vector r = x - n * splat(0x1.63p-1f);
  r = r + n * splat(0x1.bd0106p-13f);
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

/* e^x, within 0.98 ulp with FMA and 0.96 without it (every seventh float): infinity above
   88.7228, denormal below −87.3365, 0 below −103.9721, NaN for NaN. The power of two is applied in two
   halves, so that the one rounding of a denormal is the last step. */
INLINE Vector exponential(Vector x) {
  Reduced to = reduce(atMost(atLeast(x, -104), 89));
  union { Bits bits; Mask n; } both = {.bits = to.bits};
  Mask half = both.n >> 1;
  both.n = half;
  Vector p = splat(1) + reducedExpm1(to.r);
  return p * powerOfTwo(both.bits) * powerOfTwo(to.bits - both.bits);
}

/* e^x − 1 for x ≤ 0. */
INLINE Vector expm1Negative(Vector x) {
  Reduced to = reduce(atLeast(x, -40));
  Vector power = powerOfTwo(to.bits);
  return power * reducedExpm1(to.r) + (power - splat(1));
}

/* log(1 + e) for e from 0 to 1: 2·artanh(e/(2 + e)). */
INLINE Vector log1pUnit(Vector e) {
  Vector s = e / (splat(2) + e), z = s * s;
  Vector p = splat(0.11616778373718262f);
  p = p * z + splat(0.10852266848087311f);
  p = p * z + splat(0.1429625004529953f);
  p = p * z + splat(0.19999851286411285f);
  p = p * z + splat(0.3333333432674408f);
  s = s + s;
  return s * z * p + s;
}

/* σ(x) and σ(−x) = 1 − σ(x), neither of them by subtraction. */
typedef struct Logistic {
  Vector of, complement;
} Logistic;

INLINE Logistic logistic(Vector x) {
  Vector e = exponential(-magnitude(x));
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

/* The functions. Where a product would be 0·∞ at −∞, x is first cut off where the result is 0. */
INLINE Vector reluOf(Vector x, KeelActivation f) { (void)f; return POSITIVE(Vector, x); }
INLINE Vector sigmoidOf(Vector x, KeelActivation f) { (void)f; return logistic(x).of; }
INLINE Vector tanhOf(Vector x, KeelActivation f) {
  (void)f;
  Vector e = expm1Negative(splat(-2) * magnitude(x));
  Vector y = -e / (splat(2) + e);
  return fromBits(bitsOf(magnitude(y)) | (bitsOf(x) & 0x80000000u));
}
INLINE Vector leakyReLUOf(Vector x, KeelActivation f) {
  return x > splat(0) ? x : splat(f.a) * x;
}
/* ELU and SELU: a for the positive side, b for the other. */
INLINE Vector eluOf(Vector x, KeelActivation f) {
  Vector y = x < splat(0) ? splat(f.b) * expm1Negative(atMost(x, 0)) : splat(f.a) * x;
  return y;
}
INLINE Vector softplusOf(Vector x, KeelActivation f) {
  (void)f;
  return POSITIVE(Vector, x) + log1pUnit(exponential(-magnitude(x)));
}
INLINE Vector geluOf(Vector x, KeelActivation f) {
  (void)f;
  return atLeast(x, -40) * normal(x).distribution;
}
INLINE Vector geluTanhOf(Vector x, KeelActivation f) {
  (void)f;
  Vector cut = atLeast(x, -40);
  return cut * logistic(geluArgument(atMost(cut, 40))).of;
}
INLINE Vector siluOf(Vector x, KeelActivation f) {
  (void)f;
  Vector cut = atLeast(x, -200);
  return cut * logistic(cut).of;
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

#define APPLY(NAME)                                                                            \
  {                                                                                            \
    long i = 0;                                                                                \
    for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH) store(y + i, NAME##Of(load(x + i), f));   \
    if (i < count)                                                                             \
      storePart(y + i, NAME##Of(loadPart(x + i, count - i), f), count - i);                    \
    break;                                                                                     \
  }

static void activate(float *y, const float *x, long count, KeelActivation f) {
  switch (f.kind) {
    case KEEL_RELU: APPLY(relu)
    case KEEL_SIGMOID: APPLY(sigmoid)
    case KEEL_TANH: APPLY(tanh)
    case KEEL_LEAKY_RELU: APPLY(leakyReLU)
    case KEEL_ELU: APPLY(elu)
    case KEEL_SOFTPLUS: APPLY(softplus)
    case KEEL_GELU: APPLY(gelu)
    case KEEL_GELU_TANH: APPLY(geluTanh)
    case KEEL_SILU: APPLY(silu)
    case KEEL_HARD_SIGMOID: APPLY(hardSigmoid)
    case KEEL_HARD_SWISH: APPLY(hardSwish)
    case KEEL_CLIP: APPLY(clip)
  }
}
#undef APPLY

#define APPLY(NAME)                                                                            \
  {                                                                                            \
    long i = 0;                                                                                \
    for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH)                                           \
      store(dx + i, NAME##Slope(load(dy + i), load(v + i), f));                                \
    if (i < count)                                                                             \
      storePart(dx + i, NAME##Slope(loadPart(dy + i, count - i), loadPart(v + i, count - i), f), \
                count - i);                                                                    \
    break;                                                                                     \
  }

static void activateGradient(float *dx, const float *dy, const float *v, long count,
                             KeelActivation f) {
  switch (f.kind) {
    case KEEL_RELU: APPLY(relu)
    case KEEL_SIGMOID: APPLY(sigmoid)
    case KEEL_TANH: APPLY(tanh)
    case KEEL_LEAKY_RELU: APPLY(leakyReLU)
    case KEEL_ELU: APPLY(elu)
    case KEEL_SOFTPLUS: APPLY(softplus)
    case KEEL_GELU: APPLY(gelu)
    case KEEL_GELU_TANH: APPLY(geluTanh)
    case KEEL_SILU: APPLY(silu)
    case KEEL_HARD_SIGMOID: APPLY(hardSigmoid)
    case KEEL_HARD_SWISH: APPLY(hardSwish)
    case KEEL_CLIP: APPLY(clip)
  }
}
#undef APPLY
