/* Eigenvalues and eigenvectors of small symmetric matrices, in double. Part of loops.h.

   One matrix in each lane of a vector. Cyclic Jacobi in the odd-even order: a phase rotates the pairs of
   neighbours (0, 1), (2, 3), … or (1, 2), (3, 4), … and exchanges each, so that `order` phases, a sweep,
   bring every two rows together once, and every access is to neighbours (Stewart 1985; Luk and Park 1989
   show that it converges as the order by rows does). */

/* Four lanes fill AVX2. Eight of AVX-512 were no faster from order 24 on, where they leave the first cache,
   a quarter faster below, and of no use to four matrices. */
enum { EIGEN_LANES = KEEL_WIDTH >= 8 ? 4 : 2, EIGEN_SWEEPS = 40 };
typedef double Lanes __attribute__((ext_vector_type(EIGEN_LANES)));
typedef long LaneMask __attribute__((ext_vector_type(EIGEN_LANES)));
typedef unsigned long LaneBits __attribute__((ext_vector_type(EIGEN_LANES)));

/* The rotated pair, exchanged: (x, y) becomes (sine·x + cosine·y, cosine·x − sine·y). */
#define TURN(x, y, sine, cosine)                                 \
  do {                                                           \
    Lanes old = (x);                                             \
    (x) = (sine)*old + (cosine) * (y);                           \
    (y) = (cosine)*old - (sine) * (y);                           \
  } while (0)

INLINE Lanes sizes(Lanes x) { return __builtin_elementwise_abs(x); }

/* The rotations of one phase, from the diagonal blocks, which they finish. A lane that is not active gets
   sine 1 and cosine 0, which keeps x and negates y: nothing but signs changes there. */
INLINE void jacobiTurns(Lanes *a, Lanes *turns, long order, long start, LaneMask active) {
  for (long p = start; p + 1 < order; p += 2) {
    Lanes *block = a + p * order + p;
    Lanes low = block[0], off = block[1], high = block[order + 1];
    /* tan 2φ = 2·off/(high − low), the smaller φ. Below 2⁻²⁰⁰ of the matrix, where squares may vanish: φ = 0. */
    LaneMask none = sizes(off) < (Lanes)0x1p-200;
    Lanes gap = high - low, twice = gap < 0 ? -2 * off : 2 * off;
    Lanes size = sizes(gap) + __builtin_elementwise_sqrt(gap * gap + twice * twice);
    Lanes tangent = (none ? (Lanes)0 : twice) / (none ? (Lanes)1 : size);
    Lanes cosine = 1 / __builtin_elementwise_sqrt(1 + tangent * tangent);
    Lanes shift = tangent * off;
    block[0] = active ? high + shift : low;
    block[order + 1] = active ? low - shift : high;
    block[1] = active ? (Lanes)0 : off;
    turns[p] = active ? tangent * cosine : (Lanes)1;
    turns[p + 1] = active ? cosine : (Lanes)0;
  }
}

/* One phase: the upper triangle a ← JᵀaJ, the rows v ← Jᵀv. */
static void jacobiPhase(Lanes *a, Lanes *v, Lanes *turns, long order, long start,
                        LaneMask active) {
  jacobiTurns(a, turns, order, start, active);
  if (start)
    for (long q = start; q + 1 < order; q += 2) TURN(a[q], a[q + 1], turns[q], turns[q + 1]);
  for (long p = start; p + 1 < order; p += 2) {
    Lanes sine = turns[p], cosine = turns[p + 1];
    Lanes *upper = a + p * order, *lower = upper + order;
    long q = p + 2;
    for (; q + 1 < order; q += 2) {
      Lanes x0 = upper[q], x1 = upper[q + 1], y0 = lower[q], y1 = lower[q + 1];
      TURN(x0, y0, sine, cosine);
      TURN(x1, y1, sine, cosine);
      Lanes sine1 = turns[q], cosine1 = turns[q + 1];
      TURN(x0, x1, sine1, cosine1);
      TURN(y0, y1, sine1, cosine1);
      upper[q] = x0, upper[q + 1] = x1, lower[q] = y0, lower[q + 1] = y1;
    }
    if (q < order) TURN(upper[q], lower[q], sine, cosine);
    Lanes *x = v + p * order, *y = x + order;
    for (long c = 0; c < order; c++) TURN(x[c], y[c], sine, cosine);
  }
}

