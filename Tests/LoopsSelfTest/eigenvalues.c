/* Eigenvalues and eigenvectors across lanes. */
#include <math.h>
#include <string.h>

#include "check.h"

enum { MOST = 17, MATRICES = 4 };

/* A symmetric matrix: of rank `rank`, times `scale`, and on the diagonal `shift`; above it NaN, which must
   not be read. */
static void fill(double *a, long n, long rank, double scale, double shift) {
  float *x = numbers(n * rank + 1);
  for (long i = 0; i < n; i++)
    for (long j = 0; j < n; j++) {
      double sum = i == j ? shift : 0;
      for (long r = 0; r < rank; r++) sum += scale * x[i * rank + r] * x[j * rank + r];
      a[i * n + j] = j <= i ? sum : NAN;
    }
}

static double at(const double *a, long n, long i, long j) { return a[j <= i ? i * n + j : j * n + i]; }

/* A·v = λ·v, V·Vᵀ = I, both to 1e-14 of the largest, the order of the values and the signs. */
static void checkOne(const double *a, const double *values, const double *v, long n) {
  double size = fmax(fabs(values[0]), fabs(values[n - 1])), residual = 0, gram = 0;
  for (long k = 0; k < n; k++) {
    long largest = 0;
    for (long i = 0; i < n; i++) {
      double sum = -values[k] * v[k * n + i], dot = k == i ? -1 : 0;
      for (long j = 0; j < n; j++) {
        sum += at(a, n, i, j) * v[k * n + j];
        dot += v[k * n + j] * v[i * n + j];
      }
      residual = fmax(residual, fabs(sum));
      gram = fmax(gram, fabs(dot));
      if (fabs(v[k * n + i]) > fabs(v[k * n + largest])) largest = i;
    }
    if (!(v[k * n + largest] > 0)) fail("jacobi", n, "the largest component is not positive");
    if (k && !(values[k - 1] <= values[k])) fail("jacobi", n, "values do not ascend");
  }
  if (!(residual <= 1e-14 * size)) fail("jacobi", n, "A·v is not λ·v");
  if (!(gram <= 1e-14)) fail("jacobi", n, "vectors are not orthonormal");
}

static void testOrder(long n) {
  long lanes = ENTRY(lanes), size = n * n;
  if (lanes > MATRICES) fail("jacobi", n, "more lanes than this test has matrices");
  for (int kind = 0; kind < 5; kind++) {
    double *a = doubles(lanes * size), *values = doubles(lanes * n), *v = doubles(lanes * size);
    double *one = doubles(n), *oneV = doubles(size);
    double *scratch = doubles((2 * n + 1) * n * lanes);
    for (long m = 0; m < lanes; m++) {
      double *to = a + m * size;
      /* Indefinite, of lower rank, of extreme size; repeated eigenvalues; and lanes that differ in all. */
      switch (kind < 4 ? kind : (int)m % 4) {
        case 0: fill(to, n, n + 2, 1, -2); break;
        case 1: fill(to, n, n / 2, 1e-300, 0); break;
        case 2: fill(to, n, 1, 1e290, 0); break;
        default: fill(to, n, 0, 0, 3); break;
      }
    }
    if (ENTRY(jacobi)(values, v, a, n, lanes, scratch)) fail("jacobi", n, "not converged");
    for (long m = 0; m < lanes; m++) {
      checkOne(a + m * size, values + m * n, v + m * size, n);
      loops->jacobi(one, oneV, a + m * size, n, 1, scratch);
      if (memcmp(one, values + m * n, (size_t)n * sizeof(double)) ||
          memcmp(oneV, v + m * size, (size_t)size * sizeof(double)))
        fail("jacobi", n, "a matrix's result depends on what runs beside it");
    }
    release();
  }
}

void testEigenvalues(void) {
  for (long n = 1; n <= MOST; n++) testOrder(n);
}
