/* What the self-test's parts share: memory with guards, numbers, comparison. */
#ifndef CHECK_H
#define CHECK_H

#include <stddef.h>

#include "CKeelLoops.h"

/* The table under test. */
extern const KeelLoops *loops;

/* A table's entry by name; that it was used is kept, so that no entry goes untested. */
#define ENTRY(name) (covered[offsetof(KeelLoops, name) / sizeof(void *)] = 1, loops->name)
extern unsigned char covered[sizeof(KeelLoops) / sizeof(void *)];

/* Lengths around the edges of vectors of 4, 8 and 16 floats and of blocks of four of them. */
enum { LENGTHS = 16, LONGEST = 141 };
extern const long lengths[LENGTHS];

/* Memory for `count` elements, freed by `release`, which also sees whether the floats behind its end have
   been written. `numbers` holds numbers from −2 to 2, `positives` from 0.5 to 2, `blank` none that
   mean anything. */
float *numbers(long count);
float *positives(long count);
float *blank(long count);
double *doubles(long count);
void release(void);

/* ReLU, or from −1 to 4, which leaves the largest sums as large as bounds expect, or nothing; and what it makes
   of a number. */
KeelCut cutOf(int active, int both);
double cutOff(double x, KeelCut cut);

/* Compares with what plain loops give, relative to the largest expected value. */
void expect(const char *what, long size, const float *found, const double *expected, long count,
            double bound);
void expectDoubles(const char *what, long size, const double *found, const double *expected,
                   long count, double bound);
void fail(const char *what, long size, const char *how);

void testElementwise(void);
void testNormalization(void);
void testWindows(void);
void testWindowProducts(void);
void testPooling(void);
void testProducts(void);
void testOptimizers(void);
void testArithmeticLoops(void);
void testReductions(void);
void testLosses(void);
void testRowsOfWindows(void);
void testWhitening(void);
void testEigenvalues(void);
void testWinograd(void);
void testMappedWindows(void);

#endif