/* Lanes with an element above the diagonal of more than 2⁻⁵⁶, the largest element being 1 to 2. */
INLINE LaneMask jacobiActive(const Lanes *a, long order) {
  Lanes off = 0;
  for (long i = 0; i < order; i++)
    for (long j = i + 1; j < order; j++) {
      Lanes size = sizes(a[i * order + j]);
      off = size > off ? size : off;
    }
  return off > (Lanes)0x1p-56;
}

/* Lower triangles of matrices to upper ones of lanes, the largest element scaled to 1 to 2 by a power of 2;
   the scale is given back inverted. Lanes without a matrix are zero. */
INLINE Lanes jacobiLoad(Lanes *a, Lanes *v, const double *matrices, long order, long count) {
  Lanes largest = 0;
  for (long i = 0; i < order; i++)
    for (long j = 0; j <= i; j++) {
      Lanes x = 0;
      for (long lane = 0; lane < count; lane++)
        x[lane] = matrices[(lane * order + i) * order + j];
      a[j * order + i] = x;
      x = sizes(x);
      largest = x > largest ? x : largest;
    }
  /* The exponent with its bias: 2¹⁰²³⁻ᵉ scales, 2ᵉ⁻¹⁰²³ scales back; neither is 0 or infinite. */
  LaneBits e = (LaneBits)largest >> 52;
  e = e < 1 ? (LaneBits)1 : e > 2045 ? (LaneBits)2045 : e;
  Lanes scale = (Lanes)((2046 - e) << 52);
  for (long i = 0; i < order; i++)
    for (long j = i; j < order; j++) a[i * order + j] *= scale;
  for (long i = 0; i < order * order; i++) v[i] = 0;
  for (long i = 0; i < order; i++) v[i * order + i] = 1;
  return (Lanes)(e << 52);
}

static long jacobi(double *values, double *vectors, const double *matrices, long order, long count,
                   double *scratch) {
  Lanes *a = (Lanes *)scratch, *v = a + order * order, *turns = v + order * order;
  Lanes scale = jacobiLoad(a, v, matrices, order, count);
  LaneMask active = 0;
  for (long sweep = 0; sweep <= EIGEN_SWEEPS; sweep++) {
    long some = 0;
    active = jacobiActive(a, order);
    for (long lane = 0; lane < count; lane++) some |= active[lane];
    if (!some || sweep == EIGEN_SWEEPS) break;
    for (long phase = 0; phase < order; phase++)
      jacobiPhase(a, v, turns, order, phase & 1, active);
  }
  for (long i = 0; i < order; i++) {
    /* How many come before: smaller values, and equal ones of smaller i. */
    Lanes value = a[i * order + i], largest = 0, sign = 0, length = 0;
    LaneMask rank = 0;
    for (long j = 0; j < order; j++) {
      Lanes other = a[j * order + j];
      rank -= j < i ? other <= value : other < value;
    }
    Lanes *row = v + i * order;
    for (long c = 0; c < order; c++) {
      LaneMask larger = sizes(row[c]) > largest;
      largest = larger ? sizes(row[c]) : largest;
      sign = larger ? row[c] : sign;
      length += row[c] * row[c];
    }
    /* Rotations have left a length of 1 but for their rounding. */
    length = 1.5 - 0.5 * length;
    length = sign < 0 ? -length : length;
    /* + 0 gives zeros the same sign, whatever became of it. */
    for (long c = 0; c < order; c++) row[c] = row[c] * length + 0;
    value = value * scale + 0;
    for (long lane = 0; lane < count; lane++) {
      values[lane * order + rank[lane]] = value[lane];
      double *to = vectors + (lane * order + rank[lane]) * order;
      for (long c = 0; c < order; c++) to[c] = ((const double *)(row + c))[lane];
    }
  }
  long failed = 0;
  for (long lane = 0; lane < count; lane++) failed |= (active[lane] & 1) << lane;
  return failed;
}

#undef TURN
