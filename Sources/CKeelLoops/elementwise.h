/* Functions of one operand. Part of loops.h, after activations.h, whose exponential and normal
   distribution it shares; as there, every element goes through a whole vector. */

/* log x, within 0.9 ulp. x = 2ⁿ·(1 + f) with 1 + f from √½ to √2, and with s = f/(2 + f):
   log(1 + f) = 2·artanh s = f − s·(f − s²·p(s²)), p fitted to 4·10⁻¹¹. log 2 is added in two parts, of
   which n times the first is exact. −∞ at 0, NaN below it. */
INLINE Vector logarithm(Vector x) {
  const unsigned root = 0x3F3504F3u; /* √½ */
  Vector smallest = splat(0x1p-126f);
  Vector scaled = x < smallest ? x * splat(0x1p23f) : x;
  Bits offset = bitsOf(scaled) - root;
  union { Bits bits; Mask n; } exponent = {.bits = offset};
  exponent.n >>= 23;
  Vector n = __builtin_convertvector(exponent.n, Vector);
  n = x < smallest ? n - splat(23) : n;
  Vector f = fromBits((offset & 0x007FFFFFu) + root) - splat(1);
  Vector s = f / (splat(2) + f), z = s * s;
  Vector p = splat(0.23333418369293213f);
  p = p * z + splat(0.2855069935321808f);
  p = p * z + splat(0.4000012278556824f);
  p = p * z + splat(0.6666666865348816f);
  Vector rest = s * (f - z * p) - n * splat(0x1.7f7d1cp-20f);
  Vector y = n * splat(0x1.62e4p-1f) + (f - rest);
  y = x == splat(__builtin_inff()) ? x : y;
  y = x == splat(0) ? splat(-__builtin_inff()) : y;
  return (x >= splat(0)) ? y : splat(__builtin_nanf(""));
}

/* erf x, within 1.6 ulp: x + x·p(x²) up to 1, and beyond it 1 − 2·Φ(−√2·|x|) with the sign of x. */
INLINE Vector errorFunction(Vector x) {
  Vector a = magnitude(x), u = x * x;
  Vector p = splat(-9.64151604421204e-06f);
  p = p * u + splat(0.0001125694761867635f);
  p = p * u + splat(-0.0008482828852720559f);
  p = p * u + splat(0.005220945458859205f);
  p = p * u + splat(-0.0268654003739357f);
  p = p * u + splat(0.11283782124519348f);
  p = p * u + splat(-0.37612637877464294f);
  p = p * u + splat(0.12837916709551256f);
  Vector far = splat(1) - splat(2) * normal(a * splat(-1.41421354f)).distribution;
  far = withSign(far, x);
  return a < splat(1) ? x * p + x : far;
}

INLINE Vector negateOf(Vector x) { return -x; }
INLINE Vector absoluteOf(Vector x) { return magnitude(x); }
INLINE Vector exponentOf(Vector x) { return exponential(x); }
INLINE Vector logarithmOf(Vector x) { return logarithm(x); }
INLINE Vector squareRootOf(Vector x) { return __builtin_elementwise_sqrt(x); }
INLINE Vector reciprocalOf(Vector x) { return splat(1) / x; }
INLINE Vector squareOf(Vector x) { return x * x; }
/* 0 for NaN. */
INLINE Vector signOf(Vector x) {
  return x > splat(0) ? splat(1) : x < splat(0) ? splat(-1) : splat(0);
}
INLINE Vector errorOf(Vector x) { return errorFunction(x); }

#define APPLY(NAME)                                                                        \
  {                                                                                        \
    long i = 0;                                                                            \
    for (; i + KEEL_WIDTH <= count; i += KEEL_WIDTH) store(y + i, NAME##Of(load(x + i)));  \
    if (i < count) storePart(y + i, NAME##Of(loadPart(x + i, count - i)), count - i);      \
    break;                                                                                 \
  }

static void elementwise(int function, float *y, const float *x, long count) {
  switch (function) {
    case KEEL_NEGATE: APPLY(negate)
    case KEEL_ABSOLUTE: APPLY(absolute)
    case KEEL_EXPONENTIAL: APPLY(exponent)
    case KEEL_LOGARITHM: APPLY(logarithm)
    case KEEL_SQUARE_ROOT: APPLY(squareRoot)
    case KEEL_RECIPROCAL: APPLY(reciprocal)
    case KEEL_SQUARE: APPLY(square)
    case KEEL_SIGN: APPLY(sign)
    case KEEL_ERROR_FUNCTION: APPLY(error)
  }
}
#undef APPLY

/* y = x above 0, slope·x elsewhere, NaN too; the slopes of a row, or one for all where step is 0. */
static void parametricReLU(float *y, const float *x, const float *slope, int step, long rows,
                           long channels) {
  const float one = *slope;
  for (long r = 0; r < rows; r++) {
    float *to = y + r * channels;
    const float *from = x + r * channels;
    long c = 0;
#define BODY(T)                                        \
  T v = LOAD(T, from + c);                             \
  T k = step ? LOAD(T, slope + c) : SPLAT(T, one);     \
  STORE(T, to + c, v > SPLAT(T, 0) ? v : k * v);
    CHANNELS(BODY)
#undef BODY
  }
}

static void parametricReLUGradient(float *dx, float *sum, const float *dy, const float *x,
                                   const float *slope, long rows, long channels) {
  long c = 0;
#define BODY(T)                                        \
  T k = LOAD(T, slope + c), s = SPLAT(T, 0);           \
  for (long r = 0; r < rows; r++) {                    \
    long at = r * channels + c;                        \
    T v = LOAD(T, x + at), g = LOAD(T, dy + at);       \
    STORE(T, dx + at, v > SPLAT(T, 0) ? g : k * g);    \
    s += v > SPLAT(T, 0) ? SPLAT(T, 0) : v * g;        \
  }                                                    \
  STORE(T, sum + c, s);
  CHANNELS(BODY)
#undef BODY
}

/* Bits that look random, a function of the counter and the key alone: the two multiply-and-shift mixers
   of lowbias32 (Wellons 2018) and of MurmurHash3 (Appleby 2011), each after a word of the key. Both mixers
   are one to one, so that no two counters of a key agree. */
INLINE Bits randomBits(Bits counter, const KeelKey key) {
  Bits h = counter ^ key.first;
  h = (h ^ (h >> 16)) * 0x7FEB352Du;
  h = (h ^ (h >> 15)) * 0x846CA68Bu;
  h = (h ^ (h >> 16)) + key.second;
  h = (h ^ (h >> 16)) * 0x85EBCA6Bu;
  h = (h ^ (h >> 13)) * 0xC2B2AE35u;
  return h ^ (h >> 16);
}

static void dropout(float *y, const float *x, long first, long count, KeelKey key,
                    unsigned threshold, float factor) {
  Bits counter;
  for (int i = 0; i < KEEL_WIDTH; i++) counter[i] = (unsigned)first + (unsigned)i;
  long i = 0;
  for (; i < count; i += KEEL_WIDTH, counter += KEEL_WIDTH) {
    union { Bits below; Mask mask; } drop;
    Bits bits = randomBits(counter, key);
    /* Unsigned comparison as a signed one of numbers moved by 2³¹. */
    drop.below = bits ^ 0x80000000u;
    union { Bits bits; Mask mask; } limit = {.bits = (Bits)(threshold ^ 0x80000000u)};
    Vector m = drop.mask < limit.mask ? splat(0) : splat(factor);
    if (i + KEEL_WIDTH <= count) store(y + i, load(x + i) * m);
    else storePart(y + i, loadPart(x + i, count - i) * m, count - i);
  }
}
