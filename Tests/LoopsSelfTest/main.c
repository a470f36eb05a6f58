/* Calls every leaf loop of every level that this CPU has and compares with plain loops: what can be said
   about an instruction set without the rest of Keel. `main LEVEL` tries one level by its name. */
#include "check.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const KeelLoops *loops;
unsigned char covered[sizeof(KeelLoops) / sizeof(void *)];
const long lengths[LENGTHS] = {1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 33, 64, 67, LONGEST};

enum { BLOCKS = 64, GUARDS = 32 };
static const float guard = -12345.678f;
static struct { float *start; long count; } blocks[BLOCKS];
static int blockCount, failures;
static unsigned state = 1;

void fail(const char *what, long size, const char *how) {
  if (failures++ < 20) printf("%s: %s, size %ld: %s\n", loops->name, what, size, how);
}

float *blank(long count) {
  /* Aligned to the longest vector, as the library's tensors are. */
  float *start = aligned_alloc(64, ((size_t)(count + GUARDS) * sizeof(float) + 63) / 64 * 64);
  if (!start || blockCount == BLOCKS) abort();
  for (long i = 0; i < count; i++) start[i] = NAN;
  for (long i = 0; i < GUARDS; i++) start[count + i] = guard;
  blocks[blockCount].start = start;
  blocks[blockCount++].count = count;
  return start;
}

static double uniform(void) {
  state = state * 1664525u + 1013904223u;
  return (state >> 8) / 16777216.0;
}

float *numbers(long count) {
  float *x = blank(count);
  for (long i = 0; i < count; i++) x[i] = (float)(4 * uniform() - 2);
  return x;
}

float *positives(long count) {
  float *x = blank(count);
  for (long i = 0; i < count; i++) x[i] = (float)(0.5 + 1.5 * uniform());
  return x;
}

double *doubles(long count) {
  double *x = (double *)blank(2 * count);
  for (long i = 0; i < count; i++) x[i] = 0;
  return x;
}

KeelCut cutOf(int active, int both) {
  const int kind = !active ? KEEL_CUT_NONE : both ? KEEL_CUT_BOTH : KEEL_CUT_BELOW;
  return (KeelCut){.kind = kind, .low = -1, .high = 4};
}

double cutOff(double x, KeelCut cut) {
  if (cut.kind == KEEL_CUT_NONE) return x;
  const double low = cut.kind == KEEL_CUT_BOTH ? cut.low : 0, high = cut.kind == KEEL_CUT_BOTH ? cut.high : x;
  return x < low ? low : x > high ? high : x;
}

void release(void) {
  while (blockCount > 0) {
    blockCount--;
    float *end = blocks[blockCount].start + blocks[blockCount].count;
    for (int i = 0; i < GUARDS; i++)
      if (end[i] != guard) {
        fail("memory", blocks[blockCount].count, "written behind its end");
        break;
      }
    free(blocks[blockCount].start);
  }
}

static void compare(const char *what, long size, double found, double expected, double limit,
                    long at) {
  if (isnan(expected) ? isnan(found) : found == expected || fabs(found - expected) <= limit) return;
  char how[120];
  snprintf(how, sizeof how, "expected %.9g at %ld, found %.9g", expected, at, found);
  fail(what, size, how);
}

/* At least 1, the size of what is added up: sums of either sign may cancel. */
static double largest(const double *x, long count) {
  double size = 1;
  for (long i = 0; i < count; i++)
    if (isfinite(x[i]) && fabs(x[i]) > size) size = fabs(x[i]);
  return size;
}

void expect(const char *what, long size, const float *found, const double *expected, long count,
            double bound) {
  double limit = bound * largest(expected, count);
  for (long i = 0; i < count; i++) compare(what, size, found[i], expected[i], limit, i);
}

void expectDoubles(const char *what, long size, const double *found, const double *expected,
                   long count, double bound) {
  double limit = bound * largest(expected, count);
  for (long i = 0; i < count; i++) compare(what, size, found[i], expected[i], limit, i);
}

int main(int count, char **arguments) {
  int tried = 0;
  for (int level = 0; level <= keel_supported_level(); level++) {
    loops = keel_loops(level);
    if (count > 1 && strcmp(arguments[1], loops->name) != 0) continue;
    tried++;
    memset(covered, 0, sizeof covered);
    testElementwise();
    testNormalization();
    testWindows();
    testWindowProducts();
    testPooling();
    testProducts();
    testOptimizers();
    testArithmeticLoops();
    testReductions();
    testLosses();
    testRowsOfWindows();
    testWhitening();
    testEigenvalues();
    testWinograd();
    testMappedWindows();
    /* Entry 0 is the name. */
    for (size_t i = 1; i < sizeof covered; i++)
      if (!covered[i]) fail("the table", (long)i, "the entry of this number is not tested");
    printf("%s: %zu entries, %d failures so far\n", loops->name, sizeof covered - 1, failures);
  }
  if (!tried) printf("no such level\n");
  return failures > 0 || tried == 0;
}
