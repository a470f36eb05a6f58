/* Vectors of the level's width and the shorter ones that finish a row of channels. Part of loops.h. */

typedef float Vector __attribute__((ext_vector_type(KEEL_WIDTH)));
typedef float VectorU __attribute__((ext_vector_type(KEEL_WIDTH), aligned(4)));
typedef int Mask __attribute__((ext_vector_type(KEEL_WIDTH)));
/* The vector registers of the instruction set. */
#if KEEL_WIDTH == 16 || defined(__aarch64__)
#define KEEL_REGISTERS 32
#else
#define KEEL_REGISTERS 16
#endif
#if KEEL_WIDTH >= 8
typedef float Half __attribute__((ext_vector_type(KEEL_WIDTH / 2)));
typedef float HalfU __attribute__((ext_vector_type(KEEL_WIDTH / 2), aligned(4)));
#endif
#if KEEL_WIDTH >= 16
typedef float Quarter __attribute__((ext_vector_type(KEEL_WIDTH / 4)));
typedef float QuarterU __attribute__((ext_vector_type(KEEL_WIDTH / 4), aligned(4)));
#endif
typedef float Single;
typedef float SingleU;

#define INLINE static inline __attribute__((always_inline))

/* For T one of Vector, Half, Quarter, Single. */
#define LOAD(T, p) ((T)(*(const T##U *)(p)))
#define STORE(T, p, v) (*(T##U *)(p) = (v))
#define SPLAT(T, x) ((T)(x))
/* x where x > 0 or x is NaN, else 0. */
#define POSITIVE(T, x) (((x) <= SPLAT(T, 0)) ? SPLAT(T, 0) : (x))
/* x cut off where the function says: NaN stays. */
#define CUT(T, x, cut)                                                        \
  if ((cut).kind == KEEL_CUT_BELOW) (x) = POSITIVE(T, x);                     \
  else if ((cut).kind == KEEL_CUT_BOTH) {                                     \
    (x) = ((x) < SPLAT(T, (cut).low)) ? SPLAT(T, (cut).low) : (x);            \
    (x) = ((x) > SPLAT(T, (cut).high)) ? SPLAT(T, (cut).high) : (x);          \
  }
#define LENGTH(T) ((long)(sizeof(T) / sizeof(float)))

/* Runs BODY(T) for channels c to c + LENGTH(T) while they fit. */
#define STEPS(T, BODY) \
  for (; c + LENGTH(T) <= channels; c += LENGTH(T)) { BODY(T) }
#if KEEL_WIDTH >= 16
#define SHORT_STEPS(BODY) STEPS(Half, BODY) STEPS(Quarter, BODY)
#elif KEEL_WIDTH >= 8
#define SHORT_STEPS(BODY) STEPS(Half, BODY)
#else
#define SHORT_STEPS(BODY)
#endif
/* Runs BODY(T) over the channels from c on: whole vectors, then shorter ones, then single floats. */
#define CHANNELS(BODY) STEPS(Vector, BODY) SHORT_STEPS(BODY) STEPS(Single, BODY)

/* Puts v at p. Where `streams`, whole vectors go past the caches: results so large that they would only push
   out what is read. They are aligned, and `drain` follows before the call ends. */
#define PUT(T, p, v) PUT_##T(p, v)
#define PUT_Vector(p, v)                                                  \
  do {                                                                    \
    if (streams) __builtin_nontemporal_store((v), (Vector *)(p));         \
    else STORE(Vector, p, v);                                             \
  } while (0)
#define PUT_Half(p, v) STORE(Half, p, v)
#define PUT_Quarter(p, v) STORE(Quarter, p, v)
#define PUT_Single(p, v) STORE(Single, p, v)
/* Whether vectors from p on, in rows of so many floats, can be stored past the caches. */
INLINE int canStream(const float *p, long row) {
  return row % KEEL_WIDTH == 0 && (__UINTPTR_TYPE__)p % sizeof(Vector) == 0;
}
/* What was stored past the caches is seen by whoever sees what is stored next. */
INLINE void drain(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }

INLINE Vector load(const float *p) { return LOAD(Vector, p); }
INLINE void store(float *p, Vector v) { STORE(Vector, p, v); }
INLINE Vector splat(float x) { return SPLAT(Vector, x); }

/* The first n < KEEL_WIDTH floats of a vector, where the instruction set has masks: nothing behind them is touched. */
#if defined(__x86_64__) && KEEL_WIDTH == 16
#define KEEL_MASKS 1
INLINE Vector loadFirst(const float *p, long n) {
  return (Vector)_mm512_maskz_loadu_ps((__mmask16)((1u << n) - 1), p);
}
INLINE void storeFirst(float *p, Vector v, long n) {
  _mm512_mask_storeu_ps(p, (__mmask16)((1u << n) - 1), (__m512)v);
}
#elif defined(__x86_64__) && KEEL_WIDTH == 8
#define KEEL_MASKS 1
INLINE __m256i firstLanes(long n) {
  static const int lanes[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
  return _mm256_loadu_si256((const __m256i *)(lanes + 8 - n));
}
INLINE Vector loadFirst(const float *p, long n) {
  return (Vector)_mm256_maskload_ps(p, firstLanes(n));
}
INLINE void storeFirst(float *p, Vector v, long n) {
  _mm256_maskstore_ps(p, firstLanes(n), (__m256)v);
}
#else
#define KEEL_MASKS 0
#endif
